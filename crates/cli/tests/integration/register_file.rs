//! `register --from`: valid lines, and bad lines that do not stop the others.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};

use runlineage::{Lineage, MongoRunStore, Query};
use serde_json::json;

use crate::support::failing::{UNKNOWN, fails};
use crate::support::keeper::KeptFolder;
use crate::support::mirror::{ids, set};
use crate::support::mlflow;
use crate::support::mongodb::TestDatabase;
use crate::support::program::{Finished, run, runlineage};
use crate::support::proxy::{Answer, Proxy};
use crate::support::rest::Rest;

/// Runs of a real MLflow, and a database to mirror them.
struct Scene {
    runs: Vec<String>,
    test: TestDatabase,
    folder: KeptFolder,
}

impl Scene {
    async fn new(count: usize) -> Self {
        let rest = Rest::new(mlflow::shared());
        let (_, exp) = rest.experiment("file").await;
        let mut runs = Vec::new();
        for _ in 0..count {
            runs.push(rest.run(&exp, &[]).await);
        }
        Self {
            runs,
            test: TestDatabase::new().await,
            folder: KeptFolder::new(),
        }
    }

    fn file(&self, lines: &[Vec<u8>]) -> PathBuf {
        let file = self.folder.path().join("lineage.ndjson");
        std::fs::write(&file, lines.join(&b'\n')).expect("the folder can be written");
        file
    }

    fn register(&self, lines: &[Vec<u8>]) -> Finished {
        let (file, tracking) = (self.file(lines), mlflow::shared().uri());
        let mut command = runlineage(["register", "--mongodb-uri", &self.test.uri]);
        run(command
            .args(["--tracking-uri", &tracking, "--from"])
            .arg(file))
    }

