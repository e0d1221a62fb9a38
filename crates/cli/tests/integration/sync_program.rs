//! `runlineage sync`: its options, its exit codes, its log.

use std::collections::BTreeSet;
use std::process::Command;

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
async fn recorded_problems_exit_with_1_only_with_strict() {
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
async fn find_problems_lists_exactly_the_runs_with_problems() {
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
    // Later syncs do not report it again.
    report(&sync(&lab, &[]), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn removals_above_the_safety_limit_need_allow_mass_delete() {
    for (held, goes_by_itself) in [(300, false), (1_100, true)] {
        let lab = Lab::new().await;
        let runs = plain_runs(&lab.experiment("many"), held);
        let mut sql = lab.sql();
        sql.insert(&runs);
        report(&sync(&lab, &[]), 0);
        erase(&mut sql, &runs[..105]);
        let finished = sync(&lab, &[]);
        if goes_by_itself {
            assert_eq!(report(&finished, 0)["deleted"], 105);
        } else {
            assert_eq!(report(&finished, 1)["deleted"], 0);
            incomplete(&finished, &["105 of 300", "--allow-mass-delete"]);
            assert_eq!(lab.mirrored().await.len(), 300);
            let allowed = sync(&lab, &["--allow-mass-delete"]);
            assert_eq!(report(&allowed, 0)["deleted"], 105);
        }
        assert_eq!(lab.mirrored().await.len(), held - 105);
        assert_eq!(lab.differences().await, Vec::<String>::new());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incomplete_pass_exits_with_1_and_gives_the_reason() {
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

/// The JSON log lines on stderr, without their times.
#[track_caller]
fn log(stderr: &str) -> Vec<Value> {
    let line = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{stderr}"));
        assert!(line["timestamp"].is_string(), "{line}");
        json!({ "level": line["level"], "fields": line["fields"] })
    };
    stderr.lines().map(line).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_line_of_a_json_log_of_one_pass_is_an_object() {
    let lab = Lab::new().await;
    let (refused, other) = (lab.experiment("refused"), lab.experiment("other"));
    let mut runs = plain_runs(&other, 3);
    let bad_tag = ("lineage.inputs.models.bad".into(), "[\"1\"".into());
    runs[2].tags.push(bad_tag);
    lab.sql().insert(&runs);
    lab.sql().insert(&plain_runs(&refused, 2));
    let bad = refused.clone();
    lab.proxy.on(move |request| {
        if request.call == "runs/search" && request.experiment() == bad {
            return Answer::refuse(400, "INVALID_PARAMETER_VALUE", "broken for a test");
        }
        Answer::Pass
    });
    let finished = sync(&lab, &["--log-format", "json"]);
    report(&finished, 1);
    let log = log(&finished.stderr);
    let pass = log.iter().find(|line| line["fields"]["message"] == "pass");
    let mut pass = pass.unwrap_or_else(|| panic!("{log:#?}"))["fields"].clone();
    let took = pass.as_object_mut().and_then(|pass| pass.remove("seconds"));
    assert!(took.is_some_and(|took| took.is_f64()), "{log:#?}");
    let expected = json!({
        "message": "pass", "kind": "full", "seen": 3, "written": 3, "unchanged": 0, "deleted": 0,
        "quarantined": 0, "problems": 1, "incomplete": 1,
    });
    assert_eq!(pass, expected);
    let incomplete = log
        .iter()
        .filter(|line| line["fields"]["message"] == "incomplete");
    let incomplete: Vec<_> = incomplete.collect();
    assert_eq!(incomplete.len(), 1, "{log:#?}");
    assert_eq!(incomplete[0]["fields"]["experiment"], refused.as_str());
    let has_message = |words: &str| {
        log.iter().any(|line| {
            line["fields"]["message"]
                .as_str()
                .is_some_and(|message| message.contains(words))
        })
    };
    assert!(has_message("find --problems"), "{log:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_is_one_json_log_line_whatever_the_log_filter() {
    let lab = Lab::new().await;
    let mut finished = Vec::new();
    for filter in ["runlineage=info", "off", "not a filter"] {
        let nowhere = [
            "--tracking-uri",
            "http://127.0.0.1:9",
            "--log-format",
            "json",
        ];
        let mut command = runlineage(["sync", "--mongodb-uri", &lab.test.uri]);
        command.args(nowhere).env("RUNLINEAGE_LOG", filter);
        command.env("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0");
        finished.push(run(&mut command));
    }
    for finished in finished {
        assert_eq!(finished.code, Some(1), "{finished:?}");
        let log = log(&finished.stderr);
        let last = log.last().unwrap_or_else(|| panic!("{finished:?}"));
        assert_eq!(last["level"], "ERROR");
        let text = |name: &str| last["fields"][name].as_str().unwrap_or_default();
        assert!(text("message").contains("127.0.0.1:9"), "{last}");
        assert!(text("causes").to_lowercase().contains("refused"), "{last}");
    }
    let none = program(&lab, &["find", "--log-format", "json"]);
    assert_eq!(none.code, Some(1), "{none:?}");
    let log = log(&none.stderr);
    assert!(
        !log.is_empty() && log.iter().all(|line| line["level"] == "INFO"),
        "{log:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_progress_bar_is_drawn_on_a_terminal_and_not_into_a_json_log() {
    let lab = Lab::new().await;
    lab.sql().insert(&plain_runs(&lab.experiment("a"), 3));
    for (format, is_drawn) in [("text", true), ("json", false)] {
        let program = env!("CARGO_BIN_EXE_runlineage");
        let (mongodb, mlflow) = (&lab.test.uri, lab.proxy.uri());
        let sync = format!(
            "'{program}' sync --source lab --log-format {format} --mongodb-uri '{mongodb}' --tracking-uri '{mlflow}' >/dev/null"
        );
        // `script` runs the program on a terminal and prints its output.
        let finished = run(Command::new("script").args([
            "--quiet",
            "--return",
            "--command",
            &sync,
            "/dev/null",
        ]));
        let shown = finished.success();
        assert_eq!(shown.contains('\u{1b}'), is_drawn, "{format}: {shown:?}");
        if !is_drawn {
            let log = log(&shown);
            assert!(log.len() >= 2, "{shown}");
        }
    }
}
