//! Secrets in files, as systemd, Docker and Kubernetes provide them.

use std::path::Path;

use crate::support::fake_mlflow::server_that_requires;
use crate::support::keeper::KeptFolder;
use crate::support::mongodb::TestDatabase;
use crate::support::program::{Finished, run, runlineage};

fn sync(home: &Path, variables: &[(&str, &str)]) -> Finished {
    let mut command = runlineage(["sync"]);
    command
        .env("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        .env("HOME", home)
        .envs(variables.iter().copied());
    run(&mut command)
}

#[tokio::test(flavor = "multi_thread")]
async fn uris_tokens_and_passwords_come_from_files() {
    let (test, home) = (TestDatabase::new().await, KeptFolder::new());
    let file = |name: &str, text: &str| {
        let file = home.path().join(name);
        std::fs::write(&file, text).expect("the file can be written");
        file.to_str().expect("a path").to_owned()
    };
    let mongodb = file("mongodb-uri", &format!("{}\n", test.uri));
    let bearer = server_that_requires("Authorization", "Bearer canary").await;
    let tracking = file("tracking-uri", &format!("{}\r\n", bearer.uri()));
    let uris = [
        ("MONGODB_URI_FILE", mongodb.as_str()),
        ("MLFLOW_TRACKING_URI_FILE", &tracking),
    ];
    let token = file("token", "canary\n");
    let with = |variables: &[(&'static str, &str)]| {
        let all: Vec<_> = uris.iter().chain(variables).copied().collect();
        sync(home.path(), &all)
    };
    with(&[("MLFLOW_TRACKING_TOKEN_FILE", &token)]).success();
    let refused = with(&[]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    // A variable takes precedence over its file.
    let both = with(&[
        ("MLFLOW_TRACKING_TOKEN", "other"),
        ("MLFLOW_TRACKING_TOKEN_FILE", &token),
    ]);
    assert_eq!(both.code, Some(1), "{both:?}");

    // ana and `p w `, whose last space belongs to the password.
    let basic = server_that_requires("Authorization", "Basic YW5hOnAgdyA=").await;
    let other = TestDatabase::new().await;
    let password = file("password", "p w ");
    sync(
        home.path(),
        &[
            ("MONGODB_URI", &other.uri),
            ("MLFLOW_TRACKING_URI", &basic.uri()),
            ("MLFLOW_TRACKING_USERNAME", "ana"),
            ("MLFLOW_TRACKING_PASSWORD_FILE", &password),
        ],
    )
    .success();
}

#[test]
fn a_secret_file_that_cannot_be_read_is_refused_by_its_variable_and_its_path() {
    let home = KeptFolder::new();
    let uris = [
        (
            "MONGODB_URI",
            "mongodb://127.0.0.1:9/?serverSelectionTimeoutMS=300",
        ),
        ("MLFLOW_TRACKING_URI", "http://127.0.0.1:9"),
    ];
    for name in [
        "MONGODB_URI_FILE",
        "MLFLOW_TRACKING_URI_FILE",
        "MLFLOW_TRACKING_PASSWORD_FILE",
        "MLFLOW_TRACKING_TOKEN_FILE",
    ] {
        // A URI takes precedence over its file, so it has to be unset.
        let uris = uris.iter().filter(|(uri, _)| format!("{uri}_FILE") != name);
        let variables: Vec<_> = uris.copied().chain([(name, "/nowhere/secret")]).collect();
        let refused = sync(home.path(), &variables);
        assert_eq!(refused.code, Some(2), "{name}: {refused:?}");
        for word in [name, "/nowhere/secret", "name a file"] {
            assert!(refused.stderr.contains(word), "{name}: {refused:?}");
        }
    }
}
