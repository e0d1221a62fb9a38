//! A diff as CSV.

use runlineage::Node;
use runlineage::graph::{Diff, Difference, InputKey, Pair, Values};
use serde::Serialize;

const HEADER: [&str; 9] = [
    "depth", "state", "run_a", "run_b", "what", "name", "a", "b", "remark",
];

/// The title of a page about a diff.
#[must_use]
pub fn diff_title(diff: &Diff) -> String {
    format!("Diff of {} and {}", diff.a, diff.b)
}

/// One row for each difference of a pair of runs, for each input whose producers are another pair, and for each pair that could not be
/// compared. Several references in one cell are separated by spaces.
///
/// # Errors
/// Never: it writes to memory.
pub fn diff_csv(diff: &Diff) -> Result<Vec<u8>, csv::Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(HEADER)?;
    for pair in &diff.pairs {
        let of_pair = [
            pair.depth.to_string(),
            word(pair.state),
            pair.a.node.to_string(),
            pair.b.node.to_string(),
        ];
        for row in rows(diff, pair) {
            writer.write_record(of_pair.iter().chain(&row))?;
        }
    }
    writer
        .into_inner()
        .map_err(|error| error.into_error().into())
}

/// What differs, its name, both sides, and a remark.
type Row = [String; 5];

fn rows(diff: &Diff, pair: &Pair) -> Vec<Row> {
    let unknown = pair.unknown.iter();
    let unknown = unknown.map(|unknown| row("not compared", "", [None, None], word(unknown)));
    let own = pair.differences.iter().map(difference);
    let followed = pair.followed.iter().map(|followed| {
        let producers = diff.pairs.get(followed.pair);
        let producers = producers
            .map(|next| format!("produced by {} and {}", next.a.node, next.b.node))
            .unwrap_or_default();
        let sides = [&followed.a, &followed.b].map(|node| Some(node.to_string()));
        input(&followed.key, sides, producers)
    });
    unknown.chain(own).chain(followed).collect()
}

fn difference(difference: &Difference) -> Row {
    let value = |what, name, values: &Values| {
        let sides = [values.a.clone(), values.b.clone()];
        row(what, name, sides, String::new())
    };
    match difference {
        Difference::GitCommit(values) => value("git commit", "", values),
        Difference::EntryPoint(values) => value("entry point", "", values),
        Difference::Param(param) => value("param", &param.name, &param.values),
        Difference::Tag(tag) => value("tag", &tag.name, &tag.values),
        Difference::Input(different) => {
            let sides = [&different.a, &different.b].map(|nodes| Some(texts(nodes)));
            input(&different.key, sides, word(different.ending))
        }
        _ => row("other", "", [None, None], String::new()),
    }
}

fn input(key: &InputKey, sides: [Option<String>; 2], remark: String) -> Row {
    row("input", &key.to_string(), sides, remark)
}

fn row(what: &str, name: &str, sides: [Option<String>; 2], remark: String) -> Row {
    let [a, b] = sides.map(Option::unwrap_or_default);
    [what.to_owned(), name.to_owned(), a, b, remark]
}

fn texts(nodes: &[Node]) -> String {
    let texts: Vec<String> = nodes.iter().map(Node::to_string).collect();
    texts.join(" ")
}

/// The word that JSON has for a value.
fn word(value: impl Serialize) -> String {
    let value = serde_json::to_value(value).unwrap_or_default();
    value.as_str().unwrap_or_default().to_owned()
}