    async fn lineage(&self, run: usize) -> Lineage {
        let store = MongoRunStore::from_database(self.test.database.clone());
        let run = store.get_run(&self.runs[run]).await;
        let run = run.expect("MongoDB answers").expect("it is mirrored");
        run.lineage().expect("its lineage can be read")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_may_be_a_number_and_the_first_line_may_begin_with_a_byte_order_mark() {
    let scene = Scene::new(2).await;
    let line = |run: usize, models: &str| {
        let run = &scene.runs[run];
        format!(r#"{{"_id": "{run}", "inputs": {{"models": [{models}]}}}}"#)
    };
    let first = "\u{feff}".to_owned() + &line(0, r#"{"name": "churn", "version": 3}"#);
    let second = line(
        1,
        r#"{"name": "churn", "version": 1.10}, {"name": "geo", "version": null}, {"name": "it", "version": "\u0031"}"#,
    );
    let finished = scene.register(&[first.into(), second.into()]);
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    let expected = Lineage::new().with_input_model("churn", "3");
    assert_eq!(scene.lineage(0).await, expected);
    let expected = Lineage::new()
        .with_input_model("churn", "1.10")
        .with_input_model("geo", None)
        .with_input_model("it", "1");
    assert_eq!(scene.lineage(1).await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_without_valid_lineage_is_refused_and_the_others_are_registered() {
    let scene = Scene::new(2).await;
    let [first, last] = [&scene.runs[0], &scene.runs[1]];
    let model = json!([{ "name": "churn", "version": "3", "from": "tag" }]);
    let bad = [
        // A misspelt field, and no lineage at all.
        json!({ "_id": first, "input": { "models": model } }).to_string(),
        json!({ "_id": first }).to_string(),
        json!({ "_id": first, "inputs": { "models": [] } }).to_string(),
        // Only half of the line would be registered.
        json!({ "_id": first, "inputs": { "model": model, "models": model } }).to_string(),
        json!({ "_id": first, "inputs": { "models": [{ "name": "churn", "versoin": "4" }] } })
            .to_string(),
        json!({ "_id": first, "inputs": { "models": [{ "name": "churn", "version": ["4"] }] } })
            .to_string(),
        json!({ "_id": first, "inputs": { "runs": [{ "id": "s3://bucket/x" }] } }).to_string(),
    ];
    let mut lines: Vec<Vec<u8>> = bad.iter().map(|line| line.clone().into()).collect();
    lines.push(b"{\"_id\": \"gr\xfc\xdfe\"}".into());
    let good = json!({ "_id": last, "name": "train", "tags": {}, "inputs": { "models": model, "runs": [] } });
    lines.push(good.to_string().into());
    let finished = scene.register(&lines);
    assert_eq!(finished.code, Some(1), "{}", finished.stderr);
    for line in 1..=8 {
        let expected = format!("line {line}: ");
        assert!(finished.stderr.contains(&expected), "{}", finished.stderr);
    }
    for expected in [
        "1 run registered, 8 lines failed.",
        "no lineage",
        "UTF-8",
        "versoin",
    ] {
        assert!(
            finished.stderr.contains(expected),
            "no {expected:?} in {}",
            finished.stderr
        );
    }
    assert_eq!(scene.lineage(1).await.inputs.models()["churn"], set(["3"]));
    let store = MongoRunStore::from_database(scene.test.database.clone());
    let refused = store.get_run(first).await.expect("MongoDB answers");
    assert!(refused.is_none(), "{refused:?}");
}

#[test]
fn a_file_and_lineage_by_flags_exclude_each_other() {
    for (flag, value) in [
        ("--input-model", "churn:3"),
        ("--output-model", "churn:3"),
        ("--input-artifact", "77ab/x"),
        ("--output-artifact", "77ab/x"),
    ] {
        let finished = run(&mut runlineage(["register", "--from", "-", flag, value]));
        assert_eq!(finished.code, Some(2), "{finished:?}");
        assert!(finished.stderr.contains("--from"), "{finished:?}");
        assert!(finished.stderr.contains(flag), "{finished:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_ends_the_file_and_the_next_call_resumes_at_the_named_line() {
    let scene = Scene::new(40).await;
    let proxy = Proxy::before(&mlflow::shared().uri());
    let set = AtomicUsize::new(0);
    proxy.on(move |request| {
        let is_set = request.call == "runs/log-batch";
        if set.fetch_add(usize::from(is_set), Ordering::SeqCst) >= 12 {
            return Answer::Reset(0.0);
        }
        Answer::Pass
    });
    let line = |run: &String| {
        json!({ "_id": run, "inputs": { "models": [{ "name": "churn", "version": "1" }] } })
            .to_string()
            .into_bytes()
    };
    let file = scene.file(&scene.runs.iter().map(line).collect::<Vec<_>>());
    let register = |uri: &str, more: &[&str]| {
        let mut command = runlineage(["register", "--mongodb-uri", &scene.test.uri]);
        command.env("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0");
        run(command
            .args(["--source", "lab", "--tracking-uri", uri, "--from"])
            .arg(&file)
            .args(more))
    };
    let began = std::time::Instant::now();
    let ended = register(&proxy.uri(), &[]);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(
        began.elapsed().as_secs() < 60,
        "the command tried every line"
    );
    let from = ended.stderr.split("--from-line ").nth(1);
    let from = from.unwrap_or_else(|| panic!("the error names no line: {}", ended.stderr));
    let from: usize = from.split('`').next().unwrap().parse().unwrap();
    assert!((2..30).contains(&from), "{}", ended.stderr);
    for before in 0..from - 1 {
        assert!(scene.lineage(before).await.inputs.models()["churn"].contains("1"));
    }
    register(&mlflow::shared().uri(), &["--from-line", &from.to_string()]).success();
    for all in 0..scene.runs.len() {
        assert!(scene.lineage(all).await.inputs.models()["churn"].contains("1"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endless_line_is_bounded_and_fails_alone() {
    let scene = Scene::new(1).await;
    let good = json!({ "_id": scene.runs[0], "outputs": { "models": [{ "name": "geo" }] } });
    let ended = scene.register(&[vec![b'x'; 40 << 20], good.to_string().into_bytes()]);
    assert_eq!(ended.code, Some(1));
    assert!(
        ended
            .stderr
            .contains("line 1: the line is longer than 32 MiB"),
        "{}",
        ended.stderr
    );
    assert!(
        ended.stderr.contains("1 run registered, 1 line failed"),
        "{}",
        ended.stderr
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_lines_are_reported_and_the_others_registered() {
    let server = mlflow::shared();
    let rest = Rest::new(server);
    let (_, exp) = rest.experiment("lines").await;
    let (first, last) = (rest.run(&exp, &[]).await, rest.run(&exp, &[]).await);
    let test = TestDatabase::new().await;
    let line = |run: &str, model: serde_json::Value| {
        json!({ "_id": run, "inputs": { "models": [model] } }).to_string()
    };
    let lines = [
        line(
            &first,
            json!({ "name": "churn", "version": "1", "from": "tag" }),
        ),
        "no JSON".to_owned(),
        line(UNKNOWN, json!({ "name": "churn" })),
        line("a b", json!({ "name": "churn" })),
        String::new(),
        line(&last, json!({ "name": "" })),
        "[]".to_owned(),
        json!({ "_id": last, "outputs": { "runs": [{ "id": last, "path": "/plots/roc.png" }] } })
            .to_string(),
    ];
    let folder = KeptFolder::new();
    let file = folder.path().join("lineage.ndjson");
    std::fs::write(&file, lines.join("\n")).expect("the folder can be written");
    let (tracking, path) = (server.uri(), file.to_string_lossy());
    let connection = ["--mongodb-uri", &test.uri, "--tracking-uri", &tracking];
    let finished = run(&mut runlineage(
        [&["register", "--from", &path][..], &connection].concat(),
    ));
    assert_eq!(finished.code, Some(1), "{}", finished.stderr);
    for expected in [
        "line 2: ",
        "line 3: ",
        "line 4: ",
        "line 6: ",
        "line 7: ",
        "2 runs registered, 5 lines failed.",
    ] {
        assert!(
            finished.stderr.contains(expected),
            "no {expected:?} in {}",
            finished.stderr
        );
    }
    let store = MongoRunStore::from_database(test.database.clone());
    let query = Query::new().with_input_model("churn", "1");
    assert_eq!(ids(&store, query).await, set([&first]));
    let query = Query::new().with_output_artifact(&last, "plots/roc.png");
    assert_eq!(ids(&store, query).await, set([&last]));

    // From stdin, and from a file that does not exist.
    let mut child = runlineage([&["register", "--from", "-"][..], &connection].concat())
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut stdin = child.stdin.take().expect("stdin is piped");
    stdin
        .write_all(line(&last, json!({ "name": "fraud", "version": "7" })).as_bytes())
        .expect("the program reads its input");
    drop(stdin);
    let output = child.wait_with_output().expect("the program ends");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(
        ids(&store, Query::new().with_input_model("fraud", "7")).await,
        set([&last])
    );
    fails(
        [
            &["register", "--from", "/nowhere/lineage.ndjson"][..],
            &connection,
        ]
        .concat(),
        1,
        &["/nowhere/lineage.ndjson"],
    );
}
