//! The formats for other programs, each read by its program, over graphs with hostile names.

use std::collections::HashSet;

use runlineage_draw::{
    Hidden, MermaidOptions, NodeKind, Picture, PictureEdge, PictureNode, dot, graphml, mermaid,
};
use runlineage_test_servers::readers;
use serde_json::Value;

use crate::scenes;

/// A small graph that has everything which the picture of another program lacks.
fn picture() -> Picture {
    let mut version = PictureNode::new("model:c++ \"x\" \\:7", NodeKind::Model);
    version.name = "c++ \"x\" \\:7".into();
    version.start = true;
    version.hidden_down = Hidden::over(10_000);
    version.facts = vec![
        ("copy of".into(), "model:a:1".into()),
        ("kind".into(), "other".into()),
    ];
    let mut run = PictureNode::new("run:a", NodeKind::Run);
    run.name = "end".into();
    run.status = Some("FAILED".into());
    run.depth = 1;
    run.known = false;
    run.link = Some("http://mlflow/#/a?b=1&c=2".into());
    let mut wrote = PictureEdge::new("run:a", "model:c++ \"x\" \\:7");
    wrote.relation = Some("wrote".into());
    wrote.origins = vec!["tag".into(), "registry".into()];
    let mut read = PictureEdge::new("model:c++ \"x\" \\:7", "run:a");
    read.certain = false;
    read.note = Some("made anew".into());
    Picture::new(vec![version, run], vec![wrote, read])
        .unwrap()
        .truncated("ended at <2> nodes".to_owned())
}

/// The fixed scenes, and random graphs.
fn pictures() -> Vec<Picture> {
    let fixed = scenes::fixed().into_iter().map(|(_, picture)| picture);
    let random = (0..12).map(|seed| scenes::random_of(seed, seed % 6, 8 + 3 * seed as usize));
    fixed.chain(random).chain([picture()]).collect()
}

/// The positions of each edge's ends among the nodes, sorted.
fn ends(picture: &Picture) -> Vec<(usize, usize)> {
    let place = |id: &str| {
        let mut nodes = picture.nodes().iter();
        nodes.position(|node| node.id == id).expect("a node")
    };
    let edges = picture.edges().iter();
    let mut ends: Vec<_> = edges
        .map(|edge| (place(&edge.from), place(&edge.to)))
        .collect();
    ends.sort_unstable();
    ends
}

fn number(value: &Value) -> usize {
    value.as_u64().expect("a number") as usize
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}

fn list(value: &Value) -> &[Value] {
    value.as_array().expect("a list")
}

#[test]
fn dot_holds_what_the_picture_does_not_show() {
    let expected = r#"digraph lineage {
  graph [rankdir="LR", truncated="ended at <2> nodes", label="ended at <2> nodes"];
  node [fontname="sans-serif"];
  "model:c++ \"x\" \\:7" [label="c++ \"x\" \\:7", tooltip="model:c++ \"x\" \\:7", shape="hexagon", style="bold", kind="model", full_name="c++ \"x\" \\:7", depth="0", start="true", known="true", deleted="false", hidden_down="10000", hidden_down_or_more="true", copy_of="model:a:1", fact_kind="other"];
  "run:a" [label="end\nFAILED", tooltip="run:a", shape="box", style="dashed", URL="http://mlflow/#/a?b=1&c=2", kind="run", full_name="end", depth="1", start="false", known="false", deleted="false", status="FAILED", link="http://mlflow/#/a?b=1&c=2"];
  "run:a" -> "model:c++ \"x\" \\:7" [tooltip="wrote", certain="true", overlap="false", parent="false", relation="wrote", origins="tag registry"];
  "model:c++ \"x\" \\:7" -> "run:a" [style="dashed", certain="false", overlap="false", parent="false", note="made anew"];
}
"#;
    assert_eq!(dot(&picture()), expected);
}

#[test]
fn graphviz_reads_every_node_and_edge_of_dot() {
    let pictures = pictures();
    let texts: Vec<String> = pictures.iter().map(dot).collect();
    let answers = readers::graphviz(&texts);
    assert_eq!(answers.len(), pictures.len());
    for (picture, answer) in pictures.iter().zip(&answers) {
        assert!(answer["error"].is_null(), "{answer}");
        assert!(text(&answer["canon"]).starts_with("digraph lineage {"));
        let (objects, empty) = (&answer["graph"]["objects"], Vec::new());
        let objects = objects.as_array().unwrap_or(&empty);
        assert_eq!(objects.len(), picture.nodes().len());
        for (object, node) in objects.iter().zip(picture.nodes()) {
            assert_eq!(object["known"], node.known.to_string());
            assert_eq!(object["kind"], node.kind.name());
            let is_plain = node.id.chars().all(|c| c.is_ascii_graphic() && c != '\\');
            assert!(!is_plain || object["name"] == node.id.as_str(), "{object}");
        }
        let edges = answer["graph"]["edges"].as_array().unwrap_or(&empty);
        let mut read: Vec<_> = edges
            .iter()
            .map(|edge| (number(&edge["tail"]), number(&edge["head"])))
            .collect();
        read.sort_unstable();
        assert_eq!(read, ends(picture));
        let uncertain = |certain: &str| {
            edges
                .iter()
                .filter(|edge| edge["certain"] == certain)
                .count()
        };
        let expected = picture.edges().iter().filter(|edge| !edge.certain).count();
        assert_eq!(uncertain("false"), expected);
        assert_eq!(uncertain("true"), edges.len() - expected);
    }
    let refused = readers::graphviz(&["digraph { a -> }".to_owned()]);
    assert!(refused[0]["error"].is_string(), "{refused:?}");
}

