//! Monitoring of a watch: metrics, health, and warnings in its log.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::held::{hold, lab_with_runs, now};
use crate::support::lab::{Lab, plain_runs};
use crate::support::proxy::Answer;
use crate::support::running::{Running, get};
use crate::support::watching::{STOPPED, is_full, metrics, wait_until, watch, watch_command};
use crate::support::{free_port, poll, rest};

#[tokio::test(flavor = "multi_thread")]
async fn metrics_and_health_follow_the_passes() {
    let (lab, exp, _) = lab_with_runs(5).await;
    let (waits, go) = hold(&lab);
    let address = format!("127.0.0.1:{}", free_port());
    let mut running = watch(&lab, &["--every", "1s", "--metrics-listen", &address]);
    let health = || get(&address, "/health").map_or(0, |(status, _)| status);
    wait_until("a page is asked for", || waits.load(Ordering::SeqCst));
    assert_eq!(health(), 503, "no pass has succeeded yet");
    go.store(true, Ordering::SeqCst);
    let known = running.wait_for_pass(0, is_full);
    assert_eq!(health(), 200);
    let full = "runlineage_last_pass_timestamp_seconds{kind=\"full\"}";
    wait_until("the pass is recorded", || metrics(&address)[full] > 0.0);
    let series = metrics(&address);
    assert_eq!(series["runlineage_runs_seen_total"], 5.0, "{series:?}");
    assert_eq!(series["runlineage_runs_written_total"], 5.0, "{series:?}");
    assert_eq!(
        series["runlineage_passes_total{kind=\"full\"}"], 1.0,
        "{series:?}"
    );
    assert_eq!(series["runlineage_errors_total"], 0.0, "{series:?}");
    let began = series[full];
    let age = now() as f64 / 1_000.0 - began;
    assert!(
        (0.0..120.0).contains(&age),
        "the last full pass was {age} s ago"
    );

    lab.proxy
        .on(|_| Answer::refuse(500, "INTERNAL_ERROR", "down"));
    let known = running.wait_for_pass(known, |pass| pass["error"].is_string());
    assert_eq!(health(), 503);
    let failed = metrics(&address);
    assert!(failed["runlineage_errors_total"] >= 1.0, "{failed:?}");
    assert_eq!(failed[full], began);
    let age = |series: &BTreeMap<String, f64>| series["runlineage_last_full_pass_age_seconds"];
    assert!(age(&failed) > age(&series), "{failed:?}");
    let passes = running.passes();
    let message = format!("{}", passes[known - 1]);
    assert!(
        message.contains("down"),
        "/health gives the reason: {message}"
    );

    lab.proxy.pass();
    rest::create_run(&lab.server.uri(), &exp, now());
    running.wait_for_pass(known, |pass| pass["written"] == 1);
    assert_eq!(health(), 200);
    let again = metrics(&address);
    assert_eq!(again["runlineage_runs_written_total"], 6.0, "{again:?}");
    assert!(again["runlineage_errors_total"] >= failed["runlineage_errors_total"]);
    assert_eq!(
        get(&address, "/elsewhere").map(|(status, _)| status),
        Some(404)
    );
    running.signal("-TERM");
    let (code, _, stderr) = running.end_within(STOPPED);
    assert_eq!(code, Some(0), "{stderr:#?}");
}

const AGES: [&str; 3] = [
    "runlineage_last_pass_timestamp_seconds{kind=\"full\"}",
    "runlineage_last_full_pass_age_seconds",
    "runlineage_lag_seconds",
];

