//! `dot`, `mermaid`, `graphml` and `openlineage` of a graph on real servers, each read by its program.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use mongodb::bson::{DateTime, Document, doc};
use serde_json::{Value, json};

use super::{Pipeline, ids};
use crate::support::readers;

/// Names that MLflow accepts, and names that break careless programs.
const NAMES: [&str; 9] = [
    "a b",
    "c++",
    "x@y",
    "and",
    "2+m",
    "q\"t",
    "p(1)",
    "end",
    "\\<script>{{\u{202e}\u{1b}",
];

const FORMATS: [&str; 4] = ["dot", "mermaid", "graphml", "openlineage"];

#[tokio::test(flavor = "multi_thread")]
async fn every_command_with_a_graph_exports_it() {
    let pipeline = Pipeline::with_name("q\"t \\ <end>").await;
    let (version, nodes) = (pipeline.version(), pipeline.nodes());
    let folder = tempfile::tempdir().unwrap();
    let graph = format!("+{version}+");
    let commands: [&[&str]; 4] = [
        &["graph", &graph],
        &["impact", &nodes[0]],
        &["provenance", &version],
        &["paths", &nodes[0], &version],
    ];
    let printed: BTreeMap<(&str, &str), String> = FORMATS
        .iter()
        .flat_map(|format| {
            commands.map(|command| {
                let args = [command, &["--format", format]].concat();
                ((*format, command[0]), pipeline.program(&args).success())
            })
        })
        .collect();
    let counts = BTreeMap::from([("graph", 7), ("impact", 7), ("provenance", 5), ("paths", 5)]);
    let of = |format: &str| -> (Vec<&str>, Vec<String>) {
        let of = printed.iter().filter(|((of, _), _)| *of == format);
        of.map(|((_, command), text)| (*command, text.clone()))
            .unzip()
    };
    let (commands, texts) = of("dot");
    for (command, answer) in commands.iter().zip(readers::graphviz(&texts)) {
        let objects = answer["graph"]["objects"].as_array().expect("nodes");
        assert_eq!(objects.len(), counts[command], "{command}");
        assert!(objects.iter().any(|node| node["name"] == version.as_str()));
    }
    let (commands, texts) = of("mermaid");
    for (command, answer) in commands.iter().zip(readers::mermaid(&texts)) {
        let read = answer["nodes"]
            .as_array()
            .unwrap_or_else(|| panic!("{answer}"));
        assert_eq!(read.len(), counts[command], "{command}");
        let named = |node: &Value| {
            node[1]
                .as_str()
                .is_some_and(|label| label.starts_with("q\"t \\ "))
        };
        assert!(read.iter().any(named), "{read:?}");
    }
    let (commands, texts) = of("graphml");
    for (command, answer) in commands.iter().zip(readers::networkx(&texts)) {
        assert_eq!(
            answer["declared"].as_array().map(Vec::len),
            Some(counts[command]),
            "{command}"
        );
        assert_eq!(
            answer["nodes"].as_array().map(Vec::len),
            Some(counts[command]),
            "{command}"
        );
    }
    let (commands, texts) = of("openlineage");
    for (command, text) in commands.iter().zip(&texts) {
        let events = events(text);
        let runs = run_ids(&events);
        let expected = if counts[command] == 7 { 3 } else { 2 };
        assert_eq!(runs.len(), expected, "{command}");
    }

    // The name of a file gives the format.
    for (name, format) in [
        ("g.dot", "dot"),
        ("g.gv", "dot"),
        ("g.mmd", "mermaid"),
        ("g.graphml", "graphml"),
        ("g.ndjson", "openlineage"),
    ] {
        pipeline
            .program_in(folder.path(), &["graph", &graph, "--out", name])
            .success();
        let written = std::fs::read_to_string(folder.path().join(name)).unwrap();
        assert_eq!(written, printed[&(format, "graph")], "{name}");
    }
    let limited = ["graph", &graph, "--max-nodes", "3", "--format"];
    for format in FORMATS {
        let cut = pipeline
            .program(&[&limited[..], &[format]].concat())
            .success();
        assert!(cut.contains("truncated"), "{format}: {cut}");
    }
}

