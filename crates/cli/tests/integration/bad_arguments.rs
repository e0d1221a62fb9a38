//! Wrong, missing or unknown arguments end with one clear error.

use bson::{DateTime, Document, doc};

use crate::support::failing::{UNKNOWN, fails};
use crate::support::fake_mlflow::{experiment, with_runs};
use crate::support::mlflow;
use crate::support::mongodb::TestDatabase;
use crate::support::program::{run, runlineage};

#[test]
fn missing_arguments_are_named() {
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

#[test]
fn invalid_uris_are_refused_without_showing_a_password() {
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

#[test]
fn an_unknown_uri_option_is_named_but_no_part_of_a_password() {
    let find = |uri: &str| run(&mut runlineage(["find", "--mongodb-uri", uri]));
    let unknown = find("mongodb://host.example/?retryWritez=true");
    assert_eq!(unknown.code, Some(2));
    assert!(
        unknown
            .stderr
            .to_lowercase()
            .contains("no option `retrywritez`"),
        "{}",
        unknown.stderr
    );
    let hidden = find("mongodb://ana:pa?canary=1@host.example/");
    assert_eq!(hidden.code, Some(2));
    assert!(!hidden.stderr.contains("canary"), "{}", hidden.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_and_invalid_run_ids_are_errors() {
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
        &[UNKNOWN, "is not mirrored", "runlineage sync"],
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
async fn invalid_filters_are_refused() {
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

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_of_an_unknown_experiment_is_refused() {
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
