//! Walks over random lineage, and over lineage made by hand.

use std::collections::BTreeMap;
use std::time::Duration;

use fastrand::Rng;
use runlineage::graph::{Edge, Graph, GraphRequest, Limit, Relation};
use runlineage::{MongoRunStore, Node, Query};

use super::naive::{FullGraph, Shown, Way, add_families, filtered, selected};
use super::random;
use super::world::World;
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
    parents: bool,
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
            parents: rng.usize(..3) == 0,
            status: (rng.usize(..3) == 0).then_some("FINISHED"),
            max_nodes: limit(rng),
            max_edges: limit(rng),
        }
    }

    fn request<'a>(&self, store: &'a MongoRunStore) -> GraphRequest<'a> {
        let mut request = store
            .graph(self.start.clone())
            .upstream(self.up)
            .downstream(self.down)
            .uncertain(self.uncertain)
            .parents(self.parents)
            .max_nodes(self.max_nodes)
            .max_edges(self.max_edges);
        if let Some(status) = self.status {
            request = request.matching(Query::new().with_status(status));
        }
        request
    }

    async fn ask(&self, store: &MongoRunStore) -> Graph {
        self.request(store).await.expect("a graph")
    }

    /// The nodes alone are those of the graph, as long as no limit cuts.
    async fn assert_nodes(&self, store: &MongoRunStore, graph: &Graph) {
        let alone = self.request(store).nodes().await.expect("the nodes");
        let is: BTreeMap<&Node, u32> = alone.nodes.iter().map(|at| (&at.node, at.depth)).collect();
        assert_eq!(is.len(), alone.nodes.len(), "a node stands twice");
        assert!(alone.nodes.is_sorted());
        if graph.truncated.is_none() {
            let nodes = graph.nodes.iter();
            let expected = nodes.map(|shown| (&shown.node, shown.depth)).collect();
            assert_eq!((is, &alone.truncated), (expected, &None), "{self:?}");
        } else {
            assert!(alone.truncated.is_none() || is.len() == self.max_nodes);
        }
    }

    /// What a walk through all runs, or through those of the status, shows; without limits.
    fn answer(&self, world: &World) -> Shown {
        let starts = selected(world, &self.start);
        let graph = filtered(world, &starts, self.status);
        let mut shown = graph.walk(&starts, self.up, self.down, self.uncertain);
        if self.parents {
            add_families(world, &mut shown);
        }
        shown
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
    let lineage = |edge: &&Edge| edge.relation != Relation::Parent;
    for edge in graph.edges.iter().filter(lineage) {
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
    let places = graph.nodes.iter().map(|shown| (shown.depth, &shown.node));
    assert!(places.is_sorted());
    let order: BTreeMap<&Node, usize> = graph
        .nodes
        .iter()
        .enumerate()
        .map(|(place, shown)| (&shown.node, place))
        .collect();
    let ends = |edge: &Edge| (order[&edge.from], order[&edge.to]);
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
    let (mut cut, mut walked, mut related) = (0, 0, 0);
    for seed in 0..worlds {
        let rng = &mut Rng::with_seed(seed);
        let world = random::world(rng);
        world.store(&test.database).await;
        for round in 0..12 {
            let question = Question::random(rng, &world);
            let graph = question.ask(&store).await;
            assert_answers(&world, &question, &graph);
            question.assert_nodes(&store, &graph).await;
            if round == 0 {
                let again = question.ask(&store).await;
                assert_eq!(graph, again, "a second walk differs");
            }
            cut += usize::from(graph.truncated.is_some());
            walked += usize::from(graph.edges.len() > 5);
            let is_parent = |edge: &Edge| edge.relation == Relation::Parent;
            related += graph.edges.iter().filter(|edge| is_parent(edge)).count();
        }
    }
    assert!(
        cut > 50 && walked > 100 && related > 100,
        "{cut} cut, {walked} of some size, {related} edges to parents"
    );
}

#[tokio::test]
async fn what_a_crowd_hides_is_counted_exactly_and_kept_counts_are_the_same() {
    let test = TestDatabase::new().await;
    let store = mirror(&test).await;
    let mut large = 0;
    for seed in 0..scaled(6, 60) {
        let rng = &mut Rng::with_seed(seed);
        let mut world = random::world(rng);
        random::crowd(rng, &mut world);
        world.store(&test.database).await;
        let keeping = store.clone().with_kept_counts(Duration::from_secs(3600));
        for _ in 0..20 {
            // Most of the crowd stays hidden.
            let question = Question {
                up: rng.u32(..2),
                down: rng.u32(..2),
                max_nodes: rng.usize(1..60),
                ..Question::random(rng, &world)
            };
            let graph = question.ask(&store).await;
            assert_answers(&world, &question, &graph);
            // What an earlier graph has counted serves this one.
            for _ in 0..2 {
                assert_eq!(question.ask(&keeping).await, graph, "{question:?}");
            }
            let hidden = graph.nodes.iter().filter_map(|shown| shown.hidden);
            large += hidden.filter(|hidden| hidden.down.count > 20).count();
        }
    }
    assert!(large > 20, "{large} large counts");
}
