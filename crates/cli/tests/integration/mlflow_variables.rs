//! MLflow's own variables and `~/.mlflow/credentials`, as the program takes them over.

use std::path::Path;

use serde_json::json;
use wiremock::matchers::{header, path};
use wiremock::{Mock, MockServer};

use crate::support::fake_mlflow::{experiment, ok, with_runs};
use crate::support::keeper::KeptFolder;
use crate::support::mongodb::TestDatabase;
use crate::support::program::{Finished, run, runlineage};
use crate::support::tls_proxy::{Clients, TlsProxy};

/// A sync with these variables only, which does not ask twice.
fn sync(test: &TestDatabase, tracking: &str, home: &Path, variables: &[(&str, &str)]) -> Finished {
    let mut command = runlineage(["sync", "--mongodb-uri", &test.uri]);
    command
        .env("MLFLOW_TRACKING_URI", tracking)
        .env("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        .env("HOME", home)
        .envs(variables.iter().copied());
    run(&mut command)
}

/// A server that answers who sends this header, and nobody else.
async fn server_that_wants(name: &'static str, value: &str) -> MockServer {
    let server = MockServer::start().await;
    for (call, answer) in [
        (
            "experiments/search",
            json!({ "experiments": [experiment("1")] }),
        ),
        ("runs/search", json!({ "runs": [] })),
    ] {
        Mock::given(path(format!("/api/2.0/mlflow/{call}")))
            .and(header(name, value))
            .respond_with(ok(answer))
            .mount(&server)
            .await;
    }
    server
}

#[track_caller]
fn fails(finished: &Finished, word: &str) {
    assert_eq!(finished.code, Some(1), "{finished:?}");
    let stderr = finished.stderr.to_lowercase();
    assert!(stderr.contains(word), "no {word:?} in {stderr}");
    assert!(!stderr.contains("canary"), "{stderr}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_credentials_file_is_read_and_a_variable_goes_before_it() {
    let test = TestDatabase::new().await;
    let (home, nobody) = (KeptFolder::new(), KeptFolder::new());
    let folder = home.path().join(".mlflow");
    std::fs::create_dir(&folder).expect("the folder can be made");
    let text = "[mlflow]\nmlflow_tracking_username = ana\nmlflow_tracking_password = canary\n";
    std::fs::write(folder.join("credentials"), text).expect("it can be written");
    // ana:canary, and bob:canary.
    let of_file = server_that_wants("Authorization", "Basic YW5hOmNhbmFyeQ==").await;
    let of_variable = server_that_wants("Authorization", "Basic Ym9iOmNhbmFyeQ==").await;
    let bob = [("MLFLOW_TRACKING_USERNAME", "bob")];

    sync(&test, &of_file.uri(), home.path(), &[]).success();
    fails(&sync(&test, &of_file.uri(), nobody.path(), &[]), "mlflow");
    fails(&sync(&test, &of_file.uri(), home.path(), &bob), "mlflow");
    let other = TestDatabase::new().await;
    sync(&other, &of_variable.uri(), home.path(), &bob).success();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workspace_is_asked_for_and_is_another_source() {
    let test = TestDatabase::new().await;
    let home = KeptFolder::new();
    let server = server_that_wants("X-MLFLOW-WORKSPACE", "team-a").await;
    let team_a = [("MLFLOW_WORKSPACE", "team-a")];
    sync(&test, &server.uri(), home.path(), &team_a).success();
    let found = run(&mut runlineage(["find", "--mongodb-uri", &test.uri]));
    let source = format!("Mirror of {} workspace team-a;", server.uri());
    assert!(found.stderr.contains(&source), "{found:?}");
    let team_b = [("MLFLOW_WORKSPACE", "team-b")];
    let refused = sync(&test, &server.uri(), home.path(), &team_b);
    fails(&refused, "workspace team-b");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_servers_certificate_is_trusted_as_the_variables_say() {
    let (test, home) = (TestDatabase::new().await, KeptFolder::new());
    let server = with_runs(experiment("1"), vec![]).await;
    let tls = TlsProxy::before(&server.uri(), Clients::Any, &home).await;
    let sync = |variables: &[(&str, &str)]| sync(&test, &tls.uri, home.path(), variables);
    fails(&sync(&[]), "certificate");
    sync(&[("MLFLOW_TRACKING_SERVER_CERT_PATH", &tls.ca)]).success();
    for yes in ["true", "1", "True"] {
        sync(&[("MLFLOW_TRACKING_INSECURE_TLS", yes)]).success();
    }
    for no in ["false", "0", ""] {
        fails(
            &sync(&[("MLFLOW_TRACKING_INSECURE_TLS", no)]),
            "certificate",
        );
    }
    let neither = sync(&[("MLFLOW_TRACKING_INSECURE_TLS", "maybe")]);
    assert_eq!(neither.code, Some(2), "{neither:?}");
    let missing = sync(&[("MLFLOW_TRACKING_SERVER_CERT_PATH", "/nowhere/ca.pem")]);
    fails(&missing, "/nowhere/ca.pem");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_wants_a_client_certificate_gets_the_variables() {
    let (test, home) = (TestDatabase::new().await, KeptFolder::new());
    let server = with_runs(experiment("1"), vec![]).await;
    let tls = TlsProxy::before(&server.uri(), Clients::Certified, &home).await;
    let authority = ("MLFLOW_TRACKING_SERVER_CERT_PATH", tls.ca.as_str());
    let client = ("MLFLOW_TRACKING_CLIENT_CERT_PATH", tls.client.as_str());
    fails(&sync(&test, &tls.uri, home.path(), &[authority]), "mlflow");
    sync(&test, &tls.uri, home.path(), &[authority, client]).success();
    let none = ("MLFLOW_TRACKING_CLIENT_CERT_PATH", tls.ca.as_str());
    let refused = sync(&test, &tls.uri, home.path(), &[authority, none]);
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.stderr.contains(&tls.ca), "{refused:?}");
}
