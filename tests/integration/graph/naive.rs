//! The graph as its definition says, evaluated over a list of everything, as simply as can be.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use runlineage::{Kind, Node};

use super::world::World;

/// How two nodes of the full graph are joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Join {
    Read,
    Wrote,
    Made,
    Link,
    Overlap { is_certain: bool },
}

/// Every edge that there is, with the ways in which it joins its ends.
#[derive(Debug, Default)]
pub(crate) struct FullGraph {
    pub(crate) edges: BTreeMap<(Node, Node), BTreeSet<Join>>,
    above: BTreeMap<Node, BTreeSet<Node>>,
    below: BTreeMap<Node, BTreeSet<Node>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Up,
    Down,
}

/// What a walk shows: nodes with their depths, and edges with whether they are certain.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) nodes: BTreeMap<Node, u32>,
    pub(crate) edges: BTreeMap<(Node, Node), bool>,
}

fn segments(path: Option<&str>) -> Vec<&str> {
    path.map_or_else(Vec::new, |path| path.split('/').collect())
}

/// Whether two references have something in common, and whether that is certain.
pub(crate) fn overlap(world: &World, one: &Node, other: &Node) -> Option<bool> {
    if one.kind() != other.kind() {
        return None;
    }
    if one.kind() == Kind::ARTIFACT {
        let (a, b) = (segments(one.detail()), segments(other.detail()));
        let common = a.iter().zip(&b).all(|(a, b)| a == b);
        return (one.key() == other.key() && common).then_some(true);
    }
    if one == other {
        return Some(true);
    }
    let is_renamed = |one: &Node, other: &Node| {
        one.kind() == Kind::MODEL
            && world.renamed.iter().any(|(name, former)| {
                let is_of = |node: &Node| {
                    node.key() == name || former.iter().any(|former| former == node.key())
                };
                is_of(one) && is_of(other)
            })
    };
    let same_name = one.key() == other.key() || is_renamed(one, other);
    let same_detail =
        one.detail() == other.detail() || one.detail().is_none() || other.detail().is_none();
    (same_name && same_detail && one.kind().spec().detail.is_some()).then_some(false)
}

/// The nodes that a start selects.
pub(crate) fn selected(world: &World, start: &Node) -> BTreeSet<Node> {
    let detail = start.kind().spec().detail;
    if detail.is_none_or(|detail| detail.is_path) || start.detail().is_some() {
        return BTreeSet::from([start.clone()]);
    }
    let uses = world
        .runs
        .iter()
        .flat_map(|run| run.inputs.iter().chain(&run.outputs))
        .map(|(node, _)| node);
    let registered = world.versions.iter().map(|version| &version.node);
    let same = |node: &&Node| node.kind() == start.kind() && node.key() == start.key();
    let mut selected: BTreeSet<Node> = uses.chain(registered).filter(same).cloned().collect();
    if selected.is_empty() {
        selected.insert(start.clone());
    }
    selected
}

pub(crate) fn run_node(id: &str) -> Node {
    Node::run(id).expect("an id")
}

impl FullGraph {
    pub(crate) fn of(world: &World, starts: &BTreeSet<Node>) -> Self {
        let mut graph = Self::default();
        let references = || starts.iter().filter(|start| start.kind() != Kind::RUN);
        let mut read: BTreeSet<Node> = references().cloned().collect();
        let mut written = read.clone();
        for run in &world.runs {
            let node = run_node(&run.id);
            for (reference, _) in &run.inputs {
                graph.join(reference, &node, Join::Read);
                read.insert(reference.clone());
            }
            for (reference, _) in &run.outputs {
                graph.join(&node, reference, Join::Wrote);
                written.insert(reference.clone());
            }
        }
        for version in &world.versions {
            let logged = version.logged_model.as_deref();
            let logged = logged.map(|id| Node::logged_model(id).expect("an id"));
            for source in logged.iter().chain(&version.copied_from) {
                graph.join(source, &version.node, Join::Link);
                written.insert(version.node.clone());
            }
            if let Some(run) = &version.run {
                graph.join(&run_node(run), &version.node, Join::Wrote);
                written.insert(version.node.clone());
            }
        }
        for model in &world.logged {
            if let Some(run) = &model.source_run {
                let node = Node::logged_model(&model.id).expect("an id");
                graph.join(&run_node(run), &node, Join::Wrote);
                written.insert(node);
            }
        }
        for reference in read.iter().filter(|node| node.kind() == Kind::ARTIFACT) {
            graph.join(&run_node(reference.key()), reference, Join::Made);
        }
        for written in &written {
            for read in read.iter().filter(|read| *read != written) {
                if let Some(is_certain) = overlap(world, written, read) {
                    graph.join(written, read, Join::Overlap { is_certain });
                }
            }
        }
        graph
    }

