//! Output that cannot be written: one clear error, or a quiet end if the reader closed the pipe; never a panic.

use std::fs::File;
use std::process::Stdio;

use serde_json::json;
use wiremock::MockServer;

use crate::support::fake_mlflow::{answer, experiment, ok, run as fake_run, with_runs};
use crate::support::keeper::KeptFolder;
use crate::support::mongodb::TestDatabase;
use crate::support::program::{Finished, run, runlineage};
use crate::support::tool;

/// A full disk.
fn full() -> Stdio {
    let file = File::options().write(true).open("/dev/full");
    file.expect("Linux has /dev/full").into()
}

/// A pipe whose reader has closed it.
fn closed() -> Stdio {
    let (_, writer) = std::io::pipe().expect("a pipe can be made");
    writer.into()
}

/// A mirror of one run with lineage, and the tracking server that holds it.
async fn scene() -> (MockServer, TestDatabase) {
    // In both tag forms, so that registering it again sets no tag.
    let tags = json!({ "tags": [
        { "key": "lineage.inputs.models.churn", "value": r#"["3"]"# },
        { "key": "lineage_overflow.0", "value": r#"[["inputs", "models", "churn", "3"]]"# },
    ] });
    let known = fake_run("r1", "1", tags);
    let server = with_runs(experiment("1"), vec![known.clone()]).await;
    answer(&server, "runs/get", ok(json!({ "run": known }))).await;
    let test = TestDatabase::new().await;
    let (mongodb, tracking) = (&test.uri, &server.uri());
    let sync = ["sync", "--mongodb-uri", mongodb, "--tracking-uri", tracking];
    run(&mut runlineage(sync)).success();
    (server, test)
}

#[track_caller]
fn check(finished: &Finished, code: i32, errors: usize, what: &str) {
    let Finished { stderr, .. } = finished;
    assert_eq!(finished.code, Some(code), "{what}: {stderr}");
    assert!(!stderr.contains("panicked"), "{what}: {stderr}");
    let printed = stderr.lines().filter(|line| line.starts_with("error: "));
    assert_eq!(printed.count(), errors, "{what}: {stderr}");
    if errors > 0 {
        assert!(
            stderr.contains("cannot write to stdout"),
            "{what}: {stderr}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unwritable_results_are_an_error_and_a_closed_pipe_is_not() {
    let (server, test) = scene().await;
    let tracking = server.uri();
    let connection = ["--mongodb-uri", &test.uri, "--tracking-uri", &tracking];
    for command in [
        &["sync"][..],
        &["sync", "--format", "json"],
        &["find"],
        &["find", "--format", "json"],
        &["find", "--format", "ndjson"],
        &["find", "--format", "csv"],
        &["find", "--render", "--input-model", "churn:3"],
        &["find", "--count"],
        &["find", "--facet", "exp"],
        &["find", "--facet", "exp", "--format", "csv"],
        &["find", "--explain"],
        &["show", "r1"],
        &["show", "r1", "--format", "json"],
        &["graph", "r1"],
        &["graph", "r1", "--format", "json"],
        &["graph", "r1", "--format", "svg"],
        &["graph", "r1", "--format", "png"],
        &["impact", "model:churn:3"],
        &["impact", "model:churn:3", "--format", "csv"],
        &["provenance", "r1"],
        &["paths", "model:churn:3", "r1"],
        &["diff", "r1", "r1"],
        &["diff", "r1", "r1", "--format", "svg"],
        &["migrate", "--status"],
        &["verify", "--format", "json"],
        &["--help"],
        &["find", "--help"],
        &["--version"],
    ] {
        let command = || runlineage([command, &connection].concat());
        let what = format!("{:?}", command());
        check(&run(command().stdout(full())), 1, 1, &what);
        check(&run(command().stdout(closed())), 0, 0, &what);
    }
    for command in [
        &["register", "r1", "--input-model", "churn:3"][..],
        &["purge", "--deleted-before", "90d"],
        &["migrate"],
    ] {
        let command = || runlineage([command, &connection].concat());
        let what = format!("{:?} has no result", command());
        check(&run(command().stdout(full())), 0, 0, &what);
        check(&run(command().stdout(closed())), 0, 0, &what);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn migrations_are_applied_even_if_stdout_cannot_be_written() {
    for (stdout, code) in [(full(), 1), (closed(), 0)] {
        let test = TestDatabase::new().await;
        let migrate = ["migrate", "--mongodb-uri", &test.uri];
        let finished = run(runlineage(migrate).stdout(stdout));
        check(&finished, code, usize::from(code > 0), "migrate");
        let again = run(&mut runlineage(migrate));
        assert!(
            again.stderr.contains("No migration is pending"),
            "{again:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unwritable_stderr_changes_nothing() {
    let (server, test) = scene().await;
    let tracking = server.uri();
    let connection = ["--mongodb-uri", &test.uri, "--tracking-uri", &tracking];
    for (command, code) in [
        (&["sync"][..], 0),
        (&["find"], 0),
        (&["find", "--where", "user = 'nobody'"], 0),
        (&["find", "--limit", "0"], 0),
        (&["find", "--since", "no date"], 2),
        (&["find", "--nonsense"], 2),
        (&["show", "r1"], 0),
        (&["show", "r2"], 1),
        (&["graph", "r1"], 0),
        (&["graph", "no-such-run"], 1),
        (&["register", "r1", "--input-model", "churn:3"], 0),
        (&["register", "--from", "/dev/null"], 0),
        (&["migrate"], 0),
        (&["verify"], 0),
        (&["purge", "--deleted-before", "90d"], 0),
    ] {
        for stderr in [full(), closed()] {
            let mut command = runlineage([command, &connection].concat());
            let finished = run(command.env("RUNLINEAGE_LOG", "trace").stderr(stderr));
            assert_eq!(finished.code, Some(code), "{command:?}");
        }
    }
}

#[test]
fn db_ends_if_it_cannot_print_its_uri() {
    for (stdout, code) in [(full(), 1), (closed(), 0)] {
        let home = KeptFolder::new();
        let mut command = runlineage(["db"]);
        command
            .env("XDG_DATA_HOME", home.path())
            .env("XDG_RUNTIME_DIR", home.path())
            .env("MONGOD", tool("bin/mongod"))
            .env("RUNLINEAGE_LOCAL_LINGER_MS", "0");
        let finished = run(command.stdout(stdout));
        check(&finished, code, usize::from(code > 0), "db");
    }
}
