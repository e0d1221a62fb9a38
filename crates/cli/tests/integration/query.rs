//! The query language, against real servers: what each term finds, in each way to ask, and what it costs.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use futures::{StreamExt as _, TryStreamExt as _};
use mongodb::bson::{Bson, DateTime, Document, doc};
use runlineage::{Error, Facet, MlflowClient, MongoRunStore, Query, Run, Search, Test};
use serde_json::{Value, json};

use crate::support::keeper::KeptFolder;
use crate::support::mlflow;
use crate::support::mlopus::mlopus;
use crate::support::mongodb::TestDatabase;
use crate::support::program::{run, runlineage};
use crate::support::{tool, unique};

/// A document of a run as the mirror stores it, with what the mirror adds.
fn stored(run: &mut Document) -> Document {
    let mirror = match run.get_document_mut("mirror") {
        Ok(mirror) => mirror,
        Err(_) => {
            run.insert("mirror", doc! { "fingerprint": "-" });
            run.get_document_mut("mirror").expect("just put there")
        }
    };
    mirror.insert("ticket", 1_i64);
    mirror.insert("changed_at", DateTime::from_millis(0));
    run.clone()
}

/// Some of everything: 40 runs an hour, models of skewed popularity, artifacts of the runs before.
fn synthetic(count: u32) -> Vec<Document> {
    let models = |n: u32, version: u32| match n % 5 {
        0 => vec![],
        1 => vec![doc! { "name": "churn", "version": version.to_string(), "from": "tag" }],
        2 => vec![doc! { "name": "churn", "from": "tag" }],
        _ => vec![
            doc! { "name": format!("model-{}", n % 97), "version": version.to_string(), "from": "tag" },
            doc! { "name": format!("model-{}", n % 89), "version": "1", "from": "tag" },
        ],
    };
    let id = |n: u32| format!("run{n:06}");
    (0..count)
        .map(|n| {
            let exp = n / 50;
            let status = ["FINISHED", "FINISHED", "FAILED", "RUNNING"][n as usize % 4];
            let read = match n % 4 {
                0 => vec![],
                k => vec![
                    doc! { "id": id(n.saturating_sub(k)), "path": format!("data/part-{}", n % 7), "from": "tag" },
                    doc! { "id": id(n.saturating_sub(2 * k)), "path": format!("database-{}", n % 11), "from": "tag" },
                ],
            };
            let wrote = match n % 3 {
                0 => vec![],
                _ => vec![
                    doc! { "id": id(n), "path": format!("plots/{}.png", n % 13), "from": "tag" },
                    doc! { "id": id(n), "from": "tag" },
                ],
            };
            let mut run = doc! {
                "_id": id(n),
                "name": format!("{}-{n}", ["train", "score", "prepare"][n as usize % 3]),
                "exp": { "id": exp.to_string(), "name": format!("exp-{exp}") },
                "status": status,
                "user": format!("user-{}", n % 23),
                "inputs": { "models": models(n, n % 6), "runs": read },
                "outputs": { "models": models(n / 2, n % 4), "runs": wrote },
                "tags": { "mlflow": { "user": "x" }, "team": if n % 7 == 0 { "growth" } else { "risk" } },
                "params": { "lr": 0.001 * f64::from(n % 50), "optimizer": if n % 2 == 0 { "adam" } else { "sgd" } },
                "metrics": { "auc": f64::from(n % 100) / 100.0 },
            };
            // Times that MLflow has not, or that no date holds, are there too.
            match n % 37 {
                5 => {}
                6 => drop(run.insert("start_time", format!("99999999999{n}"))),
                _ => drop(run.insert("start_time", DateTime::from_millis(1_700_000_000_000 + i64::from(n / 3) * 90_000))),
            }
            if n % 4 != 3 {
                run.insert("end_time", DateTime::from_millis(1_700_000_100_000 + i64::from(n) * 90_000));
            }
            if n % 6 == 0 {
                run.get_document_mut("tags").expect("it has tags").insert("mlflow", doc! { "parentRunId": id(n / 6 * 2) });
            }
            stored(&mut run)
        })
        .collect()
}

async fn mirror_of(runs: Vec<Document>) -> (TestDatabase, MongoRunStore) {
    let test = TestDatabase::new().await;
    let store = MongoRunStore::from_database(test.database.clone());
    store.migrate().await.expect("a new database is migrated");
    test.database
        .collection("runs")
        .insert_many(runs)
        .await
        .expect("the runs are stored");
    (test, store)
}

