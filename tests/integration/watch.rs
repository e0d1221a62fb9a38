//! Watches keep a mirror fresh, by full and quick passes.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use mongodb::bson::{DateTime, Document, doc};
use runlineage::Error;
use runlineage::sync::{CancellationToken, PassKind, Report, Watch};
use serde_json::json;

use crate::support::held::{hold, lab_with_runs, now};
use crate::support::lab::{Lab, chain, plain_runs};
use crate::support::proxy::Answer;
use crate::support::rest;

#[tokio::test]
async fn verify_lists_what_is_missing_stale_and_extra_and_nothing_else() {
    let lab = Lab::new().await;
    let uri = lab.server.uri();
    let exp = lab.experiment("verified");
    let runs: Vec<String> = (1..=9)
        .map(|time| rest::create_run(&uri, &exp, time))
        .collect();
    lab.sync().run(|_| {}).await.expect("the pass ends");
    let clean = lab.sync().verify(|_| {}).await.expect("it compares");
    assert_eq!((clean.seen, clean.differences), (9, vec![]));

    let missing = rest::create_run(&uri, &exp, 10);
    let tag = json!({ "run_id": runs[0], "key": "note", "value": "1.10" });
    rest::post(&uri, "runs/set-tag", &tag);
    rest::post(&uri, "runs/delete", &json!({ "run_id": runs[1] }));
    let found = lab.sync().verify(|_| {}).await.expect("it compares");
    let mut kinds: Vec<_> = found
        .differences
        .iter()
        .map(|found| (found.kind, found.node.key()))
        .collect();
    kinds.sort_unstable();
    assert_eq!(
        kinds,
        [
            ("extra", runs[1].as_str()),
            ("missing", missing.as_str()),
            ("stale", runs[0].as_str())
        ]
    );

    lab.sync().run(|_| {}).await.expect("the pass ends");
    let healed = lab.sync().verify(|_| {}).await.expect("it compares");
    assert_eq!((healed.seen, healed.differences), (9, vec![]));
}

/// Runs a pass whose searches wait for a moment. Returns the time at which the first search got its answer.
async fn delayed(lab: &Lab, pass: impl Future<Output = runlineage::Result<Option<Report>>>) -> i64 {
    let (waits, go) = hold(lab);
    let mut went_on = 0;
    let let_go = async {
        while !waits.load(Ordering::SeqCst) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
        went_on = now();
        go.store(true, Ordering::SeqCst);
    };
    let (report, ()) = futures::join!(pass, let_go);
    assert!(report.expect("no error").is_some(), "the pass ends");
    went_on
}

#[tokio::test(flavor = "multi_thread")]
async fn the_mirror_is_as_fresh_as_the_beginning_of_a_pass_over_everything() {
    let (lab, exp, _) = lab_with_runs(3).await;
    let never = CancellationToken::new();
    let day = Duration::from_secs(86_400);
    let freshness = || async { lab.store.freshness().await.expect("MongoDB answers") };
    let before = now();
    let went_on = delayed(&lab, lab.sync().run_until(&never, |_| {})).await;
    let full = freshness().await.full_pass.expect("it is recorded");
    assert!((before..went_on).contains(&full.timestamp_millis()));

    let before = now();
    let went_on = delayed(&lab, lab.sync().run_quick(day, &never, |_| {})).await;
    let quick = freshness().await.quick_pass.expect("it is recorded");
    assert!((before..went_on).contains(&quick.timestamp_millis()));

    lab.proxy.pass();
    let part = lab.sync().only([exp]);
    part.run(|_| {}).await.expect("the pass ends");
    let quickly = part.run_quick(day, &never, |_| {}).await;
    assert!(quickly.expect("no error").is_some(), "the pass ends");
    let after = freshness().await;
    assert_eq!(
        (after.full_pass, after.quick_pass),
        (Some(full), Some(quick))
    );
}

