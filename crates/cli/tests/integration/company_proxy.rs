//! HTTP proxies from the environment: errors name the proxy, and `NO_PROXY` exempts servers.

use crate::support::fake_mlflow::{experiment, with_runs};
use crate::support::free_port;
use crate::support::keeper::KeptFolder;
use crate::support::mlflow;
use crate::support::mongodb::TestDatabase;
use crate::support::program::{Finished, run, runlineage};
use crate::support::tls_proxy::{Clients, TlsProxy};
use runlineage_test_servers::company_proxy::CompanyProxy;

/// Runs a sync with these variables and without retries.
fn sync(test: &TestDatabase, tracking: &str, variables: &[(&str, &str)]) -> Finished {
    let mut command = runlineage(["sync", "--source", "lab", "--mongodb-uri", &test.uri]);
    for name in ["http_proxy", "https_proxy", "all_proxy", "no_proxy"] {
        command.env_remove(name).env_remove(name.to_uppercase());
    }
    command
        .env("MLFLOW_TRACKING_URI", tracking)
        .env("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        .envs(variables.iter().copied());
    run(&mut command)
}

#[track_caller]
fn blames(finished: &Finished, proxy: &str, words: &str) {
    assert_eq!(finished.code, Some(1), "{finished:?}");
    let stderr = &finished.stderr;
    assert!(
        stderr.contains(proxy) && stderr.contains(words),
        "no {proxy:?} or no {words:?} in {stderr}"
    );
    assert!(
        !stderr.contains("canary") && !stderr.contains("this user lacks the permission"),
        "{stderr}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_names_the_proxy_that_refused_or_is_down() {
    let (test, folder) = (TestDatabase::new().await, KeptFolder::new());
    let server = mlflow::shared();
    let tls = TlsProxy::before(&server.uri(), Clients::Any, &folder).await;
    let proxy = CompanyProxy::start();
    let address = format!("http://ana:canary@{}", proxy.address());
    let trusted = ("MLFLOW_TRACKING_SERVER_CERT_PATH", tls.ca.as_str());
    for (tracking, variable) in [
        (server.uri(), "HTTP_PROXY"),
        (tls.uri.clone(), "HTTPS_PROXY"),
    ] {
        let name = format!("http://{} (from {variable})", proxy.address());
        let sync =
            |variable: &str, value: &str| sync(&test, &tracking, &[trusted, (variable, value)]);
        proxy.take_requests();
        proxy.refuse(407, "Proxy-Authenticate: Basic realm=\"x\"\r\n");
        blames(
            &sync(variable, &address),
            &name,
            "asks for credentials of its own",
        );
        for status in [403, 502, 504] {
            proxy.refuse(status, "");
            blames(&sync(variable, &address), &name, "NO_PROXY");
        }
        assert_eq!(proxy.take_requests(), 4, "{variable}");
        // ana:canary
        assert_eq!(
            proxy.authorization(),
            "Basic YW5hOmNhbmFyeQ==",
            "{variable}"
        );
        proxy.refuse(403, "");
        let lower = variable.to_lowercase();
        for other in [lower.as_str(), "ALL_PROXY", "all_proxy"] {
            let name = format!("http://{} (from {other})", proxy.address());
            blames(&sync(other, &address), &name, "NO_PROXY");
        }
        let gone = format!("127.0.0.1:{}", free_port());
        let down = sync(variable, &format!("http://ana:canary@{gone}"));
        blames(
            &down,
            &format!("http://{gone} (from {variable})"),
            "cannot be reached",
        );
        let bad = sync(variable, "ftp://canary");
        assert_eq!(bad.code, Some(2), "{bad:?}");
        assert!(
            bad.stderr.contains(variable) && !bad.stderr.contains("canary"),
            "{bad:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_use_the_proxy_unless_no_proxy_exempts_the_server() {
    let (test, folder) = (TestDatabase::new().await, KeptFolder::new());
    let server = with_runs(experiment("1"), vec![]).await;
    let tls = TlsProxy::before(&server.uri(), Clients::Any, &folder).await;
    let proxy = CompanyProxy::start();
    let trusted = ("MLFLOW_TRACKING_SERVER_CERT_PATH", tls.ca.as_str());
    let address = proxy.address();
    let sync = |tracking: &str, exempt: &str| {
        let all = ("ALL_PROXY", address.as_str());
        let source = ("NO_PROXY", exempt);
        sync(&test, tracking, &[trusted, all, source])
    };
    let port = server.address().port();
    let (by_address, by_name) = (server.uri(), format!("http://localhost:{port}"));
    let cases = [
        (&by_address, "", true),
        (&tls.uri, "", true),
        (&by_address, "*", false),
        (&tls.uri, "*", false),
        (&by_address, "10.0.0.0/8, 127.0.0.0/8", false),
        (&by_address, "127.0.0.1", false),
        (&by_address, "127.0.0.2", true),
        (&by_name, ".localhost", false),
        (&by_name, "LOCALHOST", false),
        (&by_name, "localhost:1", true),
        (&by_name, "host", true),
    ];
    for (tracking, exempt, through) in cases {
        proxy.take_requests();
        let finished = sync(tracking, exempt);
        assert_eq!(
            finished.code,
            Some(0),
            "{tracking} {exempt:?}: {finished:?}"
        );
        assert_eq!(proxy.take_requests() > 0, through, "{tracking} {exempt:?}");
    }
}
