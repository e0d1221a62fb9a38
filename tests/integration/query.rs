//! The query language, against real servers: what each term finds, in each way to ask, and what it costs.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt as _, TryStreamExt as _};
use mongodb::bson::{Bson, Document, doc};
use runlineage::lineage::{Direction, Kind};
use runlineage::mongo::Facet;
use runlineage::query::Condition;
use runlineage::{Error, MlflowClient, Query, Run, RunStoreExt as _, Search};
use serde_json::{Value, json};

use crate::support::mirror::ids;
use crate::support::mlopus::mlopus;
use crate::support::synthetic::{TERMS, mirror_of, stored, synthetic};
use crate::support::{mlflow, unique};

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
            .filter();
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
    assert_eq!(
        counted(Facet::Nodes(Direction::Input, Kind::MODEL)).await,
        by_model
    );
    assert_eq!(counted(Facet::Exp).await.len(), 10);
    let by_user = expected(&|run| vec![run.get_str("user").expect("a user").to_owned()]);
    assert_eq!(counted(Facet::User).await, by_user);
    let by_output = expected(&|run| models_of(run, "outputs"));
    assert_eq!(
        counted(Facet::Nodes(Direction::Output, Kind::MODEL)).await,
        by_output
    );
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
        .find_as(search)
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
    let other = store.find_as::<Auc>(search).await.expect("sent");
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
    let mut asked: Vec<(String, Condition, BTreeSet<String>)> = Vec::new();
    for text in TEXTS {
        asked.push((
            format!("= {text}"),
            Condition::eq(text),
            with(&|other| other == text),
        ));
        asked.push((
            format!("!= {text}"),
            Condition::ne(text),
            with(&|other| other != text),
        ));
    }
    for value in [1.1, 1.0, 0.0, 1000.0, 12_345_678_901.0, 7.0] {
        asked.push((
            format!("= {value}"),
            Condition::eq(value),
            with(&|text| number(text) == Some(value)),
        ));
        asked.push((
            format!("> {value}"),
            Condition::gt(value),
            with(&|text| number(text).is_some_and(|number| number > value)),
        ));
        asked.push((
            format!("<= {value}"),
            Condition::le(value),
            with(&|text| number(text).is_some_and(|number| number <= value)),
        ));
    }
    asked.push((
        "in".into(),
        Condition::is_in(["1.10", "adam", "{}"]),
        with(&|text| ["1.10", "adam", "{}"].contains(&text)),
    ));
    asked.push((
        "not in".into(),
        Condition::is_none_of(["1.10", "adam"]),
        with(&|text| !["1.10", "adam"].contains(&text)),
    ));
    asked.push(("exists".into(), Condition::exists(), with(&|_| true)));
    let without = shown
        .keys()
        .filter(|id| shown[*id].0.is_none())
        .cloned()
        .collect();
    asked.push(("missing".into(), Condition::missing(), without));
    for prefix in ["ad", "t", "it'", "{", "N", "\u{e9}", " "] {
        asked.push((
            format!("prefix {prefix:?}"),
            Condition::prefix(prefix),
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
