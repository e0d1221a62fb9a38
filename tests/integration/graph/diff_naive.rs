//! The diff as its definition says, evaluated over a list of everything, as simply as can be.

use std::collections::{BTreeMap, BTreeSet};

use runlineage::graph::{Ending, State, Unknown};
use runlineage::{Kind, Node};

use super::diff_answers::{Answer, Own, ending};
use super::naive::FullGraph;
use super::world::{World, WorldRun};

type Runs = (String, String);

/// The runs that certainly produced what a run read: those that a walk of one level upstream shows.
pub(crate) fn producers(world: &World, reference: &Node) -> BTreeSet<String> {
    let start = BTreeSet::from([reference.clone()]);
    let shown = FullGraph::of(world, &start).walk(&start, 1, 0, false);
    let runs = shown.nodes.keys().filter(|node| node.kind() == Kind::RUN);
    runs.map(|run| run.key().to_owned()).collect()
}

fn key(world: &World, run: &WorldRun, node: &Node) -> (Kind, Option<String>, Option<&'static str>) {
    let name = match node.kind().spec().noun {
        "artifact" => node.detail().map(str::to_owned),
        "logged-model" => {
            let mut models = world.logged.iter();
            let model = models.find(|model| model.id == node.key());
            model.and_then(|model| model.name.clone())
        }
        _ => Some(node.key().to_owned()),
    };
    (node.kind(), name, run.contexts.get(node).copied())
}

