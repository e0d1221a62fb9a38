//! Whatever is wrong: one clear error, the right exit code, no panic, no secret.

use std::ffi::OsStr;
use std::io::Write as _;
use std::process::Stdio;

use bson::{DateTime, Document, doc};
use runlineage::{MongoRunStore, Query};
use serde_json::json;
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::support::fake_mlflow::{experiment, ok, refusal, run as fake_run, with_runs};
use crate::support::free_port;
use crate::support::keeper::KeptFolder;
use crate::support::mirror::{ids, set};
use crate::support::mlflow;
use crate::support::mongodb::TestDatabase;
use crate::support::program::{Finished, run, runlineage};
use crate::support::rest::Rest;

/// In whatever is a password here, and in no other place.
const SECRET: &str = "canary";

const UNKNOWN: &str = "00000000000000000000000000000000";

/// Runs the program, which must fail with this code and one error that says all of this.
#[track_caller]
fn fails<A: AsRef<OsStr>>(
    args: impl IntoIterator<Item = A>,
    code: i32,
    words: &[&str],
) -> Finished {
    let mut command = runlineage(args);
    // Asking again is the subject of other tests.
    command.env("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0");
    let finished = run(&mut command);
    check(&finished, code, words);
    finished
}

#[track_caller]
fn check(finished: &Finished, code: i32, words: &[&str]) {
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
    assert_eq!(stdout, "", "what fails has no result");
}

fn with_secret(uri: &str) -> String {
    uri.replacen("://", &format!("://someone:{SECRET}@"), 1)
}

fn nowhere() -> String {
    format!("127.0.0.1:{}", free_port())
}

#[tokio::test(flavor = "multi_thread")]
async fn mlflow_cannot_be_reached() {
    let test = TestDatabase::new().await;
    let tracking = with_secret(&format!("http://{}", nowhere()));
    let connection = ["--mongodb-uri", &test.uri, "--tracking-uri", &tracking];
    for command in [
        &["sync"][..],
        &["register", UNKNOWN, "--input-model", "churn:1"],
    ] {
        fails(
            [command, &connection].concat(),
            1,
            &["MLflow: ", "no answer", "caused by: "],
        );
    }
}

#[test]
fn mongodb_cannot_be_reached() {
    let mongodb = with_secret(&format!(
        "mongodb://{}/mirror?serverSelectionTimeoutMS=300",
        nowhere()
    ));
    let connection = [
        "--mongodb-uri",
        &mongodb,
        "--tracking-uri",
        "http://127.0.0.1:9",
    ];
    for command in [
        &["sync"][..],
        &["find"],
        &["show", UNKNOWN],
        &["migrate"],
        &["purge", "--deleted-before", "1d"],
        &["verify"],
    ] {
        fails(
            [command, &connection].concat(),
            1,
            &["MongoDB: ", "is the server running", "caused by: "],
        );
    }
}

