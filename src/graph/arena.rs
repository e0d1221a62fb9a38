//! [`Arena`]: every node that a walk has met, under a number, and the edges that the graph shows.

use std::collections::BTreeMap;

use super::{ExperimentFacts, Relation, RunFacts};
use crate::hash::FastIndexMap;
use crate::mongo::neighbours::{LoggedModel, RegisteredVersion, StoredFacts, StoredRun};
use crate::node::{Direction, Node, Origin};

/// The number of a node: its place among all that the walk has met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct At(pub(super) usize);

/// The aliases of each version, by model name and version.
pub(super) type Aliases = BTreeMap<(String, String), Vec<String>>;

/// The nodes that a walk has met, and the edges that the graph shows.
#[derive(Debug)]
pub(super) struct Arena {
    nodes: FastIndexMap<Node, Met>,
    /// `None` if only the nodes are wanted.
    edges: Option<FastIndexMap<(At, At), Link>>,
    shown: usize,
}

/// The state of a node in a walk.
#[derive(Debug, Default)]
pub(super) struct Met {
    /// The smallest depth so far; `None` if the graph does not show the node.
    pub(super) depth: Option<u32>,
    pub(super) is_start: bool,
    /// Whether a run, or the record of a registered model, is known to name the node.
    pub(super) is_named: bool,
    /// The mirrored run; `None` for other kinds and for a run that is not mirrored or not read yet.
    pub(super) run: Option<Box<Record>>,
    /// The registry's record of a version.
    pub(super) version: Option<Box<RegisteredVersion>>,
    /// The mirror's record of a logged model.
    pub(super) logged: Option<Box<LoggedModel>>,
    pub(super) up: Progress,
    pub(super) down: Progress,
}

/// How far a walk has expanded a node in one direction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Progress {
    #[default]
    Untouched,
    /// A run is queued, or the runs of a reference are shown.
    Runs,
    /// The overlaps and links of a reference are shown, too.
    All,
}

/// A mirrored run.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) facts: RunFacts,
    pub(super) is_deleted: bool,
    pub(super) inputs: Vec<Use>,
    pub(super) outputs: Vec<Use>,
}

/// A reference of a run with all its origins.
#[derive(Debug, Clone, Copy)]
pub(super) struct Use {
    pub(super) at: At,
    pub(super) origins: Origins,
}

/// A set of origins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Origins(u8);

/// An edge of the graph, without its ends.
#[derive(Debug, Clone, Copy)]
pub(super) struct Link {
    pub(super) relation: Relation,
    pub(super) is_certain: bool,
    pub(super) origins: Origins,
}

impl Arena {
    pub(super) fn new(has_edges: bool) -> Self {
        Self {
            nodes: FastIndexMap::default(),
            edges: has_edges.then(FastIndexMap::default),
            shown: 0,
        }
    }

    /// The number of the node. A new node gets the next number.
    pub(super) fn meet(&mut self, node: Node) -> At {
        let entry = self.nodes.entry(node);
        let at = At(entry.index());
        entry.or_default();
        at
    }

    pub(super) fn find(&self, node: &Node) -> Option<At> {
        self.nodes.get_index_of(node).map(At)
    }

    pub(super) fn node(&self, at: At) -> &Node {
        // `meet` hands out the numbers, and no node is ever removed.
        #[allow(clippy::expect_used, reason = "the comment above")]
        self.nodes.get_index(at.0).expect("it was met").0
    }

    pub(super) fn node_mut(&mut self, at: At) -> &mut Met {
        &mut self.nodes[at.0]
    }

    pub(super) fn met(&self, at: At) -> &Met {
        &self.nodes[at.0]
    }

    /// Adds a mirrored run, unless the arena has it already.
    pub(super) fn meet_run(&mut self, stored: StoredRun) -> At {
        let at = self.meet(stored.node);
        // While a run is being deleted or restored, it may be in both collections. The one in `runs` counts.
        let known = self.met(at).run.as_ref();
        if known.is_some_and(|known| !known.is_deleted || stored.is_deleted) {
            return at;
        }
        let mut record = Record {
            facts: facts(stored.facts),
            is_deleted: stored.is_deleted,
            inputs: Vec::new(),
            outputs: Vec::new(),
        };
        for reference in stored.references {
            let used = Use {
                at: self.meet(reference.node),
                origins: Origins::of(reference.origin),
            };
            match reference.direction {
                Direction::Input => record.inputs.push(used),
                Direction::Output => record.outputs.push(used),
            }
        }
        merge(&mut record.inputs);
        merge(&mut record.outputs);
        self.node_mut(at).run = Some(Box::new(record));
        at
    }

    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    pub(super) fn shown(&self) -> usize {
        self.shown
    }

