//! The query language on a real MongoDB: the cost of each term, and counts, facets and distinct values.

mod pages;
mod texts;

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt as _, TryStreamExt as _};
use mongodb::bson::{Bson, Document, doc};
use runlineage::lineage::{Direction, Kind};
use runlineage::mongo::Facet;
use runlineage::{Error, Query, RunStoreExt as _, Search};

use crate::support::synthetic::{TERMS, mirror_of, synthetic};

#[tokio::test]
async fn an_indexed_term_examines_at_most_two_keys_per_run_and_never_the_collection() {
    let (_test, store) = mirror_of(synthetic(3_000)).await;
    for (term, served) in TERMS {
        let query: Query = term.parse().expect("the term parses");
        let plan = store
            .explain(&query)
            .await
            .expect("MongoDB explains the query");
        // Either of two indexes serves a folder of one run: the one by path, or the one by run.
        let folder = term.contains("under 'run");
        assert_eq!(
            !plan.examines_all,
            served || folder,
            "{term}: {}",
            plan.explained.get_document("queryPlanner").expect("a plan")
        );
        assert_eq!(
            store
                .is_indexed(&query)
                .await
                .expect("MongoDB explains the query"),
            served || folder,
            "{term}"
        );
        if !(served || folder) {
            continue;
        }
        // Each alternative of an OR and each end of a range costs one more key.
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
async fn the_newest_runs_come_sorted_from_an_index() {
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
            .expect("MongoDB explains the query");
        assert!(
            plan.keys_examined <= 45 && plan.runs_examined <= 25,
            "{query:?}: {} keys, {} runs by {}",
            plan.keys_examined,
            plan.runs_examined,
            plan.explained.get_document("queryPlanner").expect("a plan")
        );
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
async fn counts_facets_and_distinct_values_agree_with_the_runs() {
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
    assert_eq!(counted(Facet::Experiment).await.len(), 10);
    let by_user = expected(&|run| vec![run.get_str("user").expect("a user").to_owned()]);
    assert_eq!(counted(Facet::User).await, by_user);
    let by_output = expected(&|run| models_of(run, "outputs"));
    assert_eq!(
        counted(Facet::Nodes(Direction::Output, Kind::MODEL)).await,
        by_output
    );
    let raw = store.find_raw(Query::new().with_status("FAILED")).await;
    let raw: Vec<_> = raw
        .expect("the search starts")
        .try_collect()
        .await
        .expect("the runs arrive");
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
        .expect("the search starts")
        .try_collect()
        .await
        .expect("the runs arrive");
    assert_eq!(
        (typed[0].id.as_str(), typed[0].metrics["auc"]),
        ("run000123", 0.23)
    );
    // Runs without metrics do not deserialize into `Auc`, so the first of them ends the stream.
    let search = Search::from(Query::new().with_status("FAILED")).projection(doc! { "user": 1 });
    let other = store
        .find_as::<Auc>(search)
        .await
        .expect("the search starts");
    let other: Vec<_> = other.collect().await;
    let [Err(Error::Document { id, reason, .. })] = &other[..] else {
        panic!("{} items", other.len())
    };
    assert!(
        id.starts_with("run") && reason.contains("metrics"),
        "{reason}"
    );
}