    fn join(&mut self, from: &Node, to: &Node, join: Join) {
        let joins = self.edges.entry((from.clone(), to.clone()));
        joins.or_default().insert(join);
        let below = self.below.entry(from.clone());
        below.or_default().insert(to.clone());
        let above = self.above.entry(to.clone());
        above.or_default().insert(from.clone());
    }

    /// Leaves out all other nodes, with their edges.
    pub(crate) fn keep(&mut self, is_kept: impl Fn(&Node) -> bool) {
        self.edges
            .retain(|(from, to), _| is_kept(from) && is_kept(to));
        for side in [&mut self.above, &mut self.below] {
            side.retain(|node, others| {
                others.retain(|other| is_kept(other));
                is_kept(node)
            });
        }
    }

    pub(crate) fn next(&self, way: Way, node: &Node) -> impl Iterator<Item = &Node> {
        let next = match way {
            Way::Up => &self.above,
            Way::Down => &self.below,
        };
        next.get(node).into_iter().flatten()
    }

    pub(crate) fn is_certain(&self, edge: &(Node, Node)) -> bool {
        let uncertain = Join::Overlap { is_certain: false };
        self.edges[edge].iter().any(|join| *join != uncertain)
    }

    /// All that the walk shows. A reference is read or written from where the walk comes, and an overlap is taken only from
    /// what was written to what was read.
    pub(crate) fn walk(
        &self,
        starts: &BTreeSet<Node>,
        up: u32,
        down: u32,
        takes_uncertain: bool,
    ) -> Shown {
        let mut shown = Shown::default();
        for start in starts {
            shown.nodes.insert(start.clone(), 0);
        }
        self.walk_one(Way::Up, starts, up, takes_uncertain, &mut shown);
        self.walk_one(Way::Down, starts, down, takes_uncertain, &mut shown);
        shown
    }

    fn walk_one(
        &self,
        way: Way,
        starts: &BTreeSet<Node>,
        depth: u32,
        takes_uncertain: bool,
        shown: &mut Shown,
    ) -> BTreeMap<Node, u32> {
        let mut walked = BTreeMap::new();
        // The flag: upstream, that the reference was read; downstream, that it was written. Only then, overlaps count.
        let mut queue: VecDeque<(Node, bool, u32)> = starts
            .iter()
            .map(|start| (start.clone(), true, 0))
            .collect();
        let mut seen: BTreeSet<(Node, bool)> = BTreeSet::new();
        while let Some((node, overlaps, at)) = queue.pop_front() {
            if !seen.insert((node.clone(), overlaps)) {
                continue;
            }
            walked.entry(node.clone()).or_insert(at);
            let is_run = node.kind() == Kind::RUN;
            if is_run && at >= depth || depth == 0 {
                continue;
            }
            for other in self.next(way, &node) {
                let edge = match way {
                    Way::Up => (other.clone(), node.clone()),
                    Way::Down => (node.clone(), other.clone()),
                };
                for join in &self.edges[&edge] {
                    let next = match join {
                        Join::Overlap { .. } if !overlaps => continue,
                        // A reference that was not read has no maker but those who say so.
                        Join::Made if way == Way::Up && !overlaps => continue,
                        Join::Overlap { is_certain } => {
                            (*is_certain || takes_uncertain).then_some(false)
                        }
                        Join::Read => Some(true),
                        Join::Wrote => Some(true),
                        Join::Made => Some(way == Way::Up),
                        // Links come before the overlap.
                        Join::Link if way == Way::Down && !overlaps => continue,
                        Join::Link => Some(way == Way::Down),
                    };
                    let place = if other.kind() == Kind::RUN {
                        at + 1
                    } else {
                        at
                    };
                    let known = shown.nodes.entry(other.clone()).or_insert(place);
                    *known = place.min(*known);
                    shown.edges.insert(edge.clone(), self.is_certain(&edge));
                    if let Some(overlaps) = next {
                        let entry = (other.clone(), overlaps, place);
                        // Runs are one level further: what is on this level comes first.
                        if other.kind() == Kind::RUN {
                            queue.push_back(entry);
                        } else {
                            queue.push_front(entry);
                        }
                    }
                }
            }
        }
        walked
    }

    /// How many runs lie between the starts and each node that a way of data leads to, downstream.
    pub(crate) fn distances(
        &self,
        starts: &BTreeSet<Node>,
        takes_uncertain: bool,
    ) -> BTreeMap<Node, u32> {
        self.walk_one(
            Way::Down,
            starts,
            u32::MAX,
            takes_uncertain,
            &mut Shown::default(),
        )
    }

    pub(crate) fn degree(&self, way: Way, node: &Node) -> u64 {
        self.next(way, node).count() as u64
    }

