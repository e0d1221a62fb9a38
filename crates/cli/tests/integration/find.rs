//! The command `find`, as a user runs it.

use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;
use std::time::Duration;

use mongodb::bson::{Bson, DateTime, Document, doc};
use runlineage::MongoRunStore;
use serde_json::{Value, json};

use crate::support::mlflow;
use crate::support::mlopus::mlopus;
use crate::support::mongodb::TestDatabase;
use crate::support::mongosh::mongosh_expression;
use crate::support::program::{Finished, run, runlineage};
use crate::support::unique;

fn document(n: i64) -> Document {
    doc! {
        "_id": format!("run{n:03}"),
        "name": format!("train-{n}"),
        "exp": { "id": (n % 3).to_string(), "name": "churn" },
        "status": if n % 2 == 0 { "FINISHED" } else { "FAILED" },
        "start_time": DateTime::from_millis(1_700_000_000_000 + n),
        "inputs": { "models": [{ "name": "churn", "version": (n % 4).to_string(), "from": "tag" }], "runs": [{ "id": "r", "path": "data/x", "from": "tag" }] },
        "outputs": { "models": [], "runs": [] },
        "tags": { "team": "risk", "mlflow": { "parentRunId": "run000" } },
        "params": { "lr": 0.1, "optimizer": "adam" },
        "metrics": { "auc": 0.01 * n as f64, "nan": f64::NAN },
        "mirror": { "ticket": 1_i64, "changed_at": DateTime::from_millis(0), "fingerprint": "-" },
    }
}

async fn mirror_of(count: i64) -> TestDatabase {
    let test = TestDatabase::new().await;
    let store = MongoRunStore::from_database(test.database.clone());
    store.migrate().await.expect("a new database is migrated");
    let state = test.database.collection::<Document>("sync_state");
    let source = doc! { "_id": "source", "name": "http://mlflow.example:5000/base", "full_pass": DateTime::now() };
    state.insert_one(source).await.expect("it is stored");
    let runs = test.database.collection("runs");
    runs.insert_many((0..count).map(document))
        .await
        .expect("they are stored");
    test
}

fn find(test: &TestDatabase, args: &[&str]) -> Finished {
    let common = ["find", "--mongodb-uri", &test.uri];
    run(&mut runlineage(common.iter().chain(args)))
}

fn lines(out: &str) -> Vec<Value> {
    out.lines()
        .map(|line| serde_json::from_str(line).expect("a line is JSON"))
        .collect()
}

