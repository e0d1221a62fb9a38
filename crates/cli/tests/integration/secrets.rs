//! Passwords appear in no output of the program, whatever fails.

use std::process::{Command, Stdio};
use std::time::Duration;

use mongodb::bson::{Document, doc};
use runlineage::MongoRunStore;

use crate::support::canary::{CANARY, ENCODED, assert_hidden};
use crate::support::lab::{Lab, chain, plain_runs};
use crate::support::program::{run, runlineage};
use crate::support::proxy::Answer;

/// A sync with the password in the tracking URI and in the variables, at the most verbose log level.
fn sync(tracking: &str, mongodb: &str) -> Command {
    let mut command = runlineage(["sync", "--source", "lab", "--log-format", "json"]);
    command
        .env(
            "MLFLOW_TRACKING_URI",
            tracking.replace("http://", &format!("http://ana:{CANARY}@")),
        )
        .env("MONGODB_URI", mongodb)
        .env("MLFLOW_TRACKING_USERNAME", "ana")
        .env("MLFLOW_TRACKING_PASSWORD", CANARY)
        .env("MLFLOW_TRACKING_TOKEN", CANARY)
        .env("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
        .env("MLFLOW_HTTP_REQUEST_TIMEOUT", "2")
        .env("RUNLINEAGE_LOG", "trace");
    command
}

#[tokio::test]
async fn a_password_of_mlflow_appears_in_no_output() {
    let lab = Lab::new().await;
    lab.sql().insert(&plain_runs(&lab.experiment("a"), 5));
    type Fault = fn() -> Answer;
    let faults: [Fault; 9] = [
        || Answer::Pass,
        || Answer::text(401, "no"),
        || Answer::refuse(403, "PERMISSION_DENIED", "no"),
        || Answer::refuse(500, "INTERNAL_ERROR", "no"),
        || Answer::text(200, "<html>log in</html>"),
        || Answer::Reset(0.5),
        || Answer::Silence(Duration::from_secs(4)),
        || {
            Answer::Say(
                302,
                vec![(
                    "Location",
                    format!("http://ana:{CANARY}@127.0.0.1:1/login?token={CANARY}"),
                )],
                Vec::new(),
            )
        },
        || Answer::text(404, ""),
    ];
    for (index, fault) in faults.into_iter().enumerate() {
        lab.proxy.on(move |_| fault());
        let finished = run(&mut sync(&lab.proxy.uri(), &lab.test.uri));
        assert_eq!(
            finished.code,
            Some(i32::from(index != 0)),
            "fault {index}: {}",
            finished.stderr
        );
        assert_hidden("stdout", &finished.stdout);
        assert_hidden("stderr", &finished.stderr);
    }
    // The program did authenticate.
    let requests = lab.proxy.take_requests();
    assert!(
        requests
            .iter()
            .all(|request| request.head.contains(ENCODED))
    );
    for name in lab
        .test
        .database
        .list_collection_names()
        .await
        .expect("names")
    {
        let all = lab
            .test
            .database
            .collection::<Document>(&name)
            .find(doc! {})
            .await
            .expect("MongoDB answers");
        let all: Vec<Document> = futures::TryStreamExt::try_collect(all)
            .await
            .expect("a cursor");
        assert!(name != "runs" || !all.is_empty(), "{name}");
        assert_hidden(&name, &format!("{all:?}"));
    }
}

#[tokio::test]
async fn a_password_of_mongodb_appears_in_no_output() {
    let lab = Lab::new().await;
    let host = lab
        .test
        .uri
        .trim_start_matches("mongodb://")
        .split('/')
        .next()
        .expect("a host")
        .to_owned();
    let uris = [
        // Nobody listens; no such user; no such host; not a URI; invalid options.
        format!("mongodb://ana:{CANARY}@127.0.0.1:1/db?serverSelectionTimeoutMS=1000"),
        format!("mongodb://ana:{CANARY}@{host}/db?authSource=admin&serverSelectionTimeoutMS=2000"),
        format!("mongodb+srv://ana:{CANARY}@nowhere.invalid/db"),
        format!("mongodb://ana:{CANARY}@@/:/"),
        format!("mongodb://ana:{CANARY}@{host}/db?tls=perhaps"),
        format!("mongo://ana:{CANARY}@{host}/db"),
        format!("mongodb://{host}/db?authMechanismProperties=TOKEN:{CANARY}&authMechanism=NONE"),
    ];
    for uri in uris {
        let finished = run(&mut sync(&lab.proxy.uri(), &uri));
        assert!(
            finished.code.is_some_and(|code| code == 1 || code == 2),
            "{uri}: {finished:?}"
        );
        assert_hidden("stdout", &finished.stdout);
        assert_hidden("stderr", &finished.stderr);
        let error = MongoRunStore::connect(&uri)
            .await
            .expect_err("MongoDB cannot be reached");
        assert_hidden("the error", &chain(&error));
        assert_hidden("Debug", &format!("{error:?}"));
    }
}

/// Every user can read the process list, so a password from a variable must not become an argument.
#[tokio::test]
async fn a_password_from_a_variable_is_not_in_the_process_list() {
    let lab = Lab::new().await;
    lab.sql().insert(&plain_runs(&lab.experiment("a"), 5));
    lab.proxy.on(|_| {
        std::thread::sleep(Duration::from_millis(300));
        Answer::Pass
    });
    let mut process = sync(&lab.proxy.uri(), &lab.test.uri)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts");
    let mut looked = 0;
    while let Ok(None) = process.try_wait() {
        let processes = std::fs::read_dir("/proc").expect("a list of processes");
        for entry in processes.flatten() {
            let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            assert_hidden("the list of processes", &String::from_utf8_lossy(&line));
        }
        looked += 1;
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(looked > 0);
}
