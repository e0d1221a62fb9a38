//! Migrations are applied once each, whatever the processes do; and the roles that each command needs.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bson::{Bson, DateTime, Document, doc};
use futures::TryStreamExt as _;
use mongodb::{Client, Database};
use runlineage::MongoRunStore;

use crate::support::keeper::KeptFolder;
use crate::support::mlflow;
use crate::support::mongodb::{Mongod, TestDatabase};
use crate::support::program::{Finished, run, runlineage};
use crate::support::rest::Rest;
use crate::support::scale::scaled;

fn migrate(uri: &str) -> Command {
    let mut command = runlineage(["migrate", "--mongodb-uri", uri]);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn ended(child: Child) -> Finished {
    let output = child.wait_with_output().expect("its output can be read");
    Finished {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// The result of the migrations: validator, indexes, records.
async fn shape(database: &Database) -> Vec<Document> {
    let mut shape = Vec::new();
    for name in ["runs", "deleted_runs"] {
        let indexes = database
            .run_command(doc! { "listIndexes": name })
            .await
            .expect("the collection is there");
        let indexes = indexes
            .get_document("cursor")
            .and_then(|cursor| cursor.get_array("firstBatch"));
        let mut indexes: Vec<String> = indexes
            .expect("indexes are listed")
            .iter()
            .map(Bson::to_string)
            .collect();
        indexes.sort();
        shape.push(doc! { name: indexes });
    }
    let listed = database
        .run_command(doc! { "listCollections": 1, "filter": { "name": "runs" } })
        .await
        .expect("collections are listed");
    let first = listed
        .get_document("cursor")
        .and_then(|cursor| cursor.get_array("firstBatch"))
        .expect("collections are listed");
    let options = first[0]
        .as_document()
        .and_then(|first| first.get_document("options").ok());
    shape.push(options.expect("a collection has options").clone());
    let migrations = database.collection::<Document>("migrations");
    let records = migrations
        .find(doc! {})
        .projection(doc! { "applied_at": 0 })
        .sort(doc! { "_id": 1 });
    let records: Vec<Document> = records
        .await
        .expect("MongoDB answers")
        .try_collect()
        .await
        .expect("MongoDB answers");
    shape.extend(records);
    shape
}

async fn migrated_shape() -> Vec<Document> {
    let test = TestDatabase::new().await;
    run(&mut migrate(&test.uri)).success();
    shape(&test.database).await
}

#[tokio::test(flavor = "multi_thread")]
async fn two_concurrent_processes_apply_each_migration_once() {
    let expected = migrated_shape().await;
    let files = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../../migrations"))
        .expect("the folder is there")
        .count();
    for _ in 0..6 {
        let test = TestDatabase::new().await;
        let both = [(), ()].map(|()| migrate(&test.uri).spawn().expect("the program starts"));
        let stdout: String = both.map(|child| ended(child).success()).concat();
        let applied = stdout
            .lines()
            .filter(|line| line.starts_with("applied "))
            .count();
        assert_eq!(applied, files, "{stdout}");
        assert_eq!(shape(&test.database).await, expected);
    }
}

/// Ends the leases of a process that was killed.
async fn end_leases_of(process: u32, database: &Database) {
    let holder = format!(" process {process} ");
    database
        .collection::<Document>("leases")
        .delete_many(doc! { "holder": { "$regex": holder } })
        .await
        .expect("MongoDB answers");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_process_completes_the_migrations_of_a_killed_one() {
    let expected = migrated_shape().await;
    let mut unfinished = 0;
    for round in 0..scaled(6, 12) {
        let test = TestDatabase::new().await;
        let mut killed = migrate(&test.uri).spawn().expect("the program starts");
        // The kills are spread over the duration of a migration.
        std::thread::sleep(Duration::from_millis(10 + round * scaled(40, 20)));
        killed.kill().expect("the process can be killed");
        let process = killed.id();
        unfinished += u32::from(ended(killed).code.is_none());
        let mut next = migrate(&test.uri).spawn().expect("the program starts");
        // A command of the killed process may reach MongoDB late, so its leases are ended repeatedly.
        while next
            .try_wait()
            .expect("the process can be waited for")
            .is_none()
        {
            end_leases_of(process, &test.database).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        ended(next).success();
        assert_eq!(shape(&test.database).await, expected, "round {round}");
    }
    assert!(unfinished > 0, "every process ended before it was killed");
}

#[tokio::test(flavor = "multi_thread")]
async fn steps_that_were_applied_but_not_recorded_are_applied_again() {
    let expected = migrated_shape().await;
    let text = std::fs::read_to_string(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../migrations/0001_runs.json"
    ))
    .expect("the file is there");
    let commands: Vec<serde_json::Value> =
        serde_json::from_str(&text).expect("the file is an array");
    for made in 1..=commands.len() {
        let test = TestDatabase::new().await;
        for command in &commands[..made] {
            let command = Bson::try_from(command.clone()).expect("a command is Extended JSON");
            let command = command
                .as_document()
                .expect("a command is a document")
                .clone();
            test.database
                .run_command(command)
                .await
                .expect("an administrator can run it by hand");
        }
        run(&mut migrate(&test.uri)).success();
        assert_eq!(shape(&test.database).await, expected, "{made} commands");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_file_and_a_newer_database_stop_writers_but_not_readers() {
    let test = TestDatabase::new().await;
    run(&mut migrate(&test.uri)).success();
    let migrations = test.database.collection::<Document>("migrations");
    let state = test.database.collection::<Document>("sync_state");
    state
        .insert_one(doc! { "_id": "source", "name": "test", "full_pass": DateTime::now() })
        .await
        .expect("MongoDB answers");

    let deleted = test.database.collection::<Document>("deleted_runs");
    let tombstone = doc! { "_id": "r1", "mirror": { "ticket": 1_i64, "changed_at": DateTime::from_millis(0), "fingerprint": "-" } };
    deleted
        .insert_one(tombstone)
        .await
        .expect("MongoDB answers");

    let checksum = migrations
        .find_one(doc! { "_id": 1 })
        .await
        .expect("MongoDB answers")
        .expect("MongoDB stores the record");
    for (change, word) in [
        ("changed", "changed since it was applied"),
        ("newer", "a newer runlineage has applied it"),
    ] {
        match change {
            "changed" => drop(
                migrations
                    .update_one(doc! { "_id": 1 }, doc! { "$set": { "checksum": "other" } })
                    .await
                    .expect("MongoDB answers"),
            ),
            _ => {
                migrations
                    .replace_one(doc! { "_id": 1 }, &checksum)
                    .await
                    .expect("MongoDB answers");
                migrations.insert_one(doc! { "_id": 9999, "name": "9999_later", "checksum": "x", "applied_at": DateTime::now() }).await.expect("MongoDB answers");
            }
        }
        for command in [
            vec!["migrate"],
            vec!["sync", "--tracking-uri", "http://127.0.0.1:9"],
            vec!["purge", "--deleted-before", "1s"],
        ] {
            let finished = run(&mut runlineage(
                [command.as_slice(), &["--mongodb-uri", &test.uri]].concat(),
            ));
            assert_eq!(finished.code, Some(1), "{change}: {}", finished.stderr);
            assert!(
                finished.stderr.contains(word),
                "{change}: {}",
                finished.stderr
            );
        }
        let kept = deleted.count_documents(doc! {}).await;
        assert_eq!(kept.ok(), Some(1), "{change}");
        run(&mut runlineage(["find", "--mongodb-uri", &test.uri])).success();
        let status = run(&mut runlineage([
            "migrate",
            "--status",
            "--mongodb-uri",
            &test.uri,
        ]))
        .success();
        assert_eq!(
            status.contains("by a newer runlineage"),
            change == "newer",
            "{status}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_collection_runs_is_not_touched() {
    let test = TestDatabase::new().await;
    let runs = test.database.collection::<Document>("runs");
    runs.insert_one(doc! { "_id": 1, "km": 42 })
        .await
        .expect("MongoDB answers");
    let finished = run(&mut migrate(&test.uri));
    assert_eq!(finished.code, Some(1));
    assert!(
        finished.stderr.contains("that this program did not make"),
        "{}",
        finished.stderr
    );
    let left: Vec<Document> = runs
        .find(doc! {})
        .await
        .expect("MongoDB answers")
        .try_collect()
        .await
        .expect("MongoDB answers");
    assert_eq!(left, [doc! { "_id": 1, "km": 42 }]);
    // Readers report the foreign document and print no wrong answer.
    let find = run(&mut runlineage(["find", "--mongodb-uri", &test.uri]));
    assert_eq!(find.code, Some(1), "{}", find.stdout);
    assert!(
        find.stderr.contains("not a string") && !find.stderr.contains("panicked"),
        "{}",
        find.stderr
    );
}

/// A server with authentication, and one user for each role on the database `mirror`.
async fn server_with_users() -> (Mongod, KeptFolder) {
    let folder = KeptFolder::new();
    let server = Mongod::start(folder.path(), &["--auth"]).expect("mongod starts");
    let client = Client::with_uri_str(format!("mongodb://127.0.0.1:{}", server.port))
        .await
        .expect("the URI is valid");
    let root = doc! { "createUser": "root", "pwd": "pw", "roles": ["root"] };
    client
        .database("admin")
        .run_command(root)
        .await
        .expect("the first user may be made by anybody");
    let uri = format!(
        "mongodb://root:pw@127.0.0.1:{}/mirror?authSource=admin",
        server.port
    );
    let client = Client::with_uri_str(uri).await.expect("the URI is valid");
    for role in ["read", "readWrite"] {
        let user = doc! { "createUser": role, "pwd": "pw-canary", "roles": [{ "role": role, "db": "mirror" }] };
        client
            .database("mirror")
            .run_command(user)
            .await
            .expect("root makes users");
    }
    (server, folder)
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_need_read_and_writers_need_read_write() {
    let tracking = mlflow::shared();
    let rest = Rest::new(tracking);
    let (experiment, exp) = rest.experiment("roles").await;
    let run_id = rest
        .run(&exp, &[("lineage.inputs.models.churn", r#"["2"]"#)])
        .await;
    let (server, _folder) = server_with_users().await;
    let as_user = |role: &str, args: &[&str]| {
        let uri = format!(
            "mongodb://{role}:pw-canary@127.0.0.1:{}/mirror",
            server.port
        );
        let tracking = tracking.uri();
        let finished = run(&mut runlineage(
            [args, &["--mongodb-uri", &uri, "--tracking-uri", &tracking]].concat(),
        ));
        assert!(
            !finished.stderr.contains("canary") && !finished.stderr.contains("panicked"),
            "{}",
            finished.stderr
        );
        finished
    };
    let pending = as_user("read", &["migrate", "--status"]).success();
    assert!(
        pending.contains("0001_runs") && pending.contains("pending"),
        "{pending}"
    );
    let empty = as_user("read", &["find"]);
    assert_eq!(
        empty.code,
        Some(1),
        "a database without a pass answers nothing"
    );
    assert!(
        empty.stderr.contains("mirrors nothing yet"),
        "{}",
        empty.stderr
    );

    as_user("readWrite", &["migrate"]).success();
    as_user("readWrite", &["sync", "--exp", &experiment]).success();
    as_user(
        "readWrite",
        &["register", &run_id, "--output-model", "report:1"],
    )
    .success();
    as_user("readWrite", &["sync"]).success();
    for args in [
        &[
            "find",
            "--input-model",
            "churn:2",
            "--output-model",
            "report:1",
            "--format",
            "csv",
        ][..],
        &["show", &run_id],
    ] {
        let stdout = as_user("read", args).success();
        assert!(stdout.contains(&run_id), "{stdout}");
    }
    for args in [
        &["sync"][..],
        &["register", &run_id, "--output-model", "report:2"],
    ] {
        let refused = as_user("read", args);
        assert_eq!(refused.code, Some(1), "{}", refused.stderr);
        assert!(
            refused.stderr.contains("lacks a privilege"),
            "{}",
            refused.stderr
        );
    }
    let tags = rest.tags(&run_id).await;
    assert_eq!(
        tags["lineage.outputs.models.report"], r#"["1"]"#,
        "nothing was half-registered"
    );

    let root = format!(
        "mongodb://root:pw@127.0.0.1:{}/mirror?authSource=admin",
        server.port
    );
    let store = MongoRunStore::connect(&root)
        .await
        .expect("root may do all");
    store
        .database()
        .collection::<Document>("migrations")
        .drop()
        .await
        .expect("MongoDB answers");
    let searched = as_user("read", &["find", "--input-model", "churn"]);
    assert!(
        searched.stderr.contains("4 migrations are pending"),
        "{}",
        searched.stderr
    );
    searched.success();
}
