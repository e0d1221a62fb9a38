//! Crossings of edges, compared with those of Graphviz.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};

use runlineage_draw::{Picture, SvgOptions, svg};

use crate::drawn::{Drawn, Point, around, points};
use crate::scenes;

/// The crossings of `dot` 2.43.0, as `cargo test -p runlineage-draw --test draw -- --ignored dot_crosses` counts them.
const DOT: &[(&str, usize)] = &[
    ("small", 0),
    ("medium", 22),
    ("wide", 165),
    ("deep", 0),
    ("cyclic", 0),
    ("unicode", 0),
    ("tree", 0),
    ("diamonds", 28),
    ("hubs", 63),
    ("shortcuts", 49),
    ("anything", 0),
];

/// An edge by its nodes and its points.
type Line = (usize, usize, Vec<Point>);

#[test]
fn edges_cross_at_most_a_fifth_more_often_than_in_graphviz() {
    let mut total = (0, 0);
    for (name, picture) in compared() {
        let drawn = Drawn::read(&svg(&picture, &SvgOptions::default()));
        let lines: Vec<Line> = drawn
            .edges
            .into_values()
            .map(|edge| (edge.from, edge.to, edge.line))
            .collect();
        let ours = crossings(&lines);
        let recorded = DOT.iter().find(|(known, _)| *known == name);
        let (_, dot) = recorded.expect("a recorded number");
        println!("{name}: {ours}, dot {dot}");
        total.0 += ours;
        total.1 += dot;
    }
    assert!(
        total.0 * 5 <= total.1 * 6,
        "{} crossings, dot has {}",
        total.0,
        total.1
    );
}

#[test]
#[ignore = "needs Graphviz: run it to record the crossings of dot anew"]
fn dot_crosses_as_often_as_recorded() {
    let counted: Vec<(&str, usize)> = compared()
        .iter()
        .map(|(name, picture)| (*name, crossings(&lines_of_dot(picture))))
        .collect();
    assert_eq!(counted, DOT);
}

/// The scenes, and random graphs of each sort that are large enough to have crossings.
fn compared() -> Vec<(&'static str, Picture)> {
    let mut compared = scenes::fixed();
    compared.extend([
        ("tree", scenes::random_of(1, 0, 120)),
        ("diamonds", scenes::random_of(2, 1, 60)),
        ("hubs", scenes::random_of(3, 2, 120)),
        ("shortcuts", scenes::random_of(4, 3, 40)),
        ("anything", scenes::random_of(5, 4, 60)),
    ]);
    compared
}

/// How often lines of edges without a common node cross. Edges with a common node meet there, and may share a part of
/// their way.
fn crossings(lines: &[Line]) -> usize {
    let mut count = 0;
    for (place, (from, to, line)) in lines.iter().enumerate() {
        let rect = around(line);
        for (other_from, other_to, other) in &lines[place + 1..] {
            let apart = [from, to]
                .iter()
                .all(|node| *node != other_from && *node != other_to);
            if apart && rect.is_near(&around(other), 0.0) {
                let pairs = line
                    .windows(2)
                    .flat_map(|a| other.windows(2).map(move |b| (a, b)));
                count += pairs.filter(|(a, b)| cross(a, b)).count();
            }
        }
    }
    count
}

fn cross(a: &[Point], b: &[Point]) -> bool {
    let side = |p: Point, q: Point, r: Point| (q.0 - p.0) * (r.1 - p.1) - (q.1 - p.1) * (r.0 - p.0);
    let splits =
        |p: &[Point], q: &[Point]| (side(p[0], p[1], q[0]) > 0.0) != (side(p[0], p[1], q[1]) > 0.0);
    splits(a, b) && splits(b, a)
}

fn lines_of_dot(picture: &Picture) -> Vec<Line> {
    let drawn = Drawn::read(&svg(picture, &SvgOptions::default()));
    let mut graph = String::from(
        "digraph { rankdir=LR; node [shape=box, fixedsize=true, width=2.2, height=0.67];\n",
    );
    for edge in drawn.edges.values() {
        writeln!(graph, "{} -> {};", edge.from, edge.to).expect("text");
    }
    graph.push('}');
    let mut dot = Command::new("dot")
        .arg("-Tplain")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("Graphviz is installed");
    let mut input = dot.stdin.take().expect("a pipe");
    // Thousands of edges are more than a pipe holds, but dot reads all before it writes.
    input.write_all(graph.as_bytes()).expect("dot reads");
    drop(input);
    let output = dot.wait_with_output().expect("dot draws");
    let output = String::from_utf8(output.stdout).expect("text");
    output
        .lines()
        .filter(|line| line.starts_with("edge "))
        .map(line_of_dot)
        .collect()
}

/// A line `edge FROM TO N X1 Y1 … XN YN …`: one point, then three for each curve.
fn line_of_dot(line: &str) -> Line {
    let words: Vec<&str> = line.split(' ').collect();
    let node = |word: &str| word.parse().expect("a node");
    let count: usize = words[3].parse().expect("a number");
    let numbers = &words[4..4 + 2 * count];
    let (start, curves) = numbers.split_at(2);
    let mut path = format!("M{}", start.join(" "));
    for curve in curves.chunks(6) {
        write!(path, "C{}", curve.join(" ")).expect("text");
    }
    (node(words[1]), node(words[2]), points(&path, (0.0, 0.0)))
}
