//! The real servers and clients that the other tests use.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use mongodb::bson::doc;
use serde_json::{Value, json};

use crate::support::keeper::{Kept, KeptFolder};
use crate::support::mlflow::{self, ADMIN, MlflowServer, Setup, Version};
use crate::support::mlopus::{mlopus, pymongo};
use crate::support::mongodb::{TestDatabase, with_database};
use crate::support::mongosh::mongosh;
use crate::support::program::run;
use crate::support::replica_set::ReplicaSet;
use crate::support::{poll, unique};

#[test]
fn mlopus_registers_lineage_on_a_real_server_and_reads_it_back() {
    let server = mlflow::shared();
    let run_id = mlopus(
        server,
        json!({ "exp": unique("fixtures") }),
        r"
run = api.start_run(api.get_or_create_exp(input['exp']), 'train')
mlopus.lineage.of(run).with_input_model('churn', '2').with_output_artifact(run.id, '/plots/roc.png').register()
run.end_run()
output = run.id
",
    );
    let read = mlopus(
        server,
        json!({ "run": run_id }),
        r"
lineage = mlopus.lineage.of(api.get_run(input['run']))
output = [lineage.inputs.models, lineage.outputs.runs]
",
    );
    let run_id = run_id.as_str().expect("a run id is text").to_owned();
    assert_eq!(
        read,
        json!([{ "churn": ["2"] }, { run_id: ["plots/roc.png"] }])
    );
}

#[test]
fn the_shared_server_is_the_version_under_test() {
    let server = mlflow::shared();
    let (_, version) = server.get("/version", None).expect("the server answers");
    let major = match server.version() {
        Version::V2 => "2.22.",
        Version::V3 => "3.",
    };
    assert!(version.starts_with(major), "{version:?} should be {major}");
}

#[test]
fn a_private_server_asks_for_a_password_and_keeps_its_data_when_killed() {
    let prefixed = Version::under_test() == Version::V3;
    let mut server = MlflowServer::start(Setup {
        basic_auth: true,
        static_prefix: prefixed.then_some("/mlflow"),
        ..Setup::default()
    });
    let status = |server: &MlflowServer, user| {
        let path = "/api/2.0/mlflow/experiments/get?experiment_id=0";
        server.get(path, user).map(|(status, _)| status)
    };
    assert_eq!(status(&server, None), Some(401));
    assert_eq!(status(&server, Some(ADMIN)), Some(200));

    server.kill();
    assert_eq!(status(&server, Some(ADMIN)), None);
    server.resume();
    assert_eq!(status(&server, Some(ADMIN)), Some(200));
}

#[tokio::test]
async fn mongosh_and_pymongo_read_the_documents_that_the_driver_wrote() {
    let test = TestDatabase::new().await;
    let runs = test.database.collection("runs");
    runs.insert_one(doc! { "_id": "8f2c", "n": 1 })
        .await
        .expect("a new database takes documents");

    let shell = mongosh(&test.uri, "db.runs.find({}, { n: 1 })");
    assert_eq!(shell, json!([{ "_id": "8f2c", "n": 1 }]));
    let python = pymongo(
        &test.uri,
        Value::Null,
        "output = list(client.get_default_database().runs.find())",
    );
    assert_eq!(python, shell);
}

#[tokio::test]
async fn a_test_database_is_gone_after_its_test() {
    let first = TestDatabase::new().await;
    let second = TestDatabase::new().await;
    let name = first.database.name().to_owned();
    assert_ne!(name, second.database.name());
    first
        .database
        .collection("runs")
        .insert_one(doc! { "_id": 1 })
        .await
        .expect("a new database takes documents");
    drop(first);
    let names = second.database.client().list_database_names().await;
    assert!(!names.expect("databases can be listed").contains(&name));
}

#[test]
fn a_uri_keeps_its_options_and_its_user_when_the_database_changes() {
    assert_eq!(with_database("mongodb://h", "d"), "mongodb://h/d");
    assert_eq!(
        with_database("mongodb://a,b/?replicaSet=r", "d"),
        "mongodb://a,b/d?replicaSet=r"
    );
    assert_eq!(
        with_database("mongodb://u:p@h/admin?tls=true", "d"),
        "mongodb://u:p@h/d?tls=true&authSource=admin"
    );
}

#[tokio::test]
async fn a_replica_set_elects_another_primary_and_takes_the_killed_one_back() {
    let mut set = ReplicaSet::start().await;
    let client = mongodb::Client::with_uri_str(set.uri("test")).await;
    let client = client.expect("the URI is valid");
    let runs = client
        .default_database()
        .expect("the URI names a database")
        .collection("runs");
    runs.insert_one(doc! { "_id": 1 })
        .await
        .expect("a write with a majority");

    let first = set.primary().await;
    set.kill(first);
    let second = set.primary().await;
    assert_ne!(first, second);
    runs.insert_one(doc! { "_id": 2 })
        .await
        .expect("two members of three are a majority");

    // With the second member dead too, there is a majority only if the first one rejoined.
    set.restart(first);
    set.kill(second);
    set.primary().await;
    assert_eq!(runs.count_documents(doc! {}).await.ok(), Some(2));
}

