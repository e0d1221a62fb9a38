//! `diff` over runs that are stored by hand.

use mongodb::bson::{DateTime, Document, doc};
use serde_json::Value;

use crate::support::failing::{UNKNOWN, check, fails};
use crate::support::mongodb::TestDatabase;
use crate::support::program::{Finished, run, runlineage};
use crate::support::stored::mirror_of;
use crate::support::terminal::on_terminal;

const TRAINED: &str = "\
model:churn:7 (A) and model:churn:8 (B) differ: 1 first point of divergence, 1 pair following

First points of divergence

prepare-may → prepare-june, 1 level up, by the artifact data/train.csv
  A  run:prep-a  FINISHED  2023-11-14T22:13:20Z
  B  run:prep-b  FINISHED  2023-11-14T22:13:20Z
     param    month              may → june
     dataset  clicks (training)  1111 → 2222

What follows from these

train, the start
  A  run:train-a  FINISHED  2023-11-14T22:13:20Z
  B  run:train-b  FINISHED  2023-11-14T22:13:20Z
     artifact    data/train.csv  run prep-a → run prep-b; produced by prepare-may → prepare-june (first point of divergence)
  It also differs by itself:
     git commit                  0123456789 → fedcba9876
     param       depth           only in B: 3
     param       rate            low → high
";

const ROWS: &str = "\
depth,state,run_a,run_b,what,name,a,b,remark
0,follows,run:train-a,run:train-b,git commit,,0123456789abcdef,fedcba9876543210,
0,follows,run:train-a,run:train-b,param,depth,,3,
0,follows,run:train-a,run:train-b,param,rate,low,high,
0,follows,run:train-a,run:train-b,input,artifact data/train.csv,artifact:prep-a/data/train.csv,artifact:prep-b/data/train.csv,produced by run:prep-a and run:prep-b
1,first,run:prep-a,run:prep-b,param,month,may,june,
1,first,run:prep-a,run:prep-b,input,dataset clicks (training),dataset:clicks@1111,dataset:clicks@2222,no_producer
";

const SCORED: &str = "\
run:score-a (A) and run:score-b (B) differ: 1 first point of divergence, 1 pair unknown, 1 pair equal

First points of divergence

score, the start
  A  run:score-a  FINISHED  2023-11-14T22:13:20Z
  B  run:score-b  FINISHED  2023-11-14T22:13:20Z
  A part of what lies upstream could not be compared.
     model     geo           1, 2 → 3; 2 against 1, so they are not compared further
     model     held          only in A: 5
     artifact  data/old.csv  run old-a → run old-b; produced by old-a → prepare-old (unknown)
     artifact  same.csv      run same-a → run same-b; produced by same (equal)

Unknown
  old-a → prepare-old, 1 level up, by the artifact data/old.csv: run:old-a not mirrored
";

fn stored(id: &str, name: &str, inputs: Document, more: Document) -> Document {
    let mut run = doc! {
        "_id": id,
        "name": name,
        "exp": { "id": "1", "name": "churn" },
        "status": "FINISHED",
        "start_time": DateTime::from_millis(1_700_000_000_000),
        "inputs": inputs,
    };
    run.extend(more);
    run
}