async fn ids(store: &MongoRunStore, search: impl Into<Search>) -> BTreeSet<String> {
    let runs = store.find_runs(search).await.expect("the search is sent");
    let ids: Vec<String> = runs
        .map_ok(|run| run.id().to_owned())
        .try_collect()
        .await
        .expect("the runs come");
    let set: BTreeSet<String> = ids.iter().cloned().collect();
    assert_eq!(set.len(), ids.len(), "a run came twice");
    set
}

/// The ids that each of these cursors gives, typed one after the other into one shell.
fn pasted_into_mongosh(uri: &str, cursors: &[String]) -> Vec<Value> {
    let script: String = cursors
        .iter()
        .map(|cursor| format!("print(JSON.stringify({cursor}.toArray().map((run) => run._id)));\n"))
        .collect();
    let home = KeptFolder::new();
    let shell = run(Command::new(tool("bin/mongosh"))
        .args([uri, "--quiet", "--norc", "--eval", &script])
        .env("HOME", home.path()));
    let lines: Vec<Value> = shell
        .success()
        .lines()
        .map(|line| serde_json::from_str(line).expect("a line of JSON"))
        .collect();
    assert_eq!(lines.len(), cursors.len());
    lines
}

/// Every form of a term, as text; `true`: an index serves it by itself.
const TERMS: [(&str, bool); 57] = [
    ("input.model = 'churn:3'", true),
    ("input.model = 'churn'", true),
    ("output.model = 'model-3:1'", true),
    ("output.model = 'model-3'", true),
    ("input.model in ('churn:1', 'model-5:2')", true),
    ("input.unversioned_model = 'churn'", true),
    ("output.unversioned_model = 'churn'", true),
    ("input.artifact = 'run000100'", true),
    ("input.artifact = 'run000100/data/part-3'", true),
    ("input.artifact under 'run000100/data'", false),
    ("input.artifact under 'run000100/data/part-3'", true),
    ("output.artifact = 'run000100/plots/9.png'", true),
    ("output.artifact = 'run000100'", true),
    ("output.artifact under 'run000100/plots'", false),
    ("input.path = 'data/part-3'", true),
    ("input.path under 'data/part-3'", true),
    ("output.path = 'plots/4.png'", true),
    ("output.path under 'plots/4.png'", true),
    ("inputs missing", false),
    ("inputs exists", false),
    ("outputs missing", false),
    ("exp = 'exp-7'", true),
    ("exp = '7'", true),
    ("exp.id = '7'", true),
    ("exp.name = 'exp-7'", true),
    ("status = 'FAILED'", true),
    ("status in ('FAILED', 'RUNNING')", true),
    ("status != 'FINISHED'", true),
    ("user = 'user-3'", true),
    ("name = 'train-33'", true),
    ("name like 'train-1%'", true),
    ("run_id = 'run000007'", true),
    ("run_id in ('run000007', 'run000008')", true),
    ("parent = 'run000020'", true),
    ("start_time >= '2023-11-15T00:00:00Z'", true),
    ("start_time < '2023-11-15T00:00:00Z'", true),
    ("end_time > '2023-11-15T00:00:00Z'", true),
    ("metrics.auc > 0.9", false),
    (
        "tags.`team` exists and metrics.\"f 1.x\" missing and metrics.auc < 0.2",
        false,
    ),
    ("params.optimizer = 'adam'", false),
    ("params.optimizer exists and metrics.auc < 0.2", false),
    ("params.optimizer missing or metrics.auc < 0.2", false),
    ("user != 'user-3' and exp = 'exp-7'", true),
    ("output.model in ('model-3:1', 'model-5:2')", true),
    ("parent exists and exp = 'exp-7'", true),
    ("params.optimizer like 'ad%'", false),
    ("params.lr <= 0.004", false),
    ("params.lr in (0.001, 0.002)", false),
    ("params.optimizer not in ('adam', 'x')", false),
    ("tags.team in ('growth', 'x')", false),
    ("tags.`team` is not null and metrics.auc < 0.2", false),
    ("metrics.auc in (0.23, 0.24)", false),
    ("tags.team != 'growth'", false),
    ("not (status = 'FAILED' or user = 'user-3')", false),
    ("input.model = 'churn:3' and exp = 'exp-7'", true),
    (
        "input.model = 'churn' and status = 'RUNNING' and start_time >= '2023-11-15T00:00:00Z'",
        true,
    ),
    (
        "input.model = 'churn:3' and metrics.auc > 0.9 or output.model = 'model-3:1' and not status = 'FAILED'",
        true,
    ),
];

