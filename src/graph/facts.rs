//! Reads the facts of nodes, and builds the [`Graph`].

use std::collections::{BTreeSet, HashMap};

use bson::DateTime;

use super::arena::{At, Link, Met};
use super::walk::Walk;
use super::{Edge, Graph, GraphNode, Hidden, LoggedModelFacts, Relation, VersionFacts};
use crate::error::Result;
use crate::mongo::neighbours::{LoggedModelsBy, VersionsBy, version_id};
use crate::node::{Kind, Node};

impl Walk<'_> {
    /// Reads the registry records of the versions and logged models in the graph.
    pub(super) async fn learn_facts(&mut self) -> Result<()> {
        let (mut versions, mut models, mut names) =
            (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for (_, node, met) in self.arena.shown_nodes() {
            if node.kind() == Kind::MODEL {
                names.insert(node.key().to_owned());
                if met.version.is_none() {
                    versions.extend(version_id(node));
                }
            }
            if node.kind() == Kind::LOGGED_MODEL && met.logged.is_none() {
                models.insert(node.key().to_owned());
            }
        }
        let (versions, models, registered) = futures::try_join!(
            self.neighbours.versions(VersionsBy::Id, &versions),
            self.neighbours.logged_models(LoggedModelsBy::Id, &models),
            self.neighbours.models(&names),
        )?;
        for version in versions {
            let at = self.arena.meet(version.node.clone());
            self.arena.node_mut(at).version = Some(version);
        }
        for model in models {
            let id = Node::stored(Kind::LOGGED_MODEL, &model.id, None);
            let at = self.arena.meet(id);
            self.arena.node_mut(at).logged = Some(model);
        }
        for model in registered {
            for (alias, version) in model.aliases {
                let of_version = self.aliases.entry((model.name.clone(), version));
                of_version.or_default().push(alias);
            }
        }
        Ok(())
    }

    /// Builds the graph, in its deterministic order.
    pub(super) fn into_graph(self, has_facts: bool, hidden: Option<&HashMap<At, Hidden>>) -> Graph {
        let mut nodes: Vec<(String, GraphNode)> = self
            .arena
            .shown_nodes()
            .map(|(at, node, met)| {
                let hidden = hidden.and_then(|hidden| hidden.get(&at).copied());
                (
                    node.to_string(),
                    self.graph_node(node, met, has_facts, hidden),
                )
            })
            .collect();
        let place =
            |(text, shown): &(String, GraphNode)| (shown.depth, shown.node.kind(), text.clone());
        nodes.sort_by_cached_key(place);
        if hidden.is_some() {
            self.mark_unknown(&mut nodes);
        }
        let mut places: Vec<(usize, usize, Edge)> = Vec::new();
        let order: HashMap<At, usize> = nodes
            .iter()
            .enumerate()
            .filter_map(|(place, (_, shown))| Some((self.arena.find(&shown.node)?, place)))
            .collect();
        for (from, to, link) in self.arena.edges() {
            let place = |at: At| order.get(&at).copied().unwrap_or_default();
            places.push((place(from), place(to), self.edge(from, to, link)));
        }
        places.sort_by_key(|(from, to, _)| (*from, *to));
        Graph {
            nodes: nodes.into_iter().map(|(_, shown)| shown).collect(),
            edges: places.into_iter().map(|(.., edge)| edge).collect(),
            truncated: self.truncated,
        }
    }

    /// Marks a reference that is a start as unknown if the mirror has neither a record nor an edge of it.
    fn mark_unknown(&self, nodes: &mut [(String, GraphNode)]) {
        let starts = nodes.iter_mut().map(|(_, shown)| shown);
        for shown in starts.filter(|shown| shown.is_start && shown.node.kind() != Kind::RUN) {
            let Some(at) = self.arena.find(&shown.node) else {
                continue;
            };
            let met = self.arena.met(at);
            let hidden = shown.hidden.unwrap_or_default();
            let edges = self.arena.edges();
            let edges = edges.filter(|(from, to, _)| *from == at || *to == at);
            let edges = edges.count() as u64 + hidden.up.count + hidden.down.count;
            // The edge from the run that an artifact reference names exists for any id.
            let is_used = edges > u64::from(shown.node.kind() == Kind::ARTIFACT);
            shown.is_known = is_used || met.version.is_some() || met.logged.is_some();
        }
    }

    pub(super) fn graph_node(
        &self,
        node: &Node,
        met: &Met,
        has_facts: bool,
        hidden: Option<Hidden>,
    ) -> GraphNode {
        let record = met.run.as_ref();
        let version = met.version.as_ref();
        let logged = met.logged.as_ref();
        let is_deleted = record.map(|record| record.is_deleted);
        let is_deleted = is_deleted.or(version.map(|version| version.is_deleted));
        let is_deleted = is_deleted.or(logged.map(|logged| logged.is_deleted));
        GraphNode {
            depth: met.depth.unwrap_or_default(),
            is_start: met.is_start,
            is_known: node.kind() != Kind::RUN || record.is_some(),
            is_deleted: is_deleted.unwrap_or_default(),
            run: record
                .filter(|_| has_facts)
                .map(|record| record.facts.clone()),
            version: version.filter(|_| has_facts).map(|version| VersionFacts {
                aliases: self.aliases_of(node),
                created: version.created,
                stage: version.stage.clone(),
                copied_from: version.copied_from.clone(),
            }),
            logged_model: logged.filter(|_| has_facts).map(|model| LoggedModelFacts {
                name: model.name.clone(),
                experiment: model.experiment.clone(),
            }),
            hidden,
            node: node.clone(),
        }
    }

    pub(super) fn aliases_of(&self, node: &Node) -> Vec<String> {
        let version = node.detail().unwrap_or_default();
        let aliases = self
            .aliases
            .get(&(node.key().to_owned(), version.to_owned()));
        aliases.cloned().unwrap_or_default()
    }

    pub(super) fn edge(&self, from: At, to: At, link: &Link) -> Edge {
        Edge {
            from: self.arena.node(from).clone(),
            to: self.arena.node(to).clone(),
            relation: link.relation,
            is_certain: link.is_certain,
            origins: link.origins.list(),
            is_made_anew: link.relation == Relation::Read && self.is_made_anew(from, to),
        }
    }

    /// Whether the run ended before the version was created.
    fn is_made_anew(&self, version: At, run: At) -> bool {
        let version = self.arena.met(version).version.as_ref();
        let created = version.and_then(|version| version.created);
        let run = self.arena.met(run).run.as_ref();
        let ended: Option<DateTime> =
            run.and_then(|run| run.facts.end_time.or(run.facts.start_time));
        ended
            .zip(created)
            .is_some_and(|(ended, created)| ended < created)
    }
}
