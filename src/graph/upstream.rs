//! One level upstream: from runs to their inputs, and on to the runs that wrote these.

use std::collections::BTreeSet;

use super::Relation;
use super::arena::{At, Link, Progress};
use super::fetch::{Asked, Users};
use super::walk::{Stop, Walk, Way};
use crate::error::Result;
use crate::mongo::neighbours::{
    LoggedModel, LoggedModelsBy, RegisteredVersion, VersionsBy, version_id,
};
use crate::node::{Direction, Kind, Node};

/// The references that a level still has to expand.
#[derive(Default)]
struct Pending {
    /// References that a run read: written references that overlap with them count.
    read: Vec<At>,
    /// References at the end of a registry link: only their own writers count.
    written: Vec<At>,
}

/// Registry records of references, and the runs that made them.
struct Known {
    versions: Vec<RegisteredVersion>,
    models: Vec<LoggedModel>,
    /// The ids of the runs whose artifacts the references name.
    makers: BTreeSet<String>,
}

impl Walk<'_> {
    /// Expands the runs and the references, and returns the runs that the walk reaches for the first time.
    pub(super) async fn upstream(
        &mut self,
        runs: &[At],
        references: &[At],
        depth: u32,
    ) -> Result<Vec<At>, Stop> {
        let runs = self.in_order(runs.to_vec());
        let mut pending = Pending {
            read: self.show_sides(Way::Up, &runs, depth)?,
            written: Vec::new(),
        };
        pending.read.extend(references);
        let mut next = Vec::new();
        loop {
            let mut read = std::mem::take(&mut pending.read);
            read.retain(|at| self.arena.met(*at).up < Progress::All);
            let mut written = std::mem::take(&mut pending.written);
            written.retain(|at| self.arena.met(*at).up < Progress::Runs);
            let (read, written) = (self.in_order(read), self.in_order(written));
            if read.is_empty() && written.is_empty() {
                return Ok(next);
            }
            let all: Vec<At> = read.iter().chain(&written).copied().collect();
            let asked = Asked {
                overlapping: &read,
                exact: &written,
                ..Asked::default()
            };
            let (known, users) = futures::try_join!(
                self.read_known(&read, &all),
                self.read_users(Direction::Output, asked),
            )?;
            let mut users = self.users(Direction::Output, users);
            for version in self.learn(known).await? {
                users.references.insert(self.arena.node(version), version);
            }
            for reference in read {
                self.show_maker(reference, depth, &mut next)?;
                self.show_writers(reference, &users, depth, &mut next, &mut pending)?;
                self.advance(Way::Up, reference, Progress::All);
                let node = self.arena.node(reference).clone();
                let mut overlapping = users.references.overlapping(&node, &self.renames);
                overlapping.extend(self.starts.overlapping(&node, &self.renames));
                for (other, is_certain) in overlapping {
                    self.reach(Way::Up, reference, other, depth, Link::overlap(is_certain))?;
                    if is_certain || self.takes_uncertain {
                        self.show_writers(other, &users, depth, &mut next, &mut pending)?;
                    }
                }
            }
            for reference in written {
                self.show_writers(reference, &users, depth, &mut next, &mut pending)?;
            }
            self.check_complete(&users, all.first().copied())?;
        }
    }

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
            self.arena.node_mut(at).version = Some(version);
        }
        for model in known.models {
            makers.extend(model.source_run.clone());
            let id = Node::stored(Kind::LOGGED_MODEL, &model.id, None);
            let at = self.arena.meet(id);
            self.arena.node_mut(at).logged = Some(model);
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

    /// Shows the run that an artifact reference names. That run made the artifact, declared or not.
    fn show_maker(&mut self, reference: At, depth: u32, next: &mut Vec<At>) -> Result<(), Stop> {
        let node = self.arena.node(reference);
        if node.kind() != Kind::ARTIFACT {
            return Ok(());
        }
        let id = node.key().to_owned();
        let run = self.run_at(&id);
        self.show_run(reference, run, Link::made(), depth, next)
    }

    /// Shows the writers of the reference, and the sources that the registry links it to.
    fn show_writers(
        &mut self,
        reference: At,
        users: &Users,
        depth: u32,
        next: &mut Vec<At>,
        pending: &mut Pending,
    ) -> Result<(), Stop> {
        if !self.advance(Way::Up, reference, Progress::Runs) {
            return Ok(());
        }
        self.show_runs(Way::Up, reference, users.of(reference), depth, next)?;
        let met = self.arena.met(reference);
        let logged = met.logged.as_ref();
        let version = met.version.clone();
        let source_run = logged.and_then(|model| model.source_run.clone());
        let run = version.as_ref().and_then(|version| version.run.clone());
        for run in source_run.into_iter().chain(run) {
            let run = self.run_at(&run);
            let link = Link::registry(Relation::Wrote);
            self.show_run(reference, run, link, depth, next)?;
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
                let source = self.arena.meet(source);
                self.reach(Way::Up, reference, source, depth, Link::registry(relation))?;
                pending.written.push(source);
            }
        }
        Ok(())
    }

    fn show_run(
        &mut self,
        reference: At,
        run: At,
        link: Link,
        depth: u32,
        next: &mut Vec<At>,
    ) -> Result<(), Stop> {
        let met = self.arena.met(run);
        if self.is_filtered && met.run.is_none() && !met.is_start {
            return Ok(());
        }
        self.reach(Way::Up, reference, run, depth + 1, link)?;
        if self.arrive(Way::Up, run) {
            next.push(run);
        }
        Ok(())
    }
}
