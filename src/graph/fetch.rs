//! Reads the runs that have given references, with few queries for each kind, however many references there are.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::FutureExt as _;
use futures::future::try_join_all;

use super::arena::At;
use super::overlap::{References, Renames};
use super::walk::{Stop, Walk};
use super::{Limit, Truncated};
use crate::error::Result;
use crate::hash::{FastMap, FastSet};
use crate::mongo::neighbours::{Lookup, Reading, StoredRun, Take};
use crate::node::{Direction, Kind, Node};

/// The runs that were read, by their references on one side.
pub(super) struct Users {
    runs: FastMap<At, Vec<At>>,
    pub(super) references: References<At>,
    /// Whether reading stopped because more runs were found than the graph may show.
    pub(super) is_cut: bool,
}

impl Users {
    /// The runs of this reference, ordered by id.
    pub(super) fn of(&self, reference: At) -> &[At] {
        self.runs.get(&reference).map_or(&[], Vec::as_slice)
    }
}

/// The references whose runs a walk needs.
#[derive(Default)]
pub(super) struct Asked<'a> {
    /// These references, and all that overlap with them.
    pub(super) overlapping: &'a [At],
    /// These references alone.
    pub(super) exact: &'a [At],
    /// All artifacts of these runs.
    pub(super) artifacts_of: &'a [At],
}

/// The same, prepared for comparing with the references of a run.
struct Wanted<'a> {
    walk: &'a Walk<'a>,
    /// Artifacts of the runs below are left out.
    overlapping: References<At>,
    exact: FastSet<At>,
    /// The ids of the runs whose artifacts are all wanted.
    artifacts_of: FastSet<&'a str>,
}

/// The runs that the mirror returned.
pub(super) struct Answers {
    lookups: Vec<Lookup>,
    found: Vec<Vec<StoredRun>>,
    is_cut: bool,
}

impl Walk<'_> {
    /// Reads the runs that have the wanted references on that side.
    pub(super) async fn read_users(
        &self,
        direction: Direction,
        asked: Asked<'_>,
    ) -> Result<Answers> {
        let Asked {
            overlapping,
            exact,
            artifacts_of,
        } = asked;
        let arena = &self.arena;
        let artifacts_of = artifacts_of.iter().map(|run| arena.node(*run));
        let mut wanted = Wanted {
            walk: self,
            overlapping: References::new(),
            exact: exact.iter().copied().collect(),
            artifacts_of: artifacts_of.clone().map(Node::key).collect(),
        };
        for reference in overlapping {
            let node = arena.node(*reference);
            if !wanted.is_artifact_of(node) {
                wanted.overlapping.insert(node, *reference);
            }
        }
        let nodes = overlapping.iter().chain(exact);
        let nodes = nodes.map(|reference| arena.node(*reference));
        let lookups = lookups(direction, nodes, artifacts_of, &self.renames);
        let is_cut = AtomicBool::new(false);
        let room = self.limits.nodes.saturating_sub(arena.shown());
        // One run more than the limit allows tells at which node the walk exceeds it.
        let few = room.saturating_add(1);
        let reads = lookups.iter().map(|lookup| {
            let (wanted, is_cut) = (&wanted, &is_cut);
            let read = async move {
                let take = || -> Take<'_> {
                    let mut reader = Reader {
                        wanted,
                        direction,
                        few,
                        uncertain: FastSet::default(),
                    };
                    Box::new(move |run| {
                        let reading = reader.take(run);
                        is_cut.fetch_or(reading == Reading::Stop, Ordering::Relaxed);
                        reading
                    })
                };
                self.neighbours.users(lookup, few, &take).await
            };
            read.boxed()
        });
        let found = try_join_all(reads).await?;
        Ok(Answers {
            lookups,
            found,
            is_cut: is_cut.into_inner(),
        })
    }

    /// Adds the runs to the arena.
    pub(super) fn users(&mut self, direction: Direction, answers: Answers) -> Users {
        let mut users = Users {
            runs: FastMap::default(),
            references: References::new(),
            is_cut: answers.is_cut,
        };
        let mut met = FastSet::default();
        for stored in answers.found.into_iter().flatten() {
            let run = self.arena.meet_run(stored);
            if !met.insert(run) {
                continue;
            }
            let record = self.arena.met(run).run.as_ref();
            for used in record.into_iter().flat_map(|record| record.side(direction)) {
                if let Some(runs) = users.runs.get_mut(&used.at) {
                    runs.push(run);
                    continue;
                }
                let node = self.arena.node(used.at);
                let mut lookups = answers.lookups.iter();
                let is_asked = lookups
                    .any(|asked| asked.kind == node.kind() && asked.keys.contains_key(node.key()));
                if is_asked {
                    users.runs.insert(used.at, vec![run]);
                    users.references.insert(node, used.at);
                }
            }
        }
        for runs in users.runs.values_mut() {
            runs.sort_by(|one, other| self.arena.node(*one).cmp(self.arena.node(*other)));
        }
        users
    }

    /// Stops the walk if the runs were not read completely.
    pub(super) fn check_complete(&self, users: &Users, first: Option<At>) -> Result<(), Stop> {
        match first {
            Some(first) if users.is_cut => Err(Stop::Cut(Truncated {
                limit: Limit::Nodes,
                at: self.arena.node(first).clone(),
            })),
            _ => Ok(()),
        }
    }
}

