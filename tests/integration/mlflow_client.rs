//! The client: authentication, prefixes, TLS, retries, and errors that show no secrets.

use std::time::Duration;

use futures::TryStreamExt as _;
use runlineage::{Error, MlflowClient, MlflowCode, RunId};
use serde_json::json;
use tokio::net::TcpListener;
use wiremock::matchers::{header, method};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::support::fake_mlflow::{experiment, ok, refusal, run, with_runs};
use crate::support::keeper::KeptFolder;
use crate::support::mlflow::{self, ADMIN, MlflowServer, Setup, Version};
use crate::support::tls_proxy::{Clients, TlsProxy};

/// The error and all of its causes, by `Display` and by `Debug`.
fn whole(error: &Error) -> String {
    let mut said = format!("{error}\n{error:?}");
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        said.push_str(&format!("\n{cause}\n{cause:?}"));
        source = cause.source();
    }
    said
}

async fn experiments(mlflow: &MlflowClient) -> runlineage::Result<usize> {
    let pages: Vec<_> = mlflow.experiments().try_concat().await?;
    Ok(pages.len())
}

#[tokio::test]
async fn a_server_with_basic_auth_behind_a_prefix_accepts_the_right_password_only() {
    let server = MlflowServer::start(Setup {
        basic_auth: true,
        static_prefix: (Version::under_test() == Version::V3).then_some("/mlflow"),
        ..Setup::default()
    });
    let (user, password) = ADMIN;
    let builder = || MlflowClient::builder(&server.uri()).retries(0);
    let mlflow = builder()
        .basic_auth(user, password)
        .build()
        .expect("the URI is valid");
    assert!(experiments(&mlflow).await.expect("the password is right") >= 1);
    // Credentials in the URI, and a slash after the prefix, as people paste them.
    let uri = server
        .uri()
        .replacen("://", &format!("://{user}:{password}@"), 1)
        + "/";
    let mlflow = MlflowClient::builder(&uri)
        .retries(0)
        .build()
        .expect("the URI is valid");
    assert!(experiments(&mlflow).await.expect("the password is right") >= 1);
    assert_eq!(mlflow.source(), server.uri());
    assert!(!format!("{mlflow:?}").contains(password));

    let of_uri = server.uri().replacen("://", "://admin:canary-wrong@", 1);
    for (mlflow, hint) in [
        (
            builder().basic_auth(user, "canary-wrong"),
            "refused the user name (from user name) or the password (from password)",
        ),
        (
            builder().basic_auth(user, "canary-wrong "),
            "the password begins or ends with white space",
        ),
        (
            MlflowClient::builder(&of_uri).retries(0),
            "refused the user name (from tracking URI)",
        ),
        (
            builder().token("canary-token"),
            "the server refused the token",
        ),
        (
            builder(),
            "no credentials are set; set MLFLOW_TRACKING_USERNAME",
        ),
        (
            MlflowClient::builder(&server.uri().replacen("://", "://admin@", 1)).retries(0),
            "set MLFLOW_TRACKING_PASSWORD too",
        ),
        (
            MlflowClient::builder(&server.uri().replacen("://", "://:canary@", 1)).retries(0),
            "set MLFLOW_TRACKING_USERNAME too",
        ),
    ] {
        let mlflow = mlflow.build();
        let error = experiments(&mlflow.expect("the URI is valid"))
            .await
            .expect_err("the password is wrong");
        let said = whole(&error);
        assert!(matches!(error, Error::Mlflow { status: 401, .. }), "{said}");
        assert!(
            said.contains("experiments/search")
                && said.contains(&server.uri())
                && said.contains(hint)
                && !said.contains("canary"),
            "no {hint:?} in {said}"
        );
    }
    for (user, password, hint) in [
        (
            "admin",
            "canary\r",
            "password: the password holds a carriage return",
        ),
        (
            "admin\n",
            "canary",
            "user name: the user name holds a line end",
        ),
        ("ad:min", "canary", "user name: the user name holds a colon"),
    ] {
        let malformed = builder().basic_auth(user, password).build();
        let said = whole(&malformed.expect_err("it is malformed"));
        assert!(said.contains(hint) && !said.contains("canary"), "{said}");
    }
}

