//! [`Evaluation`]: runs the walks of a selection, and builds the graph of the nodes that remain.

use std::collections::BTreeSet;
use std::future::IntoFuture;

use futures::FutureExt as _;
use futures::future::BoxFuture;

use super::Expression;
use super::algebra::{Selected, Verdicts};
use super::request::SelectRequest;
use crate::error::Result;
use crate::graph::arena::{Arena, Link, Origins};
use crate::graph::walk::Walk;
use crate::graph::{Edge, Graph, Limit, Truncated};
use crate::mongo::neighbours::Neighbours;
use crate::node::{Kind, Node};
use crate::query::Query;

impl<'a> IntoFuture for SelectRequest<'a> {
    type Output = Result<Graph>;
    type IntoFuture = BoxFuture<'a, Result<Graph>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(graph(self))
    }
}

async fn graph(mut request: SelectRequest<'_>) -> Result<Graph> {
    let root = request.selection.root.clone();
    if let Expression::Walk(span) = &root {
        let (facts, hidden, parents) = (request.facts, request.hidden, request.parents);
        let walk = request.walk(span).await?;
        return walk.facts(facts).hidden(hidden).parents(parents).await;
    }
    let mut evaluation = Evaluation::of(request);
    let selected = evaluation.set(&root).await?;
    evaluation.finish(selected).await
}

/// The state of the evaluation of a selection.
struct Evaluation<'a> {
    request: SelectRequest<'a>,
    /// The first limit that cut a walk or the graph.
    truncated: Option<Truncated>,
}

impl<'a> Evaluation<'a> {
    fn of(request: SelectRequest<'a>) -> Self {
        Self {
            request,
            truncated: None,
        }
    }

    /// The nodes of an expression that is no condition.
    fn set<'c>(&'c mut self, expression: &'c Expression) -> BoxFuture<'c, Result<Selected>> {
        async move {
            match expression {
                Expression::Walk(span) => {
                    let walk = self.request.walk(span).await?;
                    let walk = walk.facts(false).walk().await?;
                    let wholes = walk.wholes.clone();
                    let graph = walk.finish(false, false, false).await?;
                    if self.truncated.is_none() {
                        self.truncated.clone_from(&graph.truncated);
                    }
                    let mut selected = Selected::from(graph);
                    selected.wholes.extend(wholes);
                    Ok(selected)
                }
                Expression::Roots(part) => Ok(self.set(part).await?.roots()),
                Expression::Sinks(part) => Ok(self.set(part).await?.sinks()),
                Expression::Any(parts) => {
                    let mut all = Selected::default();
                    for part in parts {
                        all = all.union(self.set(part).await?);
                    }
                    Ok(all)
                }
                Expression::All(parts) => self.all(parts).await,
                // The parser has no place for a condition here.
                Expression::Not(_) | Expression::Where(_) => Ok(Selected::default()),
            }
        }
        .boxed()
    }

    async fn all(&mut self, parts: &[Expression]) -> Result<Selected> {
        let (conditions, sets): (Vec<_>, Vec<_>) =
            parts.iter().partition(|part| part.is_condition());
        let mut common: Option<Selected> = None;
        for part in sets {
            let set = self.set(part).await?;
            common = Some(match common {
                Some(common) => common.intersection(set),
                None => set,
            });
        }
        let mut common = common.unwrap_or_default();
        for condition in conditions {
            let nodes = common.nodes.keys().cloned().collect();
            let verdicts = self.verdicts(condition, &nodes).await?;
            common = common.that_meet(&verdicts);
        }
        Ok(common)
    }

