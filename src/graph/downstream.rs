//! One level downstream: from runs to their outputs, and on to the runs that read these.

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

/// One level downstream.
pub(super) struct Descent {
    depth: u32,
    /// The runs of the level, until they are expanded.
    makers: Vec<At>,
    /// References that a run wrote, and that are still to expand.
    written: Vec<At>,
    /// The runs that the walk reached for the first time.
    pub(super) next: Vec<At>,
}

/// What a level expands at once.
pub(super) struct Round {
    makers: Vec<At>,
    written: Vec<At>,
}

/// The answers of the mirror to a round.
pub(super) struct Found {
    links: Links,
    readers: Answers,
}

/// Versions and logged models that the registry links to references or runs.
struct Links {
    copies: Vec<RegisteredVersion>,
    registered: Vec<RegisteredVersion>,
    of_runs: Vec<RegisteredVersion>,
    logged: Vec<LoggedModel>,
}

impl Descent {
    /// Shows the outputs of the runs, and expands them and the references.
    pub(super) fn begin(
        walk: &mut Walk<'_>,
        runs: &[At],
        references: &[At],
        depth: u32,
    ) -> Result<Self, Stop> {
        let makers = walk.in_order(runs.to_vec());
        let mut written = walk.show_sides(Way::Down, &makers, depth)?;
        written.extend(references);
        Ok(Self {
            depth,
            makers,
            written,
            next: Vec::new(),
        })
    }

    /// The next runs and references to expand; `None` at the end of the level.
    pub(super) fn round(&mut self, walk: &Walk<'_>) -> Option<Round> {
        let makers = std::mem::take(&mut self.makers);
        let mut written = std::mem::take(&mut self.written);
        written.retain(|at| walk.arena.met(*at).down < Progress::All);
        let written = walk.in_order(written);
        let is_empty = makers.is_empty() && written.is_empty();
        (!is_empty).then_some(Round { makers, written })
    }

    /// Shows what was found around the runs and references of the round.
    pub(super) fn show(
        &mut self,
        walk: &mut Walk<'_>,
        round: Round,
        found: Found,
    ) -> Result<(), Stop> {
        let users = walk.users(Direction::Input, found.readers);
        let first = round.written.first().or(round.makers.first()).copied();
        for run in round.makers {
            self.show_made(walk, run, &users)?;
        }
        for reference in round.written.iter().copied() {
            walk.advance(Way::Down, reference, Progress::Runs);
            self.show_readers(walk, reference, &users)?;
            self.show_overlaps(walk, reference, &users)?;
        }
        walk.check_complete(&users, first)?;
        for (before, after, relation) in walk.meet_links(found.links) {
            let link = Link::registry(relation);
            walk.reach(Way::Down, before, after, self.depth, link)?;
            self.written.push(after);
        }
        // A limit that cuts leaves the references of the round behind: what it shows of them is not all.
        for reference in round.written {
            walk.advance(Way::Down, reference, Progress::All);
        }
        Ok(())
    }

    /// Shows the artifacts of the run that other runs read. The run made them, declared or not.
    fn show_made(&mut self, walk: &mut Walk<'_>, run: At, users: &Users) -> Result<(), Stop> {
        let id = walk.arena.node(run).key();
        let read = users.references.of_key(Kind::ARTIFACT, id);
        let made = read.chain(walk.starts.of_key(Kind::ARTIFACT, id));
        for reference in walk.in_order(made.collect()) {
            walk.reach(Way::Down, run, reference, self.depth, Link::made())?;
            if walk.advance(Way::Down, reference, Progress::Runs) {
                self.show_readers(walk, reference, users)?;
            }
        }
        Ok(())
    }

    fn show_overlaps(
        &mut self,
        walk: &mut Walk<'_>,
        reference: At,
        users: &Users,
    ) -> Result<(), Stop> {
        let node = walk.arena.node(reference);
        let mut overlapping = users.references.overlapping(node, &walk.renames);
        overlapping.extend(walk.starts.overlapping(node, &walk.renames));
        for (other, is_certain) in overlapping {
            let link = Link::overlap(is_certain);
            walk.reach(Way::Down, reference, other, self.depth, link)?;
            let is_walked = is_certain || walk.takes_uncertain;
            if is_walked && walk.advance(Way::Down, other, Progress::Runs) {
                self.show_readers(walk, other, users)?;
            }
        }
        Ok(())
    }

    fn show_readers(
        &mut self,
        walk: &mut Walk<'_>,
        reference: At,
        users: &Users,
    ) -> Result<(), Stop> {
        let readers = users.of(reference);
        walk.show_runs(Way::Down, reference, readers, self.depth, &mut self.next)
    }
}

impl Round {
    /// Reads the readers of the references and of the artifacts of the runs, and what the registry made of them.
    pub(super) async fn read(&self, walk: &Walk<'_>) -> Result<Found> {
        let asked = Asked {
            overlapping: &self.written,
            artifacts_of: &self.makers,
            ..Asked::default()
        };
        let (links, readers) = futures::try_join!(
            walk.read_links(&self.written, &self.makers),
            walk.read_users(Direction::Input, asked),
        )?;
        Ok(Found { links, readers })
    }
}

impl Walk<'_> {
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
                self.arena.node_mut(at).logged = Some(Box::new(model));
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
        self.arena.node_mut(after).version = Some(Box::new(version));
        Some((before, after, relation))
    }
}
