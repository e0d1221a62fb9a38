//! Attacks on the local database: planted programs in the current folder, links in its folder, folders that others may change.

use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use runlineage_local_mongod::LocalOptions;
use runlineage_test_servers::scene::{Scene, send, until};
use rustix::process::Signal;

use super::{LONG, PROGRAM, first_line, insert, open, open_error, options, program};

const SECRETS: [(&str, &str); 4] = [
    ("MLFLOW_TRACKING_PASSWORD", "canary-1"),
    ("MLFLOW_TRACKING_TOKEN", "canary-2"),
    ("MONGODB_URI", "mongodb://user:canary-3@host/"),
    ("AWS_SECRET_ACCESS_KEY", "canary-4"),
];

/// Creates a program named `mongod` that writes its environment to `marker`.
fn plant(folder: &Path, marker: &Path) {
    fs::create_dir_all(folder).unwrap();
    let script = format!(
        "#!/bin/sh\n/usr/bin/env > {}\necho db version v6.0.5\n",
        marker.display()
    );
    fs::write(folder.join("mongod"), script).unwrap();
    set_mode(&folder.join("mongod"), 0o755);
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// The output of a program that is started in this folder, without `MONGOD`.
fn run_in(folder: &Path, scene: &Scene, program: &Path, path: OsString) -> Output {
    let mut command = Command::new(program);
    scene.set(&mut command, Duration::from_millis(10));
    command
        .env_remove("MONGOD")
        .env_remove("TOOLS_DIR")
        .env("PATH", path)
        .current_dir(folder)
        .stdin(Stdio::null());
    command.output().unwrap()
}

#[test]
fn a_mongod_of_the_current_folder_is_never_started() {
    let scene = Scene::new();
    let (repository, marker) = (scene.root().join("repository"), scene.root().join("ran"));
    for folder in ["", ".tools/bin", "bin", "-"] {
        plant(&repository.join(folder), &marker);
    }
    for path in ["", ".", ":", "bin:", "/nowhere::./bin:-", "./.tools/bin"] {
        let output = run_in(&repository, &scene, Path::new(PROGRAM), path.into());
        assert!(!marker.exists(), "with PATH {path:?}: {output:?}");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(error.contains("no mongod found"), "{error}");
        assert!(error.contains("MONGOD"), "{error}");
        assert!(!output.status.success(), "{output:?}");
    }
    for named in ["mongod", "./mongod", ".tools/bin/mongod"] {
        let mut command = program(&scene, LONG);
        command.env("MONGOD", named).current_dir(&repository);
        let output = command.output().unwrap();
        assert!(!marker.exists(), "with MONGOD {named:?}: {output:?}");
    }
}

#[test]
fn a_mongod_is_found_in_path_and_next_to_the_program() {
    let scene = Scene::new();
    let (installed, marker) = (scene.root().join("installed"), scene.root().join("ran"));
    plant(&installed, &marker);
    let path = OsString::from(format!("bin:{}", installed.display()));
    run_in(Path::new("/"), &scene, Path::new(PROGRAM), path);
    assert!(marker.exists(), "not found in PATH");

    fs::remove_file(&marker).unwrap();
    let copy = installed.join("local-mongod");
    fs::copy(PROGRAM, &copy).unwrap();
    run_in(Path::new("/"), &scene, &copy, OsString::new());
    assert!(marker.exists(), "not found next to the program");

    // Any user may have created a mongod in a folder that all may write in.
    fs::remove_file(&marker).unwrap();
    set_mode(&installed, 0o1777);
    let output = run_in(Path::new("/"), &scene, &copy, OsString::new());
    assert!(!marker.exists(), "{output:?}");
}

#[tokio::test]
async fn the_supervisor_and_its_mongod_have_an_empty_environment() {
    let scene = Scene::new();
    let mut command = program(&scene, LONG);
    let mut user = command.envs(SECRETS).spawn().unwrap();
    assert!(first_line(&mut user).starts_with("mongodb://%2F"));
    let processes = [scene.supervisors(), scene.mongods()].concat();
    assert_eq!(processes.len(), 2, "{processes:?}");
    for pid in processes {
        let read = |name: &str| fs::read(format!("/proc/{pid}/{name}")).unwrap();
        assert_eq!(String::from_utf8_lossy(&read("environ")), "");
        let arguments = String::from_utf8_lossy(&read("cmdline")).into_owned();
        assert!(!arguments.contains("canary"), "{arguments}");
    }
    send(user.id().cast_signed(), Signal::TERM);
    user.wait().unwrap();
}

#[test]
fn the_version_check_of_mongod_has_an_empty_environment() {
    let scene = Scene::new();
    let marker = scene.root().join("ran");
    plant(scene.root(), &marker);
    let mut command = program(&scene, LONG);
    command
        .envs(SECRETS)
        .env("MONGOD", scene.root().join("mongod"));
    command.output().unwrap();
    let environment = fs::read_to_string(&marker).expect("it ran");
    // The shell itself sets these.
    let others: Vec<&str> = environment
        .lines()
        .filter(|line| {
            !["PWD=", "SHLVL=", "_=", "OLDPWD="]
                .iter()
                .any(|it| line.starts_with(it))
        })
        .collect();
    assert_eq!(others, Vec::<&str>::new());
}

#[tokio::test]
async fn links_in_place_of_files_are_not_followed() {
    for name in ["supervisor.log", "lock", "mongod.log", "mongod.log.1"] {
        for is_link in [true, false] {
            let scene = Scene::new();
            let folder = scene.database_folder();
            fs::create_dir_all(&folder).unwrap();
            let victim = scene.root().join("victim");
            fs::write(&victim, "precious").unwrap();
            if is_link {
                symlink(&victim, folder.join(name)).unwrap();
            } else {
                fs::hard_link(&victim, folder.join(name)).unwrap();
            }
            if ["supervisor.log", "lock"].contains(&name) {
                let error = open_error(options(&scene)).await;
                assert!(
                    error.contains(name) && error.contains("remove it"),
                    "{error}"
                );
            } else {
                // The supervisor renames any file at the path of mongod's log, so the database opens.
                open(&scene).await;
            }
            assert_eq!(fs::read_to_string(&victim).unwrap(), "precious", "{name}");
            assert_eq!(victim.metadata().unwrap().mode() & 0o777, 0o644);
        }
    }
}

#[tokio::test]
async fn a_long_log_is_not_copied_through_a_link() {
    let scene = Scene::new();
    let _database = open(&scene).await;
    let victim = scene.root().join("victim");
    fs::write(&victim, "precious").unwrap();
    let log = scene.database_folder().join("mongod.log");
    let old = scene.database_folder().join("mongod.log.1");
    symlink(&victim, &old).unwrap();
    let mut grown = fs::OpenOptions::new().append(true).open(&log).unwrap();
    std::io::Write::write_all(&mut grown, &vec![b'x'; 9 << 20]).unwrap();
    until("the log is bounded", || {
        log.metadata().is_ok_and(|file| file.len() < 1 << 20)
    })
    .await;
    assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
    let kept = fs::symlink_metadata(&old).unwrap();
    assert!(kept.is_file() && kept.len() > 9 << 20, "{kept:?}");
}

/// Options with the data folder, or the socket folder, below one that other users may write in.
fn below(scene: &Scene, shared: &Path, is_data: bool) -> LocalOptions {
    let place = shared.join("own");
    fs::create_dir_all(&place).unwrap();
    set_mode(&place, 0o700);
    if is_data {
        options(scene).with_folder(place.join("db"))
    } else {
        options(scene).with_runtime_folder(place)
    }
}

#[tokio::test]
async fn a_parent_that_others_may_write_in_is_refused() {
    for is_data in [true, false] {
        for mode in [0o777, 0o775, 0o757] {
            let scene = Scene::new();
            let shared = scene.root().join("shared");
            fs::create_dir(&shared).unwrap();
            set_mode(&shared, mode);
            let error = open_error(below(&scene, &shared, is_data)).await;
            assert!(error.contains("other users may write"), "{mode:o}: {error}");
            assert!(
                error.contains(&format!("chmod go-w {}", shared.display())),
                "{error}"
            );
            assert!(scene.nothing_runs());
        }
    }
}

#[tokio::test]
async fn a_path_with_a_link_that_others_may_replace_is_refused() {
    let scene = Scene::new();
    let (shared, safe) = (scene.root().join("shared"), scene.root().join("safe"));
    fs::create_dir(&shared).unwrap();
    fs::create_dir(&safe).unwrap();
    symlink(&safe, shared.join("way")).unwrap();
    symlink(shared.join("way"), scene.root().join("start")).unwrap();
    set_mode(&shared, 0o777);
    let folder = scene.root().join("start/db");
    let error = open_error(options(&scene).with_folder(&folder)).await;
    assert!(error.contains("other users may write"), "{error}");
    assert!(error.contains(shared.to_str().unwrap()), "{error}");
    set_mode(&shared, 0o755);
    insert(
        &options(&scene).with_folder(folder).open().await.unwrap(),
        1,
    )
    .await;
    assert!(safe.join("db/data").is_dir());
}

#[tokio::test]
async fn the_sticky_bit_protects_a_parent_but_not_the_folder_itself() {
    let scene = Scene::new();
    let shared = scene.root().join("shared");
    fs::create_dir(&shared).unwrap();
    set_mode(&shared, 0o1777);
    let own: PathBuf = shared.join("db");
    fs::create_dir(&own).unwrap();
    for mode in [0o1777, 0o770] {
        set_mode(&own, mode);
        let error = open_error(options(&scene).with_folder(&own)).await;
        assert!(error.contains("other users may write"), "{error}");
    }
    set_mode(&own, 0o755);
    fs::create_dir(own.join("data")).unwrap();
    set_mode(&own.join("data"), 0o777);
    let error = open_error(options(&scene).with_folder(&own)).await;
    assert!(error.contains("other users may write"), "{error}");
    set_mode(&own.join("data"), 0o755);
    insert(&options(&scene).with_folder(&own).open().await.unwrap(), 1).await;
}

/// Only root can give a folder to somebody else.
#[tokio::test]
async fn a_parent_of_another_user_is_refused() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let scene = Scene::new();
    let theirs = scene.root().join("theirs");
    fs::create_dir(&theirs).unwrap();
    let options = below(&scene, &theirs, true);
    std::os::unix::fs::chown(&theirs, Some(65_533), None).unwrap();
    let error = open_error(options).await;
    assert!(error.contains("belongs to user id 65533"), "{error}");
}
