//! Reads the facts of nodes, and builds the [`Graph`].

use std::collections::{BTreeSet, HashMap};

use bson::DateTime;

use super::arena::{At, Link, Met};
use super::walk::Walk;
use super::{Edge, Graph, GraphNode, Hidden, LoggedModelFacts, Relation, VersionFacts};
use crate::error::Result;
use crate::hash::FastMap;
use crate::mongo::neighbours::{
    LoggedModel, LoggedModelsBy, RegisteredModel, RegisteredVersion, VersionsBy, version_id,
};
use crate::node::{Kind, Node};

/// The registry records of nodes.
pub(super) struct Records {
    versions: Vec<RegisteredVersion>,
    logged: Vec<LoggedModel>,
    models: Vec<RegisteredModel>,
}

impl Walk<'_> {
    /// Reads the registry records of the versions and logged models in the graph, and keeps them.
    pub(super) async fn learn_facts(&mut self) -> Result<()> {
        let records = self.read_records().await?;
        self.keep_records(records);
        Ok(())
    }

    /// Reads the registry records of the versions and logged models in the graph that the walk has not met.
    pub(super) async fn read_records(&self) -> Result<Records> {
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
        let (versions, logged, models) = futures::try_join!(
            self.neighbours.versions(VersionsBy::Id, &versions),
            self.neighbours.logged_models(LoggedModelsBy::Id, &models),
            self.neighbours.models(&names),
        )?;
        Ok(Records {
            versions,
            logged,
            models,
        })
    }

    pub(super) fn keep_records(&mut self, records: Records) {
        for version in records.versions {
            let at = self.arena.meet(version.node.clone());
            self.arena.node_mut(at).version = Some(Box::new(version));
        }
        for model in records.logged {
            let id = Node::stored(Kind::LOGGED_MODEL, &model.id, None);
            let at = self.arena.meet(id);
            self.arena.node_mut(at).logged = Some(Box::new(model));
        }
        for model in records.models {
            let at = self
                .arena
                .meet(Node::stored(Kind::MODEL, &model.name, None));
            self.arena.node_mut(at).is_named = true;
            for (alias, version) in model.aliases {
                let of_version = self.aliases.entry((model.name.clone(), version));
                of_version.or_default().push(alias);
            }
        }
    }

    /// Builds the graph, in its deterministic order.
    pub(super) fn into_graph(
        mut self,
        has_facts: bool,
        hidden: Option<&HashMap<At, Hidden>>,
    ) -> Graph {
        let order = self.order();
        let mut places = vec![0; self.arena.len()];
        for (place, at) in order.iter().enumerate() {
            places[at.0] = place;
        }
        let edges = self.arena.edges();
        let edges = edges.map(|(from, to, link)| (places[from.0], places[to.0], link));
        let mut edges: Vec<(usize, usize, &Link)> = edges.collect();
        edges.sort_unstable_by_key(|(from, to, _)| (*from, *to));
        let edges = edges.into_iter();
        let edges = edges.map(|(from, to, link)| self.edge(order[from], order[to], link));
        let edges = edges.collect();
        let nodes = order.into_iter().map(|at| {
            let hidden = hidden.and_then(|hidden| hidden.get(&at).copied());
            // The edges, which need the facts, are finished.
            let record = self.arena.node_mut(at).run.as_mut();
            let facts = record.map(|record| std::mem::take(&mut record.facts));
            let (node, met) = (self.arena.node(at), self.arena.met(at));
            GraphNode {
                run: facts.filter(|_| has_facts),
                ..self.graph_node(node, met, has_facts, hidden)
            }
        });
        let mut graph = Graph {
            nodes: nodes.collect(),
            edges,
            truncated: self.truncated.clone(),
        };
        if hidden.is_some() {
            self.mark_unknown(&mut graph.nodes);
        }
        graph
    }

    /// The nodes that the graph shows, by depth and then by node.
    pub(super) fn order(&self) -> Vec<At> {
        let shown = self.arena.shown_nodes();
        let mut order: Vec<(Option<u32>, &Node, At)> =
            shown.map(|(at, node, met)| (met.depth, node, at)).collect();
        order.sort_unstable();
        order.into_iter().map(|(.., at)| at).collect()
    }

    /// Marks a reference that is a start as unknown if the mirror has no record of it, no run names it, and it has no edge.
    fn mark_unknown(&self, nodes: &mut [GraphNode]) {
        let mut edges: FastMap<At, u64> = FastMap::default();
        for end in self.arena.edges().flat_map(|(from, to, _)| [from, to]) {
            *edges.entry(end).or_default() += 1;
        }
        for shown in nodes
            .iter_mut()
            .filter(|shown| shown.is_start && shown.node.kind() != Kind::RUN)
        {
            let Some(at) = self.arena.find(&shown.node) else {
                continue;
            };
            let met = self.arena.met(at);
            let hidden = shown.hidden.unwrap_or_default();
            let edges = edges.get(&at).copied().unwrap_or_default();
            let edges = edges + hidden.up.count + hidden.down.count;
            // The edge from the run that an artifact reference names exists for any id.
            let is_used = edges > u64::from(shown.node.kind() == Kind::ARTIFACT);
            let is_recorded = met.is_named || met.version.is_some() || met.logged.is_some();
            shown.is_known = is_used || is_recorded;
        }
    }

    pub(super) fn graph_node(
        &self,
        node: &Node,
        met: &Met,
        has_facts: bool,
        hidden: Option<Hidden>,
    ) -> GraphNode {
        let record = met.run.as_deref();
        let version = met.version.as_deref();
        let logged = met.logged.as_deref();
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
