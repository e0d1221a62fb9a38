//! Commands on the local database: when they stop using it, and what they leave behind.

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
async fn a_killed_command_no_longer_keeps_the_database_running() {
    let scene = Scene::new();
    let mut user = command(&scene, &["db"], Duration::from_millis(10))
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut stdout = BufReader::new(user.stdout.take().expect("the output is piped"));
    let mut uri = String::new();
    stdout
        .read_line(&mut uri)
        .expect("the program prints a URI");
    assert!(uri.starts_with("mongodb://%2F"), "{uri}");
    assert_eq!(scene.mongods().len(), 1);
    user.kill().expect("the process can be killed");
    user.wait().expect("the program ends");
    until("all ended", || scene.nothing_runs()).await;
}

#[tokio::test]
async fn the_supervisor_does_not_keep_the_pipes_of_the_command_open() {
    let scene = Scene::new();
    // Reads both pipes to the end, which comes once no process has them open.
    let mut command = command(&scene, &["migrate", "--local"], LONG);
    let output = tokio::task::spawn_blocking(move || command.output().expect("the program runs"));
    let output = tokio::time::timeout(Duration::from_secs(120), output)
        .await
        .expect("the pipe is closed in time")
        .expect("no panic");
    assert!(output.status.success(), "{output:?}");
    assert_eq!(scene.mongods().len(), 1);
}
