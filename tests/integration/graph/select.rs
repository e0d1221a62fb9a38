//! Selections over random lineage equal the algebra of sets over naive walks.

use std::collections::{BTreeMap, BTreeSet};

use fastrand::Rng;
use runlineage::graph::{Graph, Selection};
use runlineage::{Error, Kind, MongoRunStore, Node};

use super::naive::{FullGraph, Shown, Way, selected};
use super::random;
use super::walks::{assert_order, shown};
use super::world::{World, WorldRun, WorldVersion, parsed};
use crate::support::mirror::mirror;
use crate::support::mongodb::TestDatabase;
use crate::support::scale::scaled;

/// An expression that is a set of nodes.
#[derive(Debug)]
enum Set {
    Walk(Node, u32, u32),
    /// Sets, of which the nodes of all remain if they meet every condition.
    All(Vec<Self>, Vec<Condition>),
    Any(Vec<Self>),
    Roots(Box<Self>),
    Sinks(Box<Self>),
}

/// An expression that takes nodes out of a set.
#[derive(Debug)]
enum Condition {
    Outside(Set),
    Not(Box<Self>),
    Status(&'static str),
    All(Vec<Self>),
    Any(Vec<Self>),
}

impl Set {
    fn random(rng: &mut Rng, world: &World, depth: u32) -> Self {
        let part = |rng: &mut Rng| Self::random(rng, world, depth - 1);
        match if depth == 0 { 0 } else { rng.usize(..8) } {
            0..2 => {
                let levels = |rng: &mut Rng| [0, 1, 2, u32::MAX][rng.usize(..4)];
                Self::Walk(random::start(rng, world), levels(rng), levels(rng))
            }
            2..5 => {
                let sets = (0..rng.usize(1..3)).map(|_| part(rng)).collect();
                let conditions =
                    (0..rng.usize(..3)).map(|_| Condition::random(rng, world, depth - 1));
                Self::All(sets, conditions.collect())
            }
            5 => Self::Any((0..rng.usize(2..4)).map(|_| part(rng)).collect()),
            6 => Self::Roots(Box::new(part(rng))),
            _ => Self::Sinks(Box::new(part(rng))),
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Walk(node, up, down) => {
                let levels = |levels: u32| match levels {
                    u32::MAX => String::new(),
                    levels => levels.to_string(),
                };
                format!("{}+\"{node}\"+{}", levels(*up), levels(*down))
            }
            Self::All(sets, conditions) => {
                let parts = sets.iter().map(Self::text);
                joined(" and ", parts.chain(conditions.iter().map(Condition::text)))
            }
            Self::Any(sets) => joined(" or ", sets.iter().map(Self::text)),
            Self::Roots(set) => format!("roots({})", set.text()),
            Self::Sinks(set) => format!("sinks({})", set.text()),
        }
    }

