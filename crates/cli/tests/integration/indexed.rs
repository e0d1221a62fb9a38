//! What a query renders is served by an index, and means the same in mongosh and pymongo.

use std::collections::BTreeSet;

use bson::{Bson, DateTime, Document, doc};
use runlineage::{MongoRunStore, Query, Run, Search};
use serde_json::Value;

use crate::support::mirror::{ids, mirror, set};
use crate::support::mlopus::pymongo;
use crate::support::mongodb::TestDatabase;
use crate::support::mongosh::mongosh_expression;
use crate::support::program::{run, runlineage};

const ODD: [&str; 14] = [
    "a.b",
    "a b",
    "a/b",
    "it's",
    "it''s",
    "\"q\"",
    "$x",
    "größe 模型 😀",
    "back\\slash",
    "line\nbreak",
    "a{  }b",
    "{}",
    "`${x}`",
    "\u{7f}\u{2028}",
];

fn document(number: i32, inputs: Document, outputs: Document) -> Run {
    let date = DateTime::from_millis(1_700_000_000_000 + i64::from(number));
    let document = doc! {
        "_id": format!("run{number:05}"),
        "name": "train",
        "exp": { "id": (number % 5).to_string(), "name": "churn" },
        "status": "FINISHED",
        "start_time": date,
        "inputs": inputs,
        "outputs": outputs,
        "mirror": { "fingerprint": number.to_string() },
    };
    Run::try_from(&document).expect("a run has an id")
}

fn side(model: &str, version: &str, run: &str, path: &str) -> Document {
    doc! {
        "models": [{ "name": model, "version": version, "from": "tag" }, { "name": "common", "from": "tag" }],
        "runs": [{ "id": run, "path": path, "from": "tag" }],
    }
}

/// 3,000 runs over 300 models and runs, and one run for each odd name.
async fn filled(test: &TestDatabase) -> MongoRunStore {
    let store = mirror(test).await;
    let mut runs: Vec<Run> = (0..3_000)
        .map(|number| {
            let (model, other) = (format!("m{}", number % 300), format!("m{}", number % 7));
            let version = (number % 3).to_string();
            document(
                number,
                side(&model, &version, &model, "data/x"),
                side(&other, &version, &other, "out/y"),
            )
        })
        .collect();
    runs.extend((3_000..).zip(ODD).map(|(number, odd)| {
        document(
            number,
            side(odd, odd, odd, odd),
            side("odd", odd, "odd", odd),
        )
    }));
    let ticket = store.draw_ticket().await.expect("MongoDB answers");
    let saved = store
        .save_runs(runs, ticket)
        .await
        .expect("MongoDB takes the runs");
    assert_eq!(saved.written, 3_000 + ODD.len() as u64);
    store
}

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
async fn the_four_builders_and_their_combinations_are_served_by_an_index() {
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
            stages(winning.expect("a plan won"), &mut found);
            assert!(
                found.contains("IXSCAN") && !found.contains("COLLSCAN"),
                "{query:?}: {found:?}"
            );
        }
        found += ids(&store, &query).await.len();
    }
    assert!(found > 1_000, "{found}");
}

/// A filter as `find --render` prints it.
fn rendered(args: &[&str]) -> String {
    run(&mut runlineage([&["find", "--render"], args].concat())).success()
}

fn found(uri: &str, args: &[&str]) -> BTreeSet<String> {
    let args = [&["find", "--format", "ndjson", "--mongodb-uri", uri], args].concat();
    let stdout = run(&mut runlineage(args)).success();
    let documents = stdout
        .lines()
        .map(|line| serde_json::from_str(line).expect("a line is JSON"));
    set(documents.map(|document: Value| id(&document)))
}

fn id(document: &Value) -> String {
    document["_id"].as_str().expect("an id is text").to_owned()
}

#[tokio::test]
async fn what_find_renders_returns_the_same_ids_in_mongosh() {
    let test = TestDatabase::new().await;
    let store = filled(&test).await;
    // Else `find` warns that nothing was ever synced; it holds runs, so it answers.
    drop(store);
    let mut cases: Vec<Vec<String>> = ODD
        .iter()
        .map(|odd| {
            // As a version, what holds a slash is taken for a mistyped artifact.
            let version = if odd.contains('/') { "" } else { odd };
            vec!["--input-model".to_owned(), format!("{odd}:{version}")]
        })
        .collect();
    cases.extend(
        ODD.iter()
            .map(|odd| vec!["--output-artifact".to_owned(), format!("odd/{odd}")]),
    );
    let texts = |args: &[&str]| args.iter().map(|text| (*text).to_owned()).collect();
    cases.push(texts(&["--input-model", "m1", "--output-model", "m1:1"]));
    cases.push(texts(&[
        "--output-artifact",
        "m3/out/y",
        "--exp",
        "churn",
        "--status",
        "finished",
    ]));
    cases.push(texts(&[
        "--input-path",
        "data/x",
        "--input-model",
        "m7",
        "--since",
        "2023-11-14T22:13:21Z",
    ]));
    cases.push(texts(&["--input-model", "common", "--problems"]));

    let mut script = Vec::new();
    for case in &cases {
        let args: Vec<&str> = case.iter().map(String::as_str).collect();
        script.push(format!(
            "db.runs.find({}, {{ _id: 1 }}).toArray()",
            rendered(&args).trim()
        ));
    }
    let answers = mongosh_expression(&test.uri, &format!("[{}]", script.join(",\n")));
    let answers = answers.as_array().expect("the script is an array");
    assert_eq!(answers.len(), cases.len());
    let mut empty = 0;
    for (case, answer) in cases.iter().zip(answers) {
        let args: Vec<&str> = case.iter().map(String::as_str).collect();
        let shell = set(answer
            .as_array()
            .expect("a search is an array")
            .iter()
            .map(id));
        assert_eq!(shell, found(&test.uri, &args), "{case:?}");
        empty += usize::from(shell.is_empty());
    }
    // The last one looks for problems, which no run has.
    assert_eq!(empty, 1);
}

#[tokio::test]
async fn a_rendered_query_means_the_same_in_pymongo() {
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
        .map(|query| Bson::from(query.render().expect("the query is sound")).into_relaxed_extjson())
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