#[test]
fn graphml_holds_typed_data() {
    let expected = r#"<?xml version="1.0" encoding="UTF-8"?>
<graphml xmlns="http://graphml.graphdrawing.org/xmlns">
  <key id="graph.truncated" for="graph" attr.name="truncated" attr.type="string"/>
  <key id="node.deleted" for="node" attr.name="deleted" attr.type="boolean"/>
  <key id="node.depth" for="node" attr.name="depth" attr.type="long"/>
  <key id="node.kind" for="node" attr.name="kind" attr.type="string"/>
  <key id="node.known" for="node" attr.name="known" attr.type="boolean"/>
  <key id="node.name" for="node" attr.name="name" attr.type="string"/>
  <key id="node.start" for="node" attr.name="start" attr.type="boolean"/>
  <key id="edge.certain" for="edge" attr.name="certain" attr.type="boolean"/>
  <key id="edge.overlap" for="edge" attr.name="overlap" attr.type="boolean"/>
  <key id="edge.parent" for="edge" attr.name="parent" attr.type="boolean"/>
  <graph id="lineage" edgedefault="directed">
      <data key="graph.truncated">a &amp; b</data>
    <node id="run:&lt;a&gt;">
      <data key="node.kind">run</data>
      <data key="node.name">run:&lt;a&gt;</data>
      <data key="node.depth">0</data>
      <data key="node.start">false</data>
      <data key="node.known">true</data>
      <data key="node.deleted">false</data>
    </node>
    <edge source="run:&lt;a&gt;" target="run:&lt;a&gt;">
      <data key="edge.certain">true</data>
      <data key="edge.overlap">false</data>
      <data key="edge.parent">false</data>
    </edge>
  </graph>
</graphml>
"#;
    let node = PictureNode::new("run:<a>", NodeKind::Run);
    let edge = PictureEdge::new("run:<a>", "run:<a>");
    let picture = Picture::new(vec![node], vec![edge]).unwrap();
    assert_eq!(graphml(&picture.truncated("a & b".to_owned())), expected);
}

#[test]
fn networkx_reads_every_node_and_edge_of_graphml_and_no_other_node() {
    let pictures = pictures();
    let texts: Vec<String> = pictures.iter().map(graphml).collect();
    let answers = readers::networkx(&texts);
    assert_eq!(answers.len(), pictures.len());
    for (picture, answer) in pictures.iter().zip(&answers) {
        assert_eq!(answer["directed"], true);
        let nodes = list(&answer["nodes"]);
        let ids: Vec<&Value> = nodes.iter().map(|node| &node[0]).collect();
        let declared: Vec<&Value> = list(&answer["declared"]).iter().collect();
        assert_eq!(
            ids, declared,
            "an edge goes to a node that the file does not declare"
        );
        assert_eq!(ids.len(), picture.nodes().len());
        assert_eq!(ids.iter().collect::<HashSet<_>>().len(), ids.len());
        for (node, read) in picture.nodes().iter().zip(nodes) {
            let data = &read[1];
            assert_eq!(data["depth"], node.depth);
            assert_eq!(data["known"], node.known);
            assert_eq!(data["start"], node.start);
            let hidden = node.hidden_up;
            assert!(
                hidden.is_none() || data["hidden_up"] == hidden.count,
                "{data}"
            );
            let is_plain = node.name.chars().all(|c| c.is_ascii_graphic());
            assert!(!is_plain || data["name"] == node.name.as_str(), "{data}");
        }
        let place = |id: &Value| ids.iter().position(|other| *other == id).expect("a node");
        let edges = list(&answer["edges"]);
        let mut read: Vec<_> = edges
            .iter()
            .map(|edge| (place(&edge[0]), place(&edge[1])))
            .collect();
        read.sort_unstable();
        assert_eq!(read, ends(picture));
        let certain = |edge: &&Value| edge[2]["certain"] == true;
        let expected = picture.edges().iter().filter(|edge| edge.certain);
        assert_eq!(edges.iter().filter(certain).count(), expected.count());
        let origins = |edge: &&Value| edge[2]["origins"] == "tag";
        let expected = picture
            .edges()
            .iter()
            .filter(|edge| edge.origins == ["tag"]);
        assert_eq!(edges.iter().filter(origins).count(), expected.count());
    }
}