#[tokio::test]
async fn a_watch_mirrors_new_runs_by_quick_passes_until_it_is_stopped() {
    let lab = Lab::new().await;
    let uri = lab.server.uri();
    let exp = lab.experiment("watched");
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("it is past 1970");
    let now = i64::try_from(now.as_millis()).expect("it is long before the end of time");
    rest::create_run(&uri, &exp, now);
    let stop = CancellationToken::new();
    let mut passes = Vec::new();
    // Longer than a full pass takes, so that no quick pass runs beside it.
    let watch = Watch::new(lab.sync(), Duration::from_secs(3));
    let ended = watch.run(
        &stop,
        |_| {},
        |pass| {
            let report = pass.result.expect("the servers are there");
            passes.push((pass.kind, report.seen, report.written));
            match passes.len() {
                1 => drop(rest::create_run(&uri, &exp, now + 1)),
                2 => stop.cancel(),
                _ => {}
            }
        },
    );
    ended.await.expect("it stops");
    assert_eq!(
        passes[..2],
        [(PassKind::Full, 1, 1), (PassKind::Quick, 2, 1)]
    );
    let freshness = lab.store.freshness().await.expect("the mirror is there");
    assert!(freshness.full_pass.is_some() && freshness.quick_pass.is_some());
    assert_eq!(
        lab.store
            .count_runs(mongodb::bson::doc! {})
            .await
            .expect("it counts"),
        2
    );
}

/// The first `count` passes of a watch: the kind of each, whether it failed, how many experiments were incomplete, and when it
/// ended.
async fn passes(
    watch: Watch,
    count: usize,
    mut ended: impl FnMut(usize),
) -> Vec<(PassKind, bool, usize, Instant)> {
    let stop = CancellationToken::new();
    let mut passes = Vec::new();
    let watched = watch.run(
        &stop,
        |_| {},
        |pass| {
            let undecided = pass.result.map_or(0, |report| report.incomplete.len());
            passes.push((pass.kind, pass.result.is_err(), undecided, Instant::now()));
            ended(passes.len());
            if passes.len() == count {
                stop.cancel();
            }
        },
    );
    watched
        .await
        .unwrap_or_else(|error| panic!("{}", chain(&error)));
    passes
}

#[tokio::test]
async fn an_incomplete_full_pass_is_not_repeated_before_its_interval() {
    let lab = Lab::new().await;
    let (kept, lost) = (lab.experiment("kept"), lab.experiment("lost"));
    for exp in [&kept, &lost] {
        lab.sql().insert(&plain_runs(exp, 3));
    }
    lab.sync().run(|_| {}).await.expect("the pass ends");
    lab.proxy.list_only(&lab.name("kept"));
    // Longer than a full pass takes, so that no quick pass runs beside it.
    let watch = Watch::new(lab.sync(), Duration::from_secs(3));
    let made = passes(watch, 4, |_| {}).await;
    let made: Vec<_> = made
        .iter()
        .map(|(kind, failed, undecided, _)| (*kind, *failed, *undecided))
        .collect();
    let quick = (PassKind::Quick, false, 0);
    assert_eq!(made, [(PassKind::Full, false, 1), quick, quick, quick]);
}

