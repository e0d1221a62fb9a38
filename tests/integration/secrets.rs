//! The library shows a password nowhere, and sends it to its own server alone.

use runlineage::MlflowClient;

use crate::support::canary::{CANARY, ENCODED, assert_hidden};
use crate::support::lab::{Lab, chain};
use crate::support::proxy::{Answer, Proxy};

#[tokio::test]
async fn debug_output_and_errors_of_a_client_hide_its_credentials() {
    let lab = Lab::new().await;
    let uri = lab
        .proxy
        .uri()
        .replace("http://", &format!("http://ana:{CANARY}@"));
    let builder = MlflowClient::builder(&uri)
        .basic_auth("ana", CANARY)
        .token(CANARY)
        .retries(0);
    assert_hidden("Debug of the builder", &format!("{builder:?}"));
    let client = builder.build().expect("a client");
    assert_hidden("Debug of the client", &format!("{client:?}"));
    assert_hidden("the source", client.source());
    lab.proxy.on(|_| Answer::Reset(0.2));
    let error = client
        .run(&"r1".parse().expect("a run id"))
        .await
        .expect_err("the connection is reset");
    assert_hidden("the error", &format!("{} {error:?}", chain(&error)));
    for uri in [
        format!("ftp://ana:{CANARY}@host"),
        format!("http://ana:{CANARY}@"),
        format!("http://ana:{CANARY}@host:99999"),
    ] {
        let error = MlflowClient::builder(&uri)
            .build()
            .expect_err("no tracking URI");
        assert_hidden("the error", &format!("{} {error:?}", chain(&error)));
    }
    let error = MlflowClient::builder(&lab.proxy.uri())
        .token(&format!("{CANARY}\n"))
        .build();
    let error = error.expect_err("no header holds a line's end");
    assert_hidden("the error", &format!("{} {error:?}", chain(&error)));
}

#[tokio::test]
async fn credentials_do_not_follow_a_redirect_to_another_host() {
    let lab = Lab::new().await;
    lab.experiment("a");
    let elsewhere = Proxy::before(&lab.server.uri());
    for status in [301, 302, 303, 307, 308] {
        let to = format!("{}/api/2.0/mlflow/experiments/search", elsewhere.uri());
        lab.proxy
            .on(move |_| Answer::Say(status, vec![("Location", to.clone())], Vec::new()));
        let client = lab
            .builder()
            .basic_auth("ana", CANARY)
            .build()
            .expect("a client");
        let error = runlineage::sync::SyncJob::new(&client, &lab.store)
            .run(|_| {})
            .await;
        let error = chain(&error.expect_err("it is no tracking server"));
        assert!(
            error.contains(&elsewhere.uri()),
            "it says where to: {error}"
        );
        assert_hidden("the error", &error);
        assert!(
            elsewhere.take_requests().is_empty(),
            "{status}: it followed"
        );
    }
}

#[tokio::test]
async fn the_error_for_a_redirect_hides_the_secrets_of_both_urls() {
    let lab = Lab::new().await;
    let to = [
        format!("http://ana:{CANARY}@127.0.0.1:1/login?token={CANARY}#{CANARY}"),
        format!("//ana:{CANARY}@127.0.0.1:1/login?token={CANARY}"),
        format!("/login?token={CANARY}"),
        format!("login?token={CANARY}#{CANARY}"),
        format!("?token={CANARY}"),
        format!("http://ana:{CANARY}@:99999/?token={CANARY}"),
        format!("javascript:{CANARY}"),
    ];
    let uri = lab.proxy.uri().replace("://", &format!("://ana:{CANARY}@"));
    for location in to {
        let says = location.clone();
        lab.proxy
            .on(move |_| Answer::Say(302, vec![("Location", says.clone())], Vec::new()));
        let client = MlflowClient::builder(&format!("{uri}/?key={CANARY}"));
        let client = client.retries(0).build().expect("a client");
        let error = client
            .run(&"r1".parse().expect("a run id"))
            .await
            .expect_err("it is redirected");
        let told = chain(&error);
        assert!(told.contains("redirects to"), "{told}");
        assert_hidden(&location, &format!("{told} {error:?}"));
        // The client sent one request, with its password, and did not follow the redirect.
        let asked = lab.proxy.take_requests();
        assert_eq!(asked.len(), 1, "{location}");
        assert!(asked[0].head.contains(ENCODED), "{location}");
    }
}