#[tokio::test]
async fn every_term_finds_the_same_by_the_program_and_pasted_into_mongosh() {
    let (test, store) = mirror_of(synthetic(600)).await;
    let mut pasted = Vec::new();
    let mut found = Vec::new();
    for (term, _) in TERMS {
        let rendered = run(&mut runlineage(["find", "--where", term, "--render"])).success();
        pasted.push(format!(
            "db.runs.find({}, {{ _id: 1 }}).sort({{ _id: 1 }})",
            rendered.trim()
        ));
        let query: Query = term.parse().expect("the term is well written");
        found.push(ids(&store, query).await);
    }
    let shell = pasted_into_mongosh(&test.uri, &pasted);
    for ((term, _), (found, shell)) in TERMS.iter().zip(found.iter().zip(shell)) {
        assert_eq!(json!(found), shell, "{term}");
        assert!(!found.is_empty(), "nothing is found by {term}");
        assert!(found.len() < 600, "everything is found by {term}");
    }
}

#[tokio::test]
async fn a_term_examines_two_keys_a_run_at_most_and_never_the_collection() {
    let (_test, store) = mirror_of(synthetic(3_000)).await;
    for (term, served) in TERMS {
        let query: Query = term.parse().expect("the term is well written");
        let plan = store.explain(&query).await.expect("it is explained");
        // A folder of one run is bounded tightly, or read by the run's own index: what is found sooner.
        let folder = term.contains("under 'run");
        assert_eq!(
            !plan.examines_all,
            served || folder,
            "{term}: {}",
            plan.explained.get_document("queryPlanner").expect("a plan")
        );
        assert_eq!(
            store.is_indexed(&query).await.expect("it is explained"),
            served || folder,
            "{term}"
        );
        if !(served || folder) {
            continue;
        }
        // An alternative of an OR, and the end of a range, cost one key more.
        let single = !term.contains(" and ");
        if single {
            let bound = 2 * plan.runs_found + 4;
            assert!(
                plan.keys_examined <= bound && plan.runs_examined <= bound,
                "{term}: {} keys and {} runs for {} found by {:?}",
                plan.keys_examined,
                plan.runs_examined,
                plan.runs_found,
                plan.indexes
            );
        }
    }
}

#[tokio::test]
async fn newest_runs_come_from_the_index_in_order() {
    let (_test, store) = mirror_of(synthetic(3_000)).await;
    let newest = |query: Query| Search::from(query).newest_first().limit(20);
    for query in [
        Query::new().with_input_model("churn", None),
        Query::new().with_exp_id("7"),
        Query::new().with_exp_name("exp-7"),
        Query::new().with_exp("exp-7"),
        Query::new().with_status("FAILED"),
        Query::new().with_user("user-3"),
        Query::new(),
    ] {
        let plan = store
            .explain(newest(query.clone()))
            .await
            .expect("it is explained");
        assert!(
            plan.keys_examined <= 45 && plan.runs_examined <= 25,
            "{query:?}: {} keys, {} runs by {}",
            plan.keys_examined,
            plan.runs_examined,
            plan.explained.get_document("queryPlanner").expect("a plan")
        );
    }
}