#[tokio::test]
async fn tokens_and_workspaces_are_sent_as_headers() {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .and(header("Authorization", "Bearer canary-token"))
        .and(header("X-MLFLOW-WORKSPACE", "team-a"))
        .respond_with(ok(json!({ "experiments": [experiment("1")] })))
        .mount(&server)
        .await;
    let mlflow = MlflowClient::builder(&server.uri())
        .token("canary-token")
        .workspace("team-a")
        .retries(0);
    assert!(!format!("{mlflow:?}").contains("canary"));
    let mlflow = mlflow.build().expect("the URI is valid");
    assert_eq!(
        experiments(&mlflow).await.expect("both headers are there"),
        1
    );
    assert_eq!(
        mlflow.source(),
        format!("{} workspace team-a", server.uri())
    );

    // As in MLflow, a user name and a password take precedence over a token.
    let server = MockServer::start().await;
    Mock::given(header("Authorization", "Basic dTpw"))
        .respond_with(ok(json!({})))
        .mount(&server)
        .await;
    let mlflow = MlflowClient::builder(&server.uri())
        .basic_auth("u", "p")
        .token("t")
        .retries(0)
        .build();
    assert_eq!(
        experiments(&mlflow.expect("the URI is valid"))
            .await
            .expect("the header is there"),
        0
    );
}

#[tokio::test]
async fn a_transient_error_is_retried_after_the_delay_that_the_server_asks_for() {
    for status in [408, 429, 500, 502, 503, 504] {
        let server = MockServer::start().await;
        let busy = ResponseTemplate::new(status).insert_header("Retry-After", "1");
        Mock::given(method("POST"))
            .respond_with(busy)
            .up_to_n_times(1)
            .mount(&server)
            .await;
        Mock::given(method("POST"))
            .respond_with(ok(json!({ "experiments": [experiment("1")] })))
            .mount(&server)
            .await;
        let mlflow = MlflowClient::builder(&server.uri())
            .retries(3)
            .build()
            .expect("the URI is valid");
        let asked = tokio::time::Instant::now();
        assert_eq!(
            experiments(&mlflow)
                .await
                .expect("the second answer is good"),
            1,
            "{status}"
        );
        // No upper limit, since it would depend on the load of the machine.
        assert!(
            asked.elapsed() >= Duration::from_secs(1),
            "{status}: {:?}",
            asked.elapsed()
        );
    }
}

#[tokio::test]
async fn after_the_last_retry_the_error_holds_the_last_answer() {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .respond_with(refusal(503, "TEMPORARILY_UNAVAILABLE"))
        .expect(3)
        .mount(&server)
        .await;
    let mlflow = MlflowClient::builder(&server.uri())
        .retries(2)
        .build()
        .expect("the URI is valid");
    let error = experiments(&mlflow).await.expect_err("no answer is good");
    assert!(
        error
            .to_string()
            .contains("TEMPORARILY_UNAVAILABLE: a test's own words"),
        "{error}"
    );
}

#[tokio::test]
async fn a_permanent_error_is_returned_without_a_retry() {
    let web_page = ResponseTemplate::new(404).set_body_string("<html>Not Found</html>");
    let moved = ResponseTemplate::new(302).insert_header(
        "Location",
        "https://user:canary@elsewhere.example/login?token=canary",
    );
    let cases = [
        (
            refusal(400, "INVALID_PARAMETER_VALUE"),
            "INVALID_PARAMETER_VALUE: a test's own words",
        ),
        (
            refusal(404, "RESOURCE_DOES_NOT_EXIST"),
            "RESOURCE_DOES_NOT_EXIST",
        ),
        (refusal(500, "FEATURE_DISABLED"), "FEATURE_DISABLED"),
        (
            ResponseTemplate::new(401).set_body_string("who are you"),
            "MLFLOW_TRACKING_USERNAME",
        ),
        (
            ResponseTemplate::new(403).set_body_string("no"),
            "this user lacks the permission",
        ),
        (web_page, "is this the root of an MLflow tracking server?"),
        (moved, "it redirects to https://elsewhere.example/login"),
    ];
    for (answer, expected) in cases {
        let server = MockServer::start().await;
        Mock::given(method("POST"))
            .respond_with(answer)
            .expect(1)
            .mount(&server)
            .await;
        let uri = server
            .uri()
            .replacen("://", "://someone:canary-password@", 1);
        let mlflow = MlflowClient::builder(&uri)
            .retries(5)
            .build()
            .expect("the URI is valid");
        let error = experiments(&mlflow).await.expect_err("the server refuses");
        let said = whole(&error);
        assert!(
            said.contains(expected) && said.contains("experiments/search"),
            "{said}"
        );
        assert!(!said.contains("canary"), "{said}");
    }
}

