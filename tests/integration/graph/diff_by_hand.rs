//! Diffs made by hand, each for one rule.

use mongodb::bson::{Document, doc};
use runlineage::graph::{Diff, Outcome, State, Unknown};
use runlineage::{Error, MongoRunStore};
use serde_json::{Value, json};

use super::diff_answers::{Answer, answers};
use super::world::{World, WorldLogged, WorldRun, WorldVersion, parsed};
use crate::support::mirror::mirror;
use crate::support::mongodb::TestDatabase;

struct Stored {
    test: TestDatabase,
    store: MongoRunStore,
}

async fn stored(world: &World) -> Stored {
    let test = TestDatabase::new().await;
    let store = mirror(&test).await;
    world.store(&test.database).await;
    Stored { test, store }
}

fn of_runs(runs: impl IntoIterator<Item = WorldRun>) -> World {
    World {
        runs: runs.into_iter().collect(),
        ..World::default()
    }
}

impl Stored {
    async fn diff(&self, a: &str, b: &str) -> Diff {
        let diff = self.store.diff(parsed(a), parsed(b)).await;
        diff.unwrap_or_else(|error| panic!("{error}"))
    }

    async fn answers(&self, a: &str, b: &str) -> Vec<Answer> {
        answers(&self.diff(a, b).await)
    }

    /// What the runs `a` and `b` differ in by themselves, one difference a line.
    async fn own(&self) -> Vec<String> {
        let answers = self.answers("run:a", "run:b").await;
        let own = answers[0].own.iter();
        own.map(|own| {
            format!(
                "{}: {}: {} | {}",
                own.what,
                own.name,
                own.a.join(" "),
                own.b.join(" ")
            )
        })
        .collect()
    }
}

/// The pairs of a diff in order, each with its state.
fn states(answers: &[Answer]) -> Vec<(&str, &str, State)> {
    let of = |answer: &Answer| answer.state;
    answers
        .iter()
        .map(|answer| (answer.runs.0.as_str(), answer.runs.1.as_str(), of(answer)))
        .collect()
}

/// The same pipeline twice: `prepare` reads a dataset and writes a file, `train` makes a version of the file, `score` reads it.
fn pipelines() -> Vec<WorldRun> {
    let pipeline = |n: usize| {
        let (prepare, train, score) = (
            format!("prepare{n}"),
            format!("train{n}"),
            format!("score{n}"),
        );
        [
            WorldRun::new(&prepare)
                .reads_for("dataset:clicks@1", "training")
                .param("month", "may"),
            WorldRun::new(&train)
                .reads(&format!("artifact:{prepare}/data"))
                .param("rate", "low")
                .writes(&format!("model:churn:{n}")),
            WorldRun::new(&score).reads(&format!("model:churn:{n}")),
        ]
    };
    pipeline(7).into_iter().chain(pipeline(8)).collect()
}

#[tokio::test]
async fn the_starts_are_a_pair_and_the_walk_goes_on_by_pairs_of_producers() {
    let mirror = stored(&of_runs(pipelines())).await;
    let equal = mirror.diff("run:score7", "run:score8").await;
    assert_eq!(equal.outcome, Outcome::Equal);
    let expected = [
        ("score7", "score8", State::Equal),
        ("train7", "train8", State::Equal),
        ("prepare7", "prepare8", State::Equal),
    ];
    assert_eq!(states(&answers(&equal)), expected);
    let depths: Vec<u32> = equal.pairs.iter().map(|pair| pair.depth).collect();
    assert_eq!(depths, [0, 1, 2]);
    // A version stands for the run that produced it.
    let versions = mirror.diff("model:churn:7", "model:churn:8").await;
    assert_eq!(states(&answers(&versions)), expected[1..]);
    let mixed = mirror.diff("run:train7", "model:churn:8").await;
    assert_eq!(states(&answers(&mixed)), expected[1..]);
}

