//! A diff as a text for people: where the upstreams first diverge, what follows from it, and what is unknown.

use std::fmt::Write as _;

use runlineage::graph::{Diff, GraphNode, Outcome, Pair, State, Unknown};
use unicode_width::UnicodeWidthStr as _;

use super::rows::{self, Row};
use crate::output::printable;
use crate::say::counted;
use crate::secret::masked;

/// The text lists this many differences of a pair.
const MAX_ROWS: usize = 100;
/// A section lists this many pairs.
const MAX_PAIRS: usize = 50;
/// The widest column of names.
const MAX_NAME: usize = 40;

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
        line(text, &format!("  {}: {}", title(pair), reason(pair)));
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
    let _ = writeln!(text, "\n{heading}");
    for pair in pairs.iter().take(MAX_PAIRS) {
        describe(text, pair);
    }
    if pairs.len() > MAX_PAIRS {
        let more = counted((pairs.len() - MAX_PAIRS) as u64, "more pair");
        let _ = writeln!(text, "{more}; --format json lists all");
    }
}

/// A pair, with all that differs.
fn described(text: &mut String, diff: &Diff, pair: &Pair) {
    text.push('\n');
    line(text, &title(pair));
    line(text, &format!("  A  {}", run(&pair.a)));
    line(text, &format!("  B  {}", run(&pair.b)));
    if pair.unknown_upstream {
        line(
            text,
            "  A part of what lies upstream could not be compared.",
        );
    }
    let followed = pair.followed.iter();
    let followed: Vec<Row> = followed
        .map(|followed| rows::followed(diff, followed))
        .collect();
    let own: Vec<Row> = pair.differences.iter().map(rows::difference).collect();
    let all = || own.iter().chain(&followed);
    let what = all().map(|row| row.what.width()).max().unwrap_or_default();
    let name = all().map(|row| row.name.width()).max().unwrap_or_default();
    let widths = (what, name.min(MAX_NAME));
    if pair.state == State::First {
        listed(text, &own, widths);
        listed(text, &followed, widths);
    } else {
        listed(text, &followed, widths);
        if !(own.is_empty() || followed.is_empty()) {
            line(text, "  It also differs by itself:");
        }
        listed(text, &own, widths);
    }
}

fn listed(text: &mut String, rows: &[Row], (what, name): (usize, usize)) {
    let padded = |text: &str, width: usize| {
        let missing = width.saturating_sub(text.width());
        format!("{text}{}", " ".repeat(missing))
    };
    for row in rows.iter().take(MAX_ROWS) {
        let (what, name) = (padded(&row.what, what), padded(&row.name, name));
        line(text, &format!("     {what}  {name}  {}", row.values));
    }
    if rows.len() > MAX_ROWS {
        let more = counted((rows.len() - MAX_ROWS) as u64, "more difference");
        line(text, &format!("     {more}; --format json lists all"));
    }
}

/// The names of the runs, and their place: `train-a → train-b, 1 level up, by the model churn`.
fn title(pair: &Pair) -> String {
    let place = match (pair.depth, &pair.key) {
        (0, _) | (_, None) => "the start".to_owned(),
        (depth, Some(key)) => {
            format!("{} up, {}", counted(depth, "level"), rows::by_key(key))
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
    name.unwrap_or_else(|| rows::short_id(run.node.key()))
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
        Some(Unknown::Quarantined) => {
            "one of the runs is in quarantine, so its params and tags are not mirrored".to_owned()
        }
        Some(Unknown::Depth) => "beyond --upstream".to_owned(),
        Some(Unknown::Pairs) => "beyond --max-pairs".to_owned(),
        _ => "not compared".to_owned(),
    }
}

fn line(text: &mut String, line: &str) {
    let _ = writeln!(text, "{}", printable(&masked(line)));
}