/// Two trainings of one pipeline, and two scorings with little in common.
pub(crate) async fn mirror() -> TestDatabase {
    let test = mirror_of(1).await;
    let mut runs = Vec::new();
    for (side, month, digest, rate, version, commit) in [
        ("a", "may", "1111", "low", "7", "0123456789abcdef"),
        ("b", "june", "2222", "high", "8", "fedcba9876543210"),
    ] {
        let clicks = doc! { "name": "clicks", "digest": digest, "context": "training" };
        let prepare = format!("prep-{side}");
        runs.push(stored(
            &prepare,
            &format!("prepare-{month}"),
            doc! { "datasets": [clicks] },
            doc! { "params": { "month": month } },
        ));
        let mut params = doc! { "rate": rate };
        if side == "b" {
            params.insert("depth", 3);
        }
        runs.push(stored(
            &format!("train-{side}"),
            "train",
            doc! { "runs": [{ "id": prepare, "path": "data/train.csv" }] },
            doc! {
                "outputs": { "models": [{ "name": "churn", "version": version }] },
                "params": params,
                "tags": { "mlflow": { "source": { "git": { "commit": commit } } } },
            },
        ));
        let geo: &[&str] = if side == "a" { &["1", "2"] } else { &["3"] };
        let mut models: Vec<Document> = geo
            .iter()
            .map(|version| doc! { "name": "geo", "version": *version })
            .collect();
        if side == "a" {
            models.push(doc! { "name": "held", "version": "5" });
        }
        let files = [
            doc! { "id": format!("old-{side}"), "path": "data/old.csv" },
            doc! { "id": format!("same-{side}"), "path": "same.csv" },
        ];
        let inputs = doc! { "runs": files.to_vec(), "models": models };
        runs.push(stored(&format!("score-{side}"), "score", inputs, doc! {}));
        runs.push(stored(&format!("same-{side}"), "same", doc! {}, doc! {}));
    }
    runs.push(stored("old-b", "prepare-old", doc! {}, doc! {}));
    insert(&test, "runs", runs).await;
    let aliases = vec![doc! { "alias": "champion", "version": "7" }];
    insert(
        &test,
        "models",
        vec![doc! { "_id": "churn", "aliases": aliases }],
    )
    .await;
    test
}

async fn insert(test: &TestDatabase, collection: &str, documents: Vec<Document>) {
    let collection = test.database.collection(collection);
    let insert = collection.insert_many(documents);
    let stored = insert.bypass_document_validation(true).await;
    stored.expect("they are stored");
}