#[tokio::test]
async fn the_first_points_of_divergence_lie_furthest_upstream_and_the_rest_follows() {
    let mut runs = pipelines();
    runs[3] = runs[3].clone().param("month", "june");
    runs[4] = runs[4].clone().param("rate", "high");
    let mirror = stored(&of_runs(runs)).await;
    let diff = mirror.diff("run:score7", "run:score8").await;
    assert_eq!(diff.outcome, Outcome::Different);
    let found = answers(&diff);
    let expected = [
        ("score7", "score8", State::Follows),
        ("train7", "train8", State::Follows),
        ("prepare7", "prepare8", State::First),
    ];
    assert_eq!(states(&found), expected);
    let own = |place: usize| {
        found[place]
            .own
            .iter()
            .map(|own| own.name.as_str())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        (own(0), own(1), own(2)),
        (vec![], vec!["rate"], vec!["month"])
    );
}

#[tokio::test]
async fn several_first_points_are_sorted_by_depth_then_by_key() {
    let mut runs = Vec::new();
    for side in ["a", "b"] {
        let source = |name: &str| WorldRun::new(&format!("{name}-{side}")).param("side", side);
        let read = |name: &str| format!("artifact:{name}-{side}/{name}");
        runs.push(
            WorldRun::new(side)
                .reads(&read("z"))
                .reads(&read("y"))
                .reads(&read("far"))
                .reads(&format!("logged-model:m-{side}")),
        );
        runs.push(WorldRun::new(&format!("far-{side}")).reads(&read("w")));
        runs.extend(["z", "y", "w", "model"].map(source));
    }
    let logged = ["a", "b"].map(|side| WorldLogged {
        id: format!("m-{side}"),
        source_run: Some(format!("model-{side}")),
        name: Some("net".to_owned()),
    });
    let world = World {
        logged: logged.into(),
        ..of_runs(runs)
    };
    let mirror = stored(&world).await;
    let diff = mirror.diff("run:a", "run:b").await;
    let first = diff.in_state(State::First);
    let first: Vec<(u32, String)> = first
        .map(|pair| (pair.depth, pair.key.as_ref().expect("a key").to_string()))
        .collect();
    let expected = [
        (1, "artifact y"),
        (1, "artifact z"),
        (1, "logged model net"),
        (2, "artifact w"),
    ];
    assert_eq!(first, expected.map(|(depth, key)| (depth, key.to_owned())));
}

#[tokio::test]
async fn inputs_are_keyed_without_identity_and_equal_ones_are_not_descended() {
    let logged = [("m-1", Some("net")), ("m-2", Some("net")), ("m-3", None)];
    let logged = logged.map(|(id, name)| WorldLogged {
        id: id.to_owned(),
        source_run: None,
        name: name.map(str::to_owned),
    });
    let world = World {
        logged: logged.into(),
        ..of_runs([
            WorldRun::new("a")
                .reads("model:churn:1")
                .reads("artifact:p/data/x")
                .reads("artifact:p")
                .reads_for("dataset:clicks@1", "training")
                .reads_for("dataset:views@1", "training")
                .reads("logged-model:m-1")
                .reads("logged-model:m-3")
                .reads("prompt:ask:1")
                .reads("model:same:1"),
            WorldRun::new("b")
                .reads("model:churn:2")
                .reads("artifact:q/data/x")
                .reads("artifact:q")
                .reads_for("dataset:clicks@2", "training")
                .reads_for("dataset:views@2", "eval")
                .reads("logged-model:m-2")
                .reads("prompt:ask:2")
                .reads("model:same:1"),
            // The producer of what both read: its own inputs are of no interest.
            WorldRun::new("maker")
                .writes("model:same:1")
                .reads("model:none:1"),
            WorldRun::new("p").param("x", "1"),
            WorldRun::new("q").param("x", "1"),
        ])
    };
    let mirror = stored(&world).await;
    let own = mirror.own().await;
    let expected = [
        "no producer: dataset clicks (training): dataset:clicks@1 | dataset:clicks@2",
        "no producer: logged model net: logged-model:m-1 | logged-model:m-2",
        "no producer: model churn: model:churn:1 | model:churn:2",
        "no producer: prompt ask: prompt:ask:1 | prompt:ask:2",
        "only in a: dataset views (training): dataset:views@1 | ",
        "only in a: logged model without a name: logged-model:m-3 | ",
        "only in b: dataset views (eval):  | dataset:views@2",
    ];
    assert_eq!(own, expected);
    let found = mirror.answers("run:a", "run:b").await;
    let expected = [("a", "b", State::First), ("p", "q", State::Equal)];
    assert_eq!(states(&found), expected);
    let keys = found[0].followed.iter().map(|(key, ..)| key.as_str());
    let keys: Vec<&str> = keys.collect();
    assert_eq!(keys, ["artifact data/x", "artifact: all of a run"]);
    let equal = ("model same".to_owned(), "model:same:1".to_owned());
    assert_eq!(found[0].equal, [equal].into());
}

