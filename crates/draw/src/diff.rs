//! Two upstreams laid over each other, as a picture.

use std::collections::HashSet;

use runlineage::graph::{
    Diff, Difference, DifferentInput, Ending, Followed, GraphNode, InputKey, Pair, RunFacts, State,
    Unknown, Values,
};
use runlineage::{Kind, Node};

use crate::change::Change;
use crate::error::Result;
use crate::graph::{drawn_kind, short};
use crate::picture::{Picture, PictureEdge, PictureNode};

/// A box names at most this many differences of a pair; the tooltip and the page name all.
const NAMED: usize = 5;
/// Two names that are longer than this stand on two lines.
const LONG_NAME: usize = 24;
/// The length of a short git commit.
const SHORT_COMMIT: usize = 10;

impl Picture {
    /// The picture of a diff. A pair of runs is one node, and so are two references under one key. `link` gives the page of a run
    /// in MLflow.
    ///
    /// # Errors
    /// As [`new`](Self::new), for a diff that was changed after the walk.
    pub fn from_diff(diff: &Diff, link: impl Fn(&GraphNode) -> Option<String>) -> Result<Self> {
        let mut overlay = Overlay::default();
        for pair in &diff.pairs {
            let run = overlay.pair(pair, &link);
            for equal in &pair.equal {
                overlay.reference(&run, equal_input(&equal.node, &equal.key));
            }
            for difference in &pair.differences {
                if let Difference::Input(input) = difference {
                    for reference in different_inputs(input) {
                        overlay.reference(&run, reference);
                    }
                }
            }
            for followed in &pair.followed {
                let reference = overlay.reference(&run, followed_input(followed));
                if let Some(next) = diff.pairs.get(followed.pair) {
                    let next = pair_id(next);
                    overlay.edges.push(PictureEdge::new(next, reference));
                }
            }
        }
        overlay.starts(diff);
        let picture = Self::new(overlay.nodes, overlay.edges)?;
        Ok(picture.truncated(cut(diff)))
    }
}

/// The nodes and edges so far.
#[derive(Default)]
struct Overlay {
    nodes: Vec<PictureNode>,
    ids: HashSet<String>,
    edges: Vec<PictureEdge>,
}

impl Overlay {
    fn pair(&mut self, pair: &Pair, link: impl Fn(&GraphNode) -> Option<String>) -> String {
        let (a, b) = (&pair.a, &pair.b);
        let mut drawn = PictureNode::new(pair_id(pair), drawn_kind(Kind::RUN));
        drawn.depth = pair.depth;
        drawn.start = pair.depth == 0;
        drawn.known = a.is_known && b.is_known;
        drawn.deleted = a.is_deleted && b.is_deleted;
        drawn.change = Some(match pair.state {
            State::Equal => Change::Equal,
            State::First => Change::First,
            State::Follows => Change::Follows,
            _ => Change::Unknown,
        });
        let (name_a, name_b) = (run_name(a), run_name(b));
        drawn.name = both(&name_a, &name_b);
        if drawn.name.chars().count() > LONG_NAME && name_a != name_b {
            drawn.name = format!("A: {name_a}");
            drawn.lines.push(format!("B: {name_b}"));
        }
        if a.node != b.node {
            let ids = (short(a.node.key()), short(b.node.key()));
            drawn.lines.push(format!("A {}, B {}", ids.0, ids.1));
        } else {
            drawn.link = link(a);
        }
        let status = |run: &GraphNode| run.run.as_ref().and_then(|facts| facts.status.clone());
        let statuses = (status(a), status(b));
        if statuses.0 == statuses.1 {
            drawn.status = statuses.0;
        }
        drawn.lines.extend(pair.unknown.map(reason));
        let own: Vec<(String, String)> = pair.differences.iter().filter_map(own).collect();
        let lines = own.iter().map(|(name, values)| format!("{name}: {values}"));
        drawn.lines.extend(lines.take(NAMED));
        if own.len() > NAMED {
            drawn.lines.push(format!("and {} more", own.len() - NAMED));
        }
        for (side, run) in [("A", a), ("B", b)] {
            drawn.facts.extend(facts(side, run, &link));
        }
        drawn.facts.extend(own);
        self.add(drawn)
    }

