//! Diffs over random lineage.

use std::collections::{BTreeMap, BTreeSet};

use fastrand::Rng;
use runlineage::graph::{Diff, Outcome, State, Unknown};
use runlineage::{Error, Kind, MongoRunStore, Node, Origin};

use super::diff_answers::{Answer, answers};
use super::diff_naive::{self, producers};
use super::random;
use super::world::{World, parsed};
use crate::support::mirror::mirror;
use crate::support::mongodb::TestDatabase;
use crate::support::scale::scaled;

/// Adds all that a diff compares, with few values, so that much of it is equal.
fn decorate(rng: &mut Rng, world: &mut World) {
    let few = |rng: &mut Rng| (rng.usize(..5) == 0).then(|| rng.usize(1..4).to_string());
    for run in &mut world.runs {
        run.is_purged = rng.usize(..25) == 0;
        run.commit = few(rng).map(|commit| format!("commit{commit}"));
        run.entry_point = few(rng).map(|entry| format!("entry{entry}"));
        for name in ["rate", "seed"] {
            run.params
                .extend(few(rng).map(|value| (name, format!("value{value}"))));
        }
        run.tags
            .extend(few(rng).map(|team| ("team", format!("team{team}"))));
        let datasets = run.inputs.iter().map(|(node, _)| node);
        let datasets = datasets.filter(|node| node.kind() == Kind::DATASET);
        let datasets: Vec<Node> = datasets.cloned().collect();
        for dataset in datasets {
            if rng.bool() {
                run.contexts
                    .insert(dataset, ["training", "eval"][rng.usize(..2)]);
            }
        }
    }
    // One run made two versions.
    for version in ["model:s:1", "model:s:2"] {
        world.runs[0].outputs.push((parsed(version), Origin::Tag));
        for run in &mut world.runs[1..] {
            if rng.usize(..12) == 0 {
                run.inputs.push((parsed(version), Origin::Tag));
            }
        }
    }
    for model in &mut world.logged {
        model.name = rng.bool().then(|| format!("net{}", rng.usize(..2)));
    }
}

/// The same pipeline again: each run has a twin that reads and writes what the twins of the others did, but for a few changes.
fn twinned(rng: &mut Rng, world: &mut World) {
    let twin = |id: &str| id.replace("run", "twin");
    let twin_of = |node: &Node| match (node.kind().spec().noun, node.detail()) {
        ("artifact", detail) => Node::artifact(&twin(node.key()), detail).expect("an id"),
        // The twins make versions of their own.
        ("model", Some(version)) if node.key() != "s" => {
            Node::model(node.key(), format!("{version}0").as_str()).expect("a name")
        }
        _ => node.clone(),
    };
    let copies: Vec<_> = world
        .runs
        .iter()
        .map(|run| {
            let mut copy = run.clone();
            copy.id = twin(&run.id);
            for (node, _) in copy.inputs.iter_mut().chain(&mut copy.outputs) {
                *node = twin_of(node);
            }
            if rng.usize(..10) == 0 {
                copy.params.insert("rate", "changed".to_owned());
            }
            if rng.usize(..10) == 0 {
                copy.inputs.push((parsed("dataset:d@3"), Origin::Inputs));
            }
            if rng.usize(..20) == 0 {
                copy.outputs.clear();
            }
            copy
        })
        .collect();
    world.runs.extend(copies);
}

fn world(rng: &mut Rng) -> World {
    let mut world = random::world(rng);
    decorate(rng, &mut world);
    if rng.usize(..3) > 0 {
        twinned(rng, &mut world);
    }
    for run in world.runs.iter_mut().filter(|run| run.is_purged) {
        run.inputs.clear();
        run.outputs.clear();
    }
    world
}

/// Two starts: runs that may be twins, sometimes versions, sometimes of no run that the mirror has.
fn starts(rng: &mut Rng, world: &World) -> (Node, Node) {
    let run = |rng: &mut Rng| {
        // Late runs have more upstream of them.
        let count = world
            .runs
            .iter()
            .filter(|run| run.id.starts_with("run"))
            .count();
        let run = &world.runs[rng.usize(..count).max(rng.usize(..count))];
        Node::run(&run.id).expect("an id")
    };
    let version = |rng: &mut Rng| {
        let versions = world.versions.len();
        match versions {
            0 => parsed(&format!("model:m{}:{}", rng.usize(..3), rng.usize(1..4))),
            _ => world.versions[rng.usize(..versions)].node.clone(),
        }
    };
    match rng.usize(..6) {
        0 => (version(rng), version(rng)),
        1 => (run(rng), version(rng)),
        2 => (run(rng), parsed("run:none")),
        3 => (run(rng), run(rng)),
        _ => {
            let a = run(rng);
            let b = Node::run(&a.key().replace("run", "twin")).expect("an id");
            (a, b)
        }
    }
}

/// The run of a start; `None` for a version that not exactly one run produced.
fn run_of(world: &World, start: &Node) -> Option<String> {
    if start.kind() == Kind::RUN {
        return Some(start.key().to_owned());
    }
    let runs = producers(world, start);
    (runs.len() == 1).then(|| runs.into_iter().next()).flatten()
}

fn by_runs(answers: Vec<Answer>) -> BTreeMap<(String, String), Answer> {
    let count = answers.len();
    let by_runs: BTreeMap<_, _> = answers
        .into_iter()
        .map(|answer| (answer.runs.clone(), answer))
        .collect();
    assert_eq!(by_runs.len(), count, "a pair stands twice");
    by_runs
}