#[tokio::test]
async fn flags_narrow_the_search_together() {
    let test = mirror_of(100).await;
    for (args, count) in [
        (vec!["--input-model", "churn:3"], 25),
        (
            vec![
                "--input-model",
                "models:/churn/3",
                "--status",
                "failed",
                "--exp",
                "1",
            ],
            8,
        ),
        (vec!["--exp", "0", "--exp", "1"], 67),
        (vec!["--input-path", "data/"], 100),
        (vec!["--input-path", "dat/"], 0),
        (
            vec![
                "--tag",
                "team=risk",
                "--param",
                "lr=0.1",
                "--parent",
                "run000",
            ],
            100,
        ),
        (vec!["--param", "lr=0.10"], 0),
        (
            vec!["--where", "metrics.auc >= 0.5 and not status = 'FAILED'"],
            25,
        ),
        (
            vec!["--exp", "1", "--where", r#"{"metrics.auc": {"$gte": 0.5}}"#],
            16,
        ),
        (vec!["--since", "2023-11-14T22:13:20.090Z"], 10),
    ] {
        let counted = find(&test, &[&args[..], &["--count"]].concat()).success();
        assert_eq!(counted.trim(), count.to_string(), "{args:?}");
        let listed = find(&test, &[&args[..], &["--format", "ndjson"]].concat()).success();
        assert_eq!(listed.lines().count(), count, "{args:?}");
    }
}

#[tokio::test]
async fn a_line_of_ndjson_is_the_document_and_the_link_where_it_is_asked_for() {
    let test = mirror_of(3).await;
    let listed = find(
        &test,
        &["--where", "run_id = 'run002'", "--format", "ndjson"],
    )
    .success();
    assert_eq!(
        lines(&listed),
        [Bson::Document(document(2)).into_relaxed_extjson()]
    );
    assert!(
        listed.starts_with(r#"{"_id":"run002","name":"train-2","exp":{"id":"2","#),
        "{listed}"
    );

    for (args, base) in [
        (vec!["--ui-url"], "http://mlflow.example:5000/base"),
        (vec!["--ui-url", "https://ui/"], "https://ui"),
    ] {
        let listed = find(
            &test,
            &[
                &["--where", "run_id = 'run002'", "--format", "json"],
                &args[..],
            ]
            .concat(),
        )
        .success();
        let listed: Value = serde_json::from_str(&listed).expect("it is JSON");
        assert_eq!(
            listed[0]["url"],
            json!(format!("{base}/#/experiments/2/runs/run002"))
        );
        let rows = find(
            &test,
            &[
                &[
                    "--where",
                    "run_id = 'run002'",
                    "--format",
                    "csv",
                    "--columns",
                    "_id",
                ],
                &args[..],
            ]
            .concat(),
        )
        .success();
        assert_eq!(
            rows,
            format!("_id,url\nrun002,{base}/#/experiments/2/runs/run002\n")
        );
    }
}

#[tokio::test]
async fn a_limit_that_is_reached_is_said() {
    let test = mirror_of(150).await;
    let table = find(&test, &[]);
    assert!(table.stderr.contains("100 of 150 runs"), "{}", table.stderr);
    let exact = find(&test, &["--limit", "150"]);
    assert!(!exact.stderr.contains("of 150"), "{}", exact.stderr);
    let ndjson = find(&test, &["--limit", "7", "--format", "ndjson"]);
    assert_eq!((ndjson.code, ndjson.stdout.lines().count()), (Some(0), 7));
    assert!(ndjson.stderr.contains("7 of 150 runs"), "{}", ndjson.stderr);
    assert_eq!(
        find(&test, &["--limit", "0"]).stdout.lines().count(),
        find(&test, &["--limit", "150"]).stdout.lines().count()
    );
}

#[tokio::test]
async fn a_search_that_no_index_serves_is_said_and_bounded() {
    let test = mirror_of(50).await;
    let unserved = "No index serves this search";
    for where_ in [
        "metrics.auc > 0.2",
        "inputs exists",
        "not metrics.auc = 0.5",
        "status = 'FAILED' or metrics.auc > 0.2",
    ] {
        let found = find(&test, &["--where", where_, "--max-time", "7"]);
        assert!(
            found.stderr.contains(unserved) && found.stderr.contains("7 s"),
            "{where_}: {}",
            found.stderr
        );
    }
    for where_ in [
        "metrics.auc > 0.2 and exp.id = '1'",
        "input.path under 'data'",
        "exp = 'churn'",
    ] {
        let found = find(&test, &["--where", where_]);
        assert!(
            !found.stderr.contains(unserved),
            "{where_}: {}",
            found.stderr
        );
    }
}

#[tokio::test]
async fn facets_are_counted_by_the_database() {
    let test = mirror_of(90).await;
    let counted = find(
        &test,
        &[
            "--facet",
            "exp",
            "--format",
            "ndjson",
            "--input-model",
            "churn",
        ],
    )
    .success();
    let expected = |id: &str| json!({ "value": { "id": id, "name": "churn" }, "runs": 30 });
    assert_eq!(
        lines(&counted),
        [expected("0"), expected("1"), expected("2")]
    );
    let counted = find(
        &test,
        &["--facet", "input-model", "--format", "csv", "--limit", "1"],
    )
    .success();
    assert_eq!(counted, "runs,name,version\n23,churn,0\n");
    let explained = find(&test, &["--input-model", "churn:3", "--explain"]).success();
    assert!(explained.contains("input_models"), "{explained}");
}

#[test]
fn an_error_in_a_condition_points_at_the_column() {
    let ended = run(&mut runlineage([
        "find",
        "--where",
        "input.model = 'churn:3' and metrics.auc > > 0.9",
    ]));
    assert_eq!(ended.code, Some(2));
    assert_eq!(
        ended.stderr,
        "error: --where: column 43: expected a text in quotes or a number, not `>`\n  input.model = 'churn:3' and metrics.auc > > 0.9\n                                            ^\n"
    );
    let ended = run(&mut runlineage([
        "find",
        "--where",
        "exp = 'a' and statu = 'b'",
    ]));
    assert!(
        ended
            .stderr
            .contains("column 15: there is no field `statu`"),
        "{}",
        ended.stderr
    );
    let ended = run(&mut runlineage([
        "find",
        "--where",
        "name = 'it''s' or name = 'open",
    ]));
    assert!(
        ended.stderr.contains("column 26: this quote is not closed"),
        "{}",
        ended.stderr
    );
}

#[test]
fn whatever_is_wrong_in_a_condition_is_shown_where_it_stands() {
    for (condition, place) in [
        ("exp = 'a' and start_time exists", "column 26: a time takes"),
        (
            "exp = 'a' and inputs in ('x')",
            "column 22: `inputs`, `outputs` and `problems` take only",
        ),
        ("   statu = 'b'", "column 4: there is no field"),
        (
            "input.model = 'models:/churn@champion'",
            "column 15: models:/churn@champion is resolved by --input-model",
        ),
        (
            "exp = 'a' and params.x = 12345678901234567890",
            "column 26: 12345678901234567890 is beyond 64 bits",
        ),
        (
            "name like 'a%b%'",
            "column 11: `like` searches for a prefix",
        ),
    ] {
        let ended = run(&mut runlineage(["find", "--where", condition]));
        assert_eq!(ended.code, Some(2), "{condition}");
        assert!(
            ended.stderr.contains(place),
            "{condition}: {}",
            ended.stderr
        );
    }
}

#[test]
fn a_model_is_written_the_same_in_a_condition_as_in_a_flag() {
    for model in [
        "churn",
        "churn:3",
        "a:b:",
        "models:/churn",
        "models:/churn/3",
        "models:/a:b",
    ] {
        let rendered = |args: [&str; 2]| {
            run(&mut runlineage(["find", args[0], args[1], "--render"])).success()
        };
        assert_eq!(
            rendered(["--where", &format!("input.model = '{model}'")]),
            rendered(["--input-model", model]),
            "{model}"
        );
    }
    // MLflow has no such model, and a logged model is none of its registry.
    for model in [
        "models:/a/b/3",
        "models:/m-0123456789abcdef0123456789abcdef",
    ] {
        for args in [
            ["--input-model", model],
            ["--where", &format!("input.model = '{model}'")],
        ] {
            let ended = run(&mut runlineage(["find", args[0], args[1], "--render"]));
            assert_eq!(ended.code, Some(2), "{args:?}: {}", ended.stdout);
        }
    }
}

#[tokio::test]
async fn runs_come_page_by_page() {
    let test = mirror_of(50).await;
    let all = find(&test, &["--sort=-start_time", "--format", "ndjson"]).success();
    let all: Vec<&str> = all.lines().collect();
    let rest = find(
        &test,
        &["--sort=-start_time", "--skip", "48", "--format", "ndjson"],
    )
    .success();
    assert_eq!(rest.lines().collect::<Vec<_>>(), all[48..]);
    let mut paged: Vec<String> = Vec::new();
    while paged.len() < 50 {
        let last: Option<Value> = paged
            .last()
            .map(|line| serde_json::from_str(line).expect("a line is JSON"));
        let last = last.map(|last| last["_id"].as_str().expect("an id").to_owned());
        // Before every run, the newest comes first.
        let after: Vec<&str> = last.iter().flat_map(|last| ["--after", last]).collect();
        let first = ["--sort=-start_time", "--sort=-_id"];
        let order = if after.is_empty() { &first[..] } else { &[] };
        let args = [&["--limit", "20", "--format", "ndjson"], &after[..], order].concat();
        let page = find(&test, &args).success();
        assert!(!page.is_empty(), "only {} runs", paged.len());
        paged.extend(page.lines().map(str::to_owned));
    }
    assert_eq!(paged, all);
    let unknown = find(&test, &["--after", "nobody"]);
    assert_eq!(unknown.code, Some(2));
    assert!(
        unknown.stderr.contains("the mirror holds no run nobody"),
        "{}",
        unknown.stderr
    );
    let versions = find(
        &test,
        &["--distinct", "inputs.models.version", "--exp", "1"],
    )
    .success();
    assert_eq!(versions, "\"0\"\n\"1\"\n\"2\"\n\"3\"\n");
}

#[tokio::test]
async fn what_javascript_would_change_is_rendered_so_that_mongosh_asks_the_same() {
    let test = mirror_of(3).await;
    let mut odd = document(7);
    let mut moved = Document::new();
    moved.insert("b", 1);
    moved.insert("0", 2);
    moved.insert("__proto__", doc! { "x": 1 });
    odd.insert("params", doc! { "m": [moved] });
    test.database
        .collection("runs")
        .insert_one(odd)
        .await
        .expect("it is stored");
    for (condition, found) in [
        (
            r#"params.m = '[{"b": 1, "0": 2, "__proto__": {"x": 1}}]'"#,
            1,
        ),
        ("start_time >= -99999999999999", 4),
        ("start_time >= 253402300800000", 0),
        ("start_time < 253402300800000", 4),
        ("start_time >= '0001-01-01T00:00:00Z'", 4),
    ] {
        assert_eq!(
            find(&test, &["--where", condition, "--count"])
                .success()
                .trim(),
            found.to_string(),
            "{condition}"
        );
        let rendered = find(&test, &["--where", condition, "--render"]).success();
        let counted = mongosh_expression(&test.uri, &format!("db.runs.countDocuments({rendered})"));
        assert_eq!(counted, json!(found), "{rendered}");
    }
}

#[test]
fn an_alias_is_resolved_by_mlflow() {
    let server = mlflow::shared();
    let name = unique("alias");
    mlopus(
        server,
        json!({ "name": name }),
        r"
import mlflow
client = mlflow.MlflowClient()
client.create_registered_model(input['name'])
client.create_model_version(input['name'], source='s3://bucket/x')
client.create_model_version(input['name'], source='s3://bucket/y')
client.set_registered_model_alias(input['name'], 'champion', '2')
",
    );
    let model = format!("models:/{name}@champion");
    let rendered = run(&mut runlineage([
        "find",
        "--input-model",
        &model,
        "--render",
        "--tracking-uri",
        &server.uri(),
    ]));
    assert!(
        rendered.stderr.contains("is version 2 now"),
        "{}",
        rendered.stderr
    );
    let rendered = rendered.success();
    assert!(
        rendered.contains(&name) && rendered.contains(r#""version": "2""#),
        "{rendered}"
    );
    let unknown = format!("models:/{name}@nobody");
    let failed = run(&mut runlineage([
        "find",
        "--input-model",
        &unknown,
        "--render",
        "--tracking-uri",
        &server.uri(),
    ]));
    assert_eq!(failed.code, Some(1));
    let nowhere = run(&mut runlineage([
        "find",
        "--input-model",
        &model,
        "--render",
    ]));
    assert_eq!(nowhere.code, Some(2), "{}", nowhere.stderr);
}

#[tokio::test]
async fn a_field_that_a_run_lacks_is_unequal_to_nothing() {
    let test = mirror_of(10).await;
    for (condition, count) in [
        ("user != 'ana'", 0),
        ("user not in ('ana', 'bob')", 0),
        ("not user = 'ana'", 10),
        ("user missing", 10),
        ("user exists", 0),
        ("name != 'train-1'", 9),
        ("parent is not null and parent != 'run001'", 10),
        ("parent != 'run000'", 0),
        ("status != 'FAILED'", 5),
    ] {
        let counted = find(&test, &["--where", condition, "--count"]).success();
        assert_eq!(counted.trim(), count.to_string(), "{condition}");
    }
}

#[tokio::test]
async fn json_holds_the_columns_that_are_asked_for() {
    let test = mirror_of(3).await;
    let columns = ["--columns", "name,params.lr,exp.name,tags.nothing"];
    let found = find(&test, &[&columns[..], &["--format", "ndjson"]].concat()).success();
    let found = lines(&found);
    assert_eq!(found.len(), 3);
    let mut first = found[0].clone();
    let first = first.as_object_mut().expect("a document");
    first.remove("start_time").expect("it comes along");
    let number = first["_id"]
        .as_str()
        .and_then(|id| id.strip_prefix("run00"));
    let name = format!("train-{}", number.expect("a short id"));
    let id = first["_id"].clone();
    assert_eq!(
        Value::from(first.clone()),
        json!({ "_id": id, "name": name, "exp": { "name": "churn" }, "params": { "lr": 0.1 }, "tags": {} })
    );
    let linked = ["--columns", "exp.name", "--ui-url", "--format", "json"];
    let linked: Value = serde_json::from_str(&find(&test, &linked).success()).expect("JSON");
    assert_eq!(linked[0]["exp"]["name"], "churn");
    assert!(
        linked[0]["url"]
            .as_str()
            .is_some_and(|url| url.contains("/runs/run")),
        "{linked}"
    );
}

#[test]
fn what_would_be_ignored_or_is_no_field_is_refused() {
    let list = format!("name in ({})", vec!["'x'"; 1_001].join(","));
    for (args, said) in [
        (vec!["--count", "--limit", "5"], "cannot be used with"),
        (vec!["--count", "--skip", "5"], "cannot be used with"),
        (
            vec!["--facet", "exp", "--after", "run000"],
            "cannot be used with",
        ),
        (
            vec!["--distinct", "user", "--limit", "5"],
            "cannot be used with",
        ),
        (vec!["--distinct", "$where"], "has no field `$where`"),
        (vec!["--columns", "name,"], "has no field ``"),
        (
            vec!["--skip", "18446744073709551615"],
            "18446744073709551615 is not in",
        ),
        (vec!["--where", &list], "a list holds 1000 values at most"),
        (
            vec!["--where", "start_time > 9223372036854775807"],
            "column 14: the time is out of range",
        ),
    ] {
        let ended = run(&mut runlineage(["find"].iter().chain(&args)));
        assert_eq!(ended.code, Some(2), "{args:?}: {ended:?}");
        assert!(ended.stderr.contains(said), "{args:?}: {}", ended.stderr);
    }
}

#[tokio::test]
async fn a_reader_that_pauses_gets_all_runs() {
    let test = mirror_of(1).await;
    let runs = test.database.collection::<Document>("runs");
    for first in (1..15_000).step_by(1_000) {
        let wide = (first..first + 1_000).map(|n| {
            let mut run = document(n);
            run.insert("repo", "x".repeat(8_000));
            run
        });
        runs.insert_many(wide).await.expect("they are stored");
    }
    let read = |format: &str| {
        let mut find = runlineage([
            "find",
            "--mongodb-uri",
            &test.uri,
            "--limit",
            "0",
            "--format",
            format,
        ]);
        find.args(["--columns", "_id,repo"]);
        let mut find = find
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        std::thread::spawn(move || {
            let mut out = find.stdout.take().expect("it is piped");
            let mut first = vec![0; 10_000];
            out.read_exact(&mut first).expect("some runs");
            // Longer than the driver waits for a server that does not answer it.
            std::thread::sleep(Duration::from_secs(25));
            let rest = BufReader::new(out).lines().count();
            let ended = find.wait_with_output().expect("it ends");
            (rest, ended)
        })
    };
    for reader in ["ndjson", "json", "csv"].map(read) {
        let (rest, ended) = reader.join().expect("it read");
        let said = String::from_utf8_lossy(&ended.stderr);
        assert!(
            ended.status.success() && rest > 14_990,
            "{rest} lines: {said}"
        );
    }
}
