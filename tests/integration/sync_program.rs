//! `runlineage sync` as a program: what its options do, and what its exit code says.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::lab::{Lab, plain_runs};
use crate::support::program::{Finished, run, runlineage};
use crate::support::proxy::Answer;
use crate::support::sql::{NewRun, Sql};

fn program(lab: &Lab, args: &[&str]) -> Finished {
    let (mongodb, mlflow) = (&lab.test.uri, lab.proxy.uri());
    let connection = ["--mongodb-uri", mongodb, "--tracking-uri", &mlflow];
    let mut command = runlineage(args.iter().chain(&connection));
    command.env("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0");
    run(&mut command)
}

fn sync(lab: &Lab, args: &[&str]) -> Finished {
    let settings = ["sync", "--source", "lab", "--format", "json"];
    program(lab, &[&settings, args].concat())
}

/// The report of a sync that exits with this code.
#[track_caller]
fn report(finished: &Finished, code: i32) -> Value {
    assert_eq!(finished.code, Some(code), "{finished:?}");
    serde_json::from_str(&finished.stdout).unwrap_or_else(|_| panic!("{finished:?}"))
}

#[track_caller]
fn incomplete(finished: &Finished, words: &[&str]) {
    let lines = finished
        .stderr
        .lines()
        .filter(|line| line.starts_with("incomplete: "));
    let lines: Vec<_> = lines.collect();
    assert_eq!(lines.len(), 1, "{finished:?}");
    for word in words {
        assert!(lines[0].contains(word), "no {word:?} in {lines:?}");
    }
}

fn erase(sql: &mut Sql, runs: &[NewRun]) {
    for run in runs {
        sql.erase(&run.id);
    }
    sql.write();
}

