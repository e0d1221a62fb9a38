//! The parents and children of the runs in a graph.

use std::collections::BTreeSet;

use super::Relation;
use super::arena::{Link, Origins};
use super::walk::{Stop, Walk, Way};
use crate::error::Result;
use crate::mongo::neighbours::ChildOf;
use crate::node::{Kind, Node, Origin};

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
        for ChildOf { parent, child } in family {
            let run = |id: &str| Node::stored(Kind::RUN, id, None);
            let (parent_at, child_at) =
                (self.arena.meet(run(&parent)), self.arena.meet(run(&child)));
            let (way, known, other) = match shown.contains(&parent) {
                true => (Way::Down, parent_at, child_at),
                false => (Way::Up, child_at, parent_at),
            };
            // A relative is as far from the start as the run that it belongs to.
            let depth = self.arena.met(known).depth.unwrap_or_default();
            self.reach(way, known, other, depth, link)?;
        }
        Ok(())
    }
}
