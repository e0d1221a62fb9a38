//! A difference of two runs as a row of a table: what differs, its name, both values, and a remark.

use runlineage::graph::{Diff, Difference, DifferentInput, Ending, Followed, InputKey, State};
use runlineage::{Kind, Node};

/// The length of a short git commit.
const SHORT_COMMIT: usize = 10;
/// A cell shows this many characters of a value.
const MAX_VALUE: usize = 200;
/// A cell names this many references.
const MAX_REFERENCES: usize = 10;

pub(super) const HEADER: [&str; 5] = ["what", "name", "A", "B", "remark"];

pub(super) type Row = [String; 5];

/// A difference of the runs themselves.
pub(super) fn difference(difference: &Difference) -> Row {
    let row = |what: &str, name: &str, a: &Option<String>, b: &Option<String>| {
        let value = |value: &Option<String>| value.as_deref().map_or_else(absent, shortened);
        let cells = [what.to_owned(), shortened(name), value(a), value(b)];
        let [what, name, a, b] = cells;
        [what, name, a, b, String::new()]
    };
    let commit = |commit: &Option<String>| {
        let commit = commit.as_deref();
        commit.map(|commit| commit.get(..SHORT_COMMIT).unwrap_or(commit).to_owned())
    };
    match difference {
        Difference::GitCommit(values) => {
            row("git commit", "", &commit(&values.a), &commit(&values.b))
        }
        Difference::EntryPoint(values) => row("entry point", "", &values.a, &values.b),
        Difference::Param(named) => row("param", &named.name, &named.values.a, &named.values.b),
        Difference::Tag(named) => row("tag", &named.name, &named.values.a, &named.values.b),
        Difference::Input(input) => different_input(input),
        _ => row("other", "", &None, &None),
    }
}

fn different_input(input: &DifferentInput) -> Row {
    let remark = match input.ending {
        Ending::OnlyA => "only in A".to_owned(),
        Ending::OnlyB => "only in B".to_owned(),
        Ending::Several => format!(
            "{} against {}, so not compared further",
            input.a.len(),
            input.b.len()
        ),
        // These kinds never have a producer.
        Ending::NoProducer if input.key.kind.spec().directions.len() < 2 => String::new(),
        Ending::NoProducer => "no run is known to have produced one of them".to_owned(),
        Ending::SeveralProducers => "several runs produced one of them".to_owned(),
        Ending::SameProducer => "one run produced both".to_owned(),
        _ => String::new(),
    };
    input_row(&input.key, &input.a, &input.b, remark)
}

/// An input whose producers are another pair.
pub(super) fn followed(diff: &Diff, followed: &Followed) -> Row {
    let producers = diff.pairs.get(followed.pair);
    let remark = producers.map_or_else(String::new, |pair| {
        let state = match pair.state {
            State::Equal => "equal",
            State::First => "a first point of divergence",
            State::Follows => "follows, too",
            _ => "unknown",
        };
        format!("produced by {}: {state}", super::report::name(pair))
    });
    let (a, b) = ([followed.a.clone()], [followed.b.clone()]);
    input_row(&followed.key, &a, &b, remark)
}

fn input_row(key: &InputKey, a: &[Node], b: &[Node], remark: String) -> Row {
    let what = key.kind.spec().noun.replace('-', " ");
    let name = key.to_string();
    let name = name.strip_prefix(&what).unwrap_or(&name);
    let name = name.trim_start_matches(':').trim_start();
    [what, shortened(name), references(a), references(b), remark]
}

/// What tells references under one key apart, one a line.
fn references(nodes: &[Node]) -> String {
    let mut lines: Vec<String> = nodes.iter().take(MAX_REFERENCES).map(identity).collect();
    if nodes.len() > MAX_REFERENCES {
        lines.push(format!("and {} more", nodes.len() - MAX_REFERENCES));
    }
    match lines.is_empty() {
        true => absent(),
        false => lines.join("\n"),
    }
}

fn identity(node: &Node) -> String {
    match node.kind().spec().detail {
        Some(detail) if detail.is_path => format!("run:{}", node.key()),
        Some(detail) => match node.detail() {
            Some(value) => shortened(value),
            None => format!("without {}", detail.field),
        },
        None => node.key().to_owned(),
    }
}

fn absent() -> String {
    "–".to_owned()
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(MAX_VALUE) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// The words for the key under which the runs of a pair were reached.
pub(super) fn by_key(key: &InputKey) -> String {
    match (&key.name, key.kind == Kind::ARTIFACT) {
        (Some(name), true) => format!("by the artifact {}", shortened(name)),
        (None, true) => "by all artifacts of a run".to_owned(),
        _ => format!("by the {}", shortened(&key.to_string())),
    }
}
