//! The local database on a real `mongod`: commands share it, and it ends after them, also when processes are killed.
#![cfg(target_os = "linux")]
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "clippy knows a test function, but not the fixtures that one stands on"
)]

mod attacks;

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bson::doc;
use mongodb::Client;
use runlineage_local_mongod::{LocalDatabase, LocalOptions};
use runlineage_test_servers::mongodb::mongod;
use runlineage_test_servers::scene::{Scene, send, until};
use rustix::process::Signal;

const PROGRAM: &str = env!("CARGO_BIN_EXE_local-mongod");
const LONG: Duration = Duration::from_secs(600);

fn options(scene: &Scene) -> LocalOptions {
    LocalOptions::new()
        .with_folder(scene.database_folder())
        .with_runtime_folder(scene.root())
        .with_mongod(mongod())
        .with_program(PROGRAM)
        .with_linger(LONG)
}

async fn open(scene: &Scene) -> LocalDatabase {
    options(scene).open().await.unwrap()
}

/// The program that keeps the database running until it is stopped.
fn program(scene: &Scene, linger: Duration) -> Command {
    let mut command = Command::new(PROGRAM);
    scene.set(&mut command, linger);
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    command
}

fn kill(pid: i32) {
    send(pid, Signal::KILL);
}

async fn wait_until_closed(database: &LocalDatabase) {
    tokio::time::timeout(Duration::from_secs(120), database.closed())
        .await
        .expect("the command notices that the database has stopped");
}

async fn insert(database: &LocalDatabase, id: i32) {
    let client = Client::with_uri_str(database.uri()).await.unwrap();
    let things = client.database("test").collection("things");
    things.insert_one(doc! { "_id": id }).await.unwrap();
}

async fn count(database: &LocalDatabase) -> u64 {
    let client = Client::with_uri_str(database.uri()).await.unwrap();
    let things = client
        .database("test")
        .collection::<bson::Document>("things");
    things.count_documents(doc! {}).await.unwrap()
}

