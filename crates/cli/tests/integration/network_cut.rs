//! The network to MongoDB is cut during a sync: the sync goes on by itself, or ends with a clear error in bounded time.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, Instant};

use crate::support::keeper::KeptFolder;
use crate::support::lab::Lab;
use crate::support::mongodb::Mongod;
use crate::support::outage::{RECOVERED, assert_equal, lab_on, reached, recovers};
use crate::support::program::{run, runlineage};
use crate::support::running::Running;
use crate::support::tcp_proxy::{Cable, TcpProxy};
use crate::support::unique;

/// How long a sync may take to give up on a network that does not come back.
const GIVEN_UP: Duration = Duration::from_secs(180);

/// A lab whose mirror is reached through a proxy that can cut the connections.
struct Cut {
    cable: TcpProxy,
    lab: Lab,
    pages: Arc<AtomicUsize>,
    _server: Mongod,
    _folder: KeptFolder,
}

impl Cut {
    async fn start() -> Self {
        let folder = KeptFolder::new();
        let server = Mongod::start(folder.path(), &[]);
        let server = server.unwrap_or_else(|reason| panic!("{reason}"));
        let cable = TcpProxy::before(server.port);
        let uri = format!(
            "mongodb://127.0.0.1:{}/{}?directConnection=true&w=majority",
            cable.port(),
            unique("test")
        );
        let (lab, pages) = lab_on(&uri, 60).await;
        Self {
            cable,
            lab,
            pages,
            _server: server,
            _folder: folder,
        }
    }

    fn command(&self, args: &[&str]) -> std::process::Command {
        let (mongodb, mlflow) = (&self.lab.test.uri, self.lab.proxy.uri());
        let connection = ["--mongodb-uri", mongodb, "--tracking-uri", &mlflow];
        runlineage(args.iter().chain(&connection))
    }
}

async fn survives_a_cut(kind: Cable, length: Duration) {
    let cut = Cut::start().await;
    let lab = &cut.lab;
    let sync = lab.sync();
    let fault = async {
        reached(&cut.pages, 9).await;
        cut.cable.set(kind);
        tokio::time::sleep(length).await;
        cut.cable.set(Cable::Whole);
        Instant::now()
    };
    let pass = tokio::time::timeout(GIVEN_UP, sync.run(|_| {}));
    let (result, whole) = tokio::join!(pass, fault);
    let result = result.expect("a pass ends in bounded time");
    recovers(lab, result).await;
    assert!(
        whole.elapsed() < RECOVERED,
        "{kind:?}: {:?}",
        whole.elapsed()
    );
    assert_equal(lab).await;
}

#[tokio::test]
async fn a_sync_survives_packets_that_arrive_late() {
    survives_a_cut(Cable::Held, Duration::from_secs(8)).await;
}

#[tokio::test]
async fn a_sync_replaces_connections_that_died_silently() {
    survives_a_cut(Cable::Silent, Duration::from_secs(4)).await;
}

#[tokio::test]
async fn a_sync_survives_a_silent_cut_longer_than_the_driver_waits() {
    survives_a_cut(Cable::Silent, Duration::from_secs(40)).await;
}

#[tokio::test]
async fn a_sync_replaces_connections_that_were_closed() {
    survives_a_cut(Cable::Closed, Duration::from_secs(8)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_permanent_cut_that_delays_packets_ends_a_sync_with_a_clear_error() {
    fails_at_a_permanent_cut(Cable::Held).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_permanent_cut_that_drops_packets_ends_a_sync_with_a_clear_error() {
    fails_at_a_permanent_cut(Cable::Silent).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_permanent_cut_that_closes_connections_ends_a_sync_with_a_clear_error() {
    fails_at_a_permanent_cut(Cable::Closed).await;
}

async fn fails_at_a_permanent_cut(kind: Cable) {
    let cut = Cut::start().await;
    let args = ["sync", "--source", "lab", "--page-size", "7"];
    let program = Running::start(&mut cut.command(&args));
    reached(&cut.pages, 9).await;
    cut.cable.set(kind);
    let (code, stdout, stderr) = program.end_within(GIVEN_UP);
    assert_eq!((code, stdout), (Some(1), vec![]), "{kind:?}: {stderr:#?}");
    assert_error(&stderr);
    // A sync that starts now fails too.
    for args in [&args[..], &["find"]] {
        let start = Instant::now();
        let next = run(&mut cut.command(args));
        assert_eq!(next.code, Some(1), "{kind:?}: {next:?}");
        assert_error(&next.stderr.lines().map(str::to_owned).collect::<Vec<_>>());
        assert!(
            start.elapsed() < RECOVERED,
            "{kind:?}: {:?}",
            start.elapsed()
        );
    }
    cut.cable.set(Cable::Whole);
    recovers(&cut.lab, cut.lab.sync().run(|_| {}).await).await;
    assert_equal(&cut.lab).await;
}

/// The output ends with one error, which names MongoDB.
#[track_caller]
fn assert_error(stderr: &[String]) {
    let errors = stderr.iter().filter(|line| line.starts_with("error: "));
    assert_eq!(errors.count(), 1, "{stderr:#?}");
    let error = stderr
        .iter()
        .skip_while(|line| !line.starts_with("error: "));
    let error: Vec<_> = error.cloned().collect();
    let message = error.concat();
    assert!(
        message.contains("MongoDB") && !message.contains("panicked"),
        "{stderr:#?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_survives_a_cut_and_is_fresh_again_within_a_minute() {
    let cut = Cut::start().await;
    let args = [
        "sync",
        "--source",
        "lab",
        "--every",
        "1s",
        "--log-format",
        "json",
    ];
    let mut watch = Running::start(&mut cut.command(&args));
    let complete = |pass: &serde_json::Value| pass["seen"].as_u64().is_some();
    let mut known = watch.wait_for_pass(0, complete);
    for kind in [Cable::Silent, Cable::Closed] {
        let bytes = cut.cable.bytes();
        cut.cable.set(kind);
        tokio::time::sleep(Duration::from_secs(15)).await;
        known = watch.passes().len().max(known);
        assert!(
            cut.cable.bytes() - bytes < 100_000,
            "{kind:?}: the network was not cut"
        );
        cut.cable.set(Cable::Whole);
        let whole = Instant::now();
        let again = watch.wait_for_pass(known, complete);
        assert!(whole.elapsed() < RECOVERED, "{kind:?}");
        known = again;
    }
    watch.signal("-TERM");
    let (code, _, stderr) = watch.end_within(Duration::from_secs(5));
    assert_eq!(code, Some(0), "{stderr:#?}");
    assert_equal(&cut.lab).await;
}
