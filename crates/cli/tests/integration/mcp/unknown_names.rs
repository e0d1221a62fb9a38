//! A name that does not exist gets the nearest existing ones, and an error says where it is.

use serde_json::{Value, json};

use super::{Client, nearest};
use crate::graph_commands::Pipeline;
use crate::support::failing::UNKNOWN;
use crate::support::mongodb::TestDatabase;

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_name_gets_the_nearest_existing_ones() {
    let pipeline = Pipeline::new().await;
    let client = Client::start(&pipeline.scene.test.uri, &[]).await;
    let model = &pipeline.model;
    let (exp, nodes) = (&pipeline.scene.exp.0, pipeline.nodes());
    let swapped = model.replacen("gra", "rga", 1);
    let dataset = nodes[0].rsplit_once('@').expect("a digest").0;
    let train = pipeline.id("train");
    let cases = [
        (format!("model:{swapped}"), format!("model:{model}")),
        (format!("model:{swapped}:1"), format!("model:{model}")),
        (
            format!("model:{}", model.to_uppercase()),
            format!("model:{model}"),
        ),
        (format!("model:{model}:99"), format!("model:{model}:1")),
        (
            format!("models:/{model}@champ"),
            format!("models:/{model}@champion"),
        ),
        (
            format!("models:/{swapped}@champion"),
            format!("model:{model}"),
        ),
        (format!("{dataset}x"), dataset.to_owned()),
        (format!("run:{}", &train[..12]), format!("run:{train}")),
        ("run:trian".to_owned(), "name = 'train'".to_owned()),
        (model[..9].to_owned(), format!("model:{model}")),
    ];
    for (unknown, known) in &cases {
        for (tool, argument) in [
            ("node", "node"),
            ("graph", "select"),
            ("impact", "node"),
            ("provenance", "node"),
        ] {
            let answer = client.refused(tool, json!({ argument: unknown })).await;
            let error = &answer["error"];
            assert_eq!(error["argument"], argument, "{tool} {unknown}");
            let message = error["message"].as_str().expect("a message");
            assert!(message.contains("the mirror "), "{message}");
            let nearest = nearest(&answer["untrusted"]);
            assert!(
                nearest.contains(&known.as_str()),
                "{tool} {unknown}: {answer}"
            );
        }
    }
    let version = pipeline.version();
    let answer = client
        .refused(
            "diff",
            json!({ "a": version, "b": format!("model:{model}:99") }),
        )
        .await;
    assert_eq!(answer["error"]["argument"], "b");
    assert_eq!(nearest(&answer["untrusted"]), [version]);

    let condition = format!("exp.name = '{}'", exp.replacen("gra", "rga", 1));
    let answer = client.refused("find", json!({ "where": condition })).await;
    let known = format!("exp.name = '{exp}'");
    assert!(
        nearest(&answer["untrusted"]).contains(&known.as_str()),
        "{answer}"
    );
    let condition =
        format!("input.model = '{swapped}:1' or input.model = '{model}:1' and name = 'x'");
    let answer = client.ask("find", json!({ "where": condition })).await;
    let unknown = answer["untrusted"]["unknown"].as_array().expect("a list");
    assert_eq!(unknown.len(), 1, "{answer}");
    assert_eq!(unknown[0]["node"], format!("model:{swapped}"));
    assert!(
        nearest(&unknown[0]).contains(&format!("model:{model}").as_str()),
        "{answer}"
    );
    let nobody = client.refused("node", json!({ "node": UNKNOWN })).await;
    assert_eq!(nobody.get("untrusted"), None, "{nobody}");
    client.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_argument_is_an_error_of_the_tool_in_the_words_of_the_program() {
    let pipeline = Pipeline::new().await;
    let client = Client::start(&pipeline.scene.test.uri, &[]).await;
    for condition in [
        "name = 'x' andd user = 'y'",
        "nme = 'x'",
        "metrics.auc > '0.9'",
        "(status = 'FAILED'",
        "{\"$where\": \"1\"}",
        "",
    ] {
        let answer = client.refused("find", json!({ "where": condition })).await;
        let printed = pipeline.program(&["find", "--where", condition]).stderr;
        let message = answer["error"]["message"].as_str().expect("a message");
        let said = printed
            .trim()
            .trim_start_matches("error: ")
            .replace("--where", "where");
        assert_eq!(said, message, "{condition}");
    }
    let wrong = client
        .refused("find", json!({ "where": "name = 'x' andd user = 'y'" }))
        .await;
    assert_eq!(
        (&wrong["error"]["line"], &wrong["error"]["column"]),
        (&json!(1), &json!(12)),
        "{wrong}"
    );
    for (tool, arguments, words) in [
        ("find", json!({ "wher": "x" }), "unknown field `wher`"),
        ("find", json!({ "limit": "many" }), "invalid type"),
        ("find", json!({ "columns": ["nme"] }), "columns: "),
        (
            "find",
            json!({ "sort": "name", "after": UNKNOWN }),
            "after: ",
        ),
        ("find", json!({ "after": UNKNOWN }), "is not mirrored"),
        ("node", json!({}), "missing field `node`"),
        ("graph", json!({ "select": "a b" }), "column 3"),
        (
            "graph",
            json!({ "select": "r1", "upstream": "two" }),
            "or all",
        ),
        (
            "graph",
            json!({ "select": "1+r1", "upstream": 1 }),
            "says the levels",
        ),
        (
            "graph",
            json!({ "select": "r1", "where": "{}" }),
            "takes no MongoDB filter",
        ),
        (
            "impact",
            json!({ "node": "r1", "where": " " }),
            "the condition is empty",
        ),
        (
            "provenance",
            json!({ "node": "nonsense:x" }),
            "is not a node",
        ),
        ("diff", json!({ "a": "dataset:x", "b": "r1" }), "a: "),
    ] {
        let answer: Value = client.refused(tool, arguments.clone()).await;
        let message = answer["error"]["message"].as_str().expect("a message");
        assert!(message.contains(words), "{tool} {arguments}: {message}");
    }
    client.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_database_answers_no_question() {
    let test = TestDatabase::new().await;
    let client = Client::start(&test.uri, &[]).await;
    for (tool, arguments) in [
        ("find", json!({})),
        ("node", json!({ "node": "model:churn" })),
        ("diff", json!({ "a": "r1", "b": "r2" })),
    ] {
        let answer = client.refused(tool, arguments).await;
        let message = answer["error"]["message"].as_str().expect("a message");
        assert!(message.contains("mirrors nothing yet"), "{message}");
    }
    client.stop().await;
}
