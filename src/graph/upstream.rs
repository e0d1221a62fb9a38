//! One level upstream: from runs to their inputs, and on to the runs that wrote these.

use std::collections::BTreeSet;

use super::Relation;
use super::arena::{At, Link, Progress};
use super::fetch::{Answers, Asked, Users};
use super::walk::{Stop, Walk, Way};
use crate::error::Result;
use crate::mongo::neighbours::{
    LoggedModel, LoggedModelsBy, RegisteredVersion, VersionsBy, version_id,
};
use crate::node::{Direction, Kind, Node};

/// One level upstream.
pub(super) struct Ascent {
    depth: u32,
    /// References that a run read, and that are still to expand: written references that overlap with them count.
    read: Vec<At>,
    /// References at the end of a registry link: only their own writers count.
    written: Vec<At>,
    /// The runs that the walk reached for the first time.
    pub(super) next: Vec<At>,
}

/// The references that a level expands at once.
pub(super) struct Round {
    read: Vec<At>,
    written: Vec<At>,
}

/// The answers of the mirror to a round.
pub(super) struct Found {
    known: Known,
    writers: Answers,
}

/// Registry records of references, and the runs that made them.
struct Known {
    versions: Vec<RegisteredVersion>,
    models: Vec<LoggedModel>,
    /// The ids of the runs whose artifacts the references name.
    makers: BTreeSet<String>,
}

impl Ascent {
    /// Shows the inputs of the runs, and expands them and the references.
    pub(super) fn begin(
        walk: &mut Walk<'_>,
        runs: &[At],
        references: &[At],
        depth: u32,
    ) -> Result<Self, Stop> {
        let runs = walk.in_order(runs.to_vec());
        let mut read = walk.show_sides(Way::Up, &runs, depth)?;
        read.extend(references);
        Ok(Self {
            depth,
            read,
            written: Vec::new(),
            next: Vec::new(),
        })
    }

    /// The next references to expand; `None` at the end of the level.
    pub(super) fn round(&mut self, walk: &Walk<'_>) -> Option<Round> {
        let mut read = std::mem::take(&mut self.read);
        read.retain(|at| walk.arena.met(*at).up < Progress::All);
        let mut written = std::mem::take(&mut self.written);
        written.retain(|at| walk.arena.met(*at).up < Progress::Runs);
        let (read, written) = (walk.in_order(read), walk.in_order(written));
        let is_empty = read.is_empty() && written.is_empty();
        (!is_empty).then_some(Round { read, written })
    }

    /// Shows what was found around the references of the round.
    pub(super) async fn show(
        &mut self,
        walk: &mut Walk<'_>,
        round: Round,
        found: Found,
    ) -> Result<(), Stop> {
        let mut users = walk.users(Direction::Output, found.writers);
        for version in walk.learn(found.known).await? {
            users.references.insert(walk.arena.node(version), version);
        }
        let first = round.read.first().or(round.written.first()).copied();
        for reference in round.read {
            self.show_maker(walk, reference)?;
            self.show_writers(walk, reference, &users)?;
            walk.advance(Way::Up, reference, Progress::All);
            let node = walk.arena.node(reference);
            let mut overlapping = users.references.overlapping(node, &walk.renames);
            overlapping.extend(walk.starts.overlapping(node, &walk.renames));
            for (other, is_certain) in overlapping {
                let link = Link::overlap(is_certain);
                walk.reach(Way::Up, reference, other, self.depth, link)?;
                if is_certain || walk.takes_uncertain {
                    self.show_writers(walk, other, &users)?;
                }
            }
        }
        for reference in round.written {
            self.show_writers(walk, reference, &users)?;
        }
        walk.check_complete(&users, first)
    }

    /// Shows the run that an artifact reference names. That run made the artifact, declared or not.
    fn show_maker(&mut self, walk: &mut Walk<'_>, reference: At) -> Result<(), Stop> {
        let node = walk.arena.node(reference);
        if node.kind() != Kind::ARTIFACT {
            return Ok(());
        }
        let run = Node::stored(Kind::RUN, node.key(), None);
        let run = walk.arena.meet(run);
        self.show_run(walk, reference, run, Link::made())
    }

