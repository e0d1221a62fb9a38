//! The API, the program and the library give the same answer to the same question.

use futures::TryStreamExt as _;
use runlineage::{MongoRunStore, Query, Search};
use serde_json::Value;

use crate::graph_commands::Pipeline;
use crate::support::served::{Served, encoded};

/// A question, as arguments of the program and as a path of the API.
struct Question {
    args: Vec<String>,
    path: String,
}

fn question(args: &[&str], path: &str) -> Question {
    Question {
        args: args.iter().map(|arg| (*arg).to_owned()).collect(),
        path: format!("/api/v1/{path}"),
    }
}

fn questions(pipeline: &Pipeline) -> Vec<Question> {
    let nodes = pipeline.nodes();
    let (data, version, file) = (&nodes[0], &nodes[4], &nodes[6]);
    let train = pipeline.id("train");
    let mut questions = vec![
        question(
            &["show", train, "--format", "json"],
            &format!("run?id={train}"),
        ),
        question(
            &["find", "--sort", "-start_time", "--format", "json"],
            "search?limit=1000",
        ),
        question(
            &["find", "--sort", "-start_time", "--format", "ndjson"],
            "search?limit=0&format=ndjson",
        ),
        question(
            &["find", "--sort", "-start_time", "--format", "json"],
            "search?limit=0",
        ),
        question(
            &["find", "--where", "name = 'nobody'", "--format", "json"],
            &format!("search?where={}", encoded("name = 'nobody'")),
        ),
        question(
            &[
                "find",
                "--sort",
                "name",
                "--format",
                "csv",
                "--columns",
                "_id,name,params.rate",
            ],
            "search?sort=name&format=csv&columns=_id,name,params.rate",
        ),
        question(
            &[
                "find",
                "--sort",
                "-start_time",
                "--format",
                "ndjson",
                "--columns",
                "name",
                "--ui-url",
            ],
            "search?format=ndjson&columns=name&links=true",
        ),
        question(
            &[
                "find",
                "--where",
                "{\"name\": {\"$in\": [\"score\", \"train\"]}}",
                "--sort",
                "-start_time",
                "--format",
                "json",
            ],
            &format!(
                "search?where={}",
                encoded("{\"name\": {\"$in\": [\"score\", \"train\"]}}")
            ),
        ),
    ];
    for (format, name) in [
        ("json", "exp"),
        ("ndjson", "input-model"),
        ("csv", "output-artifact"),
    ] {
        questions.push(question(
            &["find", "--facet", name, "--format", format],
            &format!("facets?facet={name}&format={format}"),
        ));
    }
    let formats = [
        "json",
        "csv",
        "svg",
        "png",
        "html",
        "dot",
        "mermaid",
        "graphml",
        "openlineage",
    ];
    for format in formats {
        let selection = format!("2+{version}+1 and not {data} and where(status = FINISHED)");
        for (command, path) in [
            (
                vec!["graph", version.as_str()],
                format!("graph?select={}", encoded(version)),
            ),
            (
                vec!["graph", selection.as_str()],
                format!("graph?select={}", encoded(&selection)),
            ),
            (
                vec![
                    "graph",
                    data.as_str(),
                    "--downstream",
                    "all",
                    "--parents",
                    "--fold",
                    "0",
                ],
                format!(
                    "graph?select={}&downstream=all&parents=true&fold=0",
                    encoded(data)
                ),
            ),
            (
                vec!["impact", data.as_str()],
                format!("impact?node={}", encoded(data)),
            ),
            (
                vec!["paths", data.as_str(), file.as_str()],
                format!("paths?from={}&to={}", encoded(data), encoded(file)),
            ),
            (
                vec!["paths", file.as_str(), nodes[1].as_str()],
                format!("paths?from={}&to={}", encoded(file), encoded(&nodes[1])),
            ),
            (
                vec!["provenance", version.as_str()],
                format!("provenance?node={}", encoded(version)),
            ),
        ] {
            let args = [&command[..], &["--format", format]].concat();
            questions.push(question(&args, &format!("{path}&format={format}")));
        }
    }
    let score = &nodes[5];
    for format in ["json", "csv", "svg", "png", "html"] {
        for (a, b) in [(version, score), (&nodes[3], version)] {
            questions.push(question(
                &["diff", a, b, "--format", format],
                &format!("diff?a={}&b={}&format={format}", encoded(a), encoded(b)),
            ));
        }
    }
    let cut = format!("diff?a={}&b={}&upstream=0", encoded(train), encoded(score));
    questions.push(question(
        &["diff", train, score, "--upstream", "0", "--format", "json"],
        &cut,
    ));
    for (condition, format) in [("name = 'train'", "json"), ("name != 'train'", "dot")] {
        let (args, more) = (
            ["--where", condition, "--format", format],
            format!("where={}&format={format}", encoded(condition)),
        );
        questions.push(question(
            &[&["provenance", version.as_str()], &args[..]].concat(),
            &format!("provenance?node={}&{more}", encoded(version)),
        ));
        questions.push(question(
            &[&["paths", data.as_str(), file.as_str()], &args[..]].concat(),
            &format!("paths?from={}&to={}&{more}", encoded(data), encoded(file)),
        ));
    }
    questions
}