    /// Whether each node leads to the next, an overlap only from what was written to what was read.
    pub(crate) fn is_way(&self, path: &[Node], takes_uncertain: bool) -> bool {
        let mut states = BTreeSet::from([true]);
        for ends in path.windows(2) {
            let Some(joins) = self.edges.get(&(ends[0].clone(), ends[1].clone())) else {
                return false;
            };
            let next = joins.iter().flat_map(|join| {
                states.iter().filter_map(move |is_written| match join {
                    Join::Read | Join::Wrote => Some(true),
                    Join::Made => Some(false),
                    Join::Link => is_written.then_some(true),
                    Join::Overlap { is_certain } => {
                        (*is_written && (*is_certain || takes_uncertain)).then_some(false)
                    }
                })
            });
            states = next.collect();
        }
        !states.is_empty()
    }
}

/// Every edge that there is without the runs of another status. The starts stay.
pub(crate) fn filtered(world: &World, starts: &BTreeSet<Node>, status: Option<&str>) -> FullGraph {
    let Some(status) = status else {
        return FullGraph::of(world, starts);
    };
    let mut walked = world.clone();
    let is_start = |id: &str| starts.contains(&run_node(id));
    walked
        .runs
        .retain(|run| run.status == status || is_start(&run.id));
    let ids: BTreeSet<&str> = walked.runs.iter().map(|run| run.id.as_str()).collect();
    let mut graph = FullGraph::of(&walked, starts);
    graph
        .keep(|node| node.kind() != Kind::RUN || ids.contains(node.key()) || starts.contains(node));
    graph
}

/// Adds the parents and the children of the runs that are shown. A new one is as deep as the nearest of its relatives.
pub(crate) fn add_families(world: &World, shown: &mut Shown) {
    let depths = shown.nodes.clone();
    for run in &world.runs {
        let Some(parent) = &run.parent else { continue };
        let (parent, child) = (run_node(parent), run_node(&run.id));
        for (known, other) in [(&parent, &child), (&child, &parent)] {
            let Some(depth) = depths.get(known) else {
                continue;
            };
            shown.edges.insert((parent.clone(), child.clone()), true);
            if !depths.contains_key(other) {
                let nearest = shown.nodes.entry(other.clone()).or_insert(*depth);
                *nearest = *depth.min(nearest);
            }
        }
    }
}

/// The runs downstream by the definition of a flow: what a run wrote, or was made of that, overlaps with what the next read.
pub(crate) fn flows(
    world: &World,
    starts: &BTreeSet<Node>,
    takes_uncertain: bool,
) -> BTreeMap<Node, u32> {
    let mut depths: BTreeMap<Node, u32> = BTreeMap::new();
    let mut level: BTreeSet<Node> = starts.clone();
    for start in starts.iter().filter(|start| start.kind() == Kind::RUN) {
        depths.insert(start.clone(), 0);
    }
    for depth in 1.. {
        let mut next = BTreeSet::new();
        for source in &level {
            let written = written(world, source);
            for run in &world.runs {
                let reads = |reference: &Node| {
                    let made = source.kind() == Kind::RUN
                        && reference.kind() == Kind::ARTIFACT
                        && reference.key() == source.key();
                    let mut written = written.iter();
                    made || written.any(|written| {
                        let overlap = overlap(world, written, reference);
                        overlap.is_some_and(|is_certain| is_certain || takes_uncertain)
                    })
                };
                let node = run_node(&run.id);
                let reads_any = run.inputs.iter().any(|(reference, _)| reads(reference));
                if reads_any && !depths.contains_key(&node) {
                    next.insert(node);
                }
            }
        }
        for run in &next {
            depths.insert(run.clone(), depth);
        }
        if next.is_empty() {
            break;
        }
        level = next;
    }
    depths
}

/// What a run wrote, or a reference itself, and all that the registry says was made of it.
fn written(world: &World, source: &Node) -> BTreeSet<Node> {
    let mut written = BTreeSet::new();
    if source.kind() == Kind::RUN {
        let run = world.runs.iter().find(|run| run.id == source.key());
        let outputs = run.into_iter().flat_map(|run| &run.outputs);
        written.extend(outputs.map(|(node, _)| node.clone()));
        for version in &world.versions {
            if version.run.as_deref() == Some(source.key()) {
                written.insert(version.node.clone());
            }
        }
        for model in &world.logged {
            if model.source_run.as_deref() == Some(source.key()) {
                written.insert(Node::logged_model(&model.id).expect("an id"));
            }
        }
    } else {
        written.insert(source.clone());
    }
    loop {
        let made = world.versions.iter().filter(|version| {
            let logged = version.logged_model.as_deref();
            let logged = logged.map(|id| Node::logged_model(id).expect("an id"));
            let mut sources = logged.iter().chain(&version.copied_from);
            sources.any(|source| written.contains(source))
        });
        let made: Vec<Node> = made.map(|version| version.node.clone()).collect();
        let before = written.len();
        written.extend(made);
        if written.len() == before {
            return written;
        }
    }
}
