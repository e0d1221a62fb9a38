//! The formats for terminals and programs, compared as whole documents.

use runlineage_draw::{
    Error, Hidden, NodeKind, Picture, PictureEdge, PictureNode, csv, json, table_rows, tree,
};

fn picture() -> Picture {
    let mut model = PictureNode::new("model:churn:7", NodeKind::Model);
    model.start = true;
    model.hidden_down = Hidden::over(10_000);
    let mut train = PictureNode::new("run:a", NodeKind::Run);
    train.name = "train\u{1b}[31m".into();
    train.status = Some("FINISHED".into());
    train.depth = 1;
    let mut data = PictureNode::new("dataset:customers@1", NodeKind::Dataset);
    data.known = false;
    data.depth = 1;
    let score = PictureNode::new("run:b", NodeKind::Run);
    let mut uncertain = PictureEdge::new("model:churn:7", "run:b");
    uncertain.certain = false;
    let mut made = PictureEdge::new("run:a", "model:churn:7");
    made.relation = Some("wrote".into());
    made.origins = vec!["tag".into()];
    let mut again = made.clone();
    again.origins = vec!["registry".into()];
    Picture::new(
        vec![model, train, data, score],
        vec![
            PictureEdge::new("dataset:customers@1", "run:a"),
            made,
            again,
            uncertain,
            PictureEdge::new("dataset:customers@1", "run:b"),
            PictureEdge::new("run:b", "run:b"),
        ],
    )
    .unwrap()
    .truncated("ended at 4 nodes".to_owned())
}

#[test]
fn a_tree_shows_each_node_once_and_refers_to_it_after() {
    let expected = "\
model:churn:7  [start, over 10,000 more downstream]
upstream
└─ run:a  train�[31m  FINISHED
   └─ dataset:customers@1  [not mirrored]
downstream
└┄ run:b
   └─ run:b  (above)

cut: ended at 4 nodes
";
    assert_eq!(tree(&picture()), expected);
}

#[test]
fn two_overlaps_in_a_row_are_no_branch() {
    let [wrote, outer, inner, read] = [
        ("run:w", NodeKind::Run),
        ("artifact:x/a", NodeKind::Artifact),
        ("artifact:x", NodeKind::Artifact),
        ("artifact:x/b", NodeKind::Artifact),
    ]
    .map(|(id, kind)| PictureNode::new(id, kind));
    let mut start = wrote;
    start.start = true;
    let overlap = |from: &str, to: &str| {
        let mut edge = PictureEdge::new(from, to);
        edge.overlap = true;
        edge
    };
    let picture = Picture::new(
        vec![start, outer, inner, read],
        vec![
            PictureEdge::new("run:w", "artifact:x/a"),
            overlap("artifact:x/a", "artifact:x"),
            overlap("artifact:x", "artifact:x/b"),
        ],
    )
    .unwrap();
    let first = tree(&picture).split("\n\n").next().unwrap().to_owned();
    assert_eq!(
        first,
        "run:w  [start]\ndownstream\n└─ artifact:x/a\n   └─ artifact:x"
    );
}

#[test]
fn a_lineage_of_thousands_of_runs_fits_on_a_small_stack() {
    let count = 3_000;
    let id = |run: usize| format!("run:{run}");
    let nodes = (0..count)
        .map(|run| PictureNode::new(id(run), NodeKind::Run))
        .collect();
    let edges = (1..count)
        .map(|run| PictureEdge::new(id(run - 1), id(run)))
        .collect();
    let picture = Picture::new(nodes, edges).unwrap();
    let lines = std::thread::Builder::new()
        .stack_size(256 * 1024)
        .spawn(move || tree(&picture.fold(5)).lines().count())
        .unwrap()
        .join()
        .unwrap();
    assert_eq!(lines, count + 1);
}

#[test]
fn json_has_the_whole_graph() {
    let expected = concat!(
        r#"{"nodes":["#,
        r#"{"id":"model:churn:7","kind":"model","name":"model:churn:7","depth":0,"known":true,"start":true,"hidden_down":{"count":10000,"or_more":true}},"#,
        r#"{"id":"run:a","kind":"run","name":"train\u001b[31m","depth":1,"known":true,"status":"FINISHED"},"#,
        r#"{"id":"dataset:customers@1","kind":"dataset","name":"dataset:customers@1","depth":1,"known":false},"#,
        r#"{"id":"run:b","kind":"run","name":"run:b","depth":0,"known":true}],"#,
        r#""edges":["#,
        r#"{"from":"dataset:customers@1","to":"run:a","certain":true},"#,
        r#"{"from":"run:a","to":"model:churn:7","certain":true,"relation":"wrote","origins":["tag","registry"]},"#,
        r#"{"from":"model:churn:7","to":"run:b","certain":false},"#,
        r#"{"from":"dataset:customers@1","to":"run:b","certain":true},"#,
        r#"{"from":"run:b","to":"run:b","certain":true}],"#,
        r#""truncated":"ended at 4 nodes"}"#,
    );
    assert_eq!(json(&picture()), expected);
}

#[test]
fn csv_has_a_row_for_each_edge() {
    let expected = "\
from,to,relation,certain,overlap,origins
dataset:customers@1,run:a,,true,false,
run:a,model:churn:7,wrote,true,false,tag registry
model:churn:7,run:b,,false,false,
dataset:customers@1,run:b,,true,false,
run:b,run:b,,true,false,
";
    assert_eq!(csv(&picture()), expected);
}

#[test]
fn a_table_has_a_row_for_each_node() {
    let rows = table_rows(&picture());
    assert_eq!(
        rows[..3],
        [
            [
                "0",
                "model",
                "model:churn:7",
                "",
                "",
                "start, over 10,000 more downstream"
            ],
            ["1", "run", "run:a", "train�[31m", "FINISHED", ""],
            [
                "1",
                "dataset",
                "dataset:customers@1",
                "",
                "",
                "not mirrored"
            ],
        ]
    );
    assert_eq!(rows.len(), 4);
}

#[test]
fn an_edge_to_nowhere_and_a_node_given_twice_are_refused() {
    let node = || PictureNode::new("run:a", NodeKind::Run);
    let unknown = Picture::new(vec![node()], vec![PictureEdge::new("run:a", "run:z")]);
    assert!(matches!(unknown, Err(Error::UnknownNode { id, .. }) if id == "run:z"));
    let twice = Picture::new(vec![node(), node()], vec![]);
    assert!(matches!(twice, Err(Error::DuplicateNode { id, .. }) if id == "run:a"));
}
