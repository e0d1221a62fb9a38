//! MLflow's environment variables and `~/.mlflow/credentials` apply to the program.

use std::path::Path;

use wiremock::{Mock, MockServer};

use crate::support::fake_mlflow::{experiment, server_that_requires, with_runs};
use crate::support::keeper::KeptFolder;
use crate::support::mongodb::TestDatabase;
use crate::support::program::{Finished, run, runlineage};
use crate::support::tls_proxy::{Clients, SelfSigned, TlsProxy};

/// Runs a sync with only these variables and without retries.
fn sync(test: &TestDatabase, tracking: &str, home: &Path, variables: &[(&str, &str)]) -> Finished {
    let mut command = runlineage(["sync", "--mongodb-uri", &test.uri]);
    for name in [
        "REQUESTS_CA_BUNDLE",
        "CURL_CA_BUNDLE",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
    ] {
        command.env_remove(name);
    }
    command
        .env("MLFLOW_TRACKING_URI", tracking)
        .env("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        .env("HOME", home)
        .envs(variables.iter().copied());
    run(&mut command)
}

#[track_caller]
fn fails(finished: &Finished, word: &str) {
    assert_eq!(finished.code, Some(1), "{finished:?}");
    let stderr = finished.stderr.to_lowercase();
    assert!(stderr.contains(word), "no {word:?} in {stderr}");
    assert!(!stderr.contains("canary"), "{stderr}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_variable_takes_precedence_over_the_credentials_file() {
    let test = TestDatabase::new().await;
    let (home, nobody) = (KeptFolder::new(), KeptFolder::new());
    let folder = home.path().join(".mlflow");
    std::fs::create_dir(&folder).expect("the folder can be made");
    let text = "[mlflow]\nmlflow_tracking_username = ana\nmlflow_tracking_password = canary\n";
    std::fs::write(folder.join("credentials"), text).expect("the file can be written");
    // ana:canary, and bob:canary.
    let of_file = server_that_requires("Authorization", "Basic YW5hOmNhbmFyeQ==").await;
    let of_variable = server_that_requires("Authorization", "Basic Ym9iOmNhbmFyeQ==").await;
    let bob = [("MLFLOW_TRACKING_USERNAME", "bob")];

    sync(&test, &of_file.uri(), home.path(), &[]).success();
    fails(&sync(&test, &of_file.uri(), nobody.path(), &[]), "mlflow");
    fails(&sync(&test, &of_file.uri(), home.path(), &bob), "mlflow");
    let other = TestDatabase::new().await;
    sync(&other, &of_variable.uri(), home.path(), &bob).success();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workspace_is_sent_and_is_a_source_of_its_own() {
    let test = TestDatabase::new().await;
    let home = KeptFolder::new();
    let server = server_that_requires("X-MLFLOW-WORKSPACE", "team-a").await;
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
async fn the_client_certificate_of_the_variables_is_sent() {
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

#[tokio::test(flavor = "multi_thread")]
async fn the_bundles_of_requests_curl_and_openssl_are_trusted() {
    let (test, home) = (TestDatabase::new().await, KeptFolder::new());
    let server = with_runs(experiment("1"), vec![]).await;
    let good = SelfSigned::before(&server.uri(), &["localhost"], true, 2090, &home).await;
    let other = SelfSigned::before(&server.uri(), &["localhost"], true, 2090, &home).await;
    let uri = format!("https://localhost:{}", good.port);
    let sync = |variables: &[(&str, &str)]| sync(&test, &uri, home.path(), variables);
    let line = format!("{}\r\n", good.certificate);
    let order = [
        "MLFLOW_TRACKING_SERVER_CERT_PATH",
        "REQUESTS_CA_BUNDLE",
        "CURL_CA_BUNDLE",
        "SSL_CERT_FILE",
    ];
    for name in order {
        sync(&[(name, &line)]).success();
        // MLflow's own variable replaces the system's certificates.
        let beside = sync(&[(name, &good.certificate), (order[1], &other.certificate)]);
        let is_other = name == order[1];
        assert_eq!(beside.code, Some(i32::from(is_other)), "{name}: {beside:?}");
        let refused = sync(&[(name, &good.certificate), (order[0], &other.certificate)]);
        if name != order[0] {
            fails(&refused, "mlflow_tracking_server_cert_path");
            let count = refused.stderr.matches("invalid peer certificate").count();
            assert_eq!(count, 1, "{}", refused.stderr);
        }
        let gone = sync(&[(name, "/nowhere/ca.pem")]);
        assert!(
            gone.code > Some(0) && gone.stderr.contains(name),
            "{gone:?}"
        );
    }
    let folder = home.path().to_string_lossy();
    sync(&[("SSL_CERT_DIR", &folder)]).success();
    // Beside another bundle, which the system's own reading of SSL_CERT_DIR does not serve.
    let beside = [
        ("REQUESTS_CA_BUNDLE", other.certificate.as_str()),
        ("SSL_CERT_DIR", &folder),
    ];
    sync(&beside).success();
    let both = sync(&[
        ("MLFLOW_TRACKING_SERVER_CERT_PATH", &good.certificate),
        ("MLFLOW_TRACKING_INSECURE_TLS", "true"),
    ]);
    assert_eq!(both.code, Some(2), "{both:?}");
    assert!(both.stderr.contains("unset one of the two"), "{both:?}");
    // The general variables do not matter for a server without TLS.
    let plain = crate::mlflow_variables::sync(
        &test,
        &server.uri(),
        home.path(),
        &[("REQUESTS_CA_BUNDLE", "/nowhere/ca.pem")],
    );
    assert!(!plain.stderr.contains("/nowhere"), "{plain:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_lose_the_line_break_of_a_secret_file() {
    let home = KeptFolder::new();
    // ana:canary
    let server = server_that_requires("Authorization", "Basic YW5hOmNhbmFyeQ==").await;
    let of_token = server_that_requires("Authorization", "Bearer canary").await;
    let of_workspace = server_that_requires("X-MLFLOW-WORKSPACE", "team-a").await;
    for end in ["\n", "\r\n", "\r", " \n\n"] {
        let test = TestDatabase::new().await;
        let with_end = |text: &str| format!("{text}{end}");
        let (mongodb, tracking) = (with_end(&test.uri), with_end(&server.uri()));
        let sync = |uri: &str, variables: &[(&str, String)]| {
            let mut command = runlineage(["sync", "--source", &with_end("lab")]);
            command
                .env("MONGODB_URI", &mongodb)
                .env("MLFLOW_TRACKING_URI", uri)
                .env("MLFLOW_HTTP_REQUEST_MAX_RETRIES", with_end("0"))
                .env("MLFLOW_HTTP_REQUEST_TIMEOUT", with_end("20"))
                .env("MLFLOW_TRACKING_INSECURE_TLS", with_end("false"))
                .env("HOME", home.path())
                .envs(variables.iter().map(|(name, value)| (name, value)));
            run(&mut command)
        };
        let basic = [
            ("MLFLOW_TRACKING_USERNAME", with_end("ana")),
            ("MLFLOW_TRACKING_PASSWORD", with_end("canary")),
        ];
        sync(&tracking, &basic).success();
        let token = [("MLFLOW_TRACKING_TOKEN", with_end("canary"))];
        sync(&of_token.uri(), &token).success();
        let workspace = [("MLFLOW_WORKSPACE", with_end("team-a"))];
        sync(&of_workspace.uri(), &workspace).success();
        // The sync wrote to the database with the trimmed name.
        let found = run(&mut runlineage(["find", "--mongodb-uri", &test.uri]));
        assert!(
            found.stderr.contains("Mirror of lab;"),
            "{end:?}: {found:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_with_inner_control_characters_are_refused_and_not_shown() {
    let (test, home) = (TestDatabase::new().await, KeptFolder::new());
    let server = with_runs(experiment("1"), vec![]).await;
    let refused = |finished: Finished, named: &str| {
        assert_eq!(finished.code, Some(2), "{named}: {finished:?}");
        assert!(finished.stderr.contains(named), "{named}: {finished:?}");
        assert!(!finished.stderr.contains("canary"), "{named}: {finished:?}");
    };
    for name in [
        "MLFLOW_TRACKING_USERNAME",
        "MLFLOW_TRACKING_PASSWORD",
        "MLFLOW_TRACKING_TOKEN",
        "MLFLOW_WORKSPACE",
        "MLFLOW_TRACKING_SERVER_CERT_PATH",
        "MLFLOW_TRACKING_CLIENT_CERT_PATH",
        "MLFLOW_HTTP_REQUEST_TIMEOUT",
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES",
    ] {
        refused(
            sync(&test, &server.uri(), home.path(), &[(name, "canary\rx")]),
            name,
        );
    }
    let tracking = format!("{}\ncanary", server.uri());
    refused(sync(&test, &tracking, home.path(), &[]), "tracking URI");
    for uri in [
        test.uri.replace("mongodb://", "mongodb://ana:ca\nnary@"),
        format!("{}%0Ax", test.uri),
        format!("{}\nx", test.uri),
    ] {
        let mut command = runlineage(["find", "--mongodb-uri", &uri]);
        refused(run(&mut command), "MongoDB URI");
    }
    let mut command = runlineage([
        "find",
        "--mongodb-uri",
        "mongodb://localhost",
        "--database",
        "a\nb",
    ]);
    refused(run(&mut command), "--database");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_password_is_told_apart_from_a_missing_one() {
    let (test, home) = (TestDatabase::new().await, KeptFolder::new());
    let server = MockServer::start().await;
    let refusal =
        wiremock::ResponseTemplate::new(401).set_body_string("You are not authenticated.");
    Mock::given(wiremock::matchers::any())
        .respond_with(refusal)
        .mount(&server)
        .await;
    let (user, password, token) = (
        ("MLFLOW_TRACKING_USERNAME", "ana"),
        ("MLFLOW_TRACKING_PASSWORD", "canary"),
        ("MLFLOW_TRACKING_TOKEN", "canary"),
    );
    for (variables, hint) in [
        (
            vec![],
            "no credentials are set; set mlflow_tracking_username",
        ),
        (
            vec![user, password],
            "refused the user name (from mlflow_tracking_username) or the password (from mlflow_tracking_password)",
        ),
        (
            vec![user],
            "a user name is set (from mlflow_tracking_username) but no password",
        ),
        (
            vec![password],
            "a password is set (from mlflow_tracking_password) but no user name",
        ),
        (
            vec![token],
            "refused the token (from mlflow_tracking_token)",
        ),
        (
            vec![user, password, token],
            "the token (from mlflow_tracking_token) was not sent",
        ),
    ] {
        fails(&sync(&test, &server.uri(), home.path(), &variables), hint);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unsupported_tracking_uri_is_explained_with_an_alternative() {
    let (test, home) = (TestDatabase::new().await, KeptFolder::new());
    for (uri, form) in [
        ("databricks", "Databricks"),
        ("databricks://canary", "Databricks"),
        ("uc://canary", "Databricks"),
        ("./canary", "mlflow server"),
        ("file:///canary", "mlflow server"),
        ("sqlite:///canary.db", "mlflow server"),
        ("postgresql://u:canary@host/db", "mlflow server"),
        ("localhost:5000", "write http://localhost:5000"),
    ] {
        let refused = sync(&test, uri, home.path(), &[]);
        assert_eq!(refused.code, Some(2), "{uri}: {refused:?}");
        assert!(
            refused.stderr.contains(form) && !refused.stderr.contains("canary"),
            "{uri}: {refused:?}"
        );
    }
    let empty = sync(&test, " \n", home.path(), &[]);
    assert!(empty.stderr.contains("MLFLOW_TRACKING_URI"), "{empty:?}");
}