    /// What a condition says of these nodes.
    fn verdicts<'c>(
        &'c mut self,
        condition: &'c Expression,
        nodes: &'c BTreeSet<Node>,
    ) -> BoxFuture<'c, Result<Verdicts>> {
        async move {
            match condition {
                Expression::Where(query) => self.matches(query, nodes).await,
                Expression::Not(part) if part.is_condition() => {
                    let mut verdicts = self.verdicts(part, nodes).await?;
                    for meets in verdicts.values_mut() {
                        *meets = !*meets;
                    }
                    Ok(verdicts)
                }
                Expression::Not(part) => {
                    let set = self.set(part).await?;
                    let verdict = |node: &Node| (node.clone(), !set.nodes.contains_key(node));
                    Ok(nodes.iter().map(verdict).collect())
                }
                Expression::All(parts) => {
                    self.joined(parts, nodes, |one, other| one && other).await
                }
                Expression::Any(parts) => {
                    self.joined(parts, nodes, |one, other| one || other).await
                }
                Expression::Walk(_) | Expression::Roots(_) | Expression::Sinks(_) => {
                    Ok(Verdicts::new())
                }
            }
        }
        .boxed()
    }

    async fn joined(
        &mut self,
        parts: &[Expression],
        nodes: &BTreeSet<Node>,
        join: fn(bool, bool) -> bool,
    ) -> Result<Verdicts> {
        let mut joined = Verdicts::new();
        for part in parts {
            for (node, meets) in self.verdicts(part, nodes).await? {
                let verdict = joined.entry(node).or_insert(meets);
                *verdict = join(*verdict, meets);
            }
        }
        Ok(joined)
    }

    /// Which of the runs match the query. The query says nothing of other nodes.
    async fn matches(&mut self, query: &Query, nodes: &BTreeSet<Node>) -> Result<Verdicts> {
        let runs = nodes.iter().filter(|node| node.kind() == Kind::RUN);
        let ids: BTreeSet<String> = runs.clone().map(|run| run.key().to_owned()).collect();
        let request = &self.request;
        let neighbours = Neighbours::of(
            request.store,
            Some(query.render()?),
            false,
            request.max_time,
        );
        let found = neighbours.runs(&ids, true).await?;
        let found: BTreeSet<&str> = found.iter().map(|stored| stored.node.key()).collect();
        Ok(runs
            .map(|run| (run.clone(), found.contains(run.key())))
            .collect())
    }

    /// Builds the graph of the selected nodes, with facts and hidden counts as in a walk.
    async fn finish(mut self, mut selected: Selected) -> Result<Graph> {
        let edges = self.within_limits(&mut selected);
        let SelectRequest {
            store,
            limits,
            facts,
            hidden,
            parents,
            max_time,
            ..
        } = self.request;
        let runs = selected
            .nodes
            .keys()
            .filter(|node| node.kind() == Kind::RUN);
        let runs = runs.map(|run| run.key().to_owned()).collect();
        let neighbours = Neighbours::of(store, None, facts, max_time);
        let (mut walk, runs) = Walk::begin(neighbours, limits, Arena::new(true), &runs).await?;
        for stored in runs {
            walk.arena.meet_run(stored);
        }
        for start in &selected.starts {
            if start.kind() != Kind::RUN {
                let at = walk.arena.meet(start.clone());
                walk.starts.insert(start, at);
            }
        }
        walk.wholes.extend(selected.wholes.iter().cloned());
        for (node, place) in &selected.nodes {
            let at = walk.arena.meet(node.clone());
            walk.arena.show(at, place.depth);
            walk.arena.node_mut(at).is_start = place.is_start;
        }
        for edge in edges {
            let (from, to) = (walk.arena.meet(edge.from), walk.arena.meet(edge.to));
            let link = Link {
                relation: edge.relation,
                is_certain: edge.is_certain,
                origins: Origins::from_iter(edge.origins),
            };
            walk.arena.connect(from, to, link);
        }
        walk.truncated = self.truncated;
        walk.finish(facts, hidden, parents).await
    }

    /// Leaves out the farthest nodes and the last edges above the limits, and returns the edges.
    fn within_limits(&mut self, selected: &mut Selected) -> Vec<Edge> {
        let limits = self.request.limits;
        let mut cut = None;
        if selected.nodes.len() > limits.nodes {
            let mut order: Vec<_> = selected.nodes.iter().collect();
            order.sort_by_key(|(node, place)| (place.depth, *node));
            let rest: Vec<Node> = order
                .split_off(limits.nodes)
                .into_iter()
                .map(|(node, _)| node.clone())
                .collect();
            for node in &rest {
                selected.nodes.remove(node);
            }
            cut = rest.into_iter().next().map(|at| (Limit::Nodes, at));
        }
        let mut edges: Vec<Edge> = selected.edges().cloned().collect();
        if edges.len() > limits.edges {
            cut = cut.or(Some((Limit::Edges, edges[limits.edges].from.clone())));
            edges.truncate(limits.edges);
        }
        if self.truncated.is_none() {
            self.truncated = cut.map(|(limit, at)| Truncated { limit, at });
        }
        edges
    }
}