/// A mirror with every relation and hostile names, and the events of its graph.
async fn hostile() -> (Pipeline, String) {
    let pipeline = Pipeline::new().await;
    let database = &pipeline.scene.test.database;
    let (mut runs, mut versions) = (Vec::new(), Vec::new());
    let time = |hour: i64| DateTime::from_millis(1_700_000_000_000 + hour * 3_600_000);
    for (place, name) in NAMES.iter().enumerate() {
        let (writer, reader) = (format!("writer{place}"), format!("reader{place}"));
        let status = ["FINISHED", "FAILED", "KILLED", "RUNNING", "SCHEDULED"][place % 5];
        let run = |id: &str, inputs: Document, outputs: Document| {
            doc! {
                "_id": id, "name": *name, "exp": { "id": "1", "name": *name }, "status": status, "user": *name, "start_time": time(0),
                "inputs": inputs, "outputs": outputs,
                "mirror": { "ticket": 1_i64, "changed_at": time(0), "fingerprint": "-" },
            }
        };
        let of = |id: &str, path: &str| doc! { "id": id, "path": path, "from": "tag" };
        let mut ended = run(
            &writer,
            doc! { "models": [], "runs": [of("unmirrored", name)], "datasets": [{ "name": *name, "digest": "1", "from": "inputs" }] },
            doc! { "models": [{ "name": *name, "version": "1", "from": "tag" }], "runs": [of(&writer, "out/all")] },
        );
        ended.insert("end_time", time(1));
        runs.push(ended);
        // A folder of which a file was written, and a model whose version nobody noted.
        runs.push(run(
            &reader,
            doc! { "models": [{ "name": *name, "from": "tag" }, { "name": "hub", "version": "1", "from": "tag" }], "runs": [of(&writer, "out")] },
            doc! { "models": [{ "name": "hub", "version": "1", "from": "tag" }], "runs": [] },
        ));
        versions.push(doc! {
            "_id": format!("{name}:2"), "name": *name, "version": "2", "created": time(2), "copied_from": format!("{name}:1"),
            "logged_model": "m-1", "mirror": { "ticket": 1_i64, "changed_at": time(0), "fingerprint": "-" },
        });
    }
    database
        .collection::<Document>("runs")
        .insert_many(runs)
        .await
        .expect("they are stored");
    let collection = database.collection::<Document>("model_versions");
    collection
        .insert_many(versions)
        .await
        .expect("they are stored");
    let parent = doc! { "$set": { "tags.mlflow.parentRunId": "writer0" } };
    let runs = database.collection::<Document>("runs");
    let child = runs.update_one(doc! { "_id": "reader0" }, parent).await;
    assert_eq!(child.expect("MongoDB answers").modified_count, 1);
    let selection = format!(
        "+model:hub:1+ or logged-model:m-1+ or +{}+",
        pipeline.version()
    );
    let args = [
        "graph",
        &selection,
        "--uncertain",
        "--parents",
        "--format",
        "openlineage",
    ];
    let printed = pipeline.program(&args).success();
    (pipeline, printed)
}

fn events(text: &str) -> Vec<Value> {
    let events = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"));
    events.collect()
}

fn run_ids(events: &[Value]) -> BTreeSet<&str> {
    events
        .iter()
        .filter_map(|event| event["run"]["runId"].as_str())
        .collect()
}