#[tokio::test]
async fn a_failed_pass_is_retried_soon_and_a_full_pass_is_still_due() {
    let lab = Lab::new().await;
    lab.sql().insert(&plain_runs(&lab.experiment("a"), 3));
    let every = Duration::from_secs(18);
    let watch = Watch::new(lab.sync(), every).full_every(every / 2);
    let made = passes(watch, 3, |count| match count {
        1 => lab
            .proxy
            .on(|_| Answer::refuse(400, "INVALID_PARAMETER_VALUE", "down")),
        _ => lab.proxy.pass(),
    });
    let made = made.await;
    let results: Vec<_> = made
        .iter()
        .map(|(kind, failed, ..)| (*kind, *failed))
        .collect();
    let full = |failed| (PassKind::Full, failed);
    assert_eq!(results, [full(false), full(true), full(false)]);
    let again = made[2].3 - made[1].3;
    assert!(again < every - Duration::from_secs(3), "after {again:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn quick_passes_are_made_beside_a_full_pass_that_takes_longer_than_both_intervals() {
    let lab = Lab::new().await;
    let exp = lab.experiment("a");
    lab.sql().insert(&plain_runs(&exp, 30));
    let (created, uri) = (
        rest::create_run(&lab.server.uri(), &exp, now()),
        lab.server.uri(),
    );
    lab.proxy.on(|request| {
        let filter = request.body["filter"].as_str().unwrap_or_default();
        // A full pass searches without a filter first, then from the start time of each page's last run.
        let is_full = filter.is_empty() || filter.contains(">= 1700000");
        if request.call == "runs/search" && is_full {
            return Answer::After(Box::new(|| std::thread::sleep(Duration::from_millis(600))));
        }
        Answer::Pass
    });
    let every = Duration::from_millis(500);
    let watch = Watch::new(lab.sync(), every).full_every(Duration::from_secs(1));
    let made = passes(watch, 24, |count| {
        let tag = json!({ "run_id": created, "key": "pass", "value": count.to_string() });
        rest::post(&uri, "runs/set-tag", &tag);
    });
    let made = made.await;
    let kinds: Vec<PassKind> = made.iter().map(|(kind, ..)| *kind).collect();
    assert!(
        made.iter()
            .all(|(_, failed, undecided, _)| !failed && *undecided == 0),
        "{made:?}"
    );
    let full: Vec<usize> = (0..kinds.len())
        .filter(|at| kinds[*at] == PassKind::Full)
        .collect();
    // Quick passes come before the first full pass ends, and until the next one is due.
    assert!(full[0] >= 2, "{kinds:?}");
    assert_eq!(kinds[full[0] + 1], PassKind::Quick, "{kinds:?}");
    assert!(full.len() >= 2, "a full pass is still made: {kinds:?}");
    assert!(
        full[1] - full[0] >= 3,
        "beside the second one too: {kinds:?}"
    );
    let pauses = made.windows(2).filter(|pair| pair[1].0 == PassKind::Quick);
    for pair in pauses {
        let pause = pair[1].3 - pair[0].3;
        assert!(
            pair[0].0 == PassKind::Full || pause >= every,
            "{pause:?}: {made:?}"
        );
    }
}

#[tokio::test]
async fn the_pause_of_a_watch_counts_from_the_end_of_a_pass() {
    let (lab, ..) = lab_with_runs(3).await;
    lab.proxy.on(|request| {
        if request.call == "runs/search" {
            return Answer::After(Box::new(|| std::thread::sleep(Duration::from_millis(300))));
        }
        Answer::Pass
    });
    let every = Duration::from_secs(1);
    // A quick pass makes four searches.
    let made = passes(Watch::new(lab.sync(), every), 3, |_| {}).await;
    let between = made[2].3 - made[1].3;
    assert!(
        between >= every + Duration::from_millis(1_200),
        "{between:?}"
    );
}

fn rename(lab: &Lab, exp: &str, name: &str) {
    let body = json!({ "experiment_id": exp, "new_name": lab.name(name) });
    rest::post(&lab.server.uri(), "experiments/update", &body);
}

#[tokio::test]
async fn a_watch_follows_a_selected_experiment_through_renames_by_full_and_quick_passes() {
    let lab = Lab::new().await;
    let (exp, uri) = (lab.experiment("before"), lab.server.uri());
    let job = lab.sync().only([lab.name("before")]);
    // Longer than a full pass takes, so that no quick pass runs beside it.
    let every = Duration::from_secs(3);
    let watch = Watch::new(job, every).full_every(every * 2);
    let (mut created, mut others) = (Vec::new(), Vec::new());
    let made = passes(watch, 4, |count| {
        created.push(rest::create_run(&uri, &exp, now()));
        rename(&lab, &exp, &format!("name {count}"));
        // A new experiment takes the old name. It is not the selected one.
        if count == 1 {
            let other = lab.experiment("before");
            others.push(rest::create_run(&uri, &other, now()));
        }
    });
    let made = made.await;
    assert_eq!(others.len(), 1);
    let kinds: Vec<PassKind> = made.iter().map(|(kind, ..)| *kind).collect();
    assert!(
        made.iter()
            .all(|(_, failed, undecided, _)| !failed && *undecided == 0),
        "{made:?}"
    );
    assert!(
        kinds[1..].contains(&PassKind::Full) && kinds[1..].contains(&PassKind::Quick),
        "{kinds:?}"
    );
    // The last run was created after the last pass.
    created.pop();
    let expected = created.into_iter().collect();
    assert_eq!(lab.mirrored().await, expected, "without {others:?}");
}

#[tokio::test]
async fn a_watch_leaves_an_excluded_experiment_out_after_it_was_renamed_or_made_anew() {
    let lab = Lab::new().await;
    let uri = lab.server.uri();
    let (kept, excluded) = (lab.experiment("kept"), lab.experiment("excluded"));
    let job = lab.sync().except([lab.name("excluded")]);
    let watch = Watch::new(job, Duration::from_secs(3));
    let mut created = Vec::new();
    let made = passes(watch, 2, |count| {
        if count == 1 {
            rename(&lab, &excluded, "kept out");
            let anew = lab.experiment("excluded");
            rest::create_run(&uri, &excluded, now());
            rest::create_run(&uri, &anew, now());
            created.push(rest::create_run(&uri, &kept, now()));
        }
    });
    let made = made.await;
    assert!(made.iter().all(|(_, failed, ..)| !failed), "{made:?}");
    assert_eq!(lab.mirrored().await, created.into_iter().collect());
}

#[tokio::test]
async fn a_watch_goes_on_with_the_others_when_a_selected_experiment_is_no_longer_listed() {
    let lab = Lab::new().await;
    let uri = lab.server.uri();
    let (kept, lost) = (lab.experiment("kept"), lab.experiment("lost"));
    let job = lab.sync().only([kept.as_str(), lost.as_str()]);
    let every = Duration::from_secs(3);
    let watch = Watch::new(job, every).full_every(every * 2);
    let mut created = Vec::new();
    let mut incomplete = Vec::new();
    let stop = CancellationToken::new();
    let mut count = 0;
    let watched = watch.run(
        &stop,
        |_| {},
        |pass| {
            let report = pass.result.expect("no pass fails");
            incomplete.push(report.incomplete.clone());
            count += 1;
            match count {
                1 => lab.proxy.list_only(&lab.name("kept")),
                4 => stop.cancel(),
                _ => {}
            }
            if count < 4 {
                created.push(rest::create_run(&uri, &kept, now()));
            }
        },
    );
    watched
        .await
        .unwrap_or_else(|error| panic!("{}", chain(&error)));
    assert_eq!(incomplete[0], []);
    for incomplete in &incomplete[1..] {
        let [lacking] = incomplete.as_slice() else {
            panic!("{incomplete:?}");
        };
        assert_eq!(lacking.experiment, lost);
        assert!(lacking.reason.contains("no longer lists"), "{lacking:?}");
    }
    assert_eq!(lab.mirrored().await, created.into_iter().collect());
}

/// As when another server, or an older backup, answers at the same URL.
#[tokio::test]
async fn a_quick_pass_mirrors_nothing_of_another_experiment_with_the_same_id() {
    let lab = Lab::new().await;
    let (exp, same) = (lab.experiment("other"), lab.experiment("same"));
    for exp in [&exp, &same] {
        lab.sql().insert(&plain_runs(exp, 3));
    }
    Lab::complete(lab.sync().run(|_| {}).await);
    let before = lab.store.freshness().await.expect("MongoDB answers");
    let uri = lab.server.uri();
    let foreign = rest::create_run(&uri, &exp, now());
    let own = rest::create_run(&uri, &same, now());
    let id = exp.clone();
    lab.proxy.on(move |request| {
        if request.call != "experiments/search" {
            return Answer::Pass;
        }
        let id = id.clone();
        Answer::Change(Box::new(move |mut page| {
            for shown in page["experiments"].as_array_mut().expect("a list") {
                if shown["experiment_id"] == *id {
                    let made = shown["creation_time"].as_i64().expect("a time");
                    shown["creation_time"] = json!(made - 86_400_000);
                }
            }
            page
        }))
    });
    let never = CancellationToken::new();
    let day = Duration::from_secs(86_400);
    let report = lab.sync().run_quick(day, &never, |_| {}).await;
    let report = report.expect("no error").expect("the pass ends");
    let mirrored = lab.mirrored().await;
    assert!(
        mirrored.contains(&own) && !mirrored.contains(&foreign),
        "{mirrored:?}"
    );
    assert_eq!(report.incomplete.len(), 1, "{report:?}");
    assert_eq!(report.incomplete[0].experiment, exp, "{report:?}");
    let way_out = format!("sync --forget-experiment {exp}");
    assert!(report.incomplete[0].reason.contains(&way_out), "{report:?}");
    let after = lab.store.freshness().await.expect("MongoDB answers");
    assert_eq!(
        after.quick_pass, before.quick_pass,
        "not all of it was looked at"
    );
    let full = lab.sync().run(|_| {}).await.expect("the pass ends");
    assert_eq!(
        full.incomplete, report.incomplete,
        "a full pass says the same"
    );

    // After the command that the message names, even a quick pass mirrors the new experiment.
    let forgotten = lab.sync().forget_experiment(&exp).await;
    assert_eq!(forgotten.expect("it is forgotten"), 3);
    let report = lab.sync().run_quick(day, &never, |_| {}).await;
    assert_eq!(report.expect("no error").expect("it ends").incomplete, []);
    assert!(lab.mirrored().await.contains(&foreign));
}

#[tokio::test]
async fn a_watch_ends_once_a_newer_program_has_migrated_the_database() {
    let lab = Lab::new().await;
    lab.sql().insert(&plain_runs(&lab.experiment("a"), 3));
    let newer = lab.test.database.collection::<Document>("migrations");
    let mut passes = 0;
    let watch = Watch::new(lab.sync(), Duration::from_millis(50));
    let (migrate, told) = tokio::sync::oneshot::channel::<()>();
    let mut migrate = Some(migrate);
    let never = CancellationToken::new();
    let watched = watch.run(
        &never,
        |_| {},
        |_| {
            passes += 1;
            drop(migrate.take());
        },
    );
    let migrated = async {
        told.await.unwrap_or_default();
        let record = doc! { "_id": 9999, "name": "9999_later", "checksum": "x", "applied_at": DateTime::now() };
        newer.insert_one(record).await.expect("MongoDB takes it");
    };
    let watched = tokio::time::timeout(Duration::from_secs(20), watched);
    let (ended, ()) = tokio::join!(watched, migrated);
    let ended = ended.expect("it ends by itself");
    assert!(matches!(ended, Err(Error::Migration { .. })), "{ended:?}");
    assert!(passes >= 2, "{passes}");
}

#[tokio::test]
async fn deleted_runs_are_purged_by_the_date_they_left_the_mirror() {
    let lab = Lab::new().await;
    let uri = lab.server.uri();
    let exp = lab.experiment("purged");
    let run = rest::create_run(&uri, &exp, 1);
    lab.sync().run(|_| {}).await.expect("the pass ends");
    rest::post(&uri, "runs/delete", &json!({ "run_id": run }));
    let report = lab.sync().run(|_| {}).await.expect("the pass ends");
    assert_eq!(report.deleted, 1);
    let day = 86_400_000;
    let now = mongodb::bson::DateTime::now().timestamp_millis();
    let at = mongodb::bson::DateTime::from_millis;
    assert_eq!(
        lab.store
            .purge_deleted(at(now - day))
            .await
            .expect("it purges"),
        0
    );
    assert_eq!(
        lab.store
            .purge_deleted(at(now + day))
            .await
            .expect("it purges"),
        1
    );
}
