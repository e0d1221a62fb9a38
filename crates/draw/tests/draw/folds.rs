//! Folding.

use std::collections::BTreeSet;

use runlineage_draw::{Change, NodeKind, Picture, PictureEdge, PictureNode};

use crate::scenes;

fn names(picture: &Picture) -> Vec<&str> {
    picture
        .nodes()
        .iter()
        .map(|node| node.name.as_str())
        .collect()
}

/// A start, and runs that read it; each run writes `outputs` models.
fn fan(runs: usize, outputs: usize) -> Picture {
    let mut start = PictureNode::new("model:m:1", NodeKind::Model);
    start.start = true;
    let mut nodes = vec![start];
    let mut edges = Vec::new();
    for run in 0..runs {
        let id = format!("run:{run:03}");
        nodes.push(PictureNode::new(&id, NodeKind::Run));
        edges.push(PictureEdge::new("model:m:1", &id));
        for output in 0..outputs {
            let model = format!("model:o:{run}-{output}");
            nodes.push(PictureNode::new(&model, NodeKind::Model));
            edges.push(PictureEdge::new(&id, &model));
        }
    }
    Picture::new(nodes, edges).unwrap()
}

#[test]
fn the_siblings_beyond_the_first_five_become_one_node() {
    let folded = fan(42, 0).fold(5);
    assert_eq!(
        names(&folded),
        [
            "model:m:1",
            "run:000",
            "run:001",
            "run:002",
            "run:003",
            "run:004",
            "+37 more"
        ]
    );
    assert_eq!(folded.nodes()[6].folded.len(), 37);
    assert_eq!(folded.nodes()[6].kind, NodeKind::Run);
    assert_eq!(folded.edges().len(), 6);
}

#[test]
fn five_siblings_stay() {
    assert_eq!(fan(5, 0).fold(5), fan(5, 0));
}

#[test]
fn siblings_are_folded_with_what_hangs_on_them_alone() {
    let folded = fan(8, 2).fold(5);
    assert_eq!(folded.nodes().len(), 1 + 5 * 3 + 1);
    let more = folded
        .nodes()
        .iter()
        .find(|node| node.name == "+3 more")
        .unwrap();
    assert_eq!(more.lines, ["and 6 behind them"]);
    assert_eq!(more.folded.len(), 9);
}

#[test]
fn nodes_that_two_runs_share_are_folded_beside_both() {
    let mut nodes: Vec<PictureNode> = ["run:a", "run:b"]
        .map(|id| PictureNode::new(id, NodeKind::Run))
        .into();
    nodes[0].start = true;
    let mut edges = Vec::new();
    for dataset in 0..9 {
        let id = format!("dataset:{dataset}");
        nodes.push(PictureNode::new(&id, NodeKind::Dataset));
        edges.push(PictureEdge::new(&id, "run:a"));
        edges.push(PictureEdge::new(&id, "run:b"));
    }
    let folded = Picture::new(nodes, edges).unwrap().fold(3);
    assert_eq!(
        names(&folded),
        [
            "run:a",
            "run:b",
            "dataset:0",
            "dataset:1",
            "dataset:2",
            "+6 more"
        ]
    );
    assert_eq!(folded.edges().len(), 8);
}

#[test]
fn equal_inputs_of_two_graphs_are_folded_and_differences_stay() {
    let mut run = PictureNode::new("run:a → run:b", NodeKind::Run);
    (run.start, run.change) = (true, Some(Change::First));
    let mut nodes = vec![run];
    for dataset in 0..30 {
        let mut node = PictureNode::new(format!("dataset:{dataset:02}"), NodeKind::Dataset);
        let is_changed = dataset == 20;
        node.change = Some(if is_changed {
            Change::Different
        } else {
            Change::Equal
        });
        nodes.push(node);
    }
    let edges = nodes[1..].iter();
    let edges = edges.map(|node| PictureEdge::new(&node.id, "run:a → run:b"));
    let edges = edges.collect();
    let folded = Picture::new(nodes, edges).unwrap().fold(3);
    let shown = [
        "run:a → run:b",
        "dataset:00",
        "dataset:01",
        "dataset:02",
        "+26 more",
        "dataset:20",
    ];
    assert_eq!(names(&folded), shown);
    assert_eq!(folded.nodes()[4].change, Some(Change::Equal));
}

#[test]
fn what_is_unusual_of_folded_runs_is_counted() {
    let mut nodes = fan(9, 0).nodes().to_vec();
    let edges = fan(9, 0).edges().to_vec();
    nodes[8].status = Some("FAILED".into());
    nodes[9].deleted = true;
    let folded = Picture::new(nodes, edges).unwrap().fold(5);
    assert_eq!(
        folded.nodes().last().unwrap().lines,
        ["1 failed, 1 deleted"]
    );
}

#[test]
fn no_node_is_lost_and_no_start_or_difference_is_folded() {
    let mut folds = 0;
    for seed in 0..300 {
        let picture = scenes::random(seed);
        let folded = picture.fold(1);
        let mut ids = BTreeSet::new();
        let mut count = 0;
        for node in folded.nodes() {
            let stands_for = if node.folded.is_empty() {
                std::slice::from_ref(&node.id)
            } else {
                &node.folded
            };
            folds += usize::from(!node.folded.is_empty());
            count += stands_for.len();
            ids.extend(stands_for.iter().cloned());
        }
        let all: BTreeSet<String> = picture.nodes().iter().map(|node| node.id.clone()).collect();
        assert_eq!((count, ids), (all.len(), all), "graph {seed}");
        let differs = |node: &PictureNode| !matches!(node.change, None | Some(Change::Equal));
        let stays = |node: &&PictureNode| node.start || differs(node);
        for node in picture.nodes().iter().filter(stays) {
            assert!(folded.nodes().contains(node), "graph {seed}");
        }
        // Every edge is either drawn or inside one fold.
        let place = |id: &str| {
            folded
                .nodes()
                .iter()
                .position(|node| node.id == id || node.folded.iter().any(|folded| folded == id))
        };
        let drawn: BTreeSet<_> = folded
            .edges()
            .iter()
            .map(|edge| (place(&edge.from), place(&edge.to)))
            .collect();
        for edge in picture.edges() {
            let ends = (place(&edge.from), place(&edge.to));
            assert!(
                ends.0 == ends.1 || drawn.contains(&ends),
                "graph {seed}: {edge:?}"
            );
        }
    }
    assert!(folds > 200, "{folds}");
}

#[test]
fn a_kept_node_stays_out_of_its_fold_with_the_sibling_that_it_hangs_on() {
    let kept = |id: &str| fan(42, 1).keep(&[id.to_owned()]).fold(5);
    let run = kept("run:040");
    let names = names(&run);
    assert!(
        names.contains(&"run:040") && names.contains(&"+36 more"),
        "{names:?}"
    );
    let output = kept("model:o:40-0");
    let ids: Vec<&str> = output.nodes().iter().map(|node| node.id.as_str()).collect();
    assert!(
        ids.contains(&"model:o:40-0") && ids.contains(&"run:040"),
        "{ids:?}"
    );
    assert_eq!(kept("run:unknown"), fan(42, 1).fold(5));
}
