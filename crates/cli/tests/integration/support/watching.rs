//! A `sync --every` that is left running over a lab, and what it tells.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use super::lab::{Lab, plain_runs};
use super::poll;
use super::program::runlineage;
use super::proxy::Answer;
use super::running::{Running, get};
use super::sql::NewRun;

/// What stopping may take.
pub(crate) const STOPPED: Duration = Duration::from_secs(5);
pub(crate) const MINUTE: i64 = 60_000;

pub(crate) fn watch(lab: &Lab, args: &[&str]) -> Running {
    let (mongodb, mlflow) = (&lab.test.uri, lab.proxy.uri());
    let settings = ["sync", "--source", "lab", "--log-format", "json"];
    let connection = ["--mongodb-uri", mongodb, "--tracking-uri", &mlflow];
    let mut command = runlineage(settings.iter().chain(args).chain(&connection));
    command.env("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0");
    Running::start(&mut command)
}

pub(crate) fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    i64::try_from(now.expect("it is past 1970").as_millis())
        .expect("it is long before the end of time")
}

pub(crate) async fn lab_with_runs(count: usize) -> (Lab, String, Vec<NewRun>) {
    let lab = Lab::new().await;
    let exp = lab.experiment("watched");
    let runs = plain_runs(&exp, count);
    lab.sql().insert(&runs);
    (lab, exp, runs)
}

/// The proxy answers no search for runs until told; the first flag tells that one waits.
pub(crate) fn hold(lab: &Lab) -> (Arc<AtomicBool>, Arc<AtomicBool>) {
    let flags: [Arc<AtomicBool>; 2] = std::array::from_fn(|_| Arc::default());
    let (waits, go) = (flags[0].clone(), flags[1].clone());
    lab.proxy.on(move |request| {
        if request.call != "runs/search" {
            return Answer::Pass;
        }
        let (waits, go) = (waits.clone(), go.clone());
        Answer::After(Box::new(move || {
            waits.store(true, Ordering::SeqCst);
            while !go.load(Ordering::SeqCst) {
                std::thread::sleep(Duration::from_millis(10));
            }
        }))
    });
    let [waits, go] = flags;
    (waits, go)
}

#[track_caller]
pub(crate) fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let so = poll(Duration::from_secs(60), || is_so().then_some(()));
    assert!(so.is_some(), "{what}: waited for a minute");
}

pub(crate) fn is_full(pass: &Value) -> bool {
    pass["kind"] == "full"
}

/// What /metrics says, each series by its name and labels; the text is Prometheus' own format.
#[track_caller]
pub(crate) fn metrics(address: &str) -> BTreeMap<String, f64> {
    let answer = poll(Duration::from_secs(60), || get(address, "/metrics"));
    let (status, text) = answer.expect("it answers within a minute");
    assert_eq!(status, 200, "{text}");
    let line = regex::Regex::new(
        r#"^([a-zA-Z_:][a-zA-Z0-9_:]*(?:\{(?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*",?)*\})?) (\S+)(?: -?\d+)?$"#,
    );
    let line = line.expect("a pattern");
    let mut series = BTreeMap::new();
    for text in text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        let parts = line
            .captures(text)
            .unwrap_or_else(|| panic!("no series: {text}"));
        let value: f64 = parts[2]
            .parse()
            .unwrap_or_else(|_| panic!("no number: {text}"));
        let known = series.insert(parts[1].to_owned(), value);
        assert_eq!(known, None, "it comes twice: {text}");
    }
    series
}
