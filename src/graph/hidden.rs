//! Counts the edges of each node that the graph leaves out.

use std::collections::{BTreeSet, HashMap, HashSet};

use futures::FutureExt as _;
use futures::future::try_join_all;

use super::arena::At;
use super::fetch::lookups;
use super::overlap::References;
use super::walk::{Walk, Way};
use super::{Hidden, HiddenCount, Relation};
use crate::error::Result;
use crate::mongo::neighbours::{
    Extent, LoggedModel, LoggedModelsBy, RegisteredVersion, Tally, VersionsBy, version_id,
};
use crate::node::{Direction, Kind, Node};

/// The largest count. MongoDB reads a key or a run for each one that it counts, so all readers of a popular model would take long.
const MOST: u64 = 10_000;

/// Graphs with up to this number of edges count to the same limit, so that one can use what another has counted.
const USUALLY_SHOWN: usize = 1_000;

/// Everything adjacent to the nodes of the graph, shown or not.
struct Surroundings {
    /// The number of runs that read each reference.
    readers: HashMap<At, u64>,
    /// The number of runs that wrote each reference, and whether the run that the reference names is one of them.
    writers: HashMap<At, (u64, bool)>,
    read: References<At>,
    written: References<At>,
    /// The nodes to which registry links lead from a node.
    after: HashMap<At, HashSet<At>>,
    /// The nodes from which registry links lead to a reference.
    before: HashMap<At, HashSet<At>>,
}

/// The answers of the mirror to the question what is adjacent to the nodes of the graph.
pub(super) struct Answers {
    readers: Vec<Tally>,
    writers: Vec<Tally>,
    /// Versions that overlap with nodes of the graph.
    versions: Vec<RegisteredVersion>,
    /// Versions to which registry links lead from nodes of the graph.
    later_versions: Vec<RegisteredVersion>,
    later_models: Vec<LoggedModel>,
}