fn assert_outcome(diff: &Diff) {
    let differs = diff.pairs.iter().any(|pair| !pair.differences.is_empty());
    let expected = match (differs, diff.unknown().next().is_some()) {
        (true, _) => Outcome::Different,
        (false, true) => Outcome::Unknown,
        (false, false) => Outcome::Equal,
    };
    assert_eq!(diff.outcome, expected);
    let has_first = diff.in_state(State::First).next().is_some();
    assert_eq!(has_first, differs, "a difference has a first point");
    assert_eq!(
        diff.outcome == Outcome::Equal,
        diff.in_state(State::Equal).count() == diff.pairs.len()
    );
    let order = |pair: &runlineage::graph::Pair| (pair.depth, pair.key.clone());
    assert!(diff.pairs.is_sorted_by_key(order));
}

/// With fewer pairs, nothing else is said of the pairs that were compared, and the rest is unknown.
async fn assert_cut(
    store: &MongoRunStore,
    starts: &(Node, Node),
    max: usize,
    whole: &Diff,
) -> bool {
    let (a, b) = starts;
    let cut = store.diff(a.clone(), b.clone()).max_pairs(max);
    let cut = cut.await.expect("a diff");
    let back = store.diff(b.clone(), a.clone()).max_pairs(max);
    let back = answers(&back.await.expect("a diff"));
    let mirrored = answers(&cut).into_iter().map(Answer::mirrored);
    assert_eq!(back, mirrored.collect::<Vec<_>>());
    assert_outcome(&cut);
    let all = by_runs(answers(whole));
    let beyond = |answer: &&Answer| answer.unknown == Some(Unknown::Pairs);
    let cut = answers(&cut);
    let left_out = cut.iter().filter(beyond).count();
    assert_eq!(left_out == 0, all.len() <= max);
    assert_eq!(cut.len() - left_out, all.len().min(max));
    for answer in &cut {
        let of_whole = &all[&answer.runs];
        assert_eq!(answer.depth, of_whole.depth);
        if answer.unknown == Some(Unknown::Pairs) {
            continue;
        }
        assert_eq!(answer.own, of_whole.own);
        assert_eq!(answer.followed, of_whole.followed);
        if answer.state == State::Equal {
            assert_eq!(of_whole.state, State::Equal, "{answer:?}");
        }
    }
    left_out > 0
}

#[tokio::test]
async fn diffs_over_random_lineage_say_what_their_definition_says() {
    let worlds = scaled(50, 500);
    let test = TestDatabase::new().await;
    let store = mirror(&test).await;
    let (mut refused, mut deep, mut cut) = (0, 0, 0);
    let mut states = BTreeMap::new();
    let mut kinds = BTreeSet::new();
    for seed in 0..worlds {
        let rng = &mut Rng::with_seed(seed);
        let world = world(rng);
        world.store(&test.database).await;
        for _ in 0..8 {
            let (a, b) = starts(rng, &world);
            let runs = run_of(&world, &a).zip(run_of(&world, &b));
            let limit = [0, 1, u32::MAX, u32::MAX][rng.usize(..4)];
            let diff = store.diff(a.clone(), b.clone()).depth(limit).await;
            let Some(runs) = runs else {
                assert!(
                    matches!(diff, Err(Error::InvalidArgument { .. })),
                    "{diff:?}"
                );
                refused += 1;
                continue;
            };
            let diff = diff.expect("a diff");
            assert_outcome(&diff);
            let found = answers(&diff);
            let expected = diff_naive::diff(&world, &runs, limit);
            assert_eq!(
                by_runs(found.clone()),
                by_runs(expected),
                "seed {seed}: {a} and {b}"
            );

            let back = store.diff(b.clone(), a.clone()).depth(limit).await;
            let back = answers(&back.expect("a diff"));
            let mirrored = found.iter().cloned().map(Answer::mirrored);
            assert_eq!(back, mirrored.collect::<Vec<_>>(), "{a} and {b}");

            let same = store.diff(a.clone(), a.clone()).await.expect("a diff");
            assert_eq!((same.outcome, same.pairs.len()), (Outcome::Equal, 1));

            if limit == u32::MAX {
                let max = rng.usize(1..4);
                cut += usize::from(assert_cut(&store, &(a, b), max, &diff).await);
            }
            deep += usize::from(found.iter().any(|answer| answer.depth > 2));
            for answer in found {
                *states.entry(format!("{:?}", answer.state)).or_insert(0) += 1;
                kinds.extend(answer.own.iter().map(|own| own.what));
                kinds.extend(answer.unknown.map(|unknown| match unknown {
                    Unknown::Unmirrored => "unmirrored",
                    Unknown::Purged => "purged",
                    _ => "limit",
                }));
            }
        }
    }
    let seen = format!("{refused} refused, {deep} deep, {cut} cut, {states:?}, {kinds:?}");
    assert!(refused > 5 && deep > 5 && cut > 5, "{seen}");
    assert!(
        states.len() == 4 && states.values().all(|count| *count > 20),
        "{seen}"
    );
    // Six reasons why inputs differ, four other differences, three reasons of the unknown.
    assert_eq!(kinds.len(), 13, "{seen}");
}
