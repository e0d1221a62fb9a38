//! Checks of a program that must fail: one clear error, the right exit code, no panic, no secret.

use std::ffi::OsStr;

use super::free_port;
use super::program::{Finished, run, runlineage};

/// Part of each password in these tests, and of nothing else.
pub(crate) const SECRET: &str = "canary";

pub(crate) const UNKNOWN: &str = "00000000000000000000000000000000";

/// Runs the program, which must fail with this exit code and one error that contains all these words.
#[track_caller]
pub(crate) fn fails<A: AsRef<OsStr>>(
    args: impl IntoIterator<Item = A>,
    code: i32,
    words: &[&str],
) -> Finished {
    let mut command = runlineage(args);
    // Retries are the subject of other tests.
    command.env("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0");
    let finished = run(&mut command);
    check(&finished, code, words);
    finished
}

#[track_caller]
pub(crate) fn check(finished: &Finished, code: i32, words: &[&str]) {
    let Finished { stdout, stderr, .. } = finished;
    assert_eq!(
        finished.code,
        Some(code),
        "stdout: {stdout}\nstderr: {stderr}"
    );
    assert_eq!(
        stderr
            .lines()
            .filter(|line| line.starts_with("error: "))
            .count(),
        1,
        "{stderr}"
    );
    for word in words {
        assert!(stderr.contains(word), "no {word:?} in: {stderr}");
    }
    assert!(
        !stderr.contains("panicked") && !stderr.contains("RUST_BACKTRACE"),
        "{stderr}"
    );
    assert!(
        !stderr.contains(SECRET) && !stdout.contains(SECRET),
        "{stdout}{stderr}"
    );
    assert_eq!(stdout, "", "a failed command prints no result");
}

pub(crate) fn with_secret(uri: &str) -> String {
    uri.replacen("://", &format!("://someone:{SECRET}@"), 1)
}

pub(crate) fn nowhere() -> String {
    format!("127.0.0.1:{}", free_port())
}