    /// The nodes, and every edge that the walks found.
    fn answer(&self, world: &World, starts: &mut BTreeSet<Node>) -> Shown {
        match self {
            Self::Walk(node, up, down) => {
                let selected = selected(world, node);
                starts.extend(selected.iter().cloned());
                FullGraph::of(world, &selected).walk(&selected, *up, *down, false)
            }
            Self::All(sets, conditions) => {
                let mut all: Option<Shown> = None;
                for set in sets {
                    let set = set.answer(world, starts);
                    all = Some(match all {
                        None => set,
                        Some(mut all) => {
                            all.nodes.retain(|node, _| set.nodes.contains_key(node));
                            let common = all.nodes.clone();
                            add(&mut all, set);
                            all.nodes.retain(|node, _| common.contains_key(node));
                            all
                        }
                    });
                }
                let mut all = all.expect("a set");
                for condition in conditions {
                    let meets = |node: &Node| condition.meets(world, node) != Some(false);
                    all.nodes.retain(|node, _| meets(node));
                }
                all
            }
            Self::Any(sets) => {
                let mut any = Shown::default();
                for set in sets {
                    add(&mut any, set.answer(world, starts));
                }
                any
            }
            Self::Roots(set) => {
                let mut set = set.answer(world, starts);
                let edges = inner(&set);
                set.nodes
                    .retain(|node, _| !edges.keys().any(|(_, to)| to == node));
                set
            }
            Self::Sinks(set) => {
                let mut set = set.answer(world, starts);
                let edges = inner(&set);
                set.nodes
                    .retain(|node, _| !edges.keys().any(|(from, _)| from == node));
                set
            }
        }
    }
}

impl Condition {
    fn random(rng: &mut Rng, world: &World, depth: u32) -> Self {
        match if depth == 0 {
            rng.usize(..2)
        } else {
            rng.usize(..5)
        } {
            0 => Self::Status(["FINISHED", "FAILED"][rng.usize(..2)]),
            1 => Self::Outside(Set::random(rng, world, depth.saturating_sub(1))),
            2 => Self::Not(Box::new(Self::random(rng, world, depth - 1))),
            3 => Self::All(
                (0..2)
                    .map(|_| Self::random(rng, world, depth - 1))
                    .collect(),
            ),
            _ => Self::Any(
                (0..2)
                    .map(|_| Self::random(rng, world, depth - 1))
                    .collect(),
            ),
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Outside(set) => format!("not ({})", set.text()),
            Self::Not(condition) => format!("not ({})", condition.text()),
            Self::Status(status) => format!("where(status = {status})"),
            Self::All(parts) => joined(" and ", parts.iter().map(Self::text)),
            Self::Any(parts) => joined(" or ", parts.iter().map(Self::text)),
        }
    }