#[test]
fn a_uri_has_a_mistake_in_it() {
    for mongodb in [
        "mongo://u:canary@host/db",
        "mongodb://u:can@ary:canary@host/db",
        "mongodb://u:canary@host:port/db",
        "mongodb://u:canary@host/db?tls=canary",
        "canary",
        "mongodb://",
    ] {
        fails(
            ["find", "--mongodb-uri", mongodb],
            2,
            &["MongoDB URI: ", "a MongoDB URI looks like"],
        );
    }
    for tracking in [
        "htp://u:canary@host",
        "localhost:5000",
        "http://u:canary@host:port",
        "http://",
        "databricks",
        "file:///canary",
    ] {
        fails(
            [
                "sync",
                "--tracking-uri",
                tracking,
                "--mongodb-uri",
                "mongodb://127.0.0.1:9/",
            ],
            2,
            &["tracking URI: ", "a tracking URI looks like"],
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tracking_uri_answers_something_else() {
    let test = TestDatabase::new().await;
    let html = || ResponseTemplate::new(200).set_body_string("<html><title>canary</title></html>");
    let cases = [
        (html(), "it answered a web page, not JSON"),
        (
            ResponseTemplate::new(404).set_body_string("<html>canary</html>"),
            "is this the root of an MLflow tracking server?",
        ),
        (ResponseTemplate::new(401), "MLFLOW_TRACKING_USERNAME"),
        (
            ResponseTemplate::new(200).set_body_string("[]"),
            "JSON that is truncated or not MLflow's",
        ),
        (
            refusal(400, "INVALID_PARAMETER_VALUE"),
            "INVALID_PARAMETER_VALUE",
        ),
    ];
    for (answer, word) in cases {
        let server = MockServer::start().await;
        Mock::given(any()).respond_with(answer).mount(&server).await;
        let tracking = with_secret(&server.uri());
        fails(
            [
                "sync",
                "--mongodb-uri",
                &test.uri,
                "--tracking-uri",
                &tracking,
            ],
            1,
            &["MLflow: experiments/search", word],
        );
        fails(
            [
                "register",
                UNKNOWN,
                "--input-model",
                "m",
                "--mongodb-uri",
                &test.uri,
                "--tracking-uri",
                &tracking,
            ],
            1,
            &["MLflow: runs/get", word],
        );
    }
    assert_eq!(
        test.database
            .collection::<Document>("runs")
            .count_documents(doc! {})
            .await
            .ok(),
        Some(0)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_id_is_unknown_or_none() {
    let server = mlflow::shared();
    let test = TestDatabase::new().await;
    let tracking = server.uri();
    let connection = ["--mongodb-uri", &test.uri, "--tracking-uri", &tracking];
    fails(
        [
            &["register", UNKNOWN, "--input-model", "churn:1"][..],
            &connection,
        ]
        .concat(),
        1,
        &[UNKNOWN, "RESOURCE_DOES_NOT_EXIST"],
    );
    let state = test.database.collection::<Document>("sync_state");
    state
        .insert_one(doc! { "_id": "source", "name": "test", "full_pass": DateTime::now() })
        .await
        .expect("MongoDB answers");
    fails(
        [&["show", UNKNOWN][..], &connection].concat(),
        1,
        &[UNKNOWN, "the mirror holds no run", "runlineage sync"],
    );
    for bad in ["", "a b", "../x", "a/b", &"x".repeat(300)] {
        for command in [
            &["show", bad][..],
            &["register", bad, "--input-model", "churn:1"],
        ] {
            let finished = run(&mut runlineage([command, &connection].concat()));
            assert_eq!(finished.code, Some(2), "{bad:?}: {}", finished.stderr);
            assert!(finished.stderr.contains("RUN_ID"), "{}", finished.stderr);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_is_none() {
    let test = TestDatabase::new().await;
    for bad in ["{", "[]", "[1", "3", "{\"a\": }", ""] {
        let finished = run(&mut runlineage([
            "find",
            "--mongodb-uri",
            &test.uri,
            "--where",
            bad,
        ]));
        assert_eq!(finished.code, Some(2), "{bad:?}: {}", finished.stderr);
        assert!(
            finished.stderr.contains("--where"),
            "{bad:?}: {}",
            finished.stderr
        );
        assert!(!finished.stderr.contains("panicked"), "{}", finished.stderr);
    }
}

#[test]
fn no_database_and_no_server_is_named() {
    for command in [&["find"][..], &["show", UNKNOWN], &["migrate"]] {
        fails(command, 2, &["--mongodb-uri", "MONGODB_URI", "--local"]);
    }
    fails(
        ["sync", "--mongodb-uri", "mongodb://127.0.0.1:9/"],
        2,
        &["--tracking-uri", "MLFLOW_TRACKING_URI"],
    );
    fails(
        [
            "register",
            UNKNOWN,
            "--mongodb-uri",
            "mongodb://127.0.0.1:9/",
        ],
        2,
        &["lineage: none is given", "--input-model churn:3"],
    );
    let finished = run(&mut runlineage(["register"]));
    assert_eq!(finished.code, Some(2), "{}", finished.stderr);
    for command in [
        &["find", "--input-model", ""][..],
        &["find", "--input-model", ":3"],
        &["find", "--input-artifact", "/x"],
        &["find", "--since", "canary-no-date"],
    ] {
        let finished = run(&mut runlineage(command));
        assert_eq!(finished.code, Some(2), "{command:?}: {}", finished.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_database_mirrors_another_source() {
    let test = TestDatabase::new().await;
    let server = |id: &'static str| with_runs(experiment("1"), vec![fake_run(id, "1", json!({}))]);
    let (first, second) = (server("first").await, server("second").await);
    run(&mut runlineage([
        "sync",
        "--mongodb-uri",
        &test.uri,
        "--tracking-uri",
        &with_secret(&first.uri()),
    ]))
    .success();
    let words = [first.uri(), second.uri(), "--source".to_owned()];
    let words = [words[0].as_str(), words[1].as_str(), words[2].as_str()];
    fails(
        [
            "sync",
            "--mongodb-uri",
            &test.uri,
            "--tracking-uri",
            &second.uri(),
        ],
        1,
        &words,
    );
    let runs = test.database.collection::<Document>("runs");
    assert_eq!(
        runs.count_documents(doc! { "_id": "second" }).await.ok(),
        Some(0)
    );
    // The same server under another address.
    let args = [
        "sync",
        "--mongodb-uri",
        &test.uri,
        "--tracking-uri",
        &second.uri(),
        "--source",
        &first.uri(),
        "--format",
        "json",
    ];
    let finished = run(&mut runlineage(args));
    assert!(!finished.stderr.contains("mirrors"), "{}", finished.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_holds_foreign_documents() {
    let server = with_runs(experiment("1"), vec![fake_run("mine", "1", json!({}))]).await;
    // Another program's collection: nothing is written beside it.
    let test = TestDatabase::new().await;
    let runs = test.database.collection::<Document>("runs");
    runs.insert_one(doc! { "_id": 1 })
        .await
        .expect("MongoDB answers");
    fails(
        [
            "sync",
            "--mongodb-uri",
            &test.uri,
            "--tracking-uri",
            &server.uri(),
        ],
        1,
        &["that this program did not make"],
    );
    assert_eq!(runs.count_documents(doc! {}).await.ok(), Some(1));

    // Documents that slipped past the validator: the sync goes on, a search says what it met.
    let test = TestDatabase::new().await;
    run(&mut runlineage(["migrate", "--mongodb-uri", &test.uri])).success();
    let runs = test.database.collection::<Document>("runs");
    for foreign in [
        doc! { "_id": 1 },
        doc! { "_id": "foreign", "inputs": 3, "start_time": [1] },
    ] {
        runs.insert_one(foreign)
            .bypass_document_validation(true)
            .await
            .expect("MongoDB answers");
    }
    let (mongodb, tracking) = (&test.uri, &server.uri());
    let sync = ["sync", "--mongodb-uri", mongodb, "--tracking-uri", tracking];
    let told = run(&mut runlineage(sync));
    assert_eq!(told.code, Some(1), "{}", told.stderr);
    let said = "whose `_id` is not a text into collection `runs` (1 of them)";
    assert!(told.stderr.contains(said), "{}", told.stderr);
    fails(
        ["find", "--mongodb-uri", &test.uri],
        1,
        &["document 1 of collection `runs`", "not a string"],
    );
    run(&mut runlineage([
        "find",
        "--mongodb-uri",
        &test.uri,
        "--exp",
        "1",
    ]))
    .success();
    fails(
        [
            "show",
            "foreign",
            "--format",
            "table",
            "--mongodb-uri",
            &test.uri,
        ],
        1,
        &["document foreign", "not a document"],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_lines_are_reported_and_the_others_registered() {
    let server = mlflow::shared();
    let rest = Rest::new(server);
    let (_, exp) = rest.experiment("lines").await;
    let (first, last) = (rest.run(&exp, &[]).await, rest.run(&exp, &[]).await);
    let test = TestDatabase::new().await;
    let line = |run: &str, model: serde_json::Value| {
        json!({ "_id": run, "inputs": { "models": [model] } }).to_string()
    };
    let lines = [
        line(
            &first,
            json!({ "name": "churn", "version": "1", "from": "tag" }),
        ),
        "no JSON".to_owned(),
        line(UNKNOWN, json!({ "name": "churn" })),
        line("a b", json!({ "name": "churn" })),
        String::new(),
        line(&last, json!({ "name": "" })),
        "[]".to_owned(),
        json!({ "_id": last, "outputs": { "runs": [{ "id": last, "path": "/plots/roc.png" }] } })
            .to_string(),
    ];
    let folder = KeptFolder::new();
    let file = folder.path().join("lineage.ndjson");
    std::fs::write(&file, lines.join("\n")).expect("the folder can be written");
    let (tracking, path) = (server.uri(), file.to_string_lossy());
    let connection = ["--mongodb-uri", &test.uri, "--tracking-uri", &tracking];
    let finished = run(&mut runlineage(
        [&["register", "--from", &path][..], &connection].concat(),
    ));
    assert_eq!(finished.code, Some(1), "{}", finished.stderr);
    for said in [
        "line 2: ",
        "line 3: ",
        "line 4: ",
        "line 6: ",
        "line 7: ",
        "2 runs registered, 5 lines failed.",
    ] {
        assert!(
            finished.stderr.contains(said),
            "no {said:?} in {}",
            finished.stderr
        );
    }
    let store = MongoRunStore::from_database(test.database.clone());
    let query = Query::new().with_input_model("churn", "1");
    assert_eq!(ids(&store, query).await, set([&first]));
    let query = Query::new().with_output_artifact(&last, "plots/roc.png");
    assert_eq!(ids(&store, query).await, set([&last]));

    // From stdin, and no file at all.
    let mut child = runlineage([&["register", "--from", "-"][..], &connection].concat())
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut stdin = child.stdin.take().expect("stdin is piped");
    stdin
        .write_all(line(&last, json!({ "name": "fraud", "version": "7" })).as_bytes())
        .expect("it reads");
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(
        ids(&store, Query::new().with_input_model("fraud", "7")).await,
        set([&last])
    );
    fails(
        [
            &["register", "--from", "/nowhere/lineage.ndjson"][..],
            &connection,
        ]
        .concat(),
        1,
        &["/nowhere/lineage.ndjson"],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_experiment_is_unknown() {
    let server = with_runs(experiment("1"), vec![]).await;
    let test = TestDatabase::new().await;
    for flag in ["--exp", "--exclude-exp"] {
        let args = [
            "sync",
            flag,
            "nobody's",
            "--mongodb-uri",
            &test.uri,
            "--tracking-uri",
            &server.uri(),
        ];
        fails(args, 2, &["nobody's", "it shows experiment 1"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_lies_about_pages_is_not_believed() {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(ok(json!({ "experiments": [experiment("1")], "runs": [fake_run("r", "1", json!({}))], "next_page_token": "again" }))).mount(&server).await;
    let test = TestDatabase::new().await;
    fails(
        [
            "sync",
            "--mongodb-uri",
            &test.uri,
            "--tracking-uri",
            &server.uri(),
        ],
        1,
        &["the same page token twice"],
    );
}

#[test]
fn an_option_of_a_uri_that_is_not_known_is_named_and_no_part_of_a_password() {
    let find = |uri: &str| run(&mut runlineage(["find", "--mongodb-uri", uri]));
    let told = find("mongodb://host.example/?retryWritez=true");
    assert_eq!(told.code, Some(2));
    assert!(
        told.stderr
            .to_lowercase()
            .contains("no option `retrywritez`"),
        "{}",
        told.stderr
    );
    let hidden = find("mongodb://ana:pa?canary=1@host.example/");
    assert_eq!(hidden.code, Some(2));
    assert!(!hidden.stderr.contains("canary"), "{}", hidden.stderr);
}
