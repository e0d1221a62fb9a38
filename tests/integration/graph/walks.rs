//! Walks over random lineage, and over lineage made by hand.

use std::collections::{BTreeMap, BTreeSet};

use fastrand::Rng;
use runlineage::graph::{Graph, Limit};
use runlineage::{Kind, MongoRunStore, Node, Query};

use super::naive::{FullGraph, Shown, Way, selected};
use super::random;
use super::world::{World, WorldRun};
use crate::support::mirror::mirror;
use crate::support::mongodb::TestDatabase;
use crate::support::scale::scaled;

/// One question to a graph.
#[derive(Debug, Clone)]
struct Question {
    start: Node,
    up: u32,
    down: u32,
    uncertain: bool,
    status: Option<&'static str>,
    max_nodes: usize,
    max_edges: usize,
}

impl Question {
    fn random(rng: &mut Rng, world: &World) -> Self {
        let depth = |rng: &mut Rng| [0, 1, 1, 2, 3, 9, u32::MAX][rng.usize(..7)];
        let limit = |rng: &mut Rng| match rng.usize(..3) {
            0 => rng.usize(1..30),
            _ => 100_000,
        };
        Self {
            start: random::start(rng, world),
            up: depth(rng),
            down: depth(rng),
            uncertain: rng.bool(),
            status: (rng.usize(..3) == 0).then_some("FINISHED"),
            max_nodes: limit(rng),
            max_edges: limit(rng),
        }
    }

    async fn ask(&self, store: &MongoRunStore) -> Graph {
        let mut request = store
            .graph(self.start.clone())
            .upstream(self.up)
            .downstream(self.down)
            .uncertain(self.uncertain)
            .max_nodes(self.max_nodes)
            .max_edges(self.max_edges);
        if let Some(status) = self.status {
            request = request.matching(Query::new().with_status(status));
        }
        request.await.expect("a graph")
    }

    /// What a walk through all runs, or through those of the status, shows; without limits.
    fn answer(&self, world: &World) -> Shown {
        let starts = selected(world, &self.start);
        let is_start = |id: &str| starts.contains(&Node::run(id).expect("an id"));
        let mut walked = world.clone();
        if let Some(status) = self.status {
            let is_walked = |run: &WorldRun| run.status == status || is_start(&run.id);
            walked.runs.retain(is_walked);
        }
        let mut graph = FullGraph::of(&walked, &starts);
        if self.status.is_some() {
            let ids: BTreeSet<&str> = walked.runs.iter().map(|run| run.id.as_str()).collect();
            graph.keep(|node| {
                node.kind() != Kind::RUN || ids.contains(node.key()) || starts.contains(node)
            });
        }
        graph.walk(&starts, self.up, self.down, self.uncertain)
    }
}

pub(super) fn shown(graph: &Graph) -> Shown {
    let nodes = graph.nodes.iter();
    let nodes = nodes.map(|shown| (shown.node.clone(), shown.depth));
    let edges = graph.edges.iter();
    let edges = edges.map(|edge| ((edge.from.clone(), edge.to.clone()), edge.is_certain));
    let shown = Shown {
        nodes: nodes.collect(),
        edges: edges.collect(),
    };
    assert_eq!(shown.nodes.len(), graph.nodes.len(), "a node stands twice");
    assert_eq!(shown.edges.len(), graph.edges.len(), "an edge stands twice");
    shown
}

/// Of every node, what is shown and what is hidden are all of its edges.
fn assert_hidden(world: &World, question: &Question, graph: &Graph) {
    let full = FullGraph::of(world, &selected(world, &question.start));
    let mut counted: BTreeMap<(Node, bool), u64> = BTreeMap::new();
    for edge in &graph.edges {
        *counted.entry((edge.to.clone(), true)).or_default() += 1;
        *counted.entry((edge.from.clone(), false)).or_default() += 1;
    }
    for shown in &graph.nodes {
        let hidden = shown.hidden.expect("they are counted");
        assert!(!hidden.up.is_more && !hidden.down.is_more);
        for (way, is_up, hidden) in [
            (Way::Up, true, hidden.up.count),
            (Way::Down, false, hidden.down.count),
        ] {
            let counted = counted.get(&(shown.node.clone(), is_up));
            let all = counted.copied().unwrap_or_default() + hidden;
            assert_eq!(
                all,
                full.degree(way, &shown.node),
                "{way:?} {} of {question:?}: {hidden} hidden; there are {:?}",
                shown.node,
                full.next(way, &shown.node).collect::<Vec<_>>()
            );
        }
    }
}

pub(super) fn assert_order(graph: &Graph) {
    let place = |shown: &runlineage::graph::GraphNode| {
        (shown.depth, shown.node.kind(), shown.node.to_string())
    };
    assert!(graph.nodes.is_sorted_by_key(place));
    let order: BTreeMap<&Node, usize> = graph
        .nodes
        .iter()
        .enumerate()
        .map(|(place, shown)| (&shown.node, place))
        .collect();
    let ends = |edge: &runlineage::graph::Edge| (order[&edge.from], order[&edge.to]);
    assert!(graph.edges.is_sorted_by_key(ends));
}

fn assert_answers(world: &World, question: &Question, graph: &Graph) {
    let (expected, is) = (question.answer(world), shown(graph));
    let fits =
        expected.nodes.len() <= question.max_nodes && expected.edges.len() <= question.max_edges;
    assert_eq!(graph.truncated.is_none(), fits, "{question:?}");
    if fits {
        assert_eq!(is, expected, "{question:?}");
    } else {
        let truncated = graph.truncated.as_ref().expect("it does not fit");
        match truncated.limit {
            Limit::Nodes => assert_eq!(is.nodes.len(), question.max_nodes, "{question:?}"),
            Limit::Edges => assert_eq!(is.edges.len(), question.max_edges, "{question:?}"),
            other => panic!("{other:?}"),
        }
        assert!(is.nodes.contains_key(&truncated.at));
        for (node, depth) in &is.nodes {
            assert_eq!(
                Some(depth),
                expected.nodes.get(node),
                "{node} of {question:?}"
            );
        }
        for (edge, is_certain) in &is.edges {
            // Of one edge that is known from two places, a cut may leave one.
            let expected = expected.edges.get(edge);
            assert!(
                expected.is_some_and(|expected| expected >= is_certain),
                "{edge:?} of {question:?}"
            );
        }
        assert!(is.nodes.len() <= question.max_nodes && is.edges.len() <= question.max_edges);
    }
    assert_order(graph);
    assert_hidden(world, question, graph);
}

#[tokio::test]
async fn walks_over_random_lineage_show_what_their_definition_says() {
    let worlds = scaled(50, 500);
    let test = TestDatabase::new().await;
    let store = mirror(&test).await;
    let (mut cut, mut walked) = (0, 0);
    for seed in 0..worlds {
        let rng = &mut Rng::with_seed(seed);
        let world = random::world(rng);
        world.store(&test.database).await;
        for round in 0..12 {
            let question = Question::random(rng, &world);
            let graph = question.ask(&store).await;
            assert_answers(&world, &question, &graph);
            if round == 0 {
                let again = question.ask(&store).await;
                assert_eq!(graph, again, "a second walk differs");
            }
            cut += usize::from(graph.truncated.is_some());
            walked += usize::from(graph.edges.len() > 5);
        }
    }
    assert!(cut > 50 && walked > 100, "{cut} cut, {walked} of some size");
}
