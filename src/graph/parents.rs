//! The parents and children of the runs in a graph.

use std::collections::BTreeSet;

use super::Relation;
use super::arena::{At, Link, Origins};
use super::walk::{Stop, Walk, Way};
use crate::error::Result;
use crate::mongo::neighbours::ChildOf;
use crate::node::{Kind, Origin};

/// An edge between relatives: its depth, and its ends as seen from a run that the graph shows.
type Kinship = (u32, Way, At, At);

impl Walk<'_> {
    /// Shows the parents and the children of the runs that the graph shows. No data flows along these edges, so the walk does
    /// not go on from them.
    pub(super) async fn show_families(&mut self) -> Result<()> {
        match self.families().await {
            Ok(()) => Ok(()),
            Err(Stop::Cut(cut)) => {
                self.truncated = Some(cut);
                Ok(())
            }
            Err(Stop::Failed(error)) => Err(error),
        }
    }

    async fn families(&mut self) -> Result<(), Stop> {
        let shown = self.arena.shown_nodes();
        let shown = shown.filter(|(_, node, _)| node.kind() == Kind::RUN);
        let shown: BTreeSet<String> = shown.map(|(_, node, _)| node.key().to_owned()).collect();
        // One child more than the graph may show tells that the limit cuts.
        let limit = self.limits.nodes.saturating_add(1);
        let (parents, children) = futures::try_join!(
            self.neighbours.parents(&shown),
            self.neighbours.children(&shown, limit),
        )?;
        let family: BTreeSet<ChildOf> = parents.into_iter().chain(children).collect();
        let members = family.iter().flat_map(|pair| [&pair.parent, &pair.child]);
        let new = members.filter(|run| !shown.contains(*run)).cloned();
        for run in self.neighbours.runs(&new.collect(), false).await? {
            self.arena.meet_run(run);
        }
        let link = Link {
            relation: Relation::Parent,
            is_certain: true,
            origins: Origins::of(Origin::Tag),
        };
        let mut kinships: Vec<Kinship> = Vec::new();
        for ChildOf { parent, child } in family {
            let is_shown = [shown.contains(&parent), shown.contains(&child)];
            let (parent, child) = (self.run_at(&parent), self.run_at(&child));
            let (way, known, other) = match is_shown[0] {
                true => (Way::Down, parent, child),
                false => (Way::Up, child, parent),
            };
            // A relative is as far from the start as the run that it belongs to; a run that lineage reached keeps its depth.
            let nearest = if is_shown == [true, true] {
                other
            } else {
                known
            };
            let depth = self.arena.met(nearest).depth.unwrap_or_default();
            kinships.push((depth, way, known, other));
        }
        // The nearest first, so that a relative of several runs gets the smallest depth even if a limit cuts.
        kinships.sort_by_key(|(depth, ..)| *depth);
        for (depth, way, known, other) in kinships {
            self.reach(way, known, other, depth, link)?;
        }
        Ok(())
    }
}