#[tokio::test]
async fn several_against_one_are_listed_and_not_descended() {
    let mut runs = vec![
        WorldRun::new("a")
            .reads("model:m:1")
            .reads("model:m:2")
            .reads("model:m:9"),
        WorldRun::new("b").reads("model:m:3").reads("model:m:9"),
    ];
    for n in 1..4 {
        let run = WorldRun::new(&format!("maker{n}")).param("n", &n.to_string());
        runs.push(run.writes(&format!("model:m:{n}")));
    }
    let mirror = stored(&of_runs(runs)).await;
    assert_eq!(
        mirror.own().await,
        ["several: model m: model:m:1 model:m:2 | model:m:3"]
    );
    assert_eq!(mirror.answers("run:a", "run:b").await.len(), 1);
}

#[tokio::test]
async fn only_exactly_one_certain_producer_on_each_side_gives_the_next_pair() {
    let reads = |what: &str| {
        [
            WorldRun::new("a").reads(&what.replace('N', "1")),
            WorldRun::new("b").reads(&what.replace('N', "2")),
        ]
    };
    let writes = |id: &str, what: &str| WorldRun::new(id).writes(what);

    // Several runs wrote one of them.
    let several = of_runs(reads("model:m:N").into_iter().chain([
        writes("p1", "model:m:1"),
        writes("q1", "model:m:1"),
        writes("p2", "model:m:2"),
    ]));
    let own = stored(&several).await.own().await;
    assert_eq!(own, ["several producers: model m: model:m:1 | model:m:2"]);

    // A run that wrote it without a version may not have produced it.
    let uncertain = of_runs(
        reads("model:m:N")
            .into_iter()
            .chain([writes("p1", "model:m:1"), writes("any", "model:m")]),
    );
    let own = stored(&uncertain).await.own().await;
    assert_eq!(own, ["no producer: model m: model:m:1 | model:m:2"]);

    // One run made both: its upstream cannot explain the difference.
    let same = of_runs(
        reads("model:m:N")
            .into_iter()
            .chain([writes("p", "model:m:1").writes("model:m:2")]),
    );
    let own = stored(&same).await.own().await;
    assert_eq!(own, ["same producer: model m: model:m:1 | model:m:2"]);

    // A run wrote into the folder of another one, of which a file was read.
    let overlapping = of_runs(reads("artifact:pN/x/y").into_iter().chain([
        writes("p1", "artifact:p1/x"),
        writes("p2", "artifact:p2"),
        writes("guest", "artifact:p2/x"),
        writes("other", "artifact:p2/z"),
    ]));
    let own = stored(&overlapping).await.own().await;
    assert_eq!(
        own,
        ["several producers: artifact x/y: artifact:p1/x/y | artifact:p2/x/y"]
    );
}