#[tokio::test]
async fn pages_by_key_hold_every_run_once_in_order() {
    let (_test, store) = mirror_of(synthetic(700)).await;
    for (sort, query) in [
        (doc! { "start_time": -1, "_id": -1 }, Query::new()),
        (doc! { "start_time": 1, "_id": 1 }, Query::new()),
        (doc! { "_id": 1 }, Query::new().with_status("FINISHED")),
        (
            doc! { "start_time": -1, "_id": -1 },
            Query::new().with_input_model("churn", None),
        ),
    ] {
        let whole = Search::from(&query).sort(sort.clone());
        let whole: Vec<Run> = store
            .find_runs(whole)
            .await
            .expect("sent")
            .try_collect()
            .await
            .expect("read");
        let page = || Search::from(&query).sort(sort.clone()).limit(33);
        let mut paged: Vec<Run> = Vec::new();
        loop {
            let next = match paged.last() {
                Some(last) => page().after(last),
                None => page(),
            };
            let plan = store.explain(match paged.last() {
                Some(last) => page().after(last),
                None => page(),
            });
            let plan = plan.await.expect("it is explained");
            assert!(
                plan.keys_examined <= 150 || query != Query::new(),
                "{} keys by {}",
                plan.keys_examined,
                plan.explained.get_document("queryPlanner").expect("a plan")
            );
            let runs: Vec<Run> = store
                .find_runs(next)
                .await
                .expect("sent")
                .try_collect()
                .await
                .expect("read");
            if runs.is_empty() {
                break;
            }
            paged.extend(runs);
        }
        assert_eq!(paged.len(), whole.len());
        assert!(paged == whole, "the pages are in another order, by {sort}");
    }
    let last = Run::try_from(&doc! { "_id": "x" }).expect("it has an id");
    for sort in [
        doc! { "name": 1 },
        doc! { "name": 1_i64, "_id": 1 },
        doc! { "start_time": -1, "_id": 1 },
        doc! { "start_time": { "$meta": "textScore" }, "_id": 1 },
        doc! { "_id": 1, "name": 1 },
        doc! {},
    ] {
        let refused = Search::from(Query::new())
            .sort(sort.clone())
            .after(&last)
            .into_filter();
        assert!(
            matches!(refused, Err(runlineage::Error::Unsupported { .. })),
            "{sort}"
        );
    }
}

#[tokio::test]
async fn pages_of_some_fields_follow_each_other_too() {
    let (_test, store) = mirror_of(synthetic(100)).await;
    for sort in [
        doc! { "start_time": -1, "_id": -1 },
        doc! { "start_time": -1_i64, "_id": -1.0 },
        doc! { "_id": 1_i64 },
    ] {
        let page = || {
            let search = Search::from(Query::new()).sort(sort.clone()).limit(30);
            search.projection(doc! { "name": 1 })
        };
        let mut paged: Vec<Run> = Vec::new();
        while paged.len() < 100 {
            let next = match paged.last() {
                Some(last) => page().after(last),
                None => page(),
            };
            let runs = store.find_runs(next).await.expect("sent");
            let runs: Vec<Run> = runs.try_collect().await.expect("read");
            assert!(!runs.is_empty(), "only {} runs by {sort}", paged.len());
            assert!(
                runs.iter()
                    .all(|run| run.user().is_none() && run.name().is_some())
            );
            paged.extend(runs);
        }
        let ids: BTreeSet<&str> = paged.iter().map(Run::id).collect();
        assert_eq!(ids.len(), 100, "{sort}");
    }
}

fn models_of(run: &Document, side: &str) -> Vec<String> {
    let models = run
        .get_document(side)
        .and_then(|side| side.get_array("models"));
    let models = models.expect("models").iter().filter_map(Bson::as_document);
    let shown = |model: &Document| {
        let name = model.get_str("name").expect("a name");
        format!("{name} {}", model.get_str("version").unwrap_or("-"))
    };
    models.map(shown).collect()
}