/// The answer without the time at which it was written.
fn timeless(answer: &[u8]) -> Vec<u8> {
    let lines = answer.split(|byte| *byte == b'\n');
    let kept = lines.filter(|line| !line.starts_with(b"  \"written_at\": "));
    kept.collect::<Vec<_>>().join(&b'\n')
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_the_program_and_the_library_answer_alike() {
    let pipeline = Pipeline::new().await;
    let uri = &pipeline.scene.test.uri;
    let served = Served::start(uri, &[]);
    let folder = tempfile::tempdir().expect("a folder");
    let mut compared = 0;
    for Question { args, path } in questions(&pipeline) {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let is_drawn = args.ends_with(&["png"]);
        let printed = match is_drawn {
            // The fixture reads the output as text.
            true => {
                let file = folder.path().join("drawn.png");
                let out = file.to_str().expect("a text");
                pipeline
                    .program(&[&args[..], &["--out", out]].concat())
                    .success();
                std::fs::read(&file).expect("a file")
            }
            false => pipeline.program(&args).success().into_bytes(),
        };
        let answer = served.get(&path).ok();
        assert!(
            timeless(&printed) == timeless(&answer.body),
            "{path}\n{}\n{args:?}\n{}",
            answer.text(),
            String::from_utf8_lossy(&printed)
        );
        assert!(!printed.is_empty(), "{path}");
        let mirror = answer.header("runlineage-source").unwrap_or_default();
        assert!(mirror.starts_with("http://"), "{path}: {mirror}");
        assert!(answer.header("runlineage-full-pass").is_some(), "{path}");
        compared += 1;
    }
    assert_eq!(compared, 89);
    nodes_are_told_as_show_tells_them(&pipeline, &served);

    let store = MongoRunStore::open(uri, None).await.expect("a mirror");
    let graph = store.graph(pipeline.version().parse().expect("a node"));
    let graph = graph.upstream(2).downstream(2).await.expect("a graph");
    let library = serde_json::to_value(&graph).expect("JSON");
    let path = format!("/api/v1/graph?select={}", encoded(&pipeline.version()));
    let mut api = served.get(&path).ok().json();
    for node in api["nodes"].as_array_mut().expect("nodes") {
        node.as_object_mut().expect("an object").remove("url");
    }
    assert_eq!(api, library);
    let (version, score) = (pipeline.version(), pipeline.nodes()[5].clone());
    let [a, b] = [&version, &score].map(|node| node.parse().expect("a node"));
    let library = store.diff(a, b).await.expect("a diff");
    let path = format!("/api/v1/diff?a={}&b={}", encoded(&version), encoded(&score));
    let library = serde_json::to_value(&library).expect("JSON");
    assert_eq!(served.get(&path).ok().json(), library);
    let picture = path.replace("/diff?", "/diff/picture?");
    assert_eq!(served.get(&picture).ok().json()["diff"], library);
    let search = Search::from(Query::new().with_input_model(&pipeline.model, None)).newest_first();
    let runs = store.find_runs(search).await.expect("runs");
    let ids: Vec<String> = runs
        .map_ok(|run| run.id().to_owned())
        .try_collect()
        .await
        .expect("runs");
    let condition = encoded(&format!("input.model = '{}'", pipeline.model));
    let api = served
        .get(&format!("/api/v1/search?where={condition}"))
        .ok();
    let api: Vec<Value> = serde_json::from_slice(&api.body).expect("an array");
    let found: Vec<&str> = api.iter().filter_map(|run| run["_id"].as_str()).collect();
    assert_eq!(found, ids);
    assert_eq!(found.len(), 1);
}

fn nodes_are_told_as_show_tells_them(pipeline: &Pipeline, served: &Served) {
    let nodes = pipeline.nodes();
    let model = format!("model:{}", pipeline.model);
    let by_alias = format!("models:/{}@champion", pipeline.model);
    for (node, shown, edges) in [
        (&nodes[0], Some(&nodes[0]), 1),
        (&nodes[3], Some(&nodes[3]), 2),
        (&nodes[4], Some(&nodes[4]), 2),
        (&by_alias, Some(&nodes[4]), 2),
        (&model, Some(&model), 2),
        (&nodes[2], None, 2),
    ] {
        let told = served
            .get(&format!("/api/v1/node?id={}", encoded(node)))
            .ok()
            .json();
        let details = shown.map_or(Value::Null, |shown| pipeline.json(&["show", shown]));
        assert_eq!(told["details"], details, "{node}");
        let hidden = &told["nodes"][0]["hidden"];
        let count = |side: &str| hidden[side]["count"].as_u64().expect("a count");
        assert_eq!(count("up") + count("down"), edges, "{node}: {told}");
    }
}
