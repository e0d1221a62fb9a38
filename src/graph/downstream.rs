//! One level downstream: from runs to their outputs, and on to the runs that read these.

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

/// Versions and logged models that the registry links to references or runs.
struct Links {
    copies: Vec<RegisteredVersion>,
    registered: Vec<RegisteredVersion>,
    of_runs: Vec<RegisteredVersion>,
    logged: Vec<LoggedModel>,
}

impl Walk<'_> {
    /// Expands the runs and the references, and returns the runs that the walk reaches for the first time.
    pub(super) async fn downstream(
        &mut self,
        runs: &[At],
        references: &[At],
        depth: u32,
    ) -> Result<Vec<At>, Stop> {
        let runs = self.in_order(runs.to_vec());
        let mut written = self.show_sides(Way::Down, &runs, depth)?;
        written.extend(references);
        let mut makers = runs.as_slice();
        let mut next = Vec::new();
        loop {
            written.retain(|at| self.arena.met(*at).down < Progress::All);
            let pending = self.in_order(std::mem::take(&mut written));
            if pending.is_empty() && makers.is_empty() {
                return Ok(next);
            }
            let asked = Asked {
                overlapping: &pending,
                artifacts_of: makers,
                ..Asked::default()
            };
            let (links, users) = futures::try_join!(
                self.read_links(&pending, makers),
                self.read_users(Direction::Input, asked),
            )?;
            let users = self.users(Direction::Input, users);
            let first = pending.first().or(makers.first()).copied();
            for run in makers {
                self.show_made(*run, &users, depth, &mut next)?;
            }
            for reference in pending {
                self.advance(Way::Down, reference, Progress::All);
                self.show_readers(reference, &users, depth, &mut next, true)?;
                self.show_overlaps(reference, &users, depth, &mut next)?;
            }
            self.check_complete(&users, first)?;
            for (before, after, relation) in self.meet_links(links) {
                self.reach(Way::Down, before, after, depth, Link::registry(relation))?;
                written.push(after);
            }
            makers = &[];
        }
    }

    /// Shows the artifacts of the run that other runs read. The run made them, declared or not.
    fn show_made(
        &mut self,
        run: At,
        users: &Users,
        depth: u32,
        next: &mut Vec<At>,
    ) -> Result<(), Stop> {
        let id = self.arena.node(run).key().to_owned();
        let read = users.references.of_key(Kind::ARTIFACT, &id);
        let made = read.chain(self.starts.of_key(Kind::ARTIFACT, &id));
        for reference in self.in_order(made.collect()) {
            self.reach(Way::Down, run, reference, depth, Link::made())?;
            let is_new = self.advance(Way::Down, reference, Progress::Runs);
            self.show_readers(reference, users, depth, next, is_new)?;
        }
        Ok(())
    }

    fn show_overlaps(
        &mut self,
        reference: At,
        users: &Users,
        depth: u32,
        next: &mut Vec<At>,
    ) -> Result<(), Stop> {
        let node = self.arena.node(reference).clone();
        let mut overlapping = users.references.overlapping(&node, &self.renames);
        overlapping.extend(self.starts.overlapping(&node, &self.renames));
        for (other, is_certain) in overlapping {
            self.reach(
                Way::Down,
                reference,
                other,
                depth,
                Link::overlap(is_certain),
            )?;
            if is_certain || self.takes_uncertain {
                let is_new = self.advance(Way::Down, other, Progress::Runs);
                self.show_readers(other, users, depth, next, is_new)?;
            }
        }
        Ok(())
    }

    fn show_readers(
        &mut self,
        reference: At,
        users: &Users,
        depth: u32,
        next: &mut Vec<At>,
        is_new: bool,
    ) -> Result<(), Stop> {
        match is_new {
            true => self.show_runs(Way::Down, reference, users.of(reference), depth, next),
            false => Ok(()),
        }
    }

    async fn read_links(&self, references: &[At], runs: &[At]) -> Result<Links> {
        let ids = |kind: Kind, id: &dyn Fn(&Node) -> Option<String>| -> BTreeSet<String> {
            let nodes = references.iter().map(|at| self.arena.node(*at));
            let of_kind = nodes.filter(|node| node.kind() == kind);
            of_kind.filter_map(id).collect()
        };
        let versions = ids(Kind::MODEL, &version_id);
        let models = ids(Kind::LOGGED_MODEL, &|node| Some(node.key().to_owned()));
        let runs = runs
            .iter()
            .map(|run| self.arena.node(*run).key().to_owned());
        let runs = runs.collect();
        let (copies, registered, of_runs, logged) = futures::try_join!(
            self.neighbours.versions(VersionsBy::CopiedFrom, &versions),
            self.neighbours.versions(VersionsBy::LoggedModel, &models),
            self.neighbours.versions(VersionsBy::Run, &runs),
            self.neighbours
                .logged_models(LoggedModelsBy::SourceRun, &runs),
        )?;
        Ok(Links {
            copies,
            registered,
            of_runs,
            logged,
        })
    }

    /// The links as edges, ordered by their nodes.
    fn meet_links(&mut self, links: Links) -> Vec<(At, At, Relation)> {
        let mut met = Vec::new();
        for version in links.copies {
            let original = version.copied_from.clone();
            met.extend(self.meet_version(original, version, Relation::Copied));
        }
        for version in links.registered {
            let model = version.logged_model.as_deref();
            let model = model.map(|model| Node::stored(Kind::LOGGED_MODEL, model, None));
            met.extend(self.meet_version(model, version, Relation::Registered));
        }
        for version in links.of_runs {
            let run = version.run.as_deref();
            let run = run.map(|run| Node::stored(Kind::RUN, run, None));
            met.extend(self.meet_version(run, version, Relation::Wrote));
        }
        for model in links.logged {
            if let Some(run) = &model.source_run {
                let run = self.run_at(run);
                let id = Node::stored(Kind::LOGGED_MODEL, &model.id, None);
                let at = self.arena.meet(id);
                self.arena.node_mut(at).logged = Some(model);
                met.push((run, at, Relation::Wrote));
            }
        }
        let ends = |link: &(At, At, Relation)| (self.arena.node(link.0), self.arena.node(link.1));
        met.sort_by(|one, other| ends(one).cmp(&ends(other)));
        met
    }

    fn meet_version(
        &mut self,
        before: Option<Node>,
        version: RegisteredVersion,
        relation: Relation,
    ) -> Option<(At, At, Relation)> {
        let before = self.arena.meet(before?);
        let after = self.arena.meet(version.node.clone());
        self.arena.node_mut(after).version = Some(version);
        Some((before, after, relation))
    }
}
