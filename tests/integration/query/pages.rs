//! Pages by key: `Search::after` continues where the previous page ended.

use std::collections::BTreeSet;

use futures::TryStreamExt as _;
use mongodb::bson::doc;
use runlineage::{Error, Query, Run, Search};

use crate::support::synthetic::{mirror_of, synthetic};

#[tokio::test]
async fn pages_hold_every_run_once_and_in_order() {
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
            .expect("the search starts")
            .try_collect()
            .await
            .expect("the runs arrive");
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
            let plan = plan.await.expect("MongoDB explains the query");
            assert!(
                plan.keys_examined <= 150 || query != Query::new(),
                "{} keys by {}",
                plan.keys_examined,
                plan.explained.get_document("queryPlanner").expect("a plan")
            );
            let runs: Vec<Run> = store
                .find_runs(next)
                .await
                .expect("the search starts")
                .try_collect()
                .await
                .expect("the runs arrive");
            if runs.is_empty() {
                break;
            }
            paged.extend(runs);
        }
        assert_eq!(paged.len(), whole.len());
        assert!(paged == whole, "the pages have another order, by {sort}");
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
        assert!(matches!(refused, Err(Error::Unsupported { .. })), "{sort}");
    }
}

#[tokio::test]
async fn pages_of_projected_runs_continue_as_well() {
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
            let runs = store.find_runs(next).await.expect("the search starts");
            let runs: Vec<Run> = runs.try_collect().await.expect("the runs arrive");
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