#[tokio::test]
async fn the_registry_names_the_producers_of_copies_and_of_versions_of_logged_models() {
    let mut versions = Vec::new();
    let mut runs = Vec::new();
    let mut logged = Vec::new();
    for n in ["1", "2"] {
        let mut version = WorldVersion::new(&format!("model:m:{n}"));
        version.logged_model = Some(format!("m-{n}"));
        let mut copy = WorldVersion::new(&format!("model:prod:{n}"));
        copy.copied_from = Some(version.node.clone());
        versions.extend([version, copy]);
        logged.push(WorldLogged {
            id: format!("m-{n}"),
            source_run: Some(format!("train{n}")),
            name: None,
        });
        runs.push(WorldRun::new(&format!("train{n}")).param("n", n));
        runs.push(WorldRun::new(&format!("score{n}")).reads(&format!("model:prod:{n}")));
    }
    let world = World {
        runs,
        versions,
        logged,
        ..World::default()
    };
    let mirror = stored(&world).await;
    let expected = [
        ("score1", "score2", State::Follows),
        ("train1", "train2", State::First),
    ];
    let found = mirror.answers("run:score1", "run:score2").await;
    assert_eq!(states(&found), expected);
    let found = mirror.answers("model:prod:1", "model:prod:2").await;
    assert_eq!(states(&found), expected[1..]);
}

#[tokio::test]
async fn code_params_and_tags_are_a_pairs_own() {
    let mut a = WorldRun::new("a")
        .param("rate", "low")
        .param("same", "1")
        .tag("team", "x");
    let mut b = WorldRun::new("b")
        .param("rate", "high")
        .param("same", "1")
        .param("more", "two");
    (a.commit, b.commit) = (Some("c1".into()), Some("c2".into()));
    (a.entry_point, b.entry_point) = (Some("main".into()), None);
    let mirror = stored(&of_runs([a, b])).await;
    let expected = [
        "commit: : c1 | c2",
        "entry point: : main | ",
        "param: more:  | two",
        "param: rate: low | high",
        "tag: team: x | ",
    ];
    // The tag mlflow.user differs, too.
    assert_eq!(mirror.own().await, expected);
}

#[tokio::test]
async fn a_cycle_counts_as_equal_upstream_and_each_pair_stands_once() {
    let mut runs = Vec::new();
    for side in ["a", "b"] {
        let model = |n: u32| format!("model:m{n}:{}", if side == "a" { 1 } else { 2 });
        let run = |n: u32| WorldRun::new(&format!("{side}{n}"));
        runs.push(run(1).reads(&model(3)).writes(&model(1)));
        runs.push(
            run(2)
                .reads(&model(1))
                .writes(&model(2))
                .param("side", side),
        );
        runs.push(run(3).reads(&model(2)).writes(&model(3)));
    }
    let mirror = stored(&of_runs(runs.clone())).await;
    let found = mirror.answers("run:a1", "run:b1").await;
    let expected = [
        ("a1", "b1", State::Follows),
        ("a3", "b3", State::Follows),
        ("a2", "b2", State::First),
    ];
    assert_eq!(states(&found), expected);
    for run in &mut runs {
        run.params.clear();
    }
    let mirror = stored(&of_runs(runs)).await;
    let diff = mirror.diff("run:a1", "run:b1").await;
    assert_eq!((diff.outcome, diff.pairs.len()), (Outcome::Equal, 3));
}

#[tokio::test]
async fn an_unmirrored_or_purged_run_is_unknown_and_never_equal() {
    let mut purged = WorldRun::new("gone2");
    purged.is_purged = true;
    let reads =
        |id: &str, producer: &str| WorldRun::new(id).reads(&format!("artifact:{producer}/x"));
    let world = of_runs([
        reads("a1", "there1"),
        reads("b1", "nowhere1"),
        WorldRun::new("there1"),
        reads("a2", "there2"),
        reads("b2", "gone2"),
        WorldRun::new("there2"),
        purged,
        reads("a3", "a1").param("x", "1"),
        reads("b3", "b1").param("x", "2"),
    ]);
    let mirror = stored(&world).await;
    for (n, unknown) in [(1, Unknown::Unmirrored), (2, Unknown::Purged)] {
        let diff = mirror
            .diff(&format!("run:a{n}"), &format!("run:b{n}"))
            .await;
        assert_eq!(diff.outcome, Outcome::Unknown);
        let found = answers(&diff);
        assert!(found.iter().all(|answer| answer.state == State::Unknown));
        let of = |place: usize| (found[place].unknown, found[place].unknown_upstream);
        assert_eq!((of(0), of(1)), ((None, true), (Some(unknown), false)));
        let last = &diff.pairs[1];
        assert_eq!((last.a.is_known, last.b.is_known), (true, n == 2));
    }
    // A difference is told all the same, and that something upstream of it is unknown.
    let found = mirror.answers("run:a3", "run:b3").await;
    let of = |answer: &Answer| (answer.state, answer.unknown_upstream);
    let found: Vec<_> = found.iter().map(of).collect();
    let expected = [
        (State::First, true),
        (State::Unknown, true),
        (State::Unknown, false),
    ];
    assert_eq!(found, expected);
    // The starts themselves.
    let starts = mirror.diff("run:a1", "run:nowhere").await;
    assert_eq!(answers(&starts)[0].unknown, Some(Unknown::Unmirrored));
    assert_eq!(starts.outcome, Outcome::Unknown);
}