#[tokio::test]
async fn no_error_shows_a_secret_of_the_uri() {
    let silent = TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port is free");
    let silent = silent.local_addr().expect("it has an address");
    let html = MockServer::start().await;
    Mock::given(method("POST"))
        .respond_with(
            ResponseTemplate::new(200).set_body_string("<!doctype html><title>login</title>"),
        )
        .mount(&html)
        .await;
    for address in [
        format!("http://u:canary@{silent}/p?token=canary#canary"),
        html.uri().replacen("://", "://u:canary@", 1),
    ] {
        let mlflow = MlflowClient::builder(&address)
            .retries(0)
            .timeout(Duration::from_millis(300))
            .build()
            .expect("the URI is valid");
        let error = experiments(&mlflow).await.expect_err("there is no MLflow");
        let said = format!("{mlflow:?} {} {}", mlflow.source(), whole(&error));
        assert!(
            said.contains("experiments/search") && !said.contains("canary"),
            "{said}"
        );
    }
    for uri in [
        "u:canary@host",
        "ftp://u:canary@host/",
        "databricks://canary",
        "http://u:canary@ho st",
        "http://u:canary@host:99999",
        "file:///canary",
        "",
    ] {
        let error = MlflowClient::builder(uri)
            .build()
            .expect_err("no tracking server is there");
        let said = whole(&error);
        assert!(
            matches!(
                error,
                Error::InvalidArgument {
                    argument: "tracking URI",
                    ..
                }
            ) && !said.contains("canary"),
            "{said}"
        );
    }
}

#[tokio::test]
async fn a_silent_server_ends_in_an_error_after_the_timeout() {
    let server = MockServer::start().await;
    let late = ok(json!({})).set_delay(Duration::from_secs(600));
    Mock::given(method("POST"))
        .respond_with(late)
        .mount(&server)
        .await;
    let mlflow = MlflowClient::builder(&server.uri())
        .retries(0)
        .timeout(Duration::from_millis(200))
        .build()
        .expect("the URI is valid");
    let error = experiments(&mlflow).await.expect_err("no answer comes");
    assert!(
        matches!(error, Error::MlflowUnreachable { .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_certificate_of_a_private_authority_is_trusted_when_it_is_named() {
    let server = mlflow::shared();
    let folder = KeptFolder::new();
    let TlsProxy { uri, ca, .. } = TlsProxy::before(&server.uri(), Clients::Any, &folder).await;
    let builder = || MlflowClient::builder(&uri).retries(0);
    let trusting = builder()
        .server_cert(&ca)
        .build()
        .expect("the file holds a certificate");
    assert!(
        experiments(&trusting)
            .await
            .expect("the authority is known")
            >= 1
    );
    let careless = builder()
        .insecure_tls(true)
        .build()
        .expect("the URI is valid");
    assert!(
        experiments(&careless)
            .await
            .expect("any certificate will do")
            >= 1
    );
    let strict = builder().build().expect("the URI is valid");
    let said = whole(
        &experiments(&strict)
            .await
            .expect_err("the authority is not known"),
    );
    assert!(said.to_lowercase().contains("certificate"), "{said}");

    let missing = builder()
        .server_cert("/nowhere/ca.pem")
        .build()
        .expect_err("there is no such file");
    assert!(whole(&missing).contains("/nowhere/ca.pem"), "{missing}");
    let none = folder.path().join("none.pem");
    std::fs::write(&none, "no certificate").expect("the folder can be written");
    let none = builder().server_cert(&none.to_string_lossy()).build();
    assert!(
        matches!(
            none.as_ref().err(),
            Some(Error::InvalidArgument {
                argument: "server certificate",
                ..
            })
        ),
        "{none:?}"
    );
}

#[tokio::test]
async fn an_unknown_run_is_an_error_with_the_code_of_mlflow() {
    let server = mlflow::shared();
    let mlflow = MlflowClient::builder(&server.uri())
        .retries(0)
        .build()
        .expect("the URI is valid");
    let error = mlflow
        .run(
            &"00000000000000000000000000000000"
                .parse()
                .expect("a run id"),
        )
        .await
        .expect_err("there is none");
    assert!(
        matches!(
            &error,
            Error::Mlflow {
                code: Some(MlflowCode::ResourceDoesNotExist),
                ..
            }
        ),
        "{error:?}"
    );
    let error = "../etc".parse::<RunId>().expect_err("that is no id");
    assert!(
        matches!(
            error,
            Error::InvalidArgument {
                argument: "run id",
                ..
            }
        ),
        "{error:?}"
    );
}

#[tokio::test]
async fn the_pages_of_runs_hold_each_run_once() {
    let runs = (0..5)
        .map(|n| run(&format!("run{n}"), "1", json!({})))
        .collect();
    let server = with_runs(experiment("1"), runs).await;
    let mlflow = MlflowClient::builder(&server.uri())
        .retries(0)
        .build()
        .expect("the URI is valid");
    let all: Vec<_> = mlflow
        .experiments()
        .try_concat()
        .await
        .expect("the server answers");
    let runs: Vec<_> = mlflow
        .runs(&all[0])
        .try_concat()
        .await
        .expect("the server answers");
    assert_eq!(
        runs.iter().map(runlineage::Run::id).collect::<Vec<_>>(),
        ["run0", "run1", "run2", "run3", "run4"]
    );
}
