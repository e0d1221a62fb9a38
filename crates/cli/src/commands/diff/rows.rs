//! A difference of two runs as a row: what differs, its name, and both values.

use runlineage::graph::{Diff, Difference, DifferentInput, Ending, Followed, InputKey, State};
use runlineage::{Kind, Node};

use super::report::name;

/// The length of a short git commit.
const SHORT_COMMIT: usize = 10;
/// A row shows this many characters of a value.
const MAX_VALUE: usize = 120;
/// A row names this many references.
const MAX_REFERENCES: usize = 10;
/// The part of a run's id that tells runs of one name apart.
const SHORT_ID: usize = 8;

pub(super) struct Row {
    pub(super) what: String,
    pub(super) name: String,
    pub(super) values: String,
}

/// A difference of the runs themselves.
pub(super) fn difference(difference: &Difference) -> Row {
    let row = |what: &str, name: &str, a: Option<&str>, b: Option<&str>| Row {
        what: what.to_owned(),
        name: shortened(name),
        values: values(a.map(shortened), b.map(shortened)),
    };
    match difference {
        Difference::GitCommit(values) => {
            let (a, b) = (values.a.as_deref(), values.b.as_deref());
            row("git commit", "", a.map(commit), b.map(commit))
        }
        Difference::EntryPoint(values) => {
            row("entry point", "", values.a.as_deref(), values.b.as_deref())
        }
        Difference::Param(named) => {
            let values = &named.values;
            row(
                "param",
                &named.name,
                values.a.as_deref(),
                values.b.as_deref(),
            )
        }
        Difference::Tag(named) => {
            let values = &named.values;
            row("tag", &named.name, values.a.as_deref(), values.b.as_deref())
        }
        Difference::Input(input) => different_input(input),
        _ => row("other", "", None, None),
    }
}

fn commit(commit: &str) -> &str {
    commit.get(..SHORT_COMMIT).unwrap_or(commit)
}

fn different_input(input: &DifferentInput) -> Row {
    let remark = match input.ending {
        // These kinds never have a producer.
        Ending::NoProducer if input.key.kind.spec().directions.len() < 2 => None,
        Ending::NoProducer => Some("no run is known to have produced one of them".to_owned()),
        Ending::SeveralProducers => Some("several runs produced one of them".to_owned()),
        Ending::SameProducer => Some("one run produced both".to_owned()),
        Ending::Several => {
            let (a, b) = (input.a.len(), input.b.len());
            Some(format!("{a} against {b}, so they are not compared further"))
        }
        _ => None,
    };
    let list = |nodes: &[Node]| (!nodes.is_empty()).then(|| references(nodes));
    input_row(&input.key, list(&input.a), list(&input.b), remark)
}

/// An input whose producers are another pair.
pub(super) fn followed(diff: &Diff, followed: &Followed) -> Row {
    let producers = diff.pairs.get(followed.pair).map(|pair| {
        let state = match pair.state {
            State::Equal => "equal",
            State::First => "first point of divergence",
            State::Follows => "follows, too",
            _ => "unknown",
        };
        format!("produced by {} ({state})", name(pair))
    });
    let (a, b) = (identity(&followed.a), identity(&followed.b));
    input_row(&followed.key, Some(a), Some(b), producers)
}

fn input_row(key: &InputKey, a: Option<String>, b: Option<String>, remark: Option<String>) -> Row {
    let what = key.kind.spec().noun.replace('-', " ");
    let name = key.to_string();
    let name = name.strip_prefix(&what).unwrap_or(&name);
    let name = name.trim_start_matches(':').trim_start();
    let remark = remark.map(|remark| format!("; {remark}"));
    Row {
        name: shortened(name),
        values: values(a, b) + &remark.unwrap_or_default(),
        what,
    }
}

fn values(a: Option<String>, b: Option<String>) -> String {
    match (a, b) {
        (Some(a), Some(b)) => format!("{a} → {b}"),
        (Some(a), None) => format!("only in A: {a}"),
        (None, Some(b)) => format!("only in B: {b}"),
        (None, None) => String::new(),
    }
}

fn references(nodes: &[Node]) -> String {
    let mut references: Vec<String> = nodes.iter().take(MAX_REFERENCES).map(identity).collect();
    if nodes.len() > MAX_REFERENCES {
        references.push(format!("{} more", nodes.len() - MAX_REFERENCES));
    }
    references.join(", ")
}

/// The part of a reference that its key leaves out.
fn identity(node: &Node) -> String {
    match node.kind().spec().detail {
        Some(detail) if detail.is_path => format!("run {}", short_id(node.key())),
        Some(detail) => match node.detail() {
            Some(value) => shortened(value),
            None => format!("without {}", detail.field),
        },
        None => node.key().to_owned(),
    }
}

pub(super) fn short_id(id: &str) -> String {
    match id.char_indices().nth(SHORT_ID) {
        Some((end, _)) => format!("{}…", &id[..end]),
        None => id.to_owned(),
    }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(MAX_VALUE) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// The words for the input that the runs of a pair produced.
pub(super) fn by_key(key: &InputKey) -> String {
    match (&key.name, key.kind == Kind::ARTIFACT) {
        (None, true) => "by all artifacts of a run".to_owned(),
        _ => format!("by the {}", shortened(&key.to_string())),
    }
}