#[tokio::test]
async fn counts_facets_and_distinct_values_are_those_of_the_runs() {
    let runs = synthetic(500);
    let expected = |of: &dyn Fn(&Document) -> Vec<String>| {
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        for run in &runs {
            for value in of(run).into_iter().collect::<BTreeSet<_>>() {
                *counts.entry(value).or_default() += 1;
            }
        }
        counts
    };
    let by_status = expected(&|run| vec![run.get_str("status").expect("a status").to_owned()]);
    let by_model = expected(&|run| models_of(run, "inputs"));
    let (_test, store) = mirror_of(runs.clone()).await;
    let counted = |facet| {
        let store = &store;
        async move {
            let counts = store.facet(facet, Query::new()).await.expect("counted");
            assert!(counts.is_sorted_by(|a, b| a.runs >= b.runs));
            let text = |value: &Bson| match value {
                Bson::String(text) => text.clone(),
                Bson::Document(pair) => format!(
                    "{} {}",
                    pair.get_str("name").expect("a name"),
                    pair.get_str("version").unwrap_or("-")
                ),
                other => other.to_string(),
            };
            counts
                .iter()
                .map(|count| (text(&count.value), count.runs))
                .collect::<BTreeMap<_, _>>()
        }
    };
    assert_eq!(counted(Facet::Status).await, by_status);
    assert_eq!(counted(Facet::InputModel).await, by_model);
    assert_eq!(counted(Facet::Exp).await.len(), 10);
    let by_user = expected(&|run| vec![run.get_str("user").expect("a user").to_owned()]);
    assert_eq!(counted(Facet::User).await, by_user);
    let by_output = expected(&|run| models_of(run, "outputs"));
    assert_eq!(counted(Facet::OutputModel).await, by_output);
    let raw = store.find_raw(Query::new().with_status("FAILED")).await;
    let raw: Vec<_> = raw.expect("sent").try_collect().await.expect("read");
    assert_eq!(raw.len() as u64, by_status["FAILED"]);
    assert_eq!(
        store
            .count_runs(Query::new().with_status("FAILED"))
            .await
            .expect("counted"),
        by_status["FAILED"]
    );
    let users = store
        .distinct("user", Query::new().with_status("FAILED"))
        .await
        .expect("listed");
    assert_eq!(users.len(), 23);

    #[derive(serde::Deserialize)]
    struct Auc {
        #[serde(rename = "_id")]
        id: String,
        metrics: BTreeMap<String, f64>,
    }
    let search = Search::from(Query::new().with_id("run000123")).projection(doc! { "metrics": 1 });
    let typed: Vec<Auc> = store
        .find_runs_as(search)
        .await
        .expect("sent")
        .try_collect()
        .await
        .expect("read");
    assert_eq!(
        (typed[0].id.as_str(), typed[0].metrics["auc"]),
        ("run000123", 0.23)
    );
    // Without their metrics, no run has that shape: the first one ends the stream.
    let search = Search::from(Query::new().with_status("FAILED")).projection(doc! { "user": 1 });
    let other = store.find_runs_as::<Auc>(search).await.expect("sent");
    let other: Vec<_> = other.collect().await;
    let [Err(Error::Document { id, reason, .. })] = &other[..] else {
        panic!("{} items", other.len())
    };
    assert!(
        id.starts_with("run") && reason.contains("metrics"),
        "{reason}"
    );
}

/// Texts that decode to each other's values, or nearly so.
const TEXTS: [&str; 46] = [
    "1.1",
    "1.10",
    "1",
    "1.0",
    "01",
    "-0.0",
    "0.0",
    "0",
    "-0",
    "true",
    "True",
    "null",
    "None",
    "[1]",
    "[1.0]",
    "[ 1 ]",
    "[[1]]",
    "[\"1\"]",
    "[]",
    "[[]]",
    "\"1\"",
    "\"adam\"",
    "adam",
    "[\"adam\"]",
    "{\"a\": 1}",
    "{\"a\":1}",
    "{\"a\": 1.0}",
    "{}",
    "1e3",
    "1000.0",
    "1000",
    " 1",
    "é",
    "\"\\u00e9\"",
    "NaN",
    "[{\"0\": \"x\"}]",
    "[\"x\"]",
    "12345678901",
    "12345678901.0",
    "it''s",
    "it's",
    "[{\"a\": 1}]",
    "[{\"a\": 1.0}]",
    "[-0.0]",
    "[0.0]",
    "tr",
];

