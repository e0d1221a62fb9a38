//! What a node reached, as a text for people and as CSV.

use std::collections::HashMap;
use std::fmt::Write as _;

use runlineage::graph::{Graph, Impact, Reached};
use runlineage::{Kind, Node};
use runlineage_draw::Picture;

use super::super::walk::cut_text;
use crate::output::{printable, table};
use crate::say::counted;
use crate::secret::masked;

/// A table lists this many nodes of each kind, the nearest first.
const MAX_ROWS: usize = 100;

/// An impact, and how its nodes are named for people.
pub(super) struct Report<'a> {
    impact: &'a Impact,
    names: HashMap<String, String>,
    max_nodes: usize,
}

impl<'a> Report<'a> {
    pub(super) fn of(impact: &'a Impact, max_nodes: usize) -> runlineage_draw::Result<Self> {
        let mut graph = Graph::default();
        graph.nodes = impact
            .reached
            .iter()
            .map(|reached| reached.shown.clone())
            .collect();
        let picture = Picture::from_graph(&graph, |_| None)?;
        let names = picture.nodes().iter();
        let names = names.map(|node| (node.id.clone(), node.name.clone()));
        Ok(Self {
            impact,
            names: names.collect(),
            max_nodes,
        })
    }

    pub(super) fn text(&self) -> String {
        let impact = self.impact;
        let mut text = String::new();
        self.head(&mut text);
        if !impact.aliased.is_empty() {
            let rows = impact
                .aliased
                .iter()
                .map(|aliased| vec![aliased.aliases.join("\n"), aliased.version.to_string()]);
            section(
                &mut text,
                "Aliases that point there now",
                &["alias", "version"],
                rows,
            );
        }
        if !impact.experiments.is_empty() {
            let rows = impact.experiments.iter().map(|count| {
                let name = count.value.as_ref();
                let name = name.map(|exp| exp.name.as_ref().unwrap_or(&exp.id).clone());
                vec![
                    count.runs.to_string(),
                    name.unwrap_or_else(|| "unknown".into()),
                ]
            });
            section(
                &mut text,
                "Runs by experiment",
                &["runs", "experiment"],
                rows,
            );
        }
        if impact.users.iter().any(|count| count.value.is_some()) {
            let rows = impact.users.iter().map(|count| {
                let name = count.value.clone();
                vec![
                    count.runs.to_string(),
                    name.unwrap_or_else(|| "unknown".into()),
                ]
            });
            section(&mut text, "Runs by user", &["runs", "user"], rows);
        }
        for kind in Kind::all() {
            self.kind(&mut text, kind);
        }
        self.open_ends(&mut text);
        if let Some(cut) = &impact.truncated {
            let _ = writeln!(text, "\n{}", cut_text(cut, self.max_nodes));
        }
        text
    }

    /// The one line that answers the question.
    fn head(&self, text: &mut String) {
        let counts: Vec<String> = Kind::all()
            .map(|kind| (self.reached(kind).count(), kind))
            .filter(|(count, _)| *count > 0)
            .map(|(count, kind)| counted(count as u64, &noun(kind)))
            .collect();
        let start = shown(&self.impact.start.to_string());
        let _ = match counts.is_empty() {
            true => writeln!(text, "No mirrored run depends on {start}."),
            false => writeln!(text, "{start} reached {}.", counts.join(", ")),
        };
    }

    fn reached(&self, kind: Kind) -> impl Iterator<Item = &Reached> {
        let reached = self.impact.reached.iter();
        reached.filter(move |reached| reached.shown.node.kind() == kind)
    }

    fn kind(&self, text: &mut String, kind: Kind) {
        let all = self.reached(kind).count();
        if all == 0 {
            return;
        }
        let rows = self.reached(kind).take(MAX_ROWS).map(|reached| {
            let id = reached.shown.node.to_string();
            let name = self.name(&reached.shown.node);
            vec![
                reached.shown.depth.to_string(),
                id,
                name,
                self.remarks(reached),
                self.way(reached),
            ]
        });
        let mut heading = capitalised(&format!("{}s", noun(kind)));
        if all > MAX_ROWS {
            let _ = write!(
                heading,
                ", the nearest {MAX_ROWS} of {all}; --format csv lists all"
            );
        }
        let header = [
            "distance",
            kind.spec().noun,
            "name",
            "remarks",
            "one way there",
        ];
        section(text, &heading, &header, rows);
    }

    fn name(&self, node: &Node) -> String {
        let id = node.to_string();
        self.names.get(&id).cloned().unwrap_or(id)
    }

    fn remarks(&self, reached: &Reached) -> String {
        let node = &reached.shown;
        let status = node.run.as_ref().and_then(|run| run.status.clone());
        let aliases = node.version.iter().flat_map(|version| &version.aliases);
        let aliases: Vec<String> = aliases.map(|alias| format!("@{alias}")).collect();
        let remarks = [
            status,
            (!aliases.is_empty()).then(|| aliases.join(", ")),
            node.is_deleted.then(|| "deleted".to_owned()),
            (!node.is_known).then(|| "not mirrored".to_owned()),
            (!reached.is_certain).then(|| "uncertain".to_owned()),
        ];
        remarks.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }

    /// The nodes between the start and this one.
    fn way(&self, reached: &Reached) -> String {
        let between = match &reached.path[..] {
            [_, between @ .., _] => between,
            _ => &[],
        };
        let names: Vec<String> = between.iter().map(|node| self.name(node)).collect();
        names.join(" → ")
    }

    fn open_ends(&self, text: &mut String) {
        let ends = &self.impact.open_ends;
        if ends.is_empty() {
            return;
        }
        let rows = ends
            .iter()
            .take(MAX_ROWS)
            .map(|node| vec![node.to_string(), self.name(node)]);
        let mut heading = "Without a recorded consumer: what uses these is unknown".to_owned();
        if ends.len() > MAX_ROWS {
            let _ = write!(
                heading,
                " ({MAX_ROWS} of {}; --format json lists all)",
                ends.len()
            );
        }
        section(text, &heading, &["node", "name"], rows);
    }
}

fn section(
    text: &mut String,
    heading: &str,
    header: &[&str],
    rows: impl Iterator<Item = Vec<String>>,
) {
    let header: Vec<String> = header.iter().map(|name| (*name).to_owned()).collect();
    let _ = writeln!(text, "\n{heading}\n{}", table(&header, rows));
}

fn noun(kind: Kind) -> String {
    match kind == Kind::MODEL {
        true => "model version".to_owned(),
        false => kind.spec().noun.replace('-', " "),
    }
}

fn capitalised(text: &str) -> String {
    let (first, rest) = text.split_at(text.chars().next().map_or(0, char::len_utf8));
    first.to_uppercase() + rest
}

fn shown(text: &str) -> String {
    printable(&masked(text)).into_owned()
}
