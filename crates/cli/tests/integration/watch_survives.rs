//! A `sync --every` survives what MLflow and other programs do.

use std::path::PathBuf;
use std::process::Command;

use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Bson, Document, doc};
use serde_json::json;

use crate::support::held::{lab_with_runs, now};
use crate::support::keeper::KeptFolder;
use crate::support::lab::{plain_runs, run_id};
use crate::support::rest;
use crate::support::running::Running;
use crate::support::sql::NewRun;
use crate::support::watching::{MINUTE, STOPPED, is_full, watch, watch_command};

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_survives_the_rename_of_its_experiment() {
    for flag in ["--exclude-exp", "--exp"] {
        let (lab, exp, _) = lab_with_runs(5).await;
        let named = lab.experiment("named");
        lab.sql().insert(&plain_runs(&named, 3));
        let name = lab.name("named");
        let mut running = watch(&lab, &["--every", "1s", flag, &name]);
        let known = running.wait_for_pass(0, is_full);
        let rename = |name: &str| {
            let body = json!({ "experiment_id": named, "new_name": name });
            rest::post(&lab.server.uri(), "experiments/update", &body);
        };
        rename(&lab.name("another"));
        // The watch follows the experiment by its id: it stays selected, or left out, under the new name.
        let known = running.wait_for_pass(known + 1, |pass| pass["error"].is_null());
        running.wait_for_pass(known, |pass| pass["error"].is_null());
        let passes = running.passes();
        assert!(
            passes.iter().all(|pass| pass["error"].is_null()),
            "{flag}: {passes:#?}"
        );
        let count = async |id: &str| lab.store.count_runs(doc! { "exp.id": id }).await.ok();
        let expected = if flag == "--exp" { (0, 3) } else { (5, 0) };
        let expected = (Some(expected.0), Some(expected.1));
        assert_eq!((count(&exp).await, count(&named).await), expected, "{flag}");
        running.signal("-TERM");
        assert_eq!(running.end_within(STOPPED).0, Some(0), "{flag}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_survives_and_reports_foreign_documents_in_runs() {
    let (lab, exp, _) = lab_with_runs(5).await;
    let mut running = watch(&lab, &["--every", "1s", "--full-every", "4s"]);
    let known = running.wait_for_pass(0, is_full);
    let runs = lab.test.database.collection::<Document>("runs");
    let ids: [Bson; 4] = [
        "no run's id!".into(),
        ObjectId::new().into(),
        Bson::Int32(7),
        doc! { "a": 1 }.into(),
    ];
    let foreign = ids.map(|id| {
        doc! { "_id": id, "exp": { "id": &exp, "name": lab.name("watched") }, "status": "RUNNING" }
    });
    let inserted = runs.insert_many(foreign).bypass_document_validation(true);
    inserted.await.expect("MongoDB stores the documents");

    let known = running.wait_for_pass(known + 1, |pass| pass["kind"] == "quick");
    let passes = running.passes();
    assert!(passes[known - 1]["error"].is_null(), "{passes:#?}");
    let known = running.wait_for_pass(known, is_full);
    let passes = running.passes();
    assert!(passes[known - 1]["error"].is_null(), "{passes:#?}");
    assert_eq!(passes[known - 1]["incomplete"], 2, "{passes:#?}");
    let message = running.stderr().concat();
    assert!(message.contains("no run's id!"), "{message}");
    assert!(message.contains("is not a string (3 of them)"), "{message}");

    let removed = runs.delete_many(doc! { "mirror": { "$exists": false } });
    assert_eq!(removed.await.expect("MongoDB answers").deleted_count, 4);
    running.wait_for_pass(known, |pass| is_full(pass) && pass["incomplete"] == 0);
    assert_eq!(lab.differences().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_survives_foreign_writes_to_sync_state() {
    let (lab, exp, _) = lab_with_runs(5).await;
    let state = lab.test.database.collection::<Document>("sync_state");
    let mut running = watch(&lab, &["--every", "1s", "--full-every", "3s"]);
    let mut known = running.wait_for_pass(0, is_full);
    let scan = format!("scan/{exp}");
    for id in ["ticket", "source", &scan, "pass"] {
        let kept = state
            .find_one(doc! { "_id": id })
            .await
            .expect("MongoDB answers");
        for foreign in [
            doc! { "value": 5.5, "name": 7, "pass": "x", "from": "y" },
            doc! { "value": "x" },
        ] {
            let replaced = state.replace_one(doc! { "_id": id }, foreign.clone());
            replaced
                .upsert(true)
                .await
                .expect("MongoDB stores the document");
            // Whether the pass fails or not, another one follows.
            known = running.wait_for_pass(known + 1, |_| true);
            known = running.wait_for_pass(known, |_| true);
        }
        state
            .delete_one(doc! { "_id": id })
            .await
            .expect("MongoDB answers");
        if let Some(kept) = kept {
            state
                .insert_one(kept)
                .await
                .expect("MongoDB stores the document");
        }
        known = running.wait_for_pass(known + 1, |pass| {
            is_full(pass) && pass["error"].is_null() && pass["incomplete"] == 0
        });
    }
    running.signal("-TERM");
    assert_eq!(running.end_within(STOPPED).0, Some(0));
}

/// Compiles a library that sets the clock of a program two days ahead.
fn clock_two_days_ahead(folder: &KeptFolder) -> PathBuf {
    let source = folder.path().join("clock.c");
    let library = folder.path().join("clock.so");
    let text = "#define _GNU_SOURCE\n#include <sys/syscall.h>\n#include <time.h>\n#include <unistd.h>\n\
        int clock_gettime(clockid_t clock, struct timespec *time) {\n\
        int result = syscall(SYS_clock_gettime, clock, time);\n\
        if (result == 0 && clock == CLOCK_REALTIME) time->tv_sec += 2 * 86400;\n\
        return result; }\n";
    std::fs::write(&source, text).expect("the folder can be written");
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-fPIC", "-o"])
        .arg(&library)
        .arg(&source);
    assert!(cc.status().is_ok_and(|status| status.success()), "{cc:?}");
    library
}

#[tokio::test(flavor = "multi_thread")]
async fn quick_passes_find_short_runs_even_if_the_hosts_clock_is_ahead() {
    let (lab, exp, _) = lab_with_runs(5).await;
    let folder = KeptFolder::new();
    let clock = clock_two_days_ahead(&folder);
    let mut command = watch_command(&lab, &["--every", "1s"]);
    let mut running = Running::start(command.env("LD_PRELOAD", &clock));
    let known = running.wait_for_pass(0, is_full);
    let line = running.stderr().concat();
    let tomorrow = log_date(now() + 24 * 60 * MINUTE);
    assert!(
        line.split("\"timestamp\":\"").nth(1) > Some(&tomorrow),
        "the clock is ahead of {tomorrow}: {line}"
    );
    // These runs end a minute after their start.
    let ended = NewRun::new(run_id(), &exp, now() - 2 * MINUTE);
    lab.sql().insert(std::slice::from_ref(&ended));
    running.wait_for_pass(known, |pass| {
        pass["kind"] == "quick" && pass["written"] == 1
    });
    assert_eq!(lab.differences().await, Vec::<String>::new());
}

/// A date in the form of the log.
fn log_date(millis: i64) -> String {
    let date = mongodb::bson::DateTime::from_millis(millis);
    date.try_to_rfc3339_string()
        .expect("a date of this century")
}