/// The look-ups for these references, one for each kind.
pub(super) fn lookups<'a>(
    direction: Direction,
    references: impl Iterator<Item = &'a Node>,
    artifacts_of: impl Iterator<Item = &'a Node>,
    renames: &Renames,
) -> Vec<Lookup> {
    let mut lookups: BTreeMap<Kind, Lookup> = BTreeMap::new();
    let mut add = |kind: Kind, key: Arc<str>, detail: Option<&str>| {
        let lookup = lookups.entry(kind);
        let lookup = lookup.or_insert_with(|| Lookup::new(direction, kind));
        lookup.add(key, detail);
    };
    for node in references {
        let kind = node.kind();
        if !kind.spec().directions.contains(&direction) {
            continue;
        }
        // No index lists the paths of a run.
        let detail = node.detail().filter(|_| !kind.has_paths());
        for name in renames.of_node(node) {
            add(kind, Arc::from(name), detail);
        }
        add(kind, node.shared_key(), detail);
    }
    for run in artifacts_of {
        add(Kind::ARTIFACT, run.shared_key(), None);
    }
    lookups.into_values().collect()
}

impl Wanted<'_> {
    /// Whether this is an artifact of a run whose artifacts are all wanted.
    fn is_artifact_of(&self, node: &Node) -> bool {
        node.kind() == Kind::ARTIFACT && self.artifacts_of.contains(node.key())
    }

    /// Whether the reference is wanted: `None` if not, else whether that is certain.
    fn wants(&self, node: &Node) -> Option<bool> {
        let is_exact = || {
            let at = self.walk.arena.find(node);
            at.is_some_and(|at| self.exact.contains(&at))
        };
        if self.is_artifact_of(node) || self.overlapping.contains(node) || is_exact() {
            return Some(true);
        }
        let overlapping = self.overlapping.overlapping(node, &self.walk.renames);
        let certain = overlapping.into_iter().map(|(_, is_certain)| is_certain);
        certain.max()
    }
}

/// The state of one query.
struct Reader<'a> {
    wanted: &'a Wanted<'a>,
    direction: Direction,
    /// How many runs, and references behind uncertain edges, are still kept that the graph does not show.
    few: usize,
    /// The references behind uncertain edges. Without `takes_uncertain`, one run of each is enough to know that it was read or written.
    uncertain: FastSet<Node>,
}

impl Reader<'_> {
    /// Keeps the runs that the walk shows, and one run of each reference behind an uncertain edge.
    fn take(&mut self, stored: &StoredRun) -> Reading {
        let walk = self.wanted.walk;
        let (mut is_walked, mut is_new) = (false, false);
        for reference in &stored.references {
            if is_walked || reference.direction != self.direction {
                continue;
            }
            match self.wanted.wants(&reference.node) {
                Some(is_certain) if is_certain || walk.takes_uncertain => is_walked = true,
                Some(_) if !self.uncertain.contains(&reference.node) => {
                    self.uncertain.insert(reference.node.clone());
                    if !walk.is_shown(&reference.node) && !self.take_room() {
                        return Reading::Stop;
                    }
                    is_new = true;
                }
                _ => {}
            }
        }
        if !is_walked {
            return if is_new { Reading::Keep } else { Reading::Drop };
        }
        match walk.is_shown(&stored.node) || self.take_room() {
            true => Reading::Keep,
            false => Reading::Stop,
        }
    }

    /// Takes the room of one more node, if there is one.
    fn take_room(&mut self) -> bool {
        let few = self.few.checked_sub(1);
        self.few = few.unwrap_or_default();
        few.is_some()
    }
}
