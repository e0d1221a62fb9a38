//! [`Mirror`]: the source and the freshness, which every answer carries in its headers.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use bson::DateTime;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use runlineage::MongoRunStore;
use runlineage::mongo::Freshness;

use crate::answer::Pages;
use crate::app::App;
use crate::problem::Problem;

const SOURCE: HeaderName = HeaderName::from_static("runlineage-source");
const FULL_PASS: HeaderName = HeaderName::from_static("runlineage-full-pass");
const QUICK_PASS: HeaderName = HeaderName::from_static("runlineage-quick-pass");
/// The limit that cut the answer, and where.
pub(crate) const TRUNCATED: HeaderName = HeaderName::from_static("runlineage-truncated");
/// When a sync found the run deleted in MLflow.
pub(crate) const DELETED: HeaderName = HeaderName::from_static("runlineage-deleted");

/// Percent-encoded in a header. All that is not ASCII is encoded too.
const ENCODED: &AsciiSet = &CONTROLS.add(b'%');

/// The largest age of the freshness. A sync records it far less often.
const AGE: Duration = Duration::from_secs(1);

/// The freshness as it was read last. Every answer tells it, so reading it anew would cost every request a query.
#[derive(Debug, Default)]
pub(crate) struct LastFreshness(Mutex<Option<(Instant, Freshness)>>);

impl LastFreshness {
    async fn read(&self, store: &MongoRunStore) -> Result<Freshness, Problem> {
        let last = self.lock().clone();
        if let Some((_, freshness)) = last.filter(|(read_at, _)| read_at.elapsed() < AGE) {
            return Ok(freshness);
        }
        let read_at = Instant::now();
        let freshness = store.freshness().await?;
        *self.lock() = Some((read_at, freshness.clone()));
        Ok(freshness)
    }

    fn lock(&self) -> MutexGuard<'_, Option<(Instant, Freshness)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is mirrored.
#[derive(Debug)]
pub(crate) struct Mirror {
    freshness: Freshness,
    pub(crate) pages: Option<Pages>,
}

impl Mirror {
    /// Reads it. A database that holds nothing and never saw a full pass is a problem, because it would answer every question with
    /// "nothing".
    pub(crate) async fn of(app: &App) -> Result<Self, Problem> {
        let freshness = app.freshness.read(&app.store).await?;
        if freshness.full_pass.is_none() && !app.store.find_any().await? {
            return Err(Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "empty mirror",
                "this database mirrors nothing yet; run `runlineage sync` on it first",
            ));
        }
        let source = freshness.source.as_deref();
        Ok(Self {
            pages: Pages::of(None, source, || app.mlflow.clone()),
            freshness,
        })
    }

    /// The tracking server that is mirrored.
    pub(crate) fn source(&self) -> Option<&str> {
        self.freshness.source.as_deref()
    }

    /// The headers of an answer.
    pub(crate) fn headers(&self) -> HeaderMap {
        let freshness = &self.freshness;
        let mut headers = HeaderMap::new();
        let mut add = |name, value: Option<String>| {
            headers.extend(value.map(|value| (name, text(&value))));
        };
        add(SOURCE, freshness.source.clone());
        add(FULL_PASS, freshness.full_pass.and_then(date));
        add(QUICK_PASS, freshness.quick_pass.and_then(date));
        headers
    }
}

/// A text as the value of a header.
pub(crate) fn text(text: &str) -> HeaderValue {
    let encoded = utf8_percent_encode(text, ENCODED).to_string();
    HeaderValue::from_str(&encoded).unwrap_or(HeaderValue::from_static(""))
}

/// A date as in JSON.
pub(crate) fn date(date: DateTime) -> Option<String> {
    date.try_to_rfc3339_string().ok()
}

#[cfg(test)]
mod tests {
    #[test]
    fn any_text_can_stand_in_a_header() {
        let text = |text| super::text(text).to_str().unwrap().to_owned();
        assert_eq!(
            text("http://host:5000 workspace a"),
            "http://host:5000 workspace a"
        );
        assert_eq!(
            text("a\r\nSet-Cookie: x%é"),
            "a%0D%0ASet-Cookie: x%25%C3%A9"
        );
    }
}