#[tokio::test(flavor = "multi_thread")]
async fn recorded_problems_are_exit_1_by_strict_alone() {
    let lab = Lab::new().await;
    let mut runs = plain_runs(&lab.experiment("a"), 3);
    let mut sql = lab.sql();
    sql.insert(&runs[..2]);
    report(&sync(&lab, &["--strict"]), 0);
    runs[2]
        .tags
        .push(("lineage.inputs.models.bad".into(), "[\"1\"".into()));
    sql.insert(&runs[2..]);
    for (args, code) in [(&[][..], 0), (&["--strict"], 1), (&[], 0)] {
        let finished = sync(&lab, args);
        let report = report(&finished, code);
        assert_eq!(
            (&report["seen"], &report["problems"]),
            (&json!(3), &json!(1)),
            "{report}"
        );
        assert!(finished.stderr.contains("find --problems"), "{finished:?}");
    }
    assert_eq!(lab.mirrored().await.len(), 3);
    sql.remove_tag(&runs[2].id, "lineage.inputs.models.bad")
        .write();
    assert_eq!(report(&sync(&lab, &["--strict"]), 0)["problems"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn find_problems_lists_the_runs_with_a_bad_tag_and_those_stored_in_part_and_no_others() {
    let lab = Lab::new().await;
    let exp = lab.experiment("a");
    let mut runs = plain_runs(&exp, 8);
    let none = program(&lab, &["find", "--problems", "--format", "ndjson"]);
    assert_eq!(none.code, Some(1), "nothing is mirrored yet: {none:?}");
    runs[2]
        .tags
        .push(("lineage.inputs.models.bad".into(), "{}".into()));
    runs[5]
        .tags
        .push(("lineage.elsewhere.models.bad".into(), "[]".into()));
    let long = "x".repeat(8_000);
    for index in 0..2_200 {
        runs[6].tags.push((format!("big.{index}"), long.clone()));
    }
    lab.sql().insert(&runs);
    let report = report(&sync(&lab, &[]), 0);
    let counts = ["seen", "written", "quarantined", "problems"].map(|name| report[name].as_u64());
    assert_eq!(counts, [Some(8), Some(7), Some(1), Some(3)], "{report}");
    let found = program(&lab, &["find", "--problems", "--format", "ndjson"]).success();
    let found: Vec<Value> = found
        .lines()
        .map(|line| serde_json::from_str(line).expect("a document a line"))
        .collect();
    let ids: BTreeSet<_> = found
        .iter()
        .map(|run| run["_id"].as_str().expect("an id"))
        .collect();
    assert_eq!(
        ids,
        [2, 5, 6].map(|bad| runs[bad].id.as_str()).into(),
        "{found:?}"
    );
    assert_eq!(found.len(), 3);
    assert!(
        found
            .iter()
            .all(|run| run["mirror"]["problems"][0]["reason"].is_string()),
        "{found:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_experiment_is_forgotten_only_when_mlflow_no_longer_lists_it() {
    let lab = Lab::new().await;
    let (kept, gone) = (lab.experiment("kept"), lab.experiment("gone"));
    let mut sql = lab.sql();
    let (stay, go) = (plain_runs(&kept, 4), plain_runs(&gone, 5));
    sql.insert(&[stay.clone(), go.clone()].concat());
    report(&sync(&lab, &[]), 0);
    let all = lab.mirrored().await;
    assert_eq!(all.len(), 9);

    let refused = sync(&lab, &["--forget-experiment", &gone]);
    assert_ne!(refused.code, Some(0), "{refused:?}");
    let errors = refused
        .stderr
        .lines()
        .filter(|line| line.starts_with("error: "));
    let errors: Vec<_> = errors.collect();
    assert_eq!(errors.len(), 1, "{refused:?}");
    assert!(
        errors[0].contains(&gone) && errors[0].contains("lists"),
        "{refused:?}"
    );
    assert_eq!(lab.mirrored().await, all);

    erase(&mut sql, &go);
    for table in ["experiment_tags", "experiments"] {
        sql.add(
            &format!("DELETE FROM {table} WHERE experiment_id = ?"),
            json!([gone]),
        );
    }
    sql.write();
    let missed = sync(&lab, &[]);
    report(&missed, 1);
    incomplete(&missed, &[&gone, "--forget-experiment"]);
    assert_eq!(lab.mirrored().await, all);

    let forgotten = sync(&lab, &["--forget-experiment", &gone]);
    report(&forgotten, 0);
    assert!(
        forgotten.stderr.contains("5 mirrored runs removed"),
        "{forgotten:?}"
    );
    let stay: BTreeSet<_> = stay.into_iter().map(|run| run.id).collect();
    assert_eq!(lab.mirrored().await, stay);
    assert_eq!(lab.differences().await, Vec::<String>::new());
    // And nobody misses it any more.
    report(&sync(&lab, &[]), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn more_runs_than_a_hundred_and_a_tenth_of_all_go_only_when_it_is_allowed() {
    for (held, goes_by_itself) in [(500, false), (2_000, true)] {
        let lab = Lab::new().await;
        let runs = plain_runs(&lab.experiment("many"), held);
        let mut sql = lab.sql();
        sql.insert(&runs);
        report(&sync(&lab, &[]), 0);
        erase(&mut sql, &runs[..150]);
        let finished = sync(&lab, &[]);
        if goes_by_itself {
            assert_eq!(report(&finished, 0)["deleted"], 150);
        } else {
            assert_eq!(report(&finished, 1)["deleted"], 0);
            incomplete(&finished, &["150 of 500", "--allow-mass-delete"]);
            assert_eq!(lab.mirrored().await.len(), 500);
            let allowed = sync(&lab, &["--allow-mass-delete"]);
            assert_eq!(report(&allowed, 0)["deleted"], 150);
        }
        assert_eq!(lab.mirrored().await.len(), held - 150);
        assert_eq!(lab.differences().await, Vec::<String>::new());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incomplete_pass_is_exit_1_and_says_why() {
    let lab = Lab::new().await;
    let (refused, other) = (lab.experiment("refused"), lab.experiment("other"));
    let mut sql = lab.sql();
    sql.insert(&plain_runs(&refused, 4));
    sql.insert(&plain_runs(&other, 5));
    let bad = refused.clone();
    lab.proxy.on(move |request| {
        if request.call == "runs/search" && request.experiment() == bad {
            return Answer::refuse(400, "INVALID_PARAMETER_VALUE", "broken for a test");
        }
        Answer::Pass
    });
    for _ in 0..2 {
        let finished = sync(&lab, &[]);
        let report = report(&finished, 1);
        assert_eq!(
            (&report["seen"], &report["experiments"]),
            (&json!(5), &json!(1)),
            "{report}"
        );
        incomplete(&finished, &[&refused, "broken for a test"]);
        assert_eq!(lab.mirrored().await.len(), 5);
    }
    lab.proxy.pass();
    report(&sync(&lab, &[]), 0);
    assert_eq!(lab.differences().await, Vec::<String>::new());
    assert_eq!(lab.mirrored().await.len(), 9);
}
