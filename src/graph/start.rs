//! The starts of a walk: the given node, or all nodes of its name.

use std::collections::BTreeSet;

use super::arena::At;
use super::walk::Walk;
use crate::error::Result;
use crate::mongo::neighbours::{Details, StoredRun, VersionsBy};
use crate::node::{Direction, Kind, Node};

/// The smallest number of versions to read, so that a small graph still counts the edges of a start with many versions.
const MIN_READ: usize = 1_000;

impl Walk<'_> {
    /// The nodes that the start selects. A start without a version or digest selects all of its name.
    pub(super) async fn select(&mut self, start: &Node, run: Vec<StoredRun>) -> Result<Vec<At>> {
        for run in run {
            self.arena.meet_run(run);
        }
        let detail = start.kind().spec().detail;
        let is_each = detail.is_some_and(|detail| !detail.is_path) && start.detail().is_none();
        let mut details = Details::new();
        if is_each {
            self.wholes.push(start.clone());
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

    /// Sets the node at which the walk may stop. It counts as read, even if no run read exactly this reference.
    pub(super) async fn aim_at(&mut self, target: &Node) -> Result<()> {
        self.targets = self.select(target, Vec::new()).await?;
        for target in &self.targets {
            let node = self.arena.node(*target);
            if node.kind() != Kind::RUN {
                self.starts.insert(node, *target);
            }
        }
        Ok(())
    }

    async fn details(&self, start: &Node) -> Result<Details> {
        let (kind, key) = (start.kind(), start.key());
        // One version more than the limit shows that the limit is exceeded.
        let limit = self.limits.nodes.max(MIN_READ).saturating_add(1);
        let mut details = Details::new();
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
