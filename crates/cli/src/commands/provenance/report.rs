//! A provenance as a text for people.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use bson::DateTime;
use runlineage::Node;
use runlineage::graph::{Code, Provenance, RunProvenance, Unresolved};
use runlineage_server::answer::{doubts, reasons};

use super::super::walk::cut_text;
use crate::output::{ago, printable, table};
use crate::say::counted;
use crate::secret::masked;

/// The most nodes that the text names for each reason of doubt.
const MAX_NAMED: usize = 20;
/// The length of a short git commit.
const SHORT_COMMIT: usize = 10;

pub(super) fn text(provenance: &Provenance, max_nodes: usize, partial: Option<&str>) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: Option<String>| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            let _ = writeln!(text, "{name:<12} {}", printable(&masked(&value)));
        }
    };
    let runs = &provenance.runs;
    line("node", Some(provenance.start.to_string()));
    line("runs", Some(counted(runs.len() as u64, "run")));
    line("people", Some(provenance.people.join(", ")));
    line("first start", provenance.first_start.map(date));
    line("last end", provenance.last_end.map(date));
    line("mirror of", provenance.unresolved.mirror.source.clone());
    line("full pass", provenance.unresolved.mirror.full_pass.map(ago));
    if !runs.is_empty() {
        let header = [
            "distance", "run", "name", "status", "started", "user", "code", "params",
        ];
        let rows = runs.iter().map(row);
        let _ = writeln!(
            text,
            "\nRuns, the nearest first\n{}",
            table(&header.map(str::to_owned), rows)
        );
    }
    list(&mut text, "Data from outside these runs", &provenance.data);
    unresolved(&mut text, &provenance.unresolved, max_nodes);
    if let Some(part) = partial {
        let _ = writeln!(text, "\nThis covers {part}.");
    }
    text
}

fn unresolved(text: &mut String, unresolved: &Unresolved, max_nodes: usize) {
    if doubts(unresolved).is_empty() {
        text.push_str("\nUnresolved: nothing. Every run upstream is mirrored, and every reference names its version.\n");
        return;
    }
    text.push_str("\nUnresolved\n");
    for (reason, nodes) in reasons(unresolved) {
        for node in nodes.iter().take(MAX_NAMED) {
            let _ = writeln!(text, "  {reason}: {}", printable(&masked(node)));
        }
        if nodes.len() > MAX_NAMED {
            let more = nodes.len() - MAX_NAMED;
            let _ = writeln!(text, "  {reason}: {more} more; --format json lists all");
        }
    }
    if let Some(cut) = &unresolved.truncated {
        let _ = writeln!(text, "  {}", printable(&cut_text(cut, max_nodes)));
    }
    if unresolved.mirror.full_pass.is_none() {
        text.push_str("  the mirror never saw a full pass; run `runlineage sync`\n");
    }
}

fn list(text: &mut String, heading: &str, nodes: &[Node]) {
    if nodes.is_empty() {
        return;
    }
    let _ = writeln!(text, "\n{heading}");
    for node in nodes {
        let _ = writeln!(text, "  {}", printable(&masked(&node.to_string())));
    }
}

fn row(run: &RunProvenance) -> Vec<String> {
    let facts = &run.facts;
    let or_none = |text: &Option<String>| text.clone().unwrap_or_default();
    vec![
        run.depth.to_string(),
        run.run.key().to_owned(),
        or_none(&facts.name),
        or_none(&facts.status),
        facts.start_time.map(date).unwrap_or_default(),
        or_none(&facts.user),
        code(&run.code),
        params(&run.params),
    ]
}

/// The commit, else the file or notebook.
fn code(code: &Code) -> String {
    let commit = code.git_commit.as_deref();
    let short = commit.map(|commit| commit.get(..SHORT_COMMIT).unwrap_or(commit).to_owned());
    let source = code
        .entry_point
        .clone()
        .or_else(|| code.source_name.clone());
    [source, short]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join("\n")
}

fn params(params: &BTreeMap<String, String>) -> String {
    let pairs: Vec<String> = params
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    pairs.join("\n")
}

fn date(date: DateTime) -> String {
    date.try_to_rfc3339_string().unwrap_or_default()
}
