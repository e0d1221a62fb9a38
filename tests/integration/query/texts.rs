//! Conditions on tags and params compare with the texts that MLflow shows, on a real MLflow and a real MongoDB.

use std::collections::{BTreeMap, BTreeSet};

use futures::TryStreamExt as _;
use runlineage::query::Condition;
use runlineage::{MlflowClient, Query, Run};
use serde_json::{Value, json};

use crate::support::mirror::ids;
use crate::support::mlopus::mlopus;
use crate::support::proxy::Proxy;
use crate::support::synthetic::{mirror_of, stored};
use crate::support::{mlflow, unique};

/// Texts that decode to equal or almost equal values.
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
async fn conditions_compare_with_the_texts_that_mlflow_shows() {
    let server = mlflow::shared();
    let exp = unique("query-texts");
    // One run for each text, then runs where `p` is a prefix of another key, then a run with the key inside an object.
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
    // The proxy lists this experiment alone: a search in process reads every run of what is listed.
    let proxy = Proxy::before(&server.uri());
    proxy.list_only(&exp);
    let mlflow = MlflowClient::new(&proxy.uri()).expect("the address is valid");
    let experiments: Vec<_> = mlflow
        .experiments()
        .try_concat()
        .await
        .expect("MLflow lists them");
    let experiment = experiments
        .into_iter()
        .find(|other| other.name == exp)
        .expect("the experiment is listed");
    let runs: Vec<Run> = mlflow
        .runs(&experiment)
        .try_concat()
        .await
        .expect("MLflow lists them");
    let documents = runs
        .iter()
        .map(|run| stored(&mut run.to_document().expect("the run is BSON")));
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
    // The tags that MLflow sets itself are always texts.
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

    // The in-process search of the tracking server agrees. It reads every listed run each time, so test only some conditions.
    let nested = in_process.iter().filter(|(what, ..)| what.contains("[["));
    for (what, query, expected) in in_process.iter().step_by(7).chain(nested) {
        let found: BTreeSet<String> = mlflow
            .find_runs(query)
            .await
            .expect("the client evaluates the query")
            .map_ok(|run| run.id().to_owned())
            .try_collect()
            .await
            .expect("the runs arrive");
        assert_eq!(&&found, expected, "in process, {what}");
    }
}
