//! How long ago the mirror was brought up to date, at the moment that somebody asks.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::UNIX_EPOCH;

use bson::DateTime;
use metrics::gauge;
use runlineage::mongo::Freshness;

const LAST_PASS: &str = "runlineage_last_pass_timestamp_seconds";
const FULL_AGE: &str = "runlineage_last_full_pass_age_seconds";
const LAG: &str = "runlineage_lag_seconds";

/// When the last passes were, in milliseconds since 1970; 0: never.
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
            // An answer that comes late is not newer than one that overtook it.
            age.fetch_max(
                date.map_or(0, DateTime::timestamp_millis),
                Ordering::Relaxed,
            );
        }
    }

    /// Sets the metrics to what holds now.
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

/// Infinite for what never was, so that an alert on a high age sees it too; the database's clock may be ahead of this one.
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
        "When the last complete pass of this kind over every experiment began; 0: never"
    );
    metrics::describe_gauge!(
        FULL_AGE,
        "Seconds since the last complete full pass began: edits of old runs since then may not be mirrored"
    );
    metrics::describe_gauge!(
        LAG,
        "Seconds since the last complete pass of either kind began: runs that are new or under way may lag that far behind"
    );
}