    /// Whether the node meets the condition; `None` if the condition says nothing of it.
    fn meets(&self, world: &World, node: &Node) -> Option<bool> {
        match self {
            Self::Outside(set) => {
                let set = set.answer(world, &mut BTreeSet::new());
                Some(!set.nodes.contains_key(node))
            }
            Self::Not(condition) => condition.meets(world, node).map(|meets| !meets),
            Self::Status(status) => (node.kind() == Kind::RUN).then(|| {
                let mut runs = world.runs.iter();
                runs.any(|run| run.id == node.key() && run.status == *status)
            }),
            Self::All(parts) => {
                let mut said = parts
                    .iter()
                    .filter_map(|part| part.meets(world, node))
                    .peekable();
                said.peek()?;
                Some(said.all(|meets| meets))
            }
            Self::Any(parts) => {
                let mut said = parts
                    .iter()
                    .filter_map(|part| part.meets(world, node))
                    .peekable();
                said.peek()?;
                Some(said.any(|meets| meets))
            }
        }
    }
}

fn joined(word: &str, parts: impl Iterator<Item = String>) -> String {
    format!("({})", parts.collect::<Vec<_>>().join(word))
}

fn add(all: &mut Shown, other: Shown) {
    for (node, depth) in other.nodes {
        let known = all.nodes.entry(node).or_insert(depth);
        *known = depth.min(*known);
    }
    for (edge, is_certain) in other.edges {
        *all.edges.entry(edge).or_default() |= is_certain;
    }
}

/// The edges between the nodes of a set.
fn inner(set: &Shown) -> BTreeMap<(Node, Node), bool> {
    let mut edges = set.edges.clone();
    edges.retain(|(from, to), _| set.nodes.contains_key(from) && set.nodes.contains_key(to));
    edges
}

async fn select(store: &MongoRunStore, text: &str, max_nodes: usize) -> Graph {
    let selection = text.parse::<Selection>();
    let selection = selection.unwrap_or_else(|error| panic!("{text}: {error}"));
    let graph = store.select(&selection).max_nodes(max_nodes).await;
    graph.unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// Of every node, what is shown and what is hidden are all of its edges, where each start counts as read and as written.
fn assert_hidden(world: &World, starts: &BTreeSet<Node>, graph: &Graph, text: &str) {
    let full = FullGraph::of(world, starts);
    for shown in &graph.nodes {
        let hidden = shown.hidden.expect("they are counted");
        let up = graph
            .edges
            .iter()
            .filter(|edge| edge.to == shown.node)
            .count() as u64;
        let down = graph
            .edges
            .iter()
            .filter(|edge| edge.from == shown.node)
            .count() as u64;
        let all = (up + hidden.up.count, down + hidden.down.count);
        let expected = (
            full.degree(Way::Up, &shown.node),
            full.degree(Way::Down, &shown.node),
        );
        assert_eq!(all, expected, "{} of {text}", shown.node);
    }
}

#[tokio::test]
async fn selections_over_random_lineage_equal_the_algebra_of_naive_walks() {
    let worlds = scaled(50, 500);
    let test = TestDatabase::new().await;
    let store = mirror(&test).await;
    let (mut filled, mut smaller, mut cut) = (0, 0, 0);
    for seed in 0..worlds {
        let rng = &mut Rng::with_seed(seed);
        let world = random::world(rng);
        world.store(&test.database).await;
        for _ in 0..3 {
            let set = Set::random(rng, &world, 3);
            let text = set.text();
            let mut starts = BTreeSet::new();
            let mut expected = set.answer(&world, &mut starts);
            expected.edges = inner(&expected);
            let graph = select(&store, &text, 100_000).await;
            assert_eq!(shown(&graph), expected, "{text}");
            assert_eq!(graph.truncated, None, "{text}");
            assert_order(&graph);
            assert_hidden(&world, &starts, &graph, &text);
            filled += usize::from(graph.edges.len() > 3);
            smaller += usize::from(graph.nodes.len() < starts.len());

            let limited = select(&store, &text, rng.usize(1..20)).await;
            assert!(limited.nodes.len() < 20, "{text}");
            match limited.truncated {
                Some(_) => cut += 1,
                None => assert_eq!(limited, graph, "{text}: smaller, and it does not say so"),
            }
        }
        let start = random::start(rng, &world);
        let (up, down, text) = match seed % 4 {
            0 => (2, 1, format!("2+\"{start}\"+1")),
            1 => (u32::MAX, 0, format!("+\"{start}\"")),
            2 => (0, u32::MAX, format!("\"{start}\"+")),
            _ => (0, 0, format!("(\"{start}\")")),
        };
        let walk = store.graph(start.clone()).upstream(up).downstream(down);
        let graph = select(&store, &text, 1_000).await;
        assert_eq!(graph, walk.await.expect("a graph"), "{text}");
    }
    assert!(
        filled > 20 && smaller > 5 && cut > 15,
        "{filled} of some size, {smaller} without their starts, {cut} cut"
    );
}

#[tokio::test]
async fn what_lies_between_two_nodes_and_where_it_begins_and_ends() {
    let mut version = WorldVersion::new("model:churn:7");
    version.alias = Some("champion");
    let mut failed = WorldRun::new("failed")
        .reads("artifact:prepare/a")
        .writes("model:churn:8");
    failed.status = "FAILED";
    let world = World {
        runs: vec![
            WorldRun::new("prepare")
                .reads("dataset:d@1")
                .writes("artifact:prepare/a"),
            WorldRun::new("train")
                .reads("artifact:prepare/a")
                .writes("model:churn:7"),
            failed,
            WorldRun::new("score").reads("model:churn:7"),
        ],
        versions: vec![version],
        ..World::default()
    };
    let test = TestDatabase::new().await;
    let store = mirror(&test).await;
    world.store(&test.database).await;
    let chain = [
        "dataset:d@1",
        "run:prepare",
        "artifact:prepare/a",
        "run:train",
        "model:churn:7",
    ];
    let all = [&chain[..], &["run:failed", "model:churn:8", "run:score"]].concat();
    for (text, expected) in [
        ("dataset:d@1+ and +model:churn:7", &chain[..]),
        ("dataset:d@1+ AND +models:/churn@champion", &chain),
        ("dataset:d@1+", &all),
        (
            "dataset:d@1+ and not model:churn:7+",
            &[&chain[..4], &all[5..7]].concat(),
        ),
        // References stay, and the nodes behind a run that does not match, too.
        (
            "dataset:d@1+ and where(status = FINISHED)",
            &[&chain[..], &all[6..]].concat(),
        ),
        (
            "dataset:d@1+ and not where(status = FINISHED)",
            &[chain[0], chain[2], chain[4], all[5], all[6]],
        ),
        (
            "dataset:d@1+ and (where(status = FAILED) or not +run:score)",
            &all[5..7],
        ),
        ("roots(dataset:d@1+)", &chain[..1]),
        ("sinks(dataset:d@1+)", &all[6..]),
        (
            "roots(1+run:train or model:churn:8)",
            &["run:prepare", "model:churn:8"],
        ),
        ("run:score or run:train", &["run:score", "run:train"]),
        ("run:score and run:train", &[]),
        ("train and not not run:train", &["run:train"]),
    ] {
        let graph = select(&store, text, 1_000).await;
        let nodes: BTreeSet<String> = graph
            .nodes
            .iter()
            .map(|shown| shown.node.to_string())
            .collect();
        let expected: BTreeSet<String> = expected.iter().map(|node| (*node).to_owned()).collect();
        assert_eq!(nodes, expected, "{text}");
    }
    let between = select(&store, "dataset:d@1+ and +models:/churn@champion", 1_000).await;
    assert_eq!(between.edges.len(), 4);
    let facts = between
        .node(&parsed("model:churn:7"))
        .and_then(|shown| shown.version.clone());
    assert_eq!(
        facts.map(|version| version.aliases),
        Some(vec!["champion".to_owned()])
    );
    let run = between
        .node(&parsed("run:train"))
        .and_then(|shown| shown.run.clone());
    assert_eq!(run.and_then(|run| run.status).as_deref(), Some("FINISHED"));
    let starts = between.nodes.iter().filter(|shown| shown.is_start);
    assert_eq!(starts.count(), 2);

    let unknown: Selection = "models:/churn@nobody and run:train"
        .parse()
        .expect("a selection");
    let error = store.select(&unknown).await.expect_err("no such alias");
    assert!(matches!(error, Error::InvalidArgument { .. }), "{error}");
    assert!(
        error.to_string().contains("models:/churn@nobody"),
        "{error}"
    );
}

#[tokio::test]
async fn nodes_with_hostile_names_are_selected_in_quotes() {
    // MLflow accepts each of them.
    let names = ["a b", "c++", "x@y", "and", "2+m", "q\"t", "p(1)"];
    let mut world = World::default();
    for name in names {
        let (made, used) = (format!("model:{name}:1"), format!("dataset:{name}"));
        world.runs.push(
            WorldRun::new(&format!("run{}", world.runs.len()))
                .reads(&used)
                .writes(&made),
        );
    }
    let test = TestDatabase::new().await;
    let store = mirror(&test).await;
    world.store(&test.database).await;
    for (place, name) in names.iter().enumerate() {
        let quoted = name.replace('"', "\"\"");
        let text = format!("\"dataset:{quoted}\"+ and +\"model:{quoted}:1\"");
        let graph = select(&store, &text, 1_000).await;
        let nodes: BTreeSet<Node> = graph.nodes.iter().map(|shown| shown.node.clone()).collect();
        let run = format!("run:run{place}");
        let expected = [format!("dataset:{name}"), run, format!("model:{name}:1")];
        assert_eq!(
            nodes,
            expected.iter().map(|node| parsed(node)).collect(),
            "{text}"
        );
        let printed = text.parse::<Selection>().expect("a selection").to_string();
        assert_eq!(select(&store, &printed, 1_000).await, graph, "{printed}");
    }
}
