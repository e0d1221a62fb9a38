//! A running `sync --every` over a lab, and its metrics.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use super::lab::Lab;
use super::poll;
use super::program::runlineage;
use super::running::{Running, get};

/// How long a stop may take.
pub(crate) const STOPPED: Duration = Duration::from_secs(5);
pub(crate) const MINUTE: i64 = 60_000;

pub(crate) fn watch(lab: &Lab, args: &[&str]) -> Running {
    Running::start(&mut watch_command(lab, args))
}

pub(crate) fn watch_command(lab: &Lab, args: &[&str]) -> Command {
    let (mongodb, mlflow) = (&lab.test.uri, lab.proxy.uri());
    let settings = ["sync", "--source", "lab", "--log-format", "json"];
    let connection = ["--mongodb-uri", mongodb, "--tracking-uri", &mlflow];
    let mut command = runlineage(settings.iter().chain(args).chain(&connection));
    command.env("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0");
    command
}

#[track_caller]
pub(crate) fn wait_until(what: &str, holds: impl Fn() -> bool) {
    let held = poll(Duration::from_secs(60), || holds().then_some(()));
    assert!(held.is_some(), "{what}: waited for a minute");
}

pub(crate) fn is_full(pass: &Value) -> bool {
    pass["kind"] == "full"
}

/// The series of /metrics by name and labels, parsed from the Prometheus text format.
#[track_caller]
pub(crate) fn metrics(address: &str) -> BTreeMap<String, f64> {
    let answer = poll(Duration::from_secs(60), || get(address, "/metrics"));
    let (status, text) = answer.expect("/metrics answers within a minute");
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
            .unwrap_or_else(|| panic!("not a series: {text}"));
        let value: f64 = parts[2]
            .parse()
            .unwrap_or_else(|_| panic!("not a number: {text}"));
        let known = series.insert(parts[1].to_owned(), value);
        assert_eq!(known, None, "duplicate series: {text}");
    }
    series
}