impl Walk<'_> {
    /// Counts, for each node of the graph, the edges in the whole mirror that the graph leaves out.
    pub(super) async fn count_hidden(&mut self, answers: Answers) -> Result<HashMap<At, Hidden>> {
        // Only now are all registry records of the graph known, and with them the runs that made its versions.
        let makers = self.makers_to_read();
        for run in self.neighbours.runs(&makers, false).await? {
            self.arena.meet_run(run);
        }
        let around = self.surroundings(answers);
        let mut shown: HashMap<At, (u64, u64)> = HashMap::new();
        let edges = self.arena.edges();
        for (from, to, _) in edges.filter(|(.., link)| link.relation != Relation::Parent) {
            shown.entry(to).or_default().0 += 1;
            shown.entry(from).or_default().1 += 1;
        }
        let count = |way, at, node: &Node, shown: u64| {
            let all = self.degree(way, at, node, &around);
            let count = all.saturating_sub(shown);
            HiddenCount {
                count: count.min(MOST),
                is_more: count > MOST,
            }
        };
        let hidden = self.arena.shown_nodes().map(|(at, node, _)| {
            let (up, down) = shown.get(&at).copied().unwrap_or_default();
            let hidden = Hidden {
                up: count(Way::Up, at, node, up),
                down: count(Way::Down, at, node, down),
            };
            (at, hidden)
        });
        Ok(hidden.collect())
    }

    fn degree(&self, way: Way, at: At, node: &Node, around: &Surroundings) -> u64 {
        let links = match way {
            Way::Up => around.before.get(&at),
            Way::Down => around.after.get(&at),
        };
        let mut others: HashSet<At> = links.cloned().unwrap_or_default();
        if node.kind() == Kind::RUN {
            let direction = match way {
                Way::Up => Direction::Input,
                Way::Down => Direction::Output,
            };
            let record = self.arena.met(at).run.as_ref();
            let side = record.map_or(&[][..], |record| record.side(direction));
            others.extend(side.iter().map(|used| used.at));
            if way == Way::Down {
                others.extend(around.read.of_key(Kind::ARTIFACT, node.key()));
            }
            return others.len() as u64;
        }
        let (here, there) = match way {
            Way::Up => (&around.read, &around.written),
            Way::Down => (&around.written, &around.read),
        };
        if here.contains(node) {
            let overlapping = there.overlapping(node, &self.renames);
            others.extend(overlapping.into_iter().map(|(other, _)| other));
        }
        let runs = match way {
            Way::Down => around.readers.get(&at).copied().unwrap_or_default(),
            Way::Up => {
                let (runs, is_own) = around.writers.get(&at).copied().unwrap_or_default();
                let is_made = node.kind() == Kind::ARTIFACT && around.read.contains(node);
                runs + u64::from(is_made && !is_own)
            }
        };
        runs + others.len() as u64
    }

    /// Reads what is adjacent to the nodes of the graph.
    pub(super) async fn read_surroundings(&self) -> Result<Answers> {
        let nodes = self.arena.shown_nodes().map(|(_, node, _)| node.clone());
        let nodes: BTreeSet<Node> = nodes.collect();
        let ids = |kind: Kind, id: &dyn Fn(&Node) -> Option<String>| -> BTreeSet<String> {
            let of_kind = nodes.iter().filter(|node| node.kind() == kind);
            of_kind.filter_map(id).collect()
        };
        let key = |node: &Node| Some(node.key().to_owned());
        let (runs, models) = (ids(Kind::RUN, &key), ids(Kind::LOGGED_MODEL, &key));
        let versions = ids(Kind::MODEL, &version_id);
        let (mut same, mut names) = (BTreeSet::new(), BTreeSet::new());
        for node in nodes.iter().filter(|node| node.kind() == Kind::MODEL) {
            let renamed = self.renames.of_node(node);
            match node.detail() {
                Some(version) => same.extend(renamed.map(|name| format!("{name}:{version}"))),
                None => names.extend(renamed.chain([node.key()]).map(str::to_owned)),
            }
        }
        let shown_runs = nodes.iter().filter(|node| node.kind() == Kind::RUN);
        let neighbours = &self.neighbours;
        let (readers, writers, by_id, by_name, copies, registered, of_runs, logged) = futures::try_join!(
            self.tally(Direction::Input, &nodes, shown_runs),
            self.tally(Direction::Output, &nodes, std::iter::empty()),
            neighbours.versions(VersionsBy::Id, &same),
            neighbours.versions(VersionsBy::Name, &names),
            neighbours.versions(VersionsBy::CopiedFrom, &versions),
            neighbours.versions(VersionsBy::LoggedModel, &models),
            neighbours.versions(VersionsBy::Run, &runs),
            neighbours.logged_models(LoggedModelsBy::SourceRun, &runs),
        )?;
        Ok(Answers {
            readers,
            writers,
            versions: by_id.into_iter().chain(by_name).collect(),
            later_versions: [copies, registered, of_runs]
                .into_iter()
                .flatten()
                .collect(),
            later_models: logged,
        })
    }

    async fn tally<'a>(
        &self,
        direction: Direction,
        nodes: &'a BTreeSet<Node>,
        artifacts_of: impl Iterator<Item = &'a Node>,
    ) -> Result<Vec<Tally>> {
        let lookups = lookups(direction, nodes.iter(), artifacts_of, &self.renames);
        let starts = self.start_nodes().into_iter();
        let starts = starts.map(|at| self.arena.node(at).clone()).collect();
        let edges = self.arena.edge_count().max(USUALLY_SHOWN);
        let extent = Extent {
            // Then more than `MOST` are left for a node that shows all edges of the graph.
            most: MOST.saturating_add(edges as u64),
            shown: nodes,
            starts: &starts,
        };
        let tallies = lookups
            .iter()
            .map(|lookup| self.neighbours.tally(lookup, extent).boxed());
        Ok(try_join_all(tallies).await?.into_iter().flatten().collect())
    }

    /// The runs that made nodes of the graph, according to the registry, and that the walk has not read.
    fn makers_to_read(&self) -> BTreeSet<String> {
        let makers = self
            .arena
            .shown_nodes()
            .flat_map(|(_, _, met)| met.makers());
        let unread = makers.filter(|run| {
            let at = self.arena.find(&Node::stored(Kind::RUN, run, None));
            at.is_none_or(|at| self.arena.met(at).run.is_none())
        });
        unread.map(str::to_owned).collect()
    }

    fn surroundings(&mut self, answers: Answers) -> Surroundings {
        let mut around = Surroundings {
            readers: HashMap::new(),
            writers: HashMap::new(),
            read: References::new(),
            written: References::new(),
            after: HashMap::new(),
            before: HashMap::new(),
        };
        for tally in answers.readers {
            let at = self.meet_named(&tally.node);
            around.read.insert(&tally.node, at);
            if self.is_selected(&tally.node) {
                around.written.insert(&tally.node, at);
            }
            *around.readers.entry(at).or_default() += tally.runs;
        }
        for tally in answers.writers {
            let at = self.meet_named(&tally.node);
            around.written.insert(&tally.node, at);
            if self.is_selected(&tally.node) {
                around.read.insert(&tally.node, at);
            }
            let (runs, is_own) = around.writers.entry(at).or_default();
            *runs += tally.runs;
            *is_own |= tally.is_own;
        }
        for at in self.starts.all() {
            let node = self.arena.node(at);
            around.read.insert(node, at);
            around.written.insert(node, at);
        }
        for version in answers.later_versions.iter().chain(&answers.versions) {
            let after = self.arena.meet(version.node.clone());
            let run = version
                .run
                .as_deref()
                .map(|run| Node::stored(Kind::RUN, run, None));
            let model = version.logged_model.as_deref();
            let model = model.map(|model| Node::stored(Kind::LOGGED_MODEL, model, None));
            for before in [run, model, version.copied_from.clone()]
                .into_iter()
                .flatten()
            {
                let before = self.arena.meet(before);
                around.after.entry(before).or_default().insert(after);
            }
            if version.is_made() {
                around.written.insert(&version.node, after);
            }
        }
        for model in &answers.later_models {
            let id = Node::stored(Kind::LOGGED_MODEL, &model.id, None);
            let after = self.arena.meet(id);
            if let Some(run) = &model.source_run {
                let run = self.run_at(run);
                around.after.entry(run).or_default().insert(after);
            }
        }
        self.add_sources(&mut around);
        around
    }

    /// Meets a node that a run names.
    fn meet_named(&mut self, node: &Node) -> At {
        let at = self.arena.meet(node.clone());
        self.arena.node_mut(at).is_named = true;
        at
    }

    /// Whether a start without a version or digest selects the node. The walk has read only so many of them.
    fn is_selected(&self, node: &Node) -> bool {
        let mut wholes = self.wholes.iter();
        wholes.any(|whole| whole.kind() == node.kind() && whole.key() == node.key())
    }

    /// Adds the sources of the versions and logged models of the graph.
    fn add_sources(&mut self, around: &mut Surroundings) {
        let shown = self.arena.shown_nodes();
        let sources: Vec<(At, Vec<Node>, bool)> = shown
            .map(|(at, _, met)| {
                let makers = met.makers().map(|run| Node::stored(Kind::RUN, run, None));
                let version = met.version.as_deref();
                let model = version.and_then(|version| version.logged_model.as_deref());
                let model = model.map(|model| Node::stored(Kind::LOGGED_MODEL, model, None));
                let copied = version.and_then(|version| version.copied_from.clone());
                let is_made = version.is_some_and(RegisteredVersion::is_made);
                (at, makers.chain(model).chain(copied).collect(), is_made)
            })
            .collect();
        for (at, sources, is_made) in sources {
            if is_made {
                around.written.insert(self.arena.node(at), at);
            }
            for source in sources {
                let before = self.arena.meet(source);
                let record = self.arena.met(before).run.as_ref();
                // A run with this output is among the writers already.
                let is_writer =
                    record.is_some_and(|record| record.outputs.iter().any(|used| used.at == at));
                if !is_writer {
                    around.before.entry(at).or_default().insert(before);
                }
            }
        }
    }
}
