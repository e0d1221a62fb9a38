//! Valid passwords appear nowhere: not in output and logs, not in stored documents, not in the process list.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::TryStreamExt as _;
use mongodb::Client;
use mongodb::bson::{Document, doc};

use crate::support::keeper::KeptFolder;
use crate::support::lab::{Lab, plain_runs};
use crate::support::mongodb::{Mongod, TestDatabase};
use crate::support::program::runlineage;
use crate::support::running::Running;

/// Part of the passwords of both servers.
const CANARY: &str = "c4n4ryEndToEnd";
/// `ana:c4n4ryEndToEnd` in base 64, as in a header.
const ENCODED: &str = "YW5hOmM0bjRyeUVuZFRvRW5k";

#[track_caller]
fn assert_hidden(place: &str, text: &str) {
    for secret in [CANARY, ENCODED] {
        assert!(!text.contains(secret), "{place} shows the password: {text}");
    }
}

/// A MongoDB server with one user, `ana`, and the URI with her password.
async fn guarded() -> (Mongod, KeptFolder, String) {
    let folder = KeptFolder::new();
    let server = Mongod::start(folder.path(), &["--auth"]);
    let server = server.unwrap_or_else(|reason| panic!("{reason}"));
    let host = format!("127.0.0.1:{}", server.port);
    let client = Client::with_uri_str(format!("mongodb://{host}"))
        .await
        .expect("the URI is valid");
    let root = doc! { "createUser": "ana", "pwd": CANARY, "roles": ["root"] };
    let made = client.database("admin").run_command(root).await;
    made.expect("the first user may be made by anybody");
    let uri = format!("mongodb://ana:{CANARY}@{host}/mirror?authSource=admin");
    (server, folder, uri)
}

/// Runs a command at the most verbose log level, and reads the process list meanwhile.
#[track_caller]
fn watched(lab: &Lab, args: &[&str]) -> String {
    let mut command = runlineage(args);
    let tracking = lab
        .proxy
        .uri()
        .replace("http://", &format!("http://ana:{CANARY}@"));
    command
        .env("MONGODB_URI", &lab.test.uri)
        .env("MLFLOW_TRACKING_URI", tracking)
        .env("MLFLOW_TRACKING_USERNAME", "ana")
        .env("MLFLOW_TRACKING_PASSWORD", CANARY)
        .env("RUNLINEAGE_LOG", "trace");
    let mut running = Running::start(&mut command);
    let cmdline = format!("/proc/{}/cmdline", running.pid());
    let mut looked = 0;
    while !running.has_ended() {
        let line = std::fs::read(&cmdline).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).into_owned();
        looked += usize::from(line.contains(args[0]));
        assert_hidden(&cmdline, &line);
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(
        looked > 0,
        "{args:?}: the process ended before its arguments were read"
    );
    let (code, stdout, stderr) = running.end_within(Duration::from_secs(60));
    let (stdout, stderr) = (stdout.join("\n"), stderr.join("\n"));
    assert_hidden(&format!("stdout of {args:?}"), &stdout);
    assert_hidden(&format!("stderr of {args:?}"), &stderr);
    assert_eq!(code, Some(0), "{args:?}: {stderr}");
    // The log had the requests whose headers hold the password.
    assert!(
        args[0] != "sync" || stderr.contains("TRACE"),
        "nothing was logged: {stderr}"
    );
    stdout
}

#[tokio::test(flavor = "multi_thread")]
async fn valid_passwords_appear_in_no_output_document_or_process_list() {
    let (_server, _folder, uri) = guarded().await;
    let client = Client::with_uri_str(&uri).await.expect("the URI is valid");
    let database = client.default_database().expect("the URI names a database");
    let lab = Lab::on(
        uri.clone(),
        TestDatabase {
            uri,
            database: database.clone(),
        },
    )
    .await;
    let exp = lab.experiment("a");
    let runs = plain_runs(&exp, 5);
    let mut sql = lab.sql();
    sql.insert(&runs);
    let run = runs[0].id.as_str();

    watched(&lab, &["sync"]);
    sql.set_stage(&runs[4].id, "deleted").write();
    watched(&lab, &["sync", "--log-format", "json"]);
    watched(&lab, &["verify"]);
    let found = watched(
        &lab,
        &[
            "find",
            "--input-model",
            "m0",
            "--format",
            "ndjson",
            "--ui-url",
        ],
    );
    assert_eq!(found.lines().count(), 1, "{found}");
    assert!(watched(&lab, &["show", run]).contains(run));
    watched(&lab, &["register", run, "--output-model", "made:1"]);
    watched(&lab, &["migrate", "--status"]);
    watched(&lab, &["purge", "--deleted-before", "2100-01-01"]);

    // The program did authenticate.
    let requests = lab.proxy.take_requests();
    assert!(requests.len() > 5);
    assert!(
        requests
            .iter()
            .all(|request| request.head.contains(ENCODED))
    );
    assert!(lab.differences().await.is_empty());
    let mut seen = BTreeSet::new();
    for name in database.list_collection_names().await.expect("names") {
        let all = database.collection::<Document>(&name).find(doc! {}).await;
        let all: Vec<Document> = all
            .expect("MongoDB answers")
            .try_collect()
            .await
            .expect("a cursor");
        assert_hidden(&name, &format!("{all:?}"));
        if !all.is_empty() {
            seen.insert(name);
        }
    }
    for name in ["runs", "sync_state", "migrations"] {
        assert!(seen.contains(name), "nothing is in {name}: {seen:?}");
    }
}
