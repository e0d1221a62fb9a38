//! A diff as a text for people: where the upstreams first diverge, what follows from it, and what is unknown.

use std::fmt::Write as _;

use runlineage::graph::{Diff, GraphNode, Outcome, Pair, State, Unknown};

use super::cells::{self, HEADER, Row};
use crate::output::{printable, table};
use crate::say::counted;
use crate::secret::masked;

/// A table lists this many differences of a pair.
const MAX_ROWS: usize = 100;
/// A section lists this many pairs.
const MAX_PAIRS: usize = 50;
/// The part of a run's id that tells runs of one name apart.
const SHORT_ID: usize = 8;

pub(super) fn text(diff: &Diff) -> String {
    let mut text = String::new();
    head(&mut text, diff);
    if diff.outcome == Outcome::Equal {
        return text;
    }
    let sections = [
        (State::First, "First points of divergence"),
        (State::Follows, "What follows from these"),
    ];
    for (state, heading) in sections {
        let pairs: Vec<&Pair> = diff.in_state(state).collect();
        section(&mut text, heading, &pairs, |text, pair| {
            described(text, diff, pair)
        });
    }
    let unknown: Vec<&Pair> = diff.unknown().collect();
    section(&mut text, "Unknown", &unknown, |text, pair| {
        line(text, &format!("{}: {}", title(pair), reason(pair)));
    });
    text
}

/// The answer in one line.
fn head(text: &mut String, diff: &Diff) {
    let (a, b) = (&diff.a, &diff.b);
    let count = |state| diff.in_state(state).count() as u64;
    let compared = diff.pairs.iter().filter(|pair| pair.unknown.is_none());
    let compared = format!("{} of runs", counted(compared.count() as u64, "pair"));
    let answer = match diff.outcome {
        Outcome::Equal if a == b => format!("equal: both are {a}"),
        Outcome::Equal => format!("equal: nothing differs between {a} and {b}, in {compared}"),
        Outcome::Unknown => format!(
            "unknown: no difference between {a} and {b} was found in {compared}, and not all could be compared"
        ),
        _ => {
            let mut parts = vec![counted(count(State::First), "first point") + " of divergence"];
            for (state, words) in [
                (State::Follows, "following"),
                (State::Unknown, "unknown"),
                (State::Equal, "equal"),
            ] {
                let pairs = count(state);
                if pairs > 0 {
                    parts.push(format!("{} {words}", counted(pairs, "pair")));
                }
            }
            format!("{a} (A) and {b} (B) differ: {}", parts.join(", "))
        }
    };
    line(text, &answer);
}

fn section(
    text: &mut String,
    heading: &str,
    pairs: &[&Pair],
    mut describe: impl FnMut(&mut String, &Pair),
) {
    if pairs.is_empty() {
        return;
    }
    let _ = writeln!(text, "\n{heading}\n");
    for pair in pairs.iter().take(MAX_PAIRS) {
        describe(text, pair);
    }
    if pairs.len() > MAX_PAIRS {
        let more = counted((pairs.len() - MAX_PAIRS) as u64, "more pair");
        let _ = writeln!(text, "{more}; --format json lists all");
    }
}

/// A pair, with a table of all that differs.
fn described(text: &mut String, diff: &Diff, pair: &Pair) {
    line(text, &title(pair));
    line(text, &format!("  A {}", run(&pair.a)));
    line(text, &format!("  B {}", run(&pair.b)));
    if pair.unknown_upstream {
        line(
            text,
            "  A part of what lies upstream could not be compared.",
        );
    }
    let followed = pair.followed.iter();
    let followed = followed.map(|followed| cells::followed(diff, followed));
    let own = pair.differences.iter().map(cells::difference);
    // What explains the pair comes first.
    let rows: Vec<Row> = match pair.state {
        State::First => own.chain(followed).collect(),
        _ => followed.chain(own).collect(),
    };
    let has_remarks = rows.iter().any(|row| !row[4].is_empty());
    let columns = if has_remarks { 5 } else { 4 };
    let header: Vec<String> = HEADER[..columns]
        .iter()
        .map(|name| (*name).to_owned())
        .collect();
    let shown = rows.iter().take(MAX_ROWS);
    let shown = shown.map(|row| row[..columns].to_vec());
    let _ = writeln!(text, "{}", table(&header, shown));
    if rows.len() > MAX_ROWS {
        let more = counted((rows.len() - MAX_ROWS) as u64, "more difference");
        let _ = writeln!(text, "{more}; --format json lists all");
    }
    text.push('\n');
}

/// The names of the runs, and their place: `train-a → train-b, 1 level up, by the model churn`.
fn title(pair: &Pair) -> String {
    let place = match (pair.depth, &pair.key) {
        (0, _) | (_, None) => "the start".to_owned(),
        (depth, Some(key)) => {
            format!("{} up, {}", counted(depth, "level"), cells::by_key(key))
        }
    };
    format!("{}, {place}", name(pair))
}

/// The names of the runs of a pair.
pub(super) fn name(pair: &Pair) -> String {
    let (a, b) = (run_name(&pair.a), run_name(&pair.b));
    match a == b {
        true => a,
        false => format!("{a} → {b}"),
    }
}

fn run_name(run: &GraphNode) -> String {
    let name = run.run.as_ref().and_then(|facts| facts.name.clone());
    let name = name.filter(|name| !name.is_empty());
    name.unwrap_or_else(|| {
        let id = run.node.key();
        id.get(..SHORT_ID).unwrap_or(id).to_owned()
    })
}

/// The run, and what is known of it besides its name.
fn run(run: &GraphNode) -> String {
    let facts = run.run.clone().unwrap_or_default();
    let started = facts.start_time;
    let started = started.and_then(|date| date.try_to_rfc3339_string().ok());
    let words = [
        Some(run.node.to_string()),
        facts.status,
        started,
        facts.user,
        run.is_deleted.then(|| "deleted in MLflow".to_owned()),
    ];
    words.into_iter().flatten().collect::<Vec<_>>().join("  ")
}

fn reason(pair: &Pair) -> String {
    let side = |is_it: &dyn Fn(&GraphNode) -> bool| {
        let sides = [&pair.a, &pair.b].into_iter().filter(|run| is_it(run));
        let sides: Vec<String> = sides.map(|run| run.node.to_string()).collect();
        sides.join(" and ")
    };
    match pair.unknown {
        Some(Unknown::Unmirrored) => {
            format!("{} not mirrored", side(&|run| !run.is_known))
        }
        Some(Unknown::Purged) => {
            let is_purged = |run: &GraphNode| run.run.as_ref().is_some_and(|facts| facts.is_purged);
            format!("{} purged from the mirror", side(&is_purged))
        }
        Some(Unknown::Depth) => "beyond --upstream".to_owned(),
        Some(Unknown::Pairs) => "beyond --max-pairs".to_owned(),
        _ => "not compared".to_owned(),
    }
}

fn line(text: &mut String, line: &str) {
    let _ = writeln!(text, "{}", printable(&masked(line)));
}