fn key_text((kind, name, context): &(Kind, Option<String>, Option<&'static str>)) -> String {
    let noun = kind.spec().noun.replace('-', " ");
    let name = match name {
        Some(name) => format!(" {name}"),
        None if noun == "artifact" => ": all of a run".to_owned(),
        None => " without a name".to_owned(),
    };
    let context = context.map(|context| format!(" ({context})"));
    format!("{noun}{name}{}", context.unwrap_or_default())
}

/// The pair alone, and the pairs of producers by the keys that lead there.
fn compared(
    world: &World,
    runs: &Runs,
    depth: u32,
    limit: u32,
) -> (
    Answer,
    BTreeMap<(Kind, Option<String>, Option<&'static str>), Runs>,
) {
    let mut answer = Answer {
        runs: runs.clone(),
        depth,
        key: None,
        state: State::Equal,
        unknown: None,
        unknown_upstream: false,
        own: BTreeSet::new(),
        followed: BTreeSet::new(),
        equal: BTreeSet::new(),
    };
    let mut next = BTreeMap::new();
    let run = |id: &str| world.runs.iter().find(|run| run.id == id);
    if depth > limit {
        answer.unknown = Some(Unknown::Depth);
        return (answer, next);
    }
    if runs.0 == runs.1 {
        return (answer, next);
    }
    let (Some(a), Some(b)) = (run(&runs.0), run(&runs.1)) else {
        answer.unknown = Some(Unknown::Unmirrored);
        return (answer, next);
    };
    if a.is_purged || b.is_purged {
        answer.unknown = Some(Unknown::Purged);
        return (answer, next);
    }
    let mut own = |what, name: String, a: Vec<String>, b: Vec<String>| {
        if a != b {
            answer.own.insert(Own { what, name, a, b });
        }
    };
    let list = |text: &Option<String>| text.iter().cloned().collect::<Vec<_>>();
    own("commit", String::new(), list(&a.commit), list(&b.commit));
    let entries = (list(&a.entry_point), list(&b.entry_point));
    own("entry point", String::new(), entries.0, entries.1);
    for (what, of_a, of_b) in [("param", &a.params, &b.params), ("tag", &a.tags, &b.tags)] {
        for name in of_a.keys().chain(of_b.keys()) {
            let side = |texts: &BTreeMap<&str, String>| list(&texts.get(name).cloned());
            own(what, (*name).to_owned(), side(of_a), side(of_b));
        }
    }
    let keys = |run: &WorldRun| {
        let inputs = run.inputs.iter();
        let keys = inputs.map(|(node, _)| (key(world, run, node), node.clone()));
        keys.collect::<BTreeSet<_>>()
    };
    let (read_a, read_b) = (keys(a), keys(b));
    let all: BTreeSet<_> = read_a
        .iter()
        .chain(&read_b)
        .map(|(key, _)| key.clone())
        .collect();
    for key in all {
        let of = |read: &BTreeSet<(_, Node)>, other: &BTreeSet<(_, Node)>| -> Vec<Node> {
            let under = read
                .iter()
                .filter(|entry| entry.0 == key && !other.contains(entry));
            under.map(|(_, node)| node.clone()).collect()
        };
        let text = key_text(&key);
        for (same, node) in read_a.intersection(&read_b) {
            if *same == key {
                answer.equal.insert((text.clone(), node.to_string()));
            }
        }
        let (only_a, only_b) = (of(&read_a, &read_b), of(&read_b, &read_a));
        let ends = match (only_a.len(), only_b.len()) {
            (0, 0) => continue,
            (_, 0) => Ending::OnlyA,
            (0, _) => Ending::OnlyB,
            (1, 1) => {
                let made = (producers(world, &only_a[0]), producers(world, &only_b[0]));
                match (made.0.len(), made.1.len()) {
                    (1, 1) if made.0 == made.1 => Ending::SameProducer,
                    (1, 1) => {
                        let runs = made.0.into_iter().zip(made.1).next().expect("one each");
                        let references = (only_a[0].to_string(), only_b[0].to_string());
                        answer.followed.insert((text, references, runs.clone()));
                        next.insert(key, runs);
                        continue;
                    }
                    (0 | 1, 0 | 1) => Ending::NoProducer,
                    _ => Ending::SeveralProducers,
                }
            }
            _ => Ending::Several,
        };
        let texts = |nodes: Vec<Node>| nodes.iter().map(Node::to_string).collect();
        answer.own.insert(Own {
            what: ending(ends),
            name: text,
            a: texts(only_a),
            b: texts(only_b),
        });
    }
    (answer, next)
}

/// All pairs, in no particular order, with no more levels than the limit.
pub(crate) fn diff(world: &World, starts: &Runs, limit: u32) -> Vec<Answer> {
    let mut pairs: Vec<Answer> = Vec::new();
    let mut keys = BTreeMap::from([(starts.clone(), None)]);
    let mut level = BTreeSet::from([starts.clone()]);
    for depth in 0.. {
        let mut above = BTreeMap::new();
        for runs in &level {
            let (mut answer, next) = compared(world, runs, depth, limit);
            answer.key = keys[runs].as_ref().map(key_text);
            pairs.push(answer);
            for (key, next) in next {
                let smallest = above.entry(next).or_insert_with(|| key.clone());
                *smallest = key.min(smallest.clone());
            }
        }
        above.retain(|runs, _| !keys.contains_key(runs));
        level = above.keys().cloned().collect();
        keys.extend(above.into_iter().map(|(runs, key)| (runs, Some(key))));
        if level.is_empty() {
            break;
        }
    }
    judge(&mut pairs);
    pairs
}

/// States, by everything that lies upstream of a pair.
fn judge(pairs: &mut [Answer]) {
    let next: BTreeMap<Runs, BTreeSet<Runs>> = pairs
        .iter()
        .map(|pair| {
            let next = pair.followed.iter().map(|(.., next)| next.clone());
            (pair.runs.clone(), next.collect())
        })
        .collect();
    let mut upstream = next.clone();
    loop {
        let mut grown = upstream.clone();
        for above in grown.values_mut() {
            let further: Vec<Runs> = above.iter().flat_map(|pair| next[pair].clone()).collect();
            above.extend(further);
        }
        if grown == upstream {
            break;
        }
        upstream = grown;
    }
    let facts: BTreeMap<Runs, (bool, bool)> = pairs
        .iter()
        .map(|pair| {
            let facts = (!pair.own.is_empty(), pair.unknown.is_some());
            (pair.runs.clone(), facts)
        })
        .collect();
    for pair in pairs {
        let above = &upstream[&pair.runs];
        let differs = above.iter().any(|other| facts[other].0);
        // What lies on a cycle with the pair counts as equal upstream of it.
        let mut not_on_a_cycle = above
            .iter()
            .filter(|other| !upstream[other].contains(&pair.runs));
        let differs_first = not_on_a_cycle.any(|other| facts[other].0);
        let unknown = above.iter().any(|other| facts[other].1);
        pair.unknown_upstream = unknown;
        pair.state = match (pair.own.is_empty(), differs) {
            (false, _) if !differs_first => State::First,
            (false, _) | (true, true) => State::Follows,
            (true, false) if unknown || pair.unknown.is_some() => State::Unknown,
            (true, false) => State::Equal,
        };
    }
}