#[tokio::test(flavor = "multi_thread")]
async fn ages_and_counters_are_there_before_the_first_pass_ends() {
    let (lab, ..) = lab_with_runs(5).await;
    let mut synced = 0.0;
    for is_new in [true, false] {
        let (waits, go) = hold(&lab);
        let address = format!("127.0.0.1:{}", free_port());
        let mut running = watch(&lab, &["--every", "1h", "--metrics-listen", &address]);
        wait_until("a page is asked for", || waits.load(Ordering::SeqCst));
        let series = metrics(&address);
        for count in [
            "runlineage_errors_total",
            "runlineage_passes_total{kind=\"full\"}",
            "runlineage_passes_total{kind=\"quick\"}",
            "runlineage_runs_seen_total",
            "runlineage_runs_written_total",
            "runlineage_runs_deleted_total",
        ] {
            assert_eq!(series.get(count), Some(&0.0), "{count}: {series:?}");
        }
        let [at, age, lag] = AGES.map(|name| series[name]);
        if is_new {
            assert_eq!((at, age, lag), (0.0, f64::INFINITY, f64::INFINITY));
        } else {
            assert_eq!(at, synced);
            let since = now() as f64 / 1_000.0 - at;
            assert!(since - 60.0 < age && age <= since + 1.0, "{series:?}");
            assert_eq!(lag, age, "there was no quick pass yet");
        }
        go.store(true, Ordering::SeqCst);
        running.wait_for_pass(0, is_full);
        wait_until("the pass is recorded", || metrics(&address)[AGES[0]] > at);
        synced = metrics(&address)[AGES[0]];
        running.signal("-TERM");
        assert_eq!(running.end_within(STOPPED).0, Some(0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resumed_pass_is_as_old_as_the_interrupted_one() {
    let (lab, ..) = lab_with_runs(5).await;
    let (waits, go) = hold(&lab);
    let stopped = watch(&lab, &["--every", "1h"]);
    wait_until("a page is asked for", || waits.load(Ordering::SeqCst));
    stopped.signal("-TERM");
    assert_eq!(stopped.end_within(STOPPED).0, Some(0));
    go.store(true, Ordering::SeqCst);
    let before = now() as f64 / 1_000.0;
    tokio::time::sleep(Duration::from_secs(2)).await;

    let address = format!("127.0.0.1:{}", free_port());
    let mut running = watch(&lab, &["--every", "1h", "--metrics-listen", &address]);
    running.wait_for_pass(0, is_full);
    wait_until("the pass is recorded", || metrics(&address)[AGES[0]] > 0.0);
    let series = metrics(&address);
    assert!(series[AGES[0]] <= before, "{before}: {series:?}");
    assert!(series[AGES[1]] > 2.0, "{series:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incomplete_pass_is_reported_and_healthy() {
    let (lab, ..) = lab_with_runs(5).await;
    let lost = lab.experiment("lost");
    lab.sql().insert(&plain_runs(&lost, 3));
    Lab::complete(lab.sync().run(|_| {}).await);
    lab.proxy.list_only(&lab.name("watched"));
    let address = format!("127.0.0.1:{}", free_port());
    let mut running = watch(&lab, &["--every", "1h", "--metrics-listen", &address]);
    running.wait_for_pass(0, |pass| is_full(pass) && pass["incomplete"] == 1);
    let health = get(&address, "/health").map(|(status, _)| status);
    assert_eq!(health, Some(200));
    let series = metrics(&address);
    assert_eq!(series["runlineage_incomplete"], 1.0, "{series:?}");
    assert_eq!(series["runlineage_errors_total"], 0.0, "{series:?}");
    running.signal("-TERM");
    let (code, _, stderr) = running.end_within(STOPPED);
    assert_eq!(code, Some(0), "{stderr:#?}");
    let warned: Vec<Value> = stderr
        .iter()
        .filter_map(|line| serde_json::from_str(line).ok())
        .filter(|line: &Value| line["fields"]["message"] == "incomplete")
        .collect();
    assert_eq!(warned.len(), 1, "{stderr:#?}");
    assert_eq!(warned[0]["level"], "WARN");
    let fields = &warned[0]["fields"];
    assert_eq!(fields["experiment"], lost.as_str());
    let reason = fields["reason"].as_str().unwrap_or_default();
    assert!(reason.contains("--forget-experiment"), "{fields}");
}

/// A watch with a limit on its file descriptors, and the address of its metrics.
fn watch_with_descriptors(lab: &Lab, most: u32) -> (Running, String) {
    let address = format!("127.0.0.1:{}", free_port());
    let mut limited = Command::new("prlimit");
    limited.arg(format!("--nofile={most}"));
    let watch = watch_command(lab, &["--every", "1s", "--metrics-listen", &address]);
    limited.arg(watch.get_program()).args(watch.get_args());
    for (name, value) in watch.get_envs() {
        match value {
            Some(value) => limited.env(name, value),
            None => limited.env_remove(name),
        };
    }
    (Running::start(&mut limited), address)
}

#[tokio::test(flavor = "multi_thread")]
async fn half_sent_requests_do_not_starve_the_passes() {
    let (lab, exp, _) = lab_with_runs(5).await;
    let (mut running, address) = watch_with_descriptors(&lab, 128);
    running.wait_for_pass(0, is_full);
    let half = || -> Option<TcpStream> {
        let mut stream = TcpStream::connect(&address).ok()?;
        write!(stream, "GET /metrics HTTP/1.1\r\nHost: {address}\r\nX-").ok()?;
        Some(stream)
    };
    let halves: Vec<TcpStream> = (0..300).filter_map(|_| half()).collect();
    assert!(halves.len() > 128, "only {} were sent", halves.len());
    for round in 0..3 {
        rest::create_run(&lab.server.uri(), &exp, now());
        let known = running.passes().len();
        running.wait_for_pass(known, |pass| pass["written"] == 1);
        let series = metrics(&address);
        assert_eq!(
            series["runlineage_errors_total"], 0.0,
            "{round}: {series:?}"
        );
        assert_eq!(
            get(&address, "/health").map(|(status, _)| status),
            Some(200)
        );
    }
    // All connections end, the last ones too.
    let closed = |mut stream: &TcpStream| {
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        let ended = stream.read(&mut [0; 512]);
        !ended.is_err_and(|error| {
            [ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&error.kind())
        })
    };
    assert!(halves.iter().all(closed));
    running.signal("-TERM");
    assert_eq!(running.end_within(STOPPED).0, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_too_long_is_refused() {
    let (lab, ..) = lab_with_runs(1).await;
    let (mut running, address) = watch_with_descriptors(&lab, 1024);
    running.wait_for_pass(0, is_full);
    let mut stream = TcpStream::connect(&address).unwrap();
    write!(stream, "GET /metrics HTTP/1.1\r\nX-Long: ").unwrap();
    stream.write_all(&[b'x'; 40 << 10]).unwrap();
    let bound = Some(Duration::from_secs(5));
    stream.set_read_timeout(bound).unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(String::from_utf8_lossy(&answer), "HTTP/1.1 431");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_overdue_pass_is_unhealthy() {
    let (lab, ..) = lab_with_runs(5).await;
    let address = format!("127.0.0.1:{}", free_port());
    let mut running = watch(&lab, &["--every", "1s", "--metrics-listen", &address]);
    let known = running.wait_for_pass(0, is_full);
    let health = || get(&address, "/health").unwrap_or_default();
    assert_eq!(health().0, 200);
    // MLflow accepts every request and answers none.
    let (waits, go) = hold(&lab);
    wait_until("MLflow is asked", || waits.load(Ordering::SeqCst));
    let since = Instant::now();
    let (status, message) = poll(Duration::from_secs(100), || {
        Some(health()).filter(|(status, _)| *status != 200)
    })
    .expect("the pass is overdue within 100 s");
    assert_eq!(status, 503);
    assert!(message.contains("overdue"), "{message}");
    assert!(
        since.elapsed() > Duration::from_secs(55),
        "{:?}",
        since.elapsed()
    );
    go.store(true, Ordering::SeqCst);
    running.wait_for_pass(known, |pass| pass["error"].is_null());
    assert_eq!(health().0, 200);
}