fn diff(test: &TestDatabase, args: &[&str]) -> Finished {
    let connection = ["diff", "--mongodb-uri", &test.uri];
    run(&mut runlineage(connection.iter().chain(args)))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_text_begins_where_the_upstreams_diverge() {
    let test = mirror().await;
    let trained = diff(&test, &["model:churn:7", "model:churn:8"]);
    assert!(trained.stderr.contains("Mirror of "), "{}", trained.stderr);
    assert_eq!(trained.success(), TRAINED);
    assert_eq!(diff(&test, &["score-a", "run:score-b"]).success(), SCORED);
    // An alias is resolved in the mirror.
    let champion = diff(&test, &["models:/churn@champion", "model:churn:8"]);
    assert!(
        champion.stderr.contains("was version 7"),
        "{}",
        champion.stderr
    );
    assert_eq!(champion.success(), TRAINED);
}

#[tokio::test(flavor = "multi_thread")]
async fn csv_has_a_row_for_each_difference_and_each_pair_that_could_not_be_compared() {
    let test = mirror().await;
    let csv = |args: &[&str]| diff(&test, &[args, &["--format", "csv"]].concat()).success();
    assert_eq!(csv(&["model:churn:7", "model:churn:8"]), ROWS);
    let (header, _) = ROWS.split_once('\n').expect("a header");
    assert_eq!(csv(&["same-a", "same-b"]), format!("{header}\n"));
    let scored = csv(&["score-a", "score-b"]);
    let unknown = "1,unknown,run:old-a,run:old-b,not compared,,,,unmirrored\n";
    assert!(scored.ends_with(unknown), "{scored}");
    let several = "input,model geo,model:geo:1 model:geo:2,model:geo:3,several\n";
    assert!(scored.contains(several), "{scored}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_difference_the_text_is_one_line() {
    let test = mirror().await;
    for (args, line) in [
        (["score-a", "score-a"], "equal: both are run:score-a\n"),
        (
            ["same-a", "same-b"],
            "equal: nothing differs between run:same-a and run:same-b, in 1 pair of runs\n",
        ),
    ] {
        assert_eq!(diff(&test, &args).success(), line);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_is_told_in_every_format() {
    let test = mirror().await;
    for (flag, value) in [("--upstream", "0"), ("--max-pairs", "1")] {
        let of = |format: &str| {
            let args = ["train-a", "train-b", flag, value, "--format", format];
            let finished = diff(&test, &args);
            let said = format!("The diff stopped at the limit of {flag} and left out 1 pair");
            assert!(finished.stderr.contains(&said), "{}", finished.stderr);
            finished.success()
        };
        let text = of("table");
        let unknown = format!("by the artifact data/train.csv: beyond {flag}\n");
        assert!(text.ends_with(&unknown), "{text}");
        let json: Value = serde_json::from_str(&of("json")).expect("JSON");
        let reason = if flag == "--upstream" {
            "depth"
        } else {
            "pairs"
        };
        assert_eq!(json["pairs"][1]["unknown"], reason);
        for format in ["svg", "html"] {
            assert!(of(format).contains("A limit left out 1 pair of runs"));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_lays_the_upstreams_over_each_other_and_marks_every_node() {
    let test = mirror().await;
    let svg = diff(&test, &["score-a", "score-b", "--format", "svg"]).success();
    roxmltree::Document::parse(&svg).expect("XML");
    let marked = |id: &str, change: &str| {
        let node = svg.split("<g class=\"node ").find(|node| {
            let id = format!("data-id=\"{id}\"");
            node.contains(&id)
        });
        let node = node.unwrap_or_else(|| panic!("no {id} in {svg}"));
        // The words stand on the node: no reader has to tell colours apart.
        assert!(node.contains(&format!(">{change}</text>")), "{id}: {node}");
    };
    marked("run:score-a → run:score-b", "first difference");
    marked("run:old-a → run:old-b", "unknown");
    marked("run:same-a → run:same-b", "equal");
    marked(
        "artifact:same-a/same.csv → artifact:same-b/same.csv",
        "differs",
    );
    marked("model:held:5 (only in A)", "only in A");
    marked("model:geo:3 (only in B)", "only in B");
    let legend = svg.split("class=\"legend\"").nth(1).expect("a legend");
    for words in [
        "nothing upstream is known to differ",
        "B has no such input",
        "the same in A and B",
    ] {
        assert!(legend.contains(words), "{words}: {legend}");
    }

    let trained = diff(
        &test,
        &["model:churn:7", "model:churn:8", "--format", "svg"],
    )
    .success();
    for words in [
        "rate: low → high",
        "digest 1111 → 2222",
        ">follows</text>",
        "churn:7 → churn:8",
    ] {
        assert!(trained.contains(words), "{words}: {trained}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_takes_its_format_from_its_name() {
    let test = mirror().await;
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str| {
        let file = folder.path().join(name);
        let path = file.to_str().expect("a path");
        let wrote = diff(&test, &["train-a", "train-b", "--out", path]);
        assert!(wrote.stderr.contains("Wrote "), "{}", wrote.stderr);
        assert_eq!(wrote.success(), "");
        std::fs::read(file).expect("it is there")
    };
    let json: Value = serde_json::from_slice(&write("why.json")).expect("JSON");
    assert_eq!(
        (&json["outcome"], &json["a"]),
        (&"different".into(), &"run:train-a".into())
    );
    assert!(write("why.svg").starts_with(b"<svg"));
    assert!(write("why.png").starts_with(b"\x89PNG"));
    let html = String::from_utf8(write("why.html")).expect("a text");
    assert!(html.contains("<title>Diff of run:train-a and run:train-b</title>"));
    assert!(html.contains("\"change\":\"first difference\""));
    assert!(!html.contains("src=\"http"), "the page asks no server");
}

#[test]
fn a_wrong_argument_is_refused_before_anything_is_asked() {
    let kinds = "is neither a run nor a version of a model; write run:ID or model:NAME:VERSION";
    for (args, words) in [
        (&["r1"][..], &["<B>", "For example: runlineage diff"][..]),
        (&["r1", "dataset:d@1"], &[kinds]),
        (&["artifact:r1/x", "r1"], &[kinds]),
        (&["logged-model:m-1", "r1"], &[kinds]),
        (
            &["model:m", "r1"],
            &["model:m names no version; write model:m:VERSION"],
        ),
        (&["a b", "r1"], &["column 3", "into double quotes"]),
        (
            &["r1", "r2", "--format", "dot"],
            &["dot", "table, json, csv, svg, png, html"],
        ),
        (
            &["r1", "r2", "--out", "x.dot"],
            &[
                "cannot be written as dot",
                "table, json, csv, svg, png, html",
            ],
        ),
        (
            &["r1", "r2", "--out", "x.pdf"],
            &["does not tell the format"],
        ),
        (&["r1", "r2", "--max-pairs", "0"], &["at least 1"]),
        (&["r1", "r2", "--upstream", "-1"], &["--upstream", "or all"]),
        (&["r1", "r2", "--downstream", "1"], &["--downstream"]),
    ] {
        let connection = ["diff", "--mongodb-uri", "mongodb://127.0.0.1:9/x"];
        fails(connection.iter().chain(args), 2, words);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_cannot_be_compared_is_an_error() {
    let test = mirror().await;
    let seen = ["the mirror has never seen", "runlineage sync"];
    for start in [UNKNOWN, "model:none:1", "model:churn:99"] {
        check(&diff(&test, &[start, "score-a"]), 1, &seen);
        check(&diff(&test, &["score-a", start]), 1, &seen);
    }
    // Runs read it, and nothing says who made it.
    let words = [
        "knows no run that produced model:geo:1",
        "name a run instead",
    ];
    check(&diff(&test, &["model:geo:1", "score-a"]), 2, &words);
    let again = doc! { "outputs": { "models": [{ "name": "churn", "version": "7" }] } };
    insert(
        &test,
        "runs",
        vec![stored("train-c", "train", doc! {}, again)],
    )
    .await;
    let words = [
        "several runs produced model:churn:7",
        "run:train-a and run:train-c",
    ];
    check(&diff(&test, &["model:churn:7", "score-a"]), 2, &words);
    // A run that others name and the mirror does not have is no error.
    let unmirrored = diff(&test, &["old-a", "old-b"]);
    let text = unmirrored.success();
    assert!(text.starts_with("unknown: no difference between"), "{text}");
    assert!(
        text.ends_with("the start: run:old-a not mirrored\n"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_values_steer_no_terminal() {
    let test = mirror().await;
    let hostile = "\u{1b}[31mred\u{202e}\nnext\u{7}";
    let params = doc! { "rate": hostile };
    let runs = [("x", hostile), ("y", "calm")];
    let runs = runs.map(|(id, name)| stored(id, name, doc! {}, doc! { "params": params.clone() }));
    insert(&test, "runs", runs.to_vec()).await;
    let args = ["diff", "x", "train-a", "--mongodb-uri", &test.uri];
    let (code, shown) = on_terminal(&mut runlineage(args), 200);
    assert_eq!(code, Some(0), "{shown}");
    let steers = |c: char| c.is_control() && c != '\n' || c == '\u{202e}';
    assert_eq!(shown.chars().find(|c| steers(*c)), None, "{shown:?}");
    assert!(
        shown.contains("red") && !shown.contains("\nnext"),
        "{shown:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_in_values_are_masked() {
    let test = mirror().await;
    let params = doc! { "store": "postgresql://ana:hush-hush@db/features" };
    let runs = vec![stored("x", "train", doc! {}, doc! { "params": params })];
    insert(&test, "runs", runs).await;
    for format in ["table", "svg", "html"] {
        let shown = diff(&test, &["x", "same-a", "--format", format]).success();
        assert!(shown.contains("***@db/features"), "{format}: {shown}");
        assert!(!shown.contains("hush-hush"), "{format}: {shown}");
    }
}