#[tokio::test]
async fn texts_and_numbers_are_found_as_mlflow_shows_them() {
    let server = mlflow::shared();
    let exp = unique("query-texts");
    // A run a text, then one where the key is shorter than another, then one that has the key inside an object.
    let shown = mlopus(
        server,
        json!({ "exp": exp, "texts": TEXTS.as_slice() }),
        r"
import mlflow
client = mlflow.MlflowClient()
exp = client.create_experiment(input['exp'])
def run(params):
    id = client.create_run(exp).info.run_id
    for key, text in params.items():
        client.log_param(id, key, text)
        client.set_tag(id, 'mlflow.' + key, text)
        client.set_tag(id, key, text)
for text in input['texts']:
    run({'p': text})
for text in ['1.10', '1.1', 'adam', '1']:
    run({'p': text, 'p.q': '2'})
run({'p': '{\'q\': 2}'.replace('\'', chr(34))})
run({'p.q': '2'})
run({'other': '1'})
output = {run.info.run_id: [run.data.params.get('p'), run.data.tags.get('p')] for run in client.search_runs([exp], max_results=1000)}
",
    );
    let shown: BTreeMap<String, (Option<String>, Option<String>)> =
        serde_json::from_value(shown).expect("a map of ids to texts");
    let mlflow = MlflowClient::new(&server.uri()).expect("the address is fine");
    let experiments: Vec<_> = mlflow
        .experiments()
        .try_concat()
        .await
        .expect("they are listed");
    let experiment = experiments
        .into_iter()
        .find(|other| other.name == exp)
        .expect("it is there");
    let runs: Vec<Run> = mlflow
        .runs(&experiment)
        .try_concat()
        .await
        .expect("they are listed");
    let documents = runs
        .iter()
        .map(|run| stored(&mut run.to_document().expect("it is BSON")));
    let (_test, store) = mirror_of(documents.collect()).await;
    let here = || Query::new().with_exp_id(&experiment.id);

    let with = |holds: &dyn Fn(&str) -> bool| -> BTreeSet<String> {
        let found = shown
            .iter()
            .filter(|(_, (param, _))| param.as_deref().is_some_and(holds));
        found.map(|(id, _)| id.clone()).collect()
    };
    let number = |text: &str| {
        text.parse::<Value>()
            .ok()
            .filter(|_| text.trim() == text || text == " 1")
            .and_then(|value| value.as_f64())
    };
    let mut asked: Vec<(String, Test, BTreeSet<String>)> = Vec::new();
    for text in TEXTS {
        asked.push((
            format!("= {text}"),
            Test::eq(text),
            with(&|other| other == text),
        ));
        asked.push((
            format!("!= {text}"),
            Test::ne(text),
            with(&|other| other != text),
        ));
    }
    for value in [1.1, 1.0, 0.0, 1000.0, 12_345_678_901.0, 7.0] {
        asked.push((
            format!("= {value}"),
            Test::eq(value),
            with(&|text| number(text) == Some(value)),
        ));
        asked.push((
            format!("> {value}"),
            Test::gt(value),
            with(&|text| number(text).is_some_and(|number| number > value)),
        ));
        asked.push((
            format!("<= {value}"),
            Test::le(value),
            with(&|text| number(text).is_some_and(|number| number <= value)),
        ));
    }
    asked.push((
        "in".into(),
        Test::is_in(["1.10", "adam", "{}"]),
        with(&|text| ["1.10", "adam", "{}"].contains(&text)),
    ));
    asked.push((
        "not in".into(),
        Test::is_none_of(["1.10", "adam"]),
        with(&|text| !["1.10", "adam"].contains(&text)),
    ));
    asked.push(("exists".into(), Test::exists(), with(&|_| true)));
    let without = shown
        .keys()
        .filter(|id| shown[*id].0.is_none())
        .cloned()
        .collect();
    asked.push(("missing".into(), Test::missing(), without));
    for prefix in ["ad", "t", "it'", "{", "N", "\u{e9}", " "] {
        asked.push((
            format!("prefix {prefix:?}"),
            Test::prefix(prefix),
            with(&|text| text.starts_with(prefix)),
        ));
    }

    let mut in_process = Vec::new();
    for (what, test, expected) in &asked {
        for query in [
            here().with_param("p", test.clone()),
            here().with_tag("p", test.clone()),
        ] {
            assert_eq!(
                &ids(&store, &query).await,
                expected,
                "{what}: {:?}",
                query.render()
            );
            in_process.push((what, query, expected));
        }
    }
    // MLflow's own tags are texts, whatever they look like.
    for text in ["1.1", "1.10", "[1]", "{\"a\": 1}"] {
        let query = here().with_tag("mlflow.p", text);
        assert_eq!(
            ids(&store, &query).await,
            with(&|other| other == text),
            "mlflow.p = {text}"
        );
    }
    assert!(
        ids(&store, here().with_tag("mlflow.p", 1.1))
            .await
            .is_empty()
    );

    // The tracking server searched in process gives the same, for a part of them: each reads every run there is.
    let nested = in_process.iter().filter(|(what, ..)| what.contains("[["));
    for (what, query, expected) in in_process.iter().step_by(7).chain(nested) {
        let found: BTreeSet<String> = mlflow
            .find_runs(query)
            .await
            .expect("it is evaluated")
            .map_ok(|run| run.id().to_owned())
            .try_collect()
            .await
            .expect("the runs come");
        assert_eq!(&&found, expected, "in process, {what}");
    }
}