    /// Adds a reference that the run read.
    fn reference(&mut self, run: &str, reference: PictureNode) -> String {
        let id = self.add(reference);
        self.edges.push(PictureEdge::new(id.clone(), run));
        id
    }

    /// Shows the versions from which the diff starts, next to the runs that produced them.
    fn starts(&mut self, diff: &Diff) {
        let are_versions = [&diff.a, &diff.b].map(|start| start.kind() == Kind::MODEL);
        let Some(first) = diff.pairs.first().filter(|_| are_versions == [true; 2]) else {
            return;
        };
        let mut drawn = PictureNode::new(both_ids(&diff.a, &diff.b), drawn_kind(Kind::MODEL));
        drawn.name = both(&name(&diff.a), &name(&diff.b));
        drawn.start = true;
        let id = self.add(drawn);
        self.edges.push(PictureEdge::new(pair_id(first), id));
    }

    /// A node that was added before stays as it is.
    fn add(&mut self, node: PictureNode) -> String {
        let id = node.id.clone();
        if self.ids.insert(id.clone()) {
            self.nodes.push(node);
        }
        id
    }
}

fn pair_id(pair: &Pair) -> String {
    both_ids(&pair.a.node, &pair.b.node)
}

fn both_ids(a: &Node, b: &Node) -> String {
    both(&a.to_string(), &b.to_string())
}

/// One text for both sides, if both have the same.
fn both(a: &str, b: &str) -> String {
    match a == b {
        true => a.to_owned(),
        false => format!("{a} → {b}"),
    }
}

fn run_name(run: &GraphNode) -> String {
    let name = run.run.as_ref().and_then(|facts| facts.name.clone());
    let name = name.filter(|name| !name.is_empty());
    name.unwrap_or_else(|| short(run.node.key()))
}

fn reason(unknown: Unknown) -> String {
    let reason = match unknown {
        Unknown::Unmirrored => "a run is not mirrored",
        Unknown::Purged => "a run is purged from the mirror",
        Unknown::Quarantined => "a run is mirrored in part",
        Unknown::Depth => "beyond the limit on levels",
        Unknown::Pairs => "beyond the limit on pairs",
        _ => "not compared",
    };
    reason.to_owned()
}

/// A difference in code, params or tags: its name, and both values.
fn own(difference: &Difference) -> Option<(String, String)> {
    let short = |value: &Option<String>| value.as_ref().map(|value| commit(value));
    Some(match difference {
        Difference::GitCommit(values) => {
            let (a, b) = (short(&values.a), short(&values.b));
            ("git commit".to_owned(), change(a.as_deref(), b.as_deref()))
        }
        Difference::EntryPoint(values) => ("entry point".to_owned(), values_text(values)),
        Difference::Param(named) => (named.name.clone(), values_text(&named.values)),
        Difference::Tag(named) => (format!("tag {}", named.name), values_text(&named.values)),
        _ => return None,
    })
}

fn commit(commit: &str) -> String {
    commit.get(..SHORT_COMMIT).unwrap_or(commit).to_owned()
}

fn values_text(values: &Values) -> String {
    change(values.a.as_deref(), values.b.as_deref())
}

fn change(a: Option<&str>, b: Option<&str>) -> String {
    let side = |side: Option<&str>| side.unwrap_or("none").to_owned();
    format!("{} → {}", side(a), side(b))
}

fn facts(
    side: &str,
    run: &GraphNode,
    link: impl Fn(&GraphNode) -> Option<String>,
) -> Vec<(String, String)> {
    let default = RunFacts::default();
    let of_run = run.run.as_ref().unwrap_or(&default);
    let started = of_run.start_time;
    let started = started.and_then(|date| date.try_to_rfc3339_string().ok());
    let facts = [
        ("run", Some(run.node.key().to_owned())),
        ("name", of_run.name.clone()),
        ("status", of_run.status.clone()),
        ("user", of_run.user.clone()),
        ("started", started),
        ("mirrored", (!run.is_known).then(|| "no".to_owned())),
        ("deleted", run.is_deleted.then(|| "in MLflow".to_owned())),
        ("page", link(run)),
    ];
    let facts = facts.into_iter();
    let facts = facts.filter_map(|(name, value)| Some((format!("{side}: {name}"), value?)));
    facts.collect()
}