    pub(super) fn edges(&self) -> impl Iterator<Item = (At, At, &Link)> {
        let edges = self.edges.iter().flatten();
        edges.map(|((from, to), link)| (*from, *to, link))
    }

    pub(super) fn link(&self, from: At, to: At) -> Option<&Link> {
        self.edges.as_ref()?.get(&(from, to))
    }

    pub(super) fn edge_count(&self) -> usize {
        self.edges.as_ref().map_or(0, FastIndexMap::len)
    }

    pub(super) fn has_edge(&self, from: At, to: At) -> bool {
        self.link(from, to).is_some()
    }

    pub(super) fn shown_nodes(&self) -> impl Iterator<Item = (At, &Node, &Met)> {
        let nodes = self.nodes.iter().enumerate();
        nodes
            .filter(|(_, (_, met))| met.depth.is_some())
            .map(|(index, (node, met))| (At(index), node, met))
    }

    pub(super) fn show(&mut self, at: At, depth: u32) {
        let shown = &mut self.nodes[at.0].depth;
        match shown {
            Some(shown) => *shown = depth.min(*shown),
            None => {
                *shown = Some(depth);
                self.shown += 1;
            }
        }
    }

    /// Shows an edge. If the two nodes have one already, the edge gets the origins of both.
    pub(super) fn connect(&mut self, from: At, to: At, link: Link) {
        let Some(edges) = &mut self.edges else {
            return;
        };
        let shown = edges.entry((from, to)).or_insert(link);
        shown.relation = shown.relation.min(link.relation);
        shown.is_certain |= link.is_certain;
        shown.origins.0 |= link.origins.0;
    }
}

impl Met {
    /// The runs that made this version or logged model, according to the registry.
    pub(super) fn makers(&self) -> impl Iterator<Item = &str> {
        let version = self
            .version
            .as_ref()
            .and_then(|version| version.run.as_deref());
        let logged = self.logged.as_ref();
        let logged = logged.and_then(|model| model.source_run.as_deref());
        version.into_iter().chain(logged)
    }
}

impl Record {
    pub(super) fn side(&self, direction: Direction) -> &[Use] {
        match direction {
            Direction::Input => &self.inputs,
            Direction::Output => &self.outputs,
        }
    }

    /// The origins of a reference on one side of the run.
    pub(super) fn origins(&self, direction: Direction, at: At) -> Origins {
        let side = self.side(direction);
        let place = side.binary_search_by_key(&at, |used| used.at);
        place.map_or(Origins::NONE, |place| side[place].origins)
    }
}

impl FromIterator<Origin> for Origins {
    fn from_iter<T: IntoIterator<Item = Origin>>(origins: T) -> Self {
        let origins = origins.into_iter().map(|origin| Self::of(origin).0);
        Self(origins.fold(0, |all, origin| all | origin))
    }
}

/// Sorts the references by number and merges the entries of each reference.
fn merge(side: &mut Vec<Use>) {
    side.sort_by_key(|used| used.at);
    side.dedup_by(|again, kept| {
        let is_same = again.at == kept.at;
        if is_same {
            kept.origins.0 |= again.origins.0;
        }
        is_same
    });
}

impl Origins {
    pub(super) const NONE: Self = Self(0);

    pub(super) fn of(origin: Origin) -> Self {
        let place = Origin::ALL.iter().position(|other| *other == origin);
        Self(place.map_or(0, |place| 1 << place))
    }

    pub(super) fn list(self) -> Vec<Origin> {
        let all = Origin::ALL.into_iter();
        all.filter(|origin| self.0 & Self::of(*origin).0 != 0)
            .collect()
    }
}

pub(super) fn facts(stored: StoredFacts) -> RunFacts {
    let name = stored.exp_name;
    RunFacts {
        name: stored.name,
        experiment: stored.exp_id.map(|id| ExperimentFacts { id, name }),
        status: stored.status,
        start_time: stored.start_time,
        end_time: stored.end_time,
        user: stored.user,
        is_purged: stored.is_purged,
    }
}
