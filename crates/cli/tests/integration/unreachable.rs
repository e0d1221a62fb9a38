//! Servers that cannot be reached, or that are not MLflow: one clear error.

use bson::{Document, doc};
use serde_json::json;
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::support::failing::{UNKNOWN, fails, nowhere, with_secret};
use crate::support::fake_mlflow::{experiment, ok, refusal, run as fake_run};
use crate::support::mongodb::TestDatabase;

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_mlflow_is_one_error() {
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
fn an_unreachable_mongodb_is_one_error() {
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
            &[
                "MongoDB: ",
                "check that the server is running",
                "caused by: ",
            ],
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_mlflow_is_one_error() {
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
async fn a_repeated_page_token_ends_the_sync() {
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