#[tokio::test]
async fn a_run_in_quarantine_is_unknown() {
    let mirror = stored(&of_runs(pipelines())).await;
    let runs = mirror.test.database.collection::<Document>("runs");
    let quarantined = doc! { "$set": { "mirror.quarantined": true } };
    let updated = runs.update_one(doc! { "_id": "train8" }, quarantined).await;
    assert_eq!(updated.expect("it is updated").modified_count, 1);
    let diff = mirror.diff("run:score7", "run:score8").await;
    let unknown: Vec<_> = diff.pairs.iter().map(|pair| pair.unknown).collect();
    assert_eq!(unknown, [None, Some(Unknown::Quarantined)]);
    assert_eq!(diff.outcome, Outcome::Unknown);
}

#[tokio::test]
async fn a_deleted_run_that_was_not_purged_is_compared() {
    let mut runs = pipelines();
    runs[3] = runs[3].clone().param("month", "june");
    runs[3].is_deleted = true;
    let mirror = stored(&of_runs(runs)).await;
    let diff = mirror.diff("run:score7", "run:score8").await;
    let first: Vec<_> = diff.in_state(State::First).collect();
    let deleted = (first[0].a.is_deleted, first[0].b.is_deleted);
    assert_eq!((first.len(), deleted), (1, (false, true)));
}

#[tokio::test]
async fn a_limit_gives_unknown_and_tells_which() {
    let mirror = stored(&of_runs(pipelines())).await;
    let request = || {
        let (a, b) = (parsed("run:score7"), parsed("run:score8"));
        mirror.store.diff(a, b)
    };
    let unknown = |diff: &Diff| -> Vec<(u32, Option<Unknown>)> {
        let pairs = diff.pairs.iter();
        pairs.map(|pair| (pair.depth, pair.unknown)).collect()
    };
    for (depth, expected) in [
        (0, vec![(0, None), (1, Some(Unknown::Depth))]),
        (1, vec![(0, None), (1, None), (2, Some(Unknown::Depth))]),
        (2, vec![(0, None), (1, None), (2, None)]),
    ] {
        let diff = request().depth(depth).await.expect("a diff");
        assert_eq!(unknown(&diff), expected);
        let is_cut = depth < 2;
        assert_eq!(diff.outcome == Outcome::Unknown, is_cut);
        assert_eq!(
            diff.in_state(State::Equal).count(),
            if is_cut { 0 } else { 3 }
        );
    }
    for max in [0, 1, 2, 3] {
        let mut levels = Vec::new();
        let diff = request()
            .max_pairs(max)
            .on_progress(|progress| levels.push((progress.depth, progress.pairs)));
        let diff = diff.await.expect("a diff");
        let compared = max.max(1);
        let beyond = diff.unknown().map(|pair| pair.unknown);
        let beyond: Vec<_> = beyond.collect();
        let expected = if compared < 3 {
            vec![Some(Unknown::Pairs)]
        } else {
            vec![]
        };
        assert_eq!((beyond, levels.len()), (expected, compared));
    }
}