/// Every facet of an event, by its name.
fn facets<'a>(value: &'a Value, found: &mut Vec<(&'a str, &'a Value)>) {
    match value {
        Value::Object(fields) => {
            for (name, inner) in fields {
                if ["facets", "inputFacets", "outputFacets"].contains(&name.as_str()) {
                    let inner = inner.as_object().expect("facets");
                    found.extend(inner.iter().map(|(name, facet)| (name.as_str(), facet)));
                }
                facets(inner, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| facets(item, found)),
        _ => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn openlineage_events_hold_the_whole_graph() {
    let (pipeline, printed) = hostile().await;
    let events = events(&printed);
    let train = pipeline.id("train");
    let hyphens = format!(
        "{}-{}-{}-{}-{}",
        &train[..8],
        &train[8..12],
        &train[12..16],
        &train[16..20],
        &train[20..]
    );
    let of_run = |id: &str| {
        events
            .iter()
            .filter(|event| event["run"]["runId"] == id)
            .collect::<Vec<_>>()
    };
    let [start, end] = of_run(&hyphens)[..] else {
        panic!("two events of a run that has ended: {printed}");
    };
    assert_eq!(
        (&start["eventType"], &end["eventType"]),
        (&json!("START"), &json!("COMPLETE"))
    );
    let schema = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent";
    assert_eq!(end["schemaURL"], schema);
    let job = format!("{}/train", pipeline.scene.exp.0);
    assert_eq!(end["job"]["name"], job.as_str());
    let outputs = end["outputs"].as_array().expect("outputs");
    let version = outputs
        .iter()
        .find(|output| output["name"] == pipeline.version().as_str());
    let version = version.expect("the version is an output");
    assert_eq!(version["facets"]["datasetType"]["datasetType"], "MODEL");
    assert_eq!(version["facets"]["version"]["datasetVersion"], "1");
    let edge = &version["outputFacets"]["runlineage_edge"];
    assert_eq!(
        (&edge["certain"], &edge["origins"]),
        (&json!(true), &json!(["tag", "registry"]))
    );
    assert!(version["facets"]["runlineage_node"]["hidden"].is_object());

    let kinds: BTreeSet<&str> = events
        .iter()
        .filter_map(|event| event["eventType"].as_str())
        .collect();
    assert_eq!(
        kinds,
        BTreeSet::from(["ABORT", "COMPLETE", "FAIL", "OTHER", "RUNNING", "START"])
    );
    let (mut named, mut lineage) = (BTreeSet::new(), BTreeSet::new());
    let mut counted: BTreeMap<&str, usize> = BTreeMap::new();
    for event in &events {
        for field in ["eventTime", "producer", "schemaURL"] {
            assert!(event[field].is_string(), "{field} of {event}");
        }
        let sides =
            ["inputs", "outputs"].map(|side| event[side].as_array().cloned().unwrap_or_default());
        let datasets = sides
            .concat()
            .into_iter()
            .chain(event.get("dataset").cloned());
        for dataset in datasets {
            let name = dataset["name"].as_str().expect("a name").to_owned();
            for source in dataset["facets"]["lineage"]["inputs"]
                .as_array()
                .into_iter()
                .flatten()
            {
                let said = source["transformations"][0]["description"]
                    .as_str()
                    .expect("a text");
                lineage.insert((
                    source["name"].as_str().expect("a name").to_owned(),
                    name.clone(),
                    said.to_owned(),
                ));
            }
            named.insert(name);
        }
        let mut found = Vec::new();
        facets(event, &mut found);
        for (name, facet) in found {
            *counted.entry(name).or_default() += 1;
            for field in ["_producer", "_schemaURL"] {
                assert!(
                    facet[field].as_str().is_some_and(|url| url.contains(':')),
                    "{field} of {name}"
                );
            }
        }
    }
    for facet in [
        "datasetType",
        "version",
        "lineage",
        "parent",
        "jobType",
        "runlineage_node",
        "runlineage_edge",
    ] {
        assert!(counted.contains_key(facet), "no {facet} in {counted:?}");
    }
    // The same graph as JSON: every node is a run or a dataset, and every edge between datasets stands in a facet.
    let selection = format!(
        "+model:hub:1+ or logged-model:m-1+ or +{}+",
        pipeline.version()
    );
    let graph = pipeline.json(&["graph", &selection, "--uncertain", "--parents"]);
    let (runs, others): (Vec<String>, Vec<String>) = ids(&graph)
        .into_iter()
        .partition(|id| id.starts_with("run:"));
    assert_eq!(run_ids(&events).len(), runs.len());
    assert_eq!(named, others.into_iter().collect());
    let edges = graph["edges"].as_array().expect("edges").iter();
    let is_run = |end: &Value| end.as_str().is_some_and(|end| end.starts_with("run:"));
    let expected: BTreeSet<(String, String, String)> = edges
        .filter(|edge| !is_run(&edge["from"]) && !is_run(&edge["to"]))
        .map(|edge| {
            let text = |field: &str| edge[field].as_str().expect("a text").to_owned();
            let certainty = if edge["certain"] == true {
                "certain"
            } else {
                "uncertain"
            };
            (
                text("from"),
                text("to"),
                format!("{}, {certainty}", text("relation")),
            )
        })
        .collect();
    assert_eq!(lineage, expected);
    for words in [
        "overlap, certain",
        "overlap, uncertain",
        "copied, certain",
        "registered, certain",
    ] {
        assert!(
            expected.iter().any(|(.., said)| said == words),
            "no {words:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the published schemas: .ci/run sets RUNLINEAGE_TEST_OPENLINEAGE to their folder"]
async fn openlineage_events_meet_the_published_schemas() {
    let schemas = std::env::var_os("RUNLINEAGE_TEST_OPENLINEAGE");
    let schemas = schemas.expect("RUNLINEAGE_TEST_OPENLINEAGE names the folder of the schemas");
    let schemas = Path::new(&schemas);
    let (_pipeline, printed) = hostile().await;
    let report = readers::openlineage(schemas, &printed);
    assert_eq!(report["errors"], json!([]), "{report:#}");
    let facets = report["facets"].as_object().expect("an object");
    for schema in [
        "DatasetType",
        "DatasetVersion",
        "JobType",
        "ParentRun",
        "Lineage",
    ] {
        assert!(
            facets.keys().any(|url| url.contains(schema)),
            "no {schema} in {facets:?}"
        );
    }
    // The check is no formality: a facet's own body, and the format of an id.
    for (good, bad) in [
        ("\"datasetVersion\"", "\"dataset_version\""),
        ("\"runId\":\"", "\"runId\":\"x"),
        ("\"_producer\":\"urn:", "\"_producer\":\"no uri "),
    ] {
        let report = readers::openlineage(schemas, &printed.replace(good, bad));
        assert_ne!(report["errors"], json!([]), "{bad}");
    }
}