    /// Shows the writers of the reference, and the sources that the registry links it to.
    fn show_writers(
        &mut self,
        walk: &mut Walk<'_>,
        reference: At,
        users: &Users,
    ) -> Result<(), Stop> {
        if !walk.advance(Way::Up, reference, Progress::Runs) {
            return Ok(());
        }
        let writers = users.of(reference);
        walk.show_runs(Way::Up, reference, writers, self.depth, &mut self.next)?;
        let met = walk.arena.met(reference);
        let version = met.version.clone();
        let makers: Vec<Node> = met
            .makers()
            .map(|run| Node::stored(Kind::RUN, run, None))
            .collect();
        for run in makers {
            let run = walk.arena.meet(run);
            let link = Link::registry(Relation::Wrote);
            self.show_run(walk, reference, run, link)?;
        }
        let Some(version) = version else {
            return Ok(());
        };
        let model = version.logged_model.as_deref();
        let model = model.map(|model| Node::stored(Kind::LOGGED_MODEL, model, None));
        let sources = [
            (model, Relation::Registered),
            (version.copied_from, Relation::Copied),
        ];
        for (source, relation) in sources {
            if let Some(source) = source {
                let source = walk.arena.meet(source);
                let link = Link::registry(relation);
                walk.reach(Way::Up, reference, source, self.depth, link)?;
                self.written.push(source);
            }
        }
        Ok(())
    }

    fn show_run(
        &mut self,
        walk: &mut Walk<'_>,
        reference: At,
        run: At,
        link: Link,
    ) -> Result<(), Stop> {
        let met = walk.arena.met(run);
        if walk.is_filtered && met.run.is_none() && !met.is_start {
            return Ok(());
        }
        walk.reach(Way::Up, reference, run, self.depth + 1, link)?;
        if walk.arrive(Way::Up, run) {
            self.next.push(run);
        }
        Ok(())
    }
}

impl Round {
    /// Reads the writers of the references, and what the registry knows of them.
    pub(super) async fn read(&self, walk: &Walk<'_>) -> Result<Found> {
        let all: Vec<At> = self.read.iter().chain(&self.written).copied().collect();
        let asked = Asked {
            overlapping: &self.read,
            exact: &self.written,
            ..Asked::default()
        };
        let (known, writers) = futures::try_join!(
            walk.read_known(&self.read, &all),
            walk.read_users(Direction::Output, asked),
        )?;
        Ok(Found { known, writers })
    }
}

impl Walk<'_> {
    /// Reads the registry records of the references.
    async fn read_known(&self, read: &[At], all: &[At]) -> Result<Known> {
        let (mut ids, mut names, mut models) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for node in all.iter().map(|at| self.arena.node(*at)) {
            if node.kind() == Kind::LOGGED_MODEL {
                models.insert(node.key().to_owned());
            }
            if node.kind() == Kind::MODEL {
                for name in self.renames.of_node(node).chain([node.key()]) {
                    let same = Node::stored(Kind::MODEL, name, node.detail());
                    match version_id(&same) {
                        Some(id) => ids.insert(id),
                        None => names.insert(name.to_owned()),
                    };
                }
            }
        }
        let artifacts = read.iter().map(|at| self.arena.node(*at));
        let artifacts = artifacts.filter(|node| node.kind() == Kind::ARTIFACT);
        let makers = artifacts.map(|node| node.key().to_owned());
        let makers = makers.collect();
        let (by_id, by_name, models) = futures::try_join!(
            self.neighbours.versions(VersionsBy::Id, &ids),
            self.neighbours.versions(VersionsBy::Name, &names),
            self.neighbours.logged_models(LoggedModelsBy::Id, &models),
        )?;
        Ok(Known {
            versions: by_id.into_iter().chain(by_name).collect(),
            models,
            makers,
        })
    }

    /// Adds the records and the runs that they name to the arena, and returns the versions with a known source.
    async fn learn(&mut self, known: Known) -> Result<Vec<At>> {
        let (mut made, mut makers) = (Vec::new(), known.makers);
        for version in known.versions {
            makers.extend(version.run.clone());
            let at = self.arena.meet(version.node.clone());
            if version.is_made() {
                made.push(at);
            }
            self.arena.node_mut(at).version = Some(Box::new(version));
        }
        for model in known.models {
            makers.extend(model.source_run.clone());
            let id = Node::stored(Kind::LOGGED_MODEL, &model.id, None);
            let at = self.arena.meet(id);
            self.arena.node_mut(at).logged = Some(Box::new(model));
        }
        // Most makers declare their outputs, so the query of the writers has returned them already.
        makers.retain(|run| self.is_new(run));
        for run in self.neighbours.runs(&makers, true).await? {
            self.arena.meet_run(run);
        }
        Ok(made)
    }

    fn is_new(&self, run: &str) -> bool {
        let at = self.arena.find(&Node::stored(Kind::RUN, run, None));
        at.is_none_or(|at| self.arena.met(at).run.is_none())
    }
}