async fn open_error(options: LocalOptions) -> String {
    let error = options.open().await.expect_err("the database opened");
    match std::error::Error::source(&error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

fn first_line(child: &mut Child) -> String {
    let mut line = Vec::new();
    let mut stdout = child.stdout.take().unwrap();
    let mut byte = [0];
    while stdout.read(&mut byte).unwrap() == 1 && byte != *b"\n" {
        line.push(byte[0]);
    }
    child.stdout = Some(stdout);
    String::from_utf8(line).unwrap()
}

#[tokio::test]
async fn commands_that_start_concurrently_share_one_mongod() {
    let scene = Scene::new();
    let (a, b, c) = tokio::join!(open(&scene), open(&scene), open(&scene));
    assert_eq!([a.uri(), b.uri()], [c.uri(), c.uri()]);
    assert_eq!(scene.mongods().len(), 1);
    until("one supervisor", || scene.supervisors().len() == 1).await;
    insert(&a, 1).await;
    assert_eq!(count(&b).await, 1);
}

#[tokio::test]
async fn another_session_finds_the_same_database() {
    let scene = Scene::new();
    let first = open(&scene).await;
    let elsewhere = tempfile::tempdir().unwrap();
    let second = options(&scene).with_runtime_folder(elsewhere.path());
    assert_eq!(second.open().await.unwrap().uri(), first.uri());
}

#[tokio::test]
async fn other_users_and_the_network_cannot_reach_the_database() {
    let scene = Scene::new();
    let database = open(&scene).await;
    insert(&database, 1).await;
    let modes: Vec<u32> = fs::read_dir(scene.root().join("runlineage"))
        .unwrap()
        .map(|entry| entry.unwrap().metadata().unwrap().mode() & 0o777)
        .collect();
    assert_eq!(modes, [0o700]);

    let pid = scene.mongods()[0];
    let sockets: Vec<u64> = fs::read_dir(format!("/proc/{pid}/fd"))
        .unwrap()
        .filter_map(|entry| fs::metadata(entry.unwrap().path()).ok())
        .map(|metadata| metadata.ino())
        .collect();
    let of_mongod =
        |inode: Option<&str>| inode.is_some_and(|it| sockets.contains(&it.parse().unwrap_or(0)));
    let listening = |file: &str, column: usize| -> Vec<String> {
        fs::read_to_string(format!("/proc/{pid}/net/{file}"))
            .unwrap_or_default()
            .lines()
            .filter(|line| of_mongod(line.split_whitespace().nth(column)))
            .map(str::to_owned)
            .collect()
    };
    assert_eq!(listening("tcp", 9), Vec::<String>::new());
    assert_eq!(listening("tcp6", 9), Vec::<String>::new());
    let mut paths: Vec<_> = listening("unix", 6)
        .iter()
        .filter_map(|line| line.split_whitespace().nth(7).map(str::to_owned))
        .collect();
    paths.dedup();
    assert_eq!(paths.len(), 1, "{paths:?}");
    assert!(paths[0].ends_with("/m.sock"), "{paths:?}");
}

#[tokio::test]
async fn the_database_stops_after_its_last_command_and_keeps_its_data() {
    let scene = Scene::new();
    let brief = || options(&scene).with_linger(Duration::from_millis(10));
    let first = brief().open().await.unwrap();
    let second = brief().open().await.unwrap();
    insert(&first, 1).await;
    drop(first);
    insert(&second, 2).await;
    drop(second);
    until("all ended", || scene.nothing_runs()).await;
    assert_eq!(count(&brief().open().await.unwrap()).await, 2);
}

#[tokio::test]
async fn the_database_keeps_running_between_commands() {
    let scene = Scene::new();
    drop(open(&scene).await);
    let mongods = scene.mongods();
    let _again = open(&scene).await;
    assert_eq!(scene.mongods(), mongods);
    assert_eq!(mongods.len(), 1);
}

#[tokio::test]
async fn a_killed_command_no_longer_keeps_the_database_running() {
    let scene = Scene::new();
    let mut user = program(&scene, Duration::from_millis(10)).spawn().unwrap();
    assert!(first_line(&mut user).starts_with("mongodb://%2F"));
    assert_eq!(scene.mongods().len(), 1);
    user.kill().unwrap();
    user.wait().unwrap();
    until("all ended", || scene.nothing_runs()).await;
}

#[tokio::test]
async fn a_killed_supervisor_leaves_no_process_and_loses_no_data() {
    let scene = Scene::new();
    let database = open(&scene).await;
    let client = Client::with_uri_str(database.uri()).await.unwrap();
    let things = client.database("test").collection("things");
    for id in 0..500 {
        things.insert_one(doc! { "_id": id }).await.unwrap();
    }
    let mongods = scene.mongods();
    // Immediately after the last acknowledgement, before the next write to the journal, which comes every 100 ms.
    kill(scene.supervisors()[0]);
    wait_until_closed(&database).await;
    // The next supervisor has to wait for the old mongod to end.
    let again = open(&scene).await;
    assert_eq!(count(&again).await, 500);
    let after = scene.mongods();
    assert_eq!((mongods.len(), after.len()), (1, 1));
    assert_ne!(mongods, after);

    kill(scene.supervisors()[0]);
    until("mongod ended", || scene.mongods().is_empty()).await;
    until("nothing runs", || scene.nothing_runs()).await;
}

#[tokio::test]
async fn the_next_command_waits_for_a_mongod_that_is_shutting_down() {
    let scene = Scene::new();
    let database = open(&scene).await;
    insert(&database, 1).await;
    let ending = scene.mongods()[0];
    // A suspended process cannot end.
    send(ending, Signal::STOP);
    kill(scene.supervisors()[0]);
    wait_until_closed(&database).await;
    let opening = tokio::spawn(options(&scene).open());
    until("the next supervisor", || !scene.supervisors().is_empty()).await;
    // Enough time for a supervisor that does not wait to start a second mongod.
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(scene.mongods(), [ending]);
    send(ending, Signal::CONT);
    assert_eq!(count(&opening.await.unwrap().unwrap()).await, 1);
}

#[tokio::test]
async fn sigterm_to_the_supervisor_shuts_mongod_down_cleanly() {
    let scene = Scene::new();
    let database = open(&scene).await;
    insert(&database, 1).await;
    send(scene.supervisors()[0], Signal::TERM);
    wait_until_closed(&database).await;
    until("all ended", || scene.nothing_runs()).await;
    // A clean shutdown empties this file last.
    let lock = fs::read_to_string(scene.database_folder().join("data/mongod.lock")).unwrap();
    assert_eq!(lock, "");
    assert_eq!(count(&open(&scene).await).await, 1);
}

#[tokio::test]
async fn the_next_command_replaces_a_killed_mongod() {
    let scene = Scene::new();
    let database = open(&scene).await;
    kill(scene.mongods()[0]);
    wait_until_closed(&database).await;
    insert(&open(&scene).await, 1).await;
    assert_eq!(scene.mongods().len(), 1);
}

#[tokio::test]
async fn a_command_survives_the_kill_of_its_supervisor_during_the_start() {
    let scene = Scene::new();
    let opening = tokio::spawn(options(&scene).open());
    until("mongod runs", || !scene.mongods().is_empty()).await;
    kill(scene.supervisors()[0]);
    // The waiting command starts another supervisor.
    insert(&opening.await.unwrap().unwrap(), 1).await;
}

#[tokio::test]
async fn stale_sockets_of_a_crash_are_replaced() {
    let scene = Scene::new();
    let database = open(&scene).await;
    let uri = database.uri().to_owned();
    for pid in [scene.supervisors()[0], scene.mongods()[0]] {
        kill(pid);
    }
    until("all ended", || scene.nothing_runs()).await;
    // Stale sockets, on which no process listens. The lock file still names them.
    let sockets = fs::read_dir(scene.root().join("runlineage"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .next()
        .unwrap();
    for name in ["c.sock", "m.sock"] {
        let _ = fs::remove_file(sockets.join(name));
        drop(UnixListener::bind(sockets.join(name)).unwrap());
    }
    let again = open(&scene).await;
    assert_eq!(again.uri(), uri);
    insert(&again, 1).await;
}

#[tokio::test]
async fn a_pipe_of_the_caller_closes_with_the_command() {
    let scene = Scene::new();
    let mut command = program(&scene, LONG)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    assert!(first_line(&mut command).starts_with("mongodb://%2F"));
    send(command.id().cast_signed(), Signal::TERM);
    // Both pipes end only when no process holds them open.
    let output = tokio::task::spawn_blocking(move || command.wait_with_output().unwrap());
    let output = tokio::time::timeout(Duration::from_secs(120), output)
        .await
        .expect("the pipes end")
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(scene.mongods().len(), 1);
}

#[tokio::test]
async fn supervisor_and_mongod_are_in_a_session_of_their_own() {
    let scene = Scene::new();
    let _database = open(&scene).await;
    let session = |pid: i32| -> i32 {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let after_name = stat.rsplit(')').next().unwrap();
        after_name
            .split_whitespace()
            .nth(3)
            .unwrap()
            .parse()
            .unwrap()
    };
    let supervisor = scene.supervisors()[0];
    assert_eq!(session(supervisor), supervisor);
    assert_eq!(session(scene.mongods()[0]), supervisor);
}

#[tokio::test]
async fn a_socket_path_that_is_too_long_is_refused_at_once() {
    let scene = Scene::new();
    let long = scene.root().join("x".repeat(90));
    let error = open_error(options(&scene).with_runtime_folder(&long)).await;
    assert!(error.contains("is too long, 107 bytes"), "{error}");
    assert!(error.contains("XDG_RUNTIME_DIR"), "{error}");
    assert!(!long.exists());
}

#[tokio::test]
async fn the_error_names_a_folder_that_cannot_be_created() {
    let scene = Scene::new();
    let file = scene.root().join("file");
    File::create(&file).unwrap();
    let error = open_error(options(&scene).with_folder(file.join("db"))).await;
    assert!(error.contains("cannot create folder"), "{error}");
    assert!(error.contains(file.to_str().unwrap()), "{error}");
}

#[tokio::test]
async fn a_socket_folder_that_others_can_enter_is_refused() {
    let scene = Scene::new();
    let base = scene.root().join("r");
    fs::create_dir_all(base.join("runlineage")).unwrap();
    fs::set_permissions(base.join("runlineage"), fs::Permissions::from_mode(0o755)).unwrap();
    let error = open_error(options(&scene).with_runtime_folder(base)).await;
    assert!(error.contains("other users can enter"), "{error}");
    assert!(error.contains("chmod 700"), "{error}");
}

#[tokio::test]
async fn the_error_names_another_mongod_on_the_same_data() {
    let scene = Scene::new();
    let data = scene.database_folder().join("data");
    fs::create_dir_all(&data).unwrap();
    let mut foreign = Command::new(mongod())
        .arg("--dbpath")
        .arg(&data)
        .arg("--bind_ip")
        .arg(scene.root().join("f.sock"))
        .arg("--nounixsocket")
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let socket = scene.root().join("f.sock");
    until("the other mongod is running", || {
        UnixStream::connect(&socket).is_ok()
    })
    .await;
    let error = open_error(options(&scene)).await;
    let expected = format!(
        "another mongod (process {}) uses {}",
        foreign.id(),
        data.display()
    );
    assert!(error.contains(&expected), "{error}");
    foreign.kill().unwrap();
    foreign.wait().unwrap();
    open(&scene).await;
}

#[tokio::test]
async fn the_error_names_an_unusable_mongod() {
    let scene = Scene::new();
    let missing = open_error(options(&scene).with_mongod("/nowhere/mongod")).await;
    assert!(missing.contains("/nowhere/mongod"), "{missing}");
    assert!(missing.contains("set MONGOD"), "{missing}");

    let error = open_error(options(&scene).with_mongod("/bin/sh")).await;
    assert!(error.contains("prints no version of MongoDB"), "{error}");

    let old = scene.root().join("old");
    fs::write(&old, "#!/bin/sh\necho db version v4.4.29\n").unwrap();
    fs::set_permissions(&old, fs::Permissions::from_mode(0o755)).unwrap();
    let error = open_error(options(&scene).with_mongod(old)).await;
    assert!(error.contains("is version 4.4.29; set MONGOD"), "{error}");

    let broken = scene.root().join("broken");
    fs::write(
        &broken,
        "#!/bin/sh\n[ \"$1\" = --version ] && echo db version v6.0.5 || echo no such option >&2; exit 2\n",
    )
    .unwrap();
    fs::set_permissions(&broken, fs::Permissions::from_mode(0o755)).unwrap();
    let error = open_error(options(&scene).with_mongod(broken)).await;
    assert!(
        error.contains("mongod ended (exit status: 2); it said: no such option"),
        "{error}"
    );
}
