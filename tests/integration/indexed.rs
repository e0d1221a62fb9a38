//! A rendered query uses an index, and finds the same runs in pymongo.

use std::collections::BTreeSet;

use bson::{Bson, Document, doc};
use runlineage::{Query, Search};
use serde_json::Value;

use crate::support::mirror::{ids, set};
use crate::support::mlopus::pymongo;
use crate::support::mongodb::TestDatabase;
use crate::support::odd_names::{ODD, filled};

fn stages(plan: &Document, found: &mut BTreeSet<String>) {
    found.extend(plan.get_str("stage").map(str::to_owned));
    for (_, value) in plan {
        match value {
            Bson::Document(inner) => stages(inner, found),
            Bson::Array(inner) => inner
                .iter()
                .filter_map(Bson::as_document)
                .for_each(|inner| stages(inner, found)),
            _ => {}
        }
    }
}

#[tokio::test]
async fn an_index_serves_the_four_builders_and_their_combinations() {
    let test = TestDatabase::new().await;
    let store = filled(&test).await;
    let builders: [fn(Query, Option<&str>) -> Query; 4] = [
        |query, value| query.with_input_model("m1", value.map(|_| "1")),
        |query, value| query.with_output_model("m1", value.map(|_| "1")),
        |query, value| query.with_input_artifact("m1", value.map(|_| "data/x")),
        |query, value| query.with_output_artifact("m1", value.map(|_| "out/y")),
    ];
    let mut queries = Vec::new();
    for (index, first) in builders.iter().enumerate() {
        for value in [None, Some("")] {
            let alone = first(Query::new(), value);
            for second in &builders[index..] {
                for value in [None, Some("")] {
                    queries.push(second(alone.clone(), value));
                    queries.push(
                        Query::new().with_any_of([alone.clone(), second(Query::new(), value)]),
                    );
                    queries.push(
                        alone
                            .clone()
                            .with_any_of([second(Query::new(), value), second(Query::new(), None)]),
                    );
                }
            }
            queries.push(alone);
        }
    }
    queries.push(
        builders
            .iter()
            .fold(Query::new(), |query, builder| builder(query, Some(""))),
    );
    let mut found = 0;
    for query in queries {
        let newest = Search::from(&query)
            .sort(doc! { "start_time": -1, "_id": -1 })
            .limit(20);
        for search in [Search::from(&query), newest] {
            let plan = store.explain(search).await.expect("MongoDB explains");
            let winning = plan
                .explained
                .get_document("queryPlanner")
                .and_then(|planner| planner.get_document("winningPlan"));
            let mut found = BTreeSet::new();
            stages(winning.expect("a winning plan"), &mut found);
            assert!(
                found.contains("IXSCAN") && !found.contains("COLLSCAN"),
                "{query:?}: {found:?}"
            );
        }
        found += ids(&store, &query).await.len();
    }
    assert!(found > 1_000, "{found}");
}

#[tokio::test]
async fn a_rendered_query_finds_the_same_runs_in_pymongo() {
    let test = TestDatabase::new().await;
    let store = filled(&test).await;
    let queries: Vec<Query> = ODD
        .iter()
        .map(|odd| {
            Query::new()
                .with_input_model(odd, *odd)
                .with_input_artifact(odd, None)
        })
        .chain([Query::new().with_any_of([
            Query::new().with_input_model("m1", None),
            Query::new().with_output_artifact("m2", "out/y"),
        ])])
        .collect();
    let filters: Vec<Value> = queries
        .iter()
        .map(|query| Bson::from(query.render().expect("the query is valid")).into_relaxed_extjson())
        .collect();
    let answers = pymongo(
        &test.uri,
        filters.into(),
        "output = [[run['_id'] for run in client.get_default_database().runs.find(filter)] for filter in input]",
    );
    for (query, answer) in queries
        .iter()
        .zip(answers.as_array().expect("an array of arrays"))
    {
        let python = set(answer
            .as_array()
            .expect("an array of ids")
            .iter()
            .filter_map(Value::as_str));
        assert!(!python.is_empty(), "{query:?}");
        assert_eq!(python, ids(&store, query).await, "{query:?}");
    }
}