#[tokio::test]
async fn only_runs_and_versions_with_one_producer_are_starts() {
    let world = of_runs([
        WorldRun::new("p").writes("model:m:1").writes("model:two:1"),
        WorldRun::new("q").writes("model:two:1"),
    ]);
    let mirror = stored(&world).await;
    let cases = [
        (
            "dataset:d@1",
            "neither a run nor a version of a model; write run:ID or model:NAME:VERSION",
        ),
        ("artifact:p/x", "neither a run nor a version"),
        ("logged-model:m-1", "neither a run nor a version"),
        ("prompt:ask:1", "neither a run nor a version"),
        ("model:m", "model:m names no version; write model:m:VERSION"),
        (
            "model:two:1",
            "several runs produced model:two:1, such as run:p and run:q",
        ),
        ("model:none:1", "knows no run that produced model:none:1"),
    ];
    for (start, words) in cases {
        let (start, good) = (parsed(start), parsed("run:p"));
        for (a, b) in [(&start, &good), (&good, &start)] {
            let diff = mirror.store.diff(a.clone(), b.clone()).await;
            let Err(Error::InvalidArgument { reason, .. }) = diff else {
                panic!("{a}, {b}: {diff:?}");
            };
            assert!(reason.contains(words), "{reason}");
        }
    }
}

#[tokio::test]
async fn a_diff_as_json_names_nodes_by_their_texts() {
    let world = of_runs([
        WorldRun::new("a")
            .reads("artifact:p/x")
            .reads_for("dataset:d@1", "eval")
            .param("rate", "low"),
        WorldRun::new("b")
            .reads("artifact:q/x")
            .reads_for("dataset:d@1", "eval"),
        WorldRun::new("p"),
    ]);
    let mirror = stored(&world).await;
    let diff = mirror.diff("run:a", "run:b").await;
    let facts = |id: &str| {
        json!({
            "name": format!("name of {id}"),
            "experiment": { "id": "1", "name": "experiment" },
            "status": "FINISHED",
            "start_time": "2023-11-14T22:13:20Z",
            "end_time": "2023-11-14T23:13:20Z",
            "user": "ana",
        })
    };
    let (path, dataset) = (
        json!({ "kind": "artifact", "name": "x" }),
        json!({ "kind": "dataset", "name": "d", "context": "eval" }),
    );
    let start = |id: &str| json!({ "id": format!("run:{id}"), "kind": "run", "depth": 0, "start": true, "known": true, "run": facts(id) });
    let expected = json!({
        "a": "run:a",
        "b": "run:b",
        "outcome": "different",
        "pairs": [
            {
                "depth": 0, "key": null, "a": start("a"), "b": start("b"), "state": "first", "unknown_upstream": true,
                "differences": [{ "what": "param", "name": "rate", "a": "low", "b": null }],
                "followed": [{ "key": path, "a": "artifact:p/x", "b": "artifact:q/x", "pair": 1 }],
                "equal": [{ "key": dataset, "node": "dataset:d@1" }],
            },
            {
                "depth": 1, "key": path,
                "a": { "id": "run:p", "kind": "run", "depth": 1, "known": true, "run": facts("p") },
                "b": { "id": "run:q", "kind": "run", "depth": 1, "known": false },
                "state": "unknown", "unknown": "unmirrored", "differences": [], "followed": [], "equal": [],
            },
        ],
    });
    let found: Value = serde_json::to_value(&diff).expect("it is JSON");
    assert_eq!(found, expected);
}

#[tokio::test]
async fn tags_of_lineage_and_runs_of_other_programs_do_no_harm() {
    let mirror = stored(&World::default()).await;
    let runs = mirror.test.database.collection::<Document>("runs");
    // As mlopus tags them: the outputs of two runs always differ.
    let tagged = |id: &str| {
        let outputs = doc! { "runs": { id: ["x"] } };
        doc! { "_id": id, "tags": { "lineage": { "outputs": outputs } } }
    };
    let insert = runs.insert_many([tagged("a"), tagged("b"), doc! { "_id": "bare" }]);
    let inserted = insert.bypass_document_validation(true).await;
    inserted.expect("they are stored");
    for (a, b) in [("run:a", "run:b"), ("run:a", "run:bare")] {
        assert_eq!(mirror.diff(a, b).await.outcome, Outcome::Equal);
    }
}
