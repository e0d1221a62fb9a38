//! What a walk starts from: the node itself, or all that it selects.

use std::collections::BTreeSet;

use super::arena::At;
use super::walk::Walk;
use crate::error::Result;
use crate::mongo::neighbours::{StoredRun, VersionsBy};
use crate::node::{Direction, Kind, Node};

/// How many details of a start are read at least, so that a small graph of a start with some versions counts exactly.
const MIN_READ: usize = 1_000;

impl Walk<'_> {
    /// The nodes that the start selects: all of a name where it says no version or digest, else itself.
    pub(super) async fn select(&mut self, start: &Node, run: &[StoredRun]) -> Result<Vec<At>> {
        for run in run {
            self.arena.meet_run(run)?;
        }
        let detail = start.kind().spec().detail;
        let is_each = detail.is_some_and(|detail| !detail.is_path) && start.detail().is_none();
        let mut details = BTreeSet::new();
        if is_each {
            details = self.details(start).await?;
        }
        if details.is_empty() {
            return Ok(vec![self.arena.meet(start.clone())]);
        }
        let nodes = details
            .iter()
            .map(|detail| Node::stored(start.kind(), start.key(), detail.as_deref()));
        Ok(nodes.map(|node| self.arena.meet(node)).collect())
    }

    /// What the walk looks for counts as read, as if it were a start: whoever asks has a use for it.
    pub(super) async fn aim_at(&mut self, target: &Node) -> Result<()> {
        self.targets = self.select(target, &[]).await?;
        for target in &self.targets {
            let node = self.arena.node(*target);
            if node.kind() != Kind::RUN {
                self.starts.insert(node, *target);
            }
        }
        Ok(())
    }

    async fn details(&self, start: &Node) -> Result<BTreeSet<Option<String>>> {
        let (kind, key) = (start.kind(), start.key());
        // With one more than fit, it is known that they do not fit.
        let limit = self.limits.nodes.max(MIN_READ).saturating_add(1);
        let mut details = BTreeSet::new();
        for direction in Direction::BOTH {
            if kind.spec().directions.contains(&direction) {
                let found = self.neighbours.details(direction, kind, key, limit);
                details.extend(found.await?);
            }
        }
        if kind == Kind::MODEL {
            let name = BTreeSet::from([key.to_owned()]);
            let versions = self.neighbours.versions(VersionsBy::Name, &name).await?;
            let versions = versions.iter().map(|version| &version.node);
            details.extend(versions.map(|node| node.detail().map(str::to_owned)));
        }
        Ok(details)
    }
}
