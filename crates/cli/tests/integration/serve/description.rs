//! The server keeps what its OpenAPI description promises, for requests that schemathesis makes up.

use std::process::Command;

use super::DATA;
use crate::support::program::run;
use crate::support::scale::scaled;
use crate::support::served::Served;
use crate::support::stored::mirror_of;
use crate::support::tool;

/// Which answers to valid parameters are right. No description of a text says whether it is a condition or a node.
const SETTINGS: &str = "
[checks.positive_data_acceptance]
expected-statuses = [\"2xx\", 400, 401, 404, 406, 422, 429]
[checks.negative_data_rejection]
expected-statuses = [400, 401, 403, 404, 405, 406, 413, 415, 421, 422, 429]
";

#[tokio::test(flavor = "multi_thread")]
async fn made_up_requests_get_the_answers_that_the_description_promises() {
    let test = mirror_of(60).await;
    let served = Served::start(&test.uri, &["--rate", "0"]);
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("schemathesis.toml"), SETTINGS).expect("a file");
    let url = format!("http://{}/api/v1/openapi.json", served.address);
    let bearer = format!("Authorization: Bearer {}", served.token);
    let examples = scaled("12", "200");
    let finished = run(Command::new(tool("schemathesis/bin/schemathesis"))
        .args(["run", &url, "--header", &bearer, "--max-examples", examples])
        .args([
            "--phases",
            "examples,coverage,fuzzing",
            "--seed",
            "1",
            "--warnings",
            "off",
        ])
        // Python 3.11 may fail to parse sources in two threads at once, and schemathesis does so with two workers.
        .args([
            "--request-timeout",
            "30",
            "--workers",
            "1",
            "--continue-on-failure",
        ])
        .current_dir(folder.path()));
    assert_eq!(
        finished.code,
        Some(0),
        "{}\n{}",
        finished.stdout,
        finished.stderr
    );
    let (_, summary) = finished.stdout.rsplit_once("SUMMARY").expect("a summary");
    // Such as `761 generated, 761 passed`.
    let line = summary.lines().find(|line| line.contains(" generated"));
    let cases = line.and_then(|line| line.split_whitespace().next()?.parse::<usize>().ok());
    assert!(cases.is_some_and(|cases| cases > 100), "{summary}");
    assert!(
        served.get(DATA[0]).status == 200,
        "the server still answers"
    );
}
