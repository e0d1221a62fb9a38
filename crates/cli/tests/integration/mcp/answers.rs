//! The tools give the same answers as the program, beside where the mirror stands.

use serde_json::{Value, json};

use super::Client;
use crate::graph_commands::Pipeline;

#[tokio::test(flavor = "multi_thread")]
async fn the_tools_and_the_program_answer_alike() {
    let pipeline = Pipeline::new().await;
    let nodes = pipeline.nodes();
    let (data, file, train, version) = (&nodes[0], &nodes[2], &nodes[3], &nodes[4]);
    let prepare = &nodes[1];
    let selection = format!("2+{version}+1 and not {data} and where(status = FINISHED)");
    let by_alias = format!("models:/{}@champion", pipeline.model);
    let condition = format!("input.model = '{}:1'", pipeline.model);
    let filter = "{\"name\": {\"$in\": [\"score\", \"train\"]}}";
    let columns = "_id,name,exp.name,status,start_time,user,inputs,outputs";
    let newest = ["--sort", "-start_time", "--columns"];
    let find =
        |further: &[&str]| pipeline.json(&[&["find"], further, &newest, &[columns]].concat());
    let shown = |args: &[&str]| pipeline.json(args);
    let questions = [
        ("find", json!({}), json!({ "runs": find(&[]) })),
        (
            "find",
            json!({ "where": condition }),
            json!({ "runs": find(&["--where", &condition]) }),
        ),
        (
            "find",
            json!({ "where": filter }),
            json!({ "runs": find(&["--where", filter]) }),
        ),
        (
            "find",
            json!({ "sort": "name", "columns": ["name", "params.rate"] }),
            json!({ "runs": shown(&["find", "--sort", "name", "--columns", "name,params.rate"]) }),
        ),
        (
            "find",
            json!({ "where": "name = 'nobody'" }),
            json!({ "runs": [] }),
        ),
        (
            "graph",
            json!({ "select": version }),
            shown(&["graph", version]),
        ),
        (
            "graph",
            json!({ "select": by_alias }),
            shown(&["graph", version]),
        ),
        (
            "graph",
            json!({ "select": selection }),
            shown(&["graph", &selection]),
        ),
        (
            "graph",
            json!({ "select": data, "downstream": "all", "parents": true }),
            shown(&["graph", data, "--downstream", "all", "--parents"]),
        ),
        (
            "graph",
            json!({ "select": train, "upstream": 1, "where": "name = 'train'" }),
            shown(&[
                "graph",
                train,
                "--upstream",
                "1",
                "--where",
                "name = 'train'",
            ]),
        ),
        ("impact", json!({ "node": data }), shown(&["impact", data])),
        (
            "impact",
            json!({ "node": file, "downstream": 1 }),
            shown(&["impact", file, "--downstream", "1"]),
        ),
        (
            "provenance",
            json!({ "node": version }),
            shown(&["provenance", version]),
        ),
        (
            "provenance",
            json!({ "node": train, "upstream": "1", "uncertain": true }),
            shown(&["provenance", train, "--upstream", "1", "--uncertain"]),
        ),
        (
            "diff",
            json!({ "a": train, "b": prepare }),
            shown(&["diff", train, prepare]),
        ),
        (
            "diff",
            json!({ "a": version, "b": by_alias, "upstream": 1 }),
            shown(&["diff", version, version, "--upstream", "1"]),
        ),
    ];
    let client = Client::start(&pipeline.scene.test.uri, &[]).await;
    let mut compared = 0;
    for (tool, arguments, expected) in questions {
        let answer = client.ask(tool, arguments.clone()).await;
        assert_eq!(
            timeless(answer["untrusted"].clone()),
            timeless(expected),
            "{tool} {arguments}"
        );
        let mirror = &answer["mirror"];
        let source = mirror["source"].as_str().expect("a source");
        assert!(source.starts_with("http://"), "{mirror}");
        assert!(mirror["full_pass"].is_string(), "{mirror}");
        compared += 1;
    }
    assert_eq!(compared, 16);
    nodes_are_told_as_show_tells_them(&pipeline, &client).await;
    client.stop().await;
}

async fn nodes_are_told_as_show_tells_them(pipeline: &Pipeline, client: &Client) {
    let nodes = pipeline.nodes();
    let model = format!("model:{}", pipeline.model);
    let by_alias = format!("models:/{}@champion", pipeline.model);
    let quoted = format!("\"{}\"", nodes[4]);
    for (node, shown, edges) in [
        (&nodes[0], Some(&nodes[0]), 1),
        (&nodes[3], Some(&nodes[3]), 2),
        (&nodes[4], Some(&nodes[4]), 2),
        (&by_alias, Some(&nodes[4]), 2),
        (&quoted, Some(&nodes[4]), 2),
        (&model, Some(&model), 2),
        (&nodes[2], None, 2),
    ] {
        let answer = client.ask("node", json!({ "node": node })).await;
        let told = &answer["untrusted"];
        let details = shown.map_or(Value::Null, |shown| pipeline.json(&["show", shown]));
        assert_eq!(told["details"], details, "{node}");
        let hidden = &told["nodes"][0]["hidden"];
        let count = |side: &str| hidden[side]["count"].as_u64().expect("a count");
        assert_eq!(count("up") + count("down"), edges, "{node}: {told}");
    }
}

/// The answer without the time at which it was written.
fn timeless(mut answer: Value) -> Value {
    if let Some(written_at) = answer.get_mut("written_at") {
        *written_at = Value::Null;
    }
    answer
}
