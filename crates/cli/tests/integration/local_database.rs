//! The commands on the local database: what they hold of it, and what they leave behind.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use runlineage_test_servers::scene::{Scene, until};

use crate::support::program::runlineage;

const LONG: Duration = Duration::from_secs(600);

fn command(scene: &Scene, args: &[&str], linger: Duration) -> Command {
    let mut command = runlineage(args);
    scene.set(&mut command, linger);
    command.stdin(Stdio::null());
    command
}

#[tokio::test]
async fn a_killed_command_is_a_user_no_more() {
    let scene = Scene::new();
    let mut user = command(&scene, &["db"], Duration::from_millis(10))
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut stdout = BufReader::new(user.stdout.take().expect("it is piped"));
    let mut uri = String::new();
    stdout.read_line(&mut uri).expect("it says its URI");
    assert!(uri.starts_with("mongodb://%2F"), "{uri}");
    assert_eq!(scene.mongods().len(), 1);
    user.kill().expect("it can be killed");
    user.wait().expect("it ends");
    until("all ended", || scene.nothing_runs()).await;
}

#[tokio::test]
async fn a_pipe_of_the_caller_ends_with_the_command() {
    let scene = Scene::new();
    // Reads both to their end, which comes only when no process holds them any more.
    let mut command = command(&scene, &["migrate", "--local"], LONG);
    let output = tokio::task::spawn_blocking(move || command.output().expect("it runs"));
    let output = tokio::time::timeout(Duration::from_secs(120), output)
        .await
        .expect("never: the pipe ended")
        .expect("no panic");
    assert!(output.status.success(), "{output:?}");
    assert_eq!(scene.mongods().len(), 1);
}