/// Rust never drops statics, and `kill -9` drops nothing. Without the keeper, the server would keep running.
#[test]
fn a_server_ends_when_its_test_process_is_killed() {
    const ROLE: &str = "RUNLINEAGE_TEST_PLAYS_THE_KILLED_PROCESS";
    if std::env::var_os(ROLE).is_some() {
        return be_killed();
    }

    let this_test = "fixtures::a_server_ends_when_its_test_process_is_killed";
    let mut process = Command::new(std::env::current_exe().expect("this binary has a path"))
        .args(["--exact", this_test, "--nocapture"])
        .env(ROLE, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("this binary runs again");
    let stdout = BufReader::new(process.stdout.take().expect("stdout is piped"));
    let told: Vec<String> = stdout
        .lines()
        .map_while(Result::ok)
        .filter_map(|line| line.strip_prefix("TOLD ").map(str::to_owned))
        .take(3)
        .collect();
    let [server, worker, folder] = told.as_slice() else {
        panic!("the other process told {told:?}");
    };
    let kept = [
        PathBuf::from(format!("/proc/{server}")),
        PathBuf::from(format!("/proc/{worker}")),
        PathBuf::from(folder),
    ];
    let there = || kept.iter().filter(|path| path.exists()).collect::<Vec<_>>();
    assert_eq!(there().len(), 3, "all are there before the kill");

    process.kill().expect("the other process can be killed");
    process.wait().expect("it ends");
    let gone = poll(Duration::from_secs(60), || there().is_empty().then_some(()));
    assert!(gone.is_some(), "left behind: {:?}", there());
}

fn be_killed() {
    let folder = KeptFolder::new();
    // Like MLflow, this server starts a worker process. (mongod would end by itself when its folder is removed.)
    let mut server = Command::new("sh");
    server.args(["-c", "sleep 600 & echo $! > worker; wait"]);
    server.current_dir(folder.path());
    let server = Kept::start(&server, &folder.path().join("log"));
    let worker = poll(Duration::from_secs(60), || {
        let text = std::fs::read_to_string(folder.path().join("worker")).ok()?;
        text.trim().parse::<u32>().ok()
    });
    println!("\nTOLD {}", server.pid());
    println!("TOLD {}", worker.unwrap_or_default());
    println!("TOLD {}", folder.path().display());
    // No input comes, so this waits for the kill.
    let _ = std::io::stdin().read(&mut [0]);
    std::process::abort();
}

/// A shell under `tools/with-servers`, which starts a `mongod` for it. An MLflow is named already, and no Docker engine answers.
fn with_servers(script: &str) -> Command {
    let mut command = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tools/with-servers"));
    command
        .args(["sh", "-c", script])
        .env("RUNLINEAGE_TEST_MLFLOW_PORT", "1")
        .env("DOCKER_HOST", "unix:///nowhere.sock")
        .env_remove("RUNLINEAGE_TEST_MONGODB_URI")
        .env_remove("RUNLINEAGE_TEST_REQUIRE_DOCKER")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    command
}

#[test]
fn the_servers_of_a_command_end_with_it_and_with_their_parent_process() {
    for is_killed in [false, true] {
        let mut process = with_servers("echo $RUNLINEAGE_TEST_MONGODB_URI; cat; exit 3")
            .spawn()
            .expect("tools/with-servers runs");
        let mut stdout = BufReader::new(process.stdout.take().expect("stdout is piped"));
        let mut uri = String::new();
        stdout.read_line(&mut uri).expect("the URI is text");
        let address = uri.trim().trim_start_matches("mongodb://").to_owned();
        let answers = || std::net::TcpStream::connect(&address).is_ok();
        assert!(answers(), "nobody listens on {uri:?}");
        if is_killed {
            process.kill().expect("it can be killed");
        }
        // This ends the `cat` of the shell.
        drop(process.stdin.take());
        let status = process.wait().expect("it ends");
        assert_eq!(status.code(), (!is_killed).then_some(3));
        let gone = poll(Duration::from_secs(60), || (!answers()).then_some(()));
        assert!(gone.is_some(), "{uri} is left behind");
    }
}

#[test]
fn a_named_server_that_does_not_run_is_a_failure_that_says_what_to_do() {
    const ROLE: &str = "RUNLINEAGE_TEST_ASKS_FOR_A_SERVER";
    if std::env::var_os(ROLE).is_some() {
        mlflow::shared();
        return;
    }
    let this_test = "fixtures::a_named_server_that_does_not_run_is_a_failure_that_says_what_to_do";
    let finished = run(
        Command::new(std::env::current_exe().expect("this binary has a path"))
            .args(["--exact", this_test, "--nocapture"])
            .env(ROLE, "1")
            .env("RUNLINEAGE_TEST_MLFLOW_PORT", "9")
            .env("RUNLINEAGE_TEST_MLFLOW_FOLDER", "/nowhere"),
    );
    assert_eq!(finished.code, Some(101), "{finished:?}");
    let said = [finished.stdout, finished.stderr].concat();
    assert!(said.contains("run `make test`, or unset both"), "{said}");
}
