//! The network between the client and MLflow: private certificates, gateways, and slow connections.

use std::time::{Duration, Instant};

use futures::TryStreamExt as _;
use runlineage::{Error, MlflowClient};

use crate::support::keeper::KeptFolder;
use crate::support::lab::{Lab, chain, plain_runs};
use crate::support::mlflow;
use crate::support::proxy::{Answer, Proxy};
use crate::support::tls_proxy::{Clients, SelfSigned, TlsProxy};

/// A timeout that ends soon. Every good answer has to come within it too, on a loaded machine.
const IMPATIENT: Duration = Duration::from_secs(4);

async fn experiments(mlflow: &MlflowClient) -> runlineage::Result<usize> {
    let all: Vec<_> = mlflow.experiments().try_concat().await?;
    Ok(all.len())
}

/// The lines that a program prints for the error.
fn lines(error: &Error) -> Vec<String> {
    let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    let mut lines = vec![error.to_string()];
    lines.extend(causes.map(ToString::to_string));
    lines
}

#[tokio::test(flavor = "multi_thread")]
async fn a_self_signed_certificate_is_trusted_when_it_is_named_and_for_its_host_names_only() {
    let (server, folder) = (mlflow::shared(), KeptFolder::new());
    for is_authority in [true, false] {
        let names = ["localhost"];
        let tls = SelfSigned::before(&server.uri(), &names, is_authority, 2090, &folder).await;
        let asks = async |host: &str, trusted: &str| {
            let builder = MlflowClient::builder(&format!("https://{host}:{}", tls.port));
            let client = builder.server_cert(trusted).build().expect("it is PEM");
            experiments(&client).await
        };
        let shown = asks("localhost", &tls.certificate).await;
        assert!(shown.unwrap_or_else(|error| panic!("{}", chain(&error))) > 0);
        // The folder of the file is accepted too.
        let shown = asks("localhost", &folder.path().to_string_lossy()).await;
        assert!(shown.unwrap_or_else(|error| panic!("{}", chain(&error))) > 0);
        let elsewhere = asks("127.0.0.1", &tls.certificate).await;
        let said = chain(&elsewhere.expect_err("it is for another name"));
        assert!(
            said.contains("the certificate is not for 127.0.0.1"),
            "{said}"
        );

        let other = SelfSigned::before(&server.uri(), &names, is_authority, 2090, &folder).await;
        let start = Instant::now();
        let unknown = asks("localhost", &other.certificate).await;
        let unknown = unknown.expect_err("another certificate is trusted");
        let said = lines(&unknown);
        assert!(
            said.iter()
                .any(|line| line.contains("MLFLOW_TRACKING_SERVER_CERT_PATH")),
            "{said:?}"
        );
        let told = said
            .iter()
            .filter(|line| line.contains("invalid peer certificate"));
        assert_eq!(told.count(), 1, "{said:?}");
        assert!(start.elapsed() < Duration::from_secs(10), "it asked again");

        let old = SelfSigned::before(&server.uri(), &names, is_authority, 2020, &folder).await;
        let builder = MlflowClient::builder(&format!("https://localhost:{}", old.port));
        let client = builder.server_cert(&old.certificate).build();
        let expired = experiments(&client.expect("it is PEM")).await;
        let said = chain(&expired.expect_err("it has expired"));
        assert!(said.contains("has expired"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trusted_certificate_and_disabled_checks_cannot_be_combined() {
    let (server, folder) = (mlflow::shared(), KeptFolder::new());
    let tls = TlsProxy::before(&server.uri(), Clients::Any, &folder).await;
    let both = MlflowClient::builder(&tls.uri)
        .server_cert(&tls.ca)
        .insecure_tls(true)
        .build();
    let said = both.expect_err("one contradicts the other").to_string();
    assert!(
        said.contains("MLFLOW_TRACKING_INSECURE_TLS")
            && said.contains("MLFLOW_TRACKING_SERVER_CERT_PATH"),
        "{said}"
    );
    // TLS with a server that does not speak it.
    let plain = server.uri().replacen("http://", "https://", 1);
    let client = MlflowClient::builder(&plain)
        .insecure_tls(true)
        .retries(0)
        .build();
    let error = experiments(&client.expect("the URI is valid")).await;
    let said = chain(&error.expect_err("it is no TLS"));
    assert!(said.contains("use http://"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_drips_is_an_error_and_a_slow_one_is_read() {
    let lab = Lab::new().await;
    let exp = lab.experiment("slow");
    lab.sql().insert(&plain_runs(&exp, 200));
    let client = lab.builder().timeout(IMPATIENT).retries(0);
    let client = client.build().expect("the URI is valid");
    let all: Vec<_> = client.experiments().try_concat().await.expect("a list");
    // One byte every 100 ms: no single read times out, and the answer would take hours.
    lab.proxy
        .on(|_| Answer::Pieces(1, Duration::from_millis(100)));
    let start = Instant::now();
    let error = client
        .runs(&all[0])
        .try_concat()
        .await
        .map(|runs| runs.len());
    let said = chain(&error.expect_err("it never ends"));
    assert!(said.contains("bytes of the answer arrived in"), "{said}");
    assert!(
        start.elapsed() < Duration::from_secs(60),
        "{:?}",
        start.elapsed()
    );
    // 20 kB a second, for longer than the timeout.
    lab.proxy
        .on(|_| Answer::Pieces(4_000, Duration::from_millis(200)));
    let start = Instant::now();
    let runs = client.runs(&all[0]).try_concat().await;
    assert_eq!(
        runs.unwrap_or_else(|error| panic!("{}", chain(&error)))
            .len(),
        200
    );
    assert!(
        start.elapsed() > IMPATIENT,
        "the line was not slow: {:?}",
        start.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_runs_shrink_when_a_gateway_gives_up_on_large_ones() {
    type Gateway = fn() -> Answer;
    let gateways: [Gateway; 6] = [
        || Answer::text(504, "<html>gateway timeout</html>"),
        || Answer::text(502, ""),
        || Answer::text(408, ""),
        || Answer::text(413, "too large"),
        || Answer::Reset(0.3),
        || Answer::Silence(IMPATIENT + Duration::from_secs(1)),
    ];
    let silent = gateways.len() - 1;
    for (index, gateway) in gateways.into_iter().enumerate() {
        let lab = Lab::new().await;
        let exp = lab.experiment("large");
        lab.sql().insert(&plain_runs(&exp, 400));
        lab.proxy.on(move |request| {
            if request.body["max_results"].as_u64() > Some(20) && request.call == "runs/search" {
                return gateway();
            }
            Answer::Pass
        });
        let mut client = lab.builder().retries(3);
        if index == silent {
            client = client.timeout(IMPATIENT);
        }
        let client = client.build().expect("the URI is valid");
        let sync = runlineage::sync::SyncJob::new(&client, &lab.store).page_size(300);
        let report = Lab::complete(sync.run(|_| {}).await);
        assert_eq!(report.seen, 400, "gateway {index}");
        assert_eq!(
            lab.differences().await,
            Vec::<String>::new(),
            "gateway {index}"
        );
        let asked = lab.proxy.take_requests();
        let sizes: Vec<u64> = asked
            .iter()
            .filter(|request| request.call == "runs/search")
            .filter_map(|request| request.body["max_results"].as_u64())
            .collect();
        let lost = sizes.iter().filter(|size| **size > 20).count();
        assert!((2..=7).contains(&lost), "gateway {index}: {sizes:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_experiments_shrink_when_they_are_too_large_for_a_gateway_or_this_program() {
    const LIMIT: u64 = 20;
    let lab = Lab::new().await;
    let names: Vec<String> = (0..30).map(|index| format!("e{index}")).collect();
    let exps: Vec<String> = names.iter().map(|name| lab.experiment(name)).collect();
    for exp in [&exps[0], &exps[29]] {
        lab.sql().insert(&plain_runs(exp, 1));
    }
    type TooLarge = fn() -> Answer;
    let refusals: [(TooLarge, &[u64]); 3] = [
        (
            || Answer::text(504, "<html>gateway timeout</html>"),
            &[1_000, 250, 62, 15],
        ),
        (
            || Answer::text(413, "too large"),
            &[1_000, 500, 250, 125, 62, 31, 15],
        ),
        (
            || {
                Answer::Change(Box::new(|mut page| {
                    page["padding"] = "x".repeat(65 << 20).into();
                    page
                }))
            },
            &[1_000, 500, 250, 125, 62, 31, 15],
        ),
    ];
    for (index, (refuse, expected)) in refusals.into_iter().enumerate() {
        lab.proxy.take_requests();
        lab.proxy.on(move |request| {
            let size = request.body["max_results"].as_u64();
            if request.call == "experiments/search" && size > Some(LIMIT) {
                return refuse();
            }
            Answer::Pass
        });
        let report = Lab::complete(lab.sync().run(|_| {}).await);
        assert_eq!((report.experiments, report.seen), (30, 2), "case {index}");
        let differences = lab.differences().await;
        assert_eq!(differences, Vec::<String>::new(), "case {index}");
        let asked = lab.proxy.take_requests();
        let lists = asked
            .iter()
            .filter(|request| request.call == "experiments/search");
        let sizes: Vec<u64> = lists
            .filter_map(|list| list.body["max_results"].as_u64())
            .collect();
        assert!(sizes.starts_with(expected), "case {index}: {sizes:?}");
        let is_good = |size: &&u64| **size <= LIMIT;
        assert!(
            sizes.iter().filter(is_good).count() >= 2,
            "case {index}: {sizes:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_grow_again_once_the_gateway_accepts_them() {
    let lab = Lab::new().await;
    let exp = lab.experiment("mended");
    lab.sql().insert(&plain_runs(&exp, 400));
    lab.proxy.on(|request| {
        let is_large = request.body["max_results"].as_u64() > Some(5);
        if is_large && request.call == "runs/search" && request.number < 12 {
            return Answer::text(504, "");
        }
        Answer::Pass
    });
    let report = Lab::complete(lab.sync().page_size(40).run(|_| {}).await);
    assert_eq!(report.seen, 400);
    let asked = lab.proxy.take_requests();
    let sizes = asked
        .iter()
        .filter_map(|request| request.body["max_results"].as_u64());
    let sizes: Vec<u64> = sizes.filter(|size| *size <= 40).collect();
    assert_eq!(sizes.last(), Some(&40), "{sizes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn smaller_pages_cost_no_additional_retries_when_the_server_is_down() {
    let lab = Lab::new().await;
    lab.experiment("down");
    let list = lab
        .builder()
        .build()
        .expect("the URI is valid")
        .experiments();
    let all: Vec<_> = list.try_concat().await.expect("a list");
    for gateway in [502, 503, 504] {
        lab.proxy.take_requests();
        lab.proxy.on(move |_| Answer::text(gateway, ""));
        let client = lab.builder().retries(3).build().expect("the URI is valid");
        let failed = client
            .runs(&all[0])
            .try_concat()
            .await
            .map(|runs| runs.len());
        assert!(chain(&failed.expect_err("it is down")).contains(&gateway.to_string()));
        assert_eq!(lab.proxy.take_requests().len(), 4, "{gateway}");
    }
    let gone = Proxy::before(&lab.server.uri()).uri();
    let client = MlflowClient::builder(&gone)
        .retries(3)
        .build()
        .expect("the URI is valid");
    let start = Instant::now();
    experiments(&client)
        .await
        .expect_err("nobody listens there");
    assert!(
        start.elapsed() < Duration::from_secs(10),
        "{:?}",
        start.elapsed()
    );
}
