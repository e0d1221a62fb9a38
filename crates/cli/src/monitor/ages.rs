//! The ages of the last passes, computed at each scrape.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::UNIX_EPOCH;

use bson::DateTime;
use metrics::gauge;
use runlineage::mongo::Freshness;

const LAST_PASS: &str = "runlineage_last_pass_timestamp_seconds";
const FULL_AGE: &str = "runlineage_last_full_pass_age_seconds";
const LAG: &str = "runlineage_lag_seconds";

/// When the last passes began, in milliseconds since 1970; 0 means never.
#[derive(Debug, Default)]
pub(super) struct Ages {
    full: AtomicI64,
    quick: AtomicI64,
}

impl Ages {
    pub(super) fn renew(&self, freshness: &Freshness) {
        let dates = [
            (&self.full, freshness.full_pass),
            (&self.quick, freshness.quick_pass),
        ];
        for (age, date) in dates {
            // A late answer of MongoDB must not replace a newer one.
            age.fetch_max(
                date.map_or(0, DateTime::timestamp_millis),
                Ordering::Relaxed,
            );
        }
    }

    /// Sets the metrics to the current ages.
    pub(super) fn tell(&self) {
        let seconds = |at: &AtomicI64| at.load(Ordering::Relaxed) as f64 / 1_000.0;
        let (full, quick) = (seconds(&self.full), seconds(&self.quick));
        gauge!(LAST_PASS, "kind" => "full").set(full);
        gauge!(LAST_PASS, "kind" => "quick").set(quick);
        let now = UNIX_EPOCH.elapsed().map_or(0.0, |now| now.as_secs_f64());
        gauge!(FULL_AGE).set(age(full, now));
        gauge!(LAG).set(age(full.max(quick), now));
    }
}

/// Infinity if there was no pass, so that an alert on a high age fires. Never negative, even if MongoDB's clock is ahead.
fn age(at: f64, now: f64) -> f64 {
    if at > 0.0 {
        (now - at).max(0.0)
    } else {
        f64::INFINITY
    }
}

pub(super) fn describe() {
    metrics::describe_gauge!(
        LAST_PASS,
        "When the last complete pass of this kind over every experiment began; 0 means never"
    );
    metrics::describe_gauge!(
        FULL_AGE,
        "Seconds since the last complete full pass began; later edits of old runs may not be mirrored yet"
    );
    metrics::describe_gauge!(
        LAG,
        "Seconds since the last complete pass of either kind began; new and running runs may lag by as much"
    );
}