#[test]
fn a_mermaid_chart_holds_what_it_does_not_show_in_comments() {
    let expected = r#"flowchart LR
  %% truncated: ended at <2> nodes
  cut["ended at #60;2#62; nodes"]
  n0{{"c++ #34;x#34; #92;#58;7"}}
  %% n0 id: model:c++ "x" \:7; depth: 0; start: true; hidden_down: 10000; hidden_down_or_more: true; copy_of: model:a:1; fact_kind: other
  n1("end<br/>FAILED")
  %% n1 id: run:a; depth: 1; known: false; link: http://mlflow/#/a?b=1&c=2
  n1 -->|"wrote, from tag registry"| n0
  n0 -.->|"uncertain"| n1
  %% n0 to n1: made anew
"#;
    assert_eq!(mermaid(&picture(), &MermaidOptions::default()), expected);
}

/// The size of a chart that Mermaid reads, and of the one that it draws.
fn assert_drawn(answer: &Value) -> (usize, usize) {
    assert!(answer["error"].is_null(), "{answer}");
    assert_eq!(answer["type"], "flowchart-v2");
    let (nodes, edges) = (list(&answer["nodes"]), list(&answer["edges"]));
    assert!(edges.len() <= 500, "{} edges", edges.len());
    assert!(
        number(&answer["length"]) <= 50_000,
        "{} characters",
        answer["length"]
    );
    (nodes.len(), edges.len())
}

#[test]
fn mermaid_reads_every_node_and_edge_of_a_chart() {
    let pictures = pictures();
    let chart = |picture: &Picture| mermaid(picture, &MermaidOptions::default());
    let texts: Vec<String> = pictures.iter().map(chart).collect();
    let answers = readers::mermaid(&texts);
    assert_eq!(answers.len(), pictures.len());
    let mut whole = 0;
    for (picture, answer) in pictures.iter().zip(&answers) {
        let (nodes, edges) = assert_drawn(answer);
        let cut = usize::from(picture.truncation().is_some());
        if nodes != picture.nodes().len() + cut {
            assert!(picture.nodes().len() > 100, "folded without need");
            continue;
        }
        whole += 1;
        assert_eq!(edges, picture.edges().len());
        let labels = &list(&answer["nodes"])[cut..];
        for (label, node) in labels.iter().zip(picture.nodes()) {
            let is_plain = node.name.chars().all(|c| c.is_ascii_graphic()) && node.name.len() < 20;
            let begins = text(&label[1]).split("<br>").next() == Some(node.name.as_str());
            assert!(!is_plain || begins, "{label}: {}", node.name);
        }
        let dotted = list(&answer["edges"])
            .iter()
            .filter(|edge| edge[3] == "dotted");
        let uncertain = picture.edges().iter().filter(|edge| !edge.certain);
        assert_eq!(dotted.count(), uncertain.count());
    }
    assert!(whole > 15, "{whole}");
    let refused = readers::mermaid(&["flowchart LR\n  end --> a".to_owned()]);
    assert!(refused[0]["error"].is_string(), "{refused:?}");
}

#[test]
fn a_large_chart_is_folded_and_then_says_what_it_leaves_out() {
    let readers_of_one = {
        let hub = PictureNode::new("model:hub:1", NodeKind::Model);
        let ids: Vec<String> = (0..600).map(|run| format!("run:{run}")).collect();
        let runs = ids
            .iter()
            .map(|id| PictureNode::new(id.clone(), NodeKind::Run));
        let edges = ids
            .iter()
            .map(|id| PictureEdge::new("model:hub:1", id.clone()));
        Picture::new([hub].into_iter().chain(runs).collect(), edges.collect()).unwrap()
    };
    // Nothing here is a sibling of anything else.
    let chain = {
        let node = |run: usize| {
            let mut node = PictureNode::new(format!("run:{run}"), NodeKind::Run);
            node.depth = run as u32;
            node
        };
        let edge = |run: usize| PictureEdge::new(format!("run:{}", run - 1), format!("run:{run}"));
        Picture::new((0..700).map(node).collect(), (1..700).map(edge).collect()).unwrap()
    };
    let texts =
        [&readers_of_one, &chain].map(|picture| mermaid(picture, &MermaidOptions::default()));
    assert!(texts[0].contains("595 more"), "{}", texts[0]);
    assert!(texts[1].contains("more edges are left out"), "{}", texts[1]);
    assert!(texts[1].contains("id: run:0;") && !texts[1].contains("id: run:699;"));
    let answers = readers::mermaid(&texts);
    assert_eq!(assert_drawn(&answers[0]), (7, 6));
    let (nodes, edges) = assert_drawn(&answers[1]);
    assert!(
        nodes > 400 && edges == nodes - 2,
        "{nodes} nodes, {edges} edges"
    );
    let kept = format!("{} more nodes and {} more edges", 701 - nodes, 699 - edges);
    assert!(texts[1].contains(&kept), "{kept}: {}", &texts[1][..200]);
}