fn equal_input(node: &Node, key: &InputKey) -> PictureNode {
    let mut drawn = PictureNode::new(node.to_string(), drawn_kind(node.kind()));
    drawn.name = key_name(key);
    drawn.lines.push(identity_text(node));
    drawn.change = Some(Change::Equal);
    drawn
}

fn followed_input(followed: &Followed) -> PictureNode {
    compared_input(&followed.key, &followed.a, &followed.b)
}

fn compared_input(key: &InputKey, a: &Node, b: &Node) -> PictureNode {
    let mut drawn = PictureNode::new(both_ids(a, b), drawn_kind(key.kind));
    drawn.name = key_name(key);
    let ((what, of_a), (_, of_b)) = (identity(a), identity(b));
    drawn.lines.push(format!("{what} {}", both(&of_a, &of_b)));
    drawn.facts = vec![
        ("A".to_owned(), a.to_string()),
        ("B".to_owned(), b.to_string()),
    ];
    drawn.change = Some(Change::Different);
    drawn
}

/// One node for two references that belong together, else one for each reference.
fn different_inputs(input: &DifferentInput) -> Vec<PictureNode> {
    let why = match input.ending {
        Ending::NoProducer => Some("no run is known to have produced it"),
        Ending::SeveralProducers => Some("several runs produced it"),
        Ending::SameProducer => Some("one run produced both"),
        Ending::Several => Some("several against several"),
        _ => None,
    };
    if let (false, [a], [b]) = (input.ending == Ending::Several, &input.a[..], &input.b[..]) {
        let mut drawn = compared_input(&input.key, a, b);
        // Datasets and prompts never have a producer.
        let has_producers = input.key.kind.spec().directions.len() > 1;
        drawn
            .lines
            .extend(why.filter(|_| has_producers).map(str::to_owned));
        return vec![drawn];
    }
    let sides = [(Change::OnlyA, &input.a), (Change::OnlyB, &input.b)];
    let nodes = sides.into_iter().flat_map(|(change, nodes)| {
        nodes.iter().map(move |node| {
            let id = format!("{node} ({})", change.label());
            let mut drawn = PictureNode::new(id, drawn_kind(node.kind()));
            drawn.name = key_name(&input.key);
            drawn.lines.push(identity_text(node));
            drawn.lines.extend(why.map(str::to_owned));
            drawn.change = Some(change);
            drawn
        })
    });
    nodes.collect()
}

fn key_name(key: &InputKey) -> String {
    let name = match &key.name {
        Some(name) => name.clone(),
        None if key.kind == Kind::ARTIFACT => "all artifacts".to_owned(),
        None => "without a name".to_owned(),
    };
    match &key.context {
        Some(context) => format!("{name} ({context})"),
        None => name,
    }
}

/// The part of a reference that its key leaves out: what it is, and its value.
fn identity(node: &Node) -> (&'static str, String) {
    match node.kind().spec().detail {
        Some(detail) if detail.is_path => ("run", short(node.key())),
        Some(detail) => (detail.field, node.detail().unwrap_or("none").to_owned()),
        None => ("id", short(node.key())),
    }
}

fn identity_text(node: &Node) -> String {
    let (what, value) = identity(node);
    format!("{what} {value}")
}

fn name(node: &Node) -> String {
    match node.detail() {
        Some(version) => format!("{}:{version}", node.key()),
        None => node.key().to_owned(),
    }
}

/// Which pairs a limit left out.
fn cut(diff: &Diff) -> Option<String> {
    let unknown = diff.unknown();
    let beyond =
        unknown.filter(|pair| matches!(pair.unknown, Some(Unknown::Depth | Unknown::Pairs)));
    match beyond.count() {
        0 => None,
        1 => Some("A limit left out 1 pair of runs, and all that lies upstream of it.".to_owned()),
        count => Some(format!(
            "A limit left out {count} pairs of runs, and all that lies upstream of them."
        )),
    }
}
