//! `sync --every` as a long-running program: its log, its passes, and how it stops.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mongodb::bson::{DateTime, Document, doc};
use serde_json::{Value, json};

use crate::support::held::{hold, lab_with_runs, now};
use crate::support::keeper::KeptFolder;
use crate::support::lab::{Lab, run_id};
use crate::support::mongodb::Mongod;
use crate::support::outage::{lab_on, signal};
use crate::support::proxy::Answer;
use crate::support::sql::NewRun;
use crate::support::watching::{MINUTE, STOPPED, is_full, metrics, wait_until, watch};
use crate::support::{free_port, rest, unique};

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_stops_within_five_seconds_of_a_signal_during_and_between_passes() {
    for signal in ["-TERM", "-INT"] {
        let (lab, ..) = lab_with_runs(5).await;
        let mut idle = watch(&lab, &["--every", "1h"]);
        idle.wait_for_pass(0, is_full);
        idle.signal(signal);
        let (code, _, stderr) = idle.end_within(STOPPED);
        assert_eq!(code, Some(0), "{signal} between passes: {stderr:#?}");

        let (waits, go) = hold(&lab);
        let busy = watch(&lab, &["--every", "1h"]);
        wait_until("a page is asked for", || waits.load(Ordering::SeqCst));
        busy.signal(signal);
        let (code, _, stderr) = busy.end_within(STOPPED);
        go.store(true, Ordering::SeqCst);
        assert_eq!(code, Some(0), "{signal} in a pass: {stderr:#?}");
        // The watch released the lease, so the next process need not wait.
        Lab::complete(lab.sync().run(|_| {}).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_stops_within_five_seconds_while_mongodb_does_not_answer() {
    let folder = KeptFolder::new();
    let server = Mongod::start(folder.path(), &[]).unwrap_or_else(|reason| panic!("{reason}"));
    for name in ["-TERM", "-INT"] {
        let uri = format!("mongodb://127.0.0.1:{}/{}", server.port, unique("test"));
        let (lab, _) = lab_on(&uri, 5).await;
        let mut running = watch(&lab, &["--every", "1s"]);
        running.wait_for_pass(0, is_full);
        signal("-STOP", server.pid());
        // Long enough for a pass to begin and to wait for MongoDB.
        let known = running.passes().len();
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert!(
            running.passes().len() <= known + 1,
            "passes went on without MongoDB"
        );
        running.signal(name);
        let (code, _, stderr) = running.end_within(STOPPED);
        signal("-CONT", server.pid());
        assert_eq!(code, Some(0), "{name}: {stderr:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_stops_within_five_seconds_while_another_process_migrates() {
    for (args, expected) in [(&["--every", "1h"][..], 0), (&[], 1)] {
        let (lab, ..) = lab_with_runs(5).await;
        let leases = lab.test.database.collection::<Document>("leases");
        let until = DateTime::from_millis(now() + 10 * MINUTE);
        let lease =
            doc! { "_id": "migrate", "holder": "another", "until": until, "length": 10 * MINUTE };
        leases
            .insert_one(lease)
            .await
            .expect("MongoDB stores the document");
        let running = watch(&lab, args);
        wait_until("the sync waits", || {
            let stderr = running.stderr().concat();
            stderr.contains("another process holds the lease of a migration")
        });
        running.signal("-TERM");
        let (code, _, stderr) = running.end_within(STOPPED);
        assert_eq!(code, Some(expected), "{args:?}: {stderr:#?}");
        // The sync released its own lease.
        let held = leases.count_documents(doc! { "_id": "sync" }).await;
        assert_eq!(held.ok(), Some(0), "{args:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_stops_within_five_seconds_while_it_waits_after_a_failed_pass() {
    let (lab, ..) = lab_with_runs(5).await;
    let mut running = watch(&lab, &["--every", "11s"]);
    let known = running.wait_for_pass(0, is_full);
    lab.proxy
        .on(|_| Answer::refuse(400, "INVALID_PARAMETER_VALUE", "down"));
    running.wait_for_pass(known, |pass| pass["error"].is_string());
    running.signal("-TERM");
    let (code, _, stderr) = running.end_within(STOPPED);
    assert_eq!(code, Some(0), "{stderr:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_line_of_a_json_log_is_an_object_and_every_pass_has_a_line() {
    let (lab, ..) = lab_with_runs(5).await;
    let address = format!("127.0.0.1:{}", free_port());
    let args = [
        "--every",
        "1s",
        "--full-every",
        "3s",
        "--metrics-listen",
        &address,
    ];
    let mut running = watch(&lab, &args);
    let known = running.wait_for_pass(0, is_full);
    let known = running.wait_for_pass(known, |pass| pass["kind"] == "quick");
    running.wait_for_pass(known, is_full);
    // A pass may end between the two counts, but not each time.
    wait_until("a line for each pass", || {
        let counted = metrics(&address);
        let of = |kind: &str| counted[&format!("runlineage_passes_total{{kind=\"{kind}\"}}")];
        running.passes().len() as f64 == of("full") + of("quick")
    });
    running.signal("-TERM");
    let (code, stdout, stderr) = running.end_within(STOPPED);
    assert_eq!((code, stdout), (Some(0), vec![]), "{stderr:#?}");
    assert!(stderr.len() >= 3, "{stderr:#?}");
    let last = stderr.last().map(String::as_str).unwrap_or_default();
    assert!(last.contains(r#""message":"Stopped. "#), "{last}");
    let (mut passes, mut full_passes) = (0, 0);
    for line in &stderr {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
        assert!(line.is_object() && line["timestamp"].is_string(), "{line}");
        let fields = &line["fields"];
        if fields["kind"].is_null() {
            continue;
        }
        passes += 1;
        assert!(fields["seconds"].is_f64(), "{fields}");
        let counts = [
            "seen",
            "written",
            "unchanged",
            "deleted",
            "quarantined",
            "problems",
        ];
        let counts = counts.map(|name| {
            fields[name]
                .as_u64()
                .unwrap_or_else(|| panic!("{name}: {fields}"))
        });
        let [seen, written, unchanged, deleted, quarantined, problems] = counts;
        assert_eq!(seen, written + unchanged + quarantined, "{fields}");
        assert_eq!((deleted, problems), (0, 0), "{fields}");
        full_passes += u32::from(is_full(fields));
        // On a busy machine, a quick pass may end before the first full pass.
        let expected = match (is_full(fields), full_passes) {
            (true, 1) => (5, 5),
            (true, _) => (5, 0),
            (false, _) => (0, 0),
        };
        assert_eq!((seen, written), expected, "{fields}");
    }
    assert!(passes >= 3, "{stderr:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn quick_passes_mirror_new_and_running_runs_and_full_passes_the_rest() {
    let (lab, exp, runs) = lab_with_runs(5).await;
    let mut sql = lab.sql();
    // Started long ago, and still running.
    let mut long = NewRun::new(run_id(), &exp, now() - 3 * 24 * 60 * MINUTE);
    long.status = "RUNNING";
    sql.insert(std::slice::from_ref(&long));

    let mut quick = watch(&lab, &["--every", "1s", "--full-every", "1h"]);
    let known = quick.wait_for_pass(0, is_full);
    assert_eq!(lab.differences().await, Vec::<String>::new());
    let created = rest::create_run(&lab.server.uri(), &exp, now());
    let known = quick.wait_for_pass(known, |pass| pass["written"] == 1);
    assert!(lab.mirrored().await.contains(&created));
    // Ended between two passes, but long ago by its own clock, so no search for new or running runs finds it.
    let ended = json!([now() - 2 * 24 * 60 * MINUTE, long.id]);
    let end = "UPDATE runs SET status = 'FINISHED', end_time = ? WHERE run_uuid = ?";
    sql.add(end, ended).write();
    let known = quick.wait_for_pass(known, |pass| pass["written"] == 1);
    assert_eq!(lab.differences().await, Vec::<String>::new());
    // Only a full pass sees an edited tag of a run that ended long ago.
    sql.set_tag(&runs[0].id, "edited", "late").write();
    let known = quick.wait_for_pass(known + 2, |_| true);
    assert_eq!(lab.differences().await.len(), 1, "{:#?}", quick.passes());
    let passes = quick.passes();
    // On a busy machine, a quick pass may end before the only full pass.
    let full_passes = passes.iter().filter(|pass| is_full(pass)).count();
    assert!(passes.len() >= known && full_passes == 1, "{passes:#?}");
    quick.signal("-TERM");
    assert_eq!(quick.end_within(STOPPED).0, Some(0));

    let mut full = watch(&lab, &["--every", "1s", "--full-every", "3s"]);
    let known = full.wait_for_pass(0, |pass| is_full(pass) && pass["written"] == 1);
    assert_eq!(lab.differences().await, Vec::<String>::new());
    sql.set_tag(&runs[1].id, "edited", "later").write();
    let known = full.wait_for_pass(known, |pass| pass["written"] == 1);
    let passes = full.passes();
    assert!(is_full(&passes[known - 1]), "{passes:#?}");
    assert_eq!(lab.differences().await, Vec::<String>::new());
    let kinds: Vec<_> = passes.iter().map(|pass| pass["kind"].clone()).collect();
    assert!(kinds.contains(&json!("quick")), "{kinds:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn quick_passes_go_on_during_a_long_full_pass_and_both_are_logged() {
    let (lab, exp, _) = lab_with_runs(5).await;
    let go = Arc::new(AtomicBool::new(false));
    let may_go = go.clone();
    lab.proxy.on(move |request| {
        // The first page of a full pass; the searches of quick passes have a filter.
        if request.call != "runs/search" || !request.body["filter"].is_null() {
            return Answer::Pass;
        }
        let may_go = may_go.clone();
        Answer::After(Box::new(move || {
            wait_until("the page may go", || may_go.load(Ordering::SeqCst));
        }))
    });
    let address = format!("127.0.0.1:{}", free_port());
    let args = ["--every", "1s", "--metrics-listen", &address];
    let mut running = watch(&lab, &args);
    let known = running.wait_for_pass(0, |pass| pass["kind"] == "quick");
    let created = rest::create_run(&lab.server.uri(), &exp, now());
    let known = running.wait_for_pass(known, |pass| pass["written"] == 1);
    assert!(lab.mirrored().await.contains(&created));
    let passes = running.passes();
    assert!(
        passes.iter().all(|pass| pass["kind"] == "quick"),
        "{passes:#?}"
    );
    let series = metrics(&address);
    let of = |kind: &str| series[&format!("runlineage_passes_total{{kind=\"{kind}\"}}")];
    assert!(of("quick") >= 2.0 && of("full") == 0.0, "{series:?}");
    assert_eq!(series["runlineage_runs_written_total"], 1.0, "{series:?}");
    go.store(true, Ordering::SeqCst);
    let known = running.wait_for_pass(known, |pass| is_full(pass) && pass["written"] == 5);
    assert_eq!(lab.differences().await, Vec::<String>::new());
    running.wait_for_pass(known, |pass| pass["kind"] == "quick");
    running.signal("-TERM");
    assert_eq!(running.end_within(STOPPED).0, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn settle_sets_how_long_quick_passes_read_an_ended_run() {
    let (lab, exp, _) = lab_with_runs(5).await;
    let mut sql = lab.sql();
    // These runs end a minute after their start.
    let ended = NewRun::new(run_id(), &exp, now() - 61 * MINUTE);
    sql.insert(std::slice::from_ref(&ended));
    for (settle, seen) in [("30m", 0), ("2h", 1)] {
        let args = ["--every", "1s", "--full-every", "1h", "--settle", settle];
        let mut running = watch(&lab, &args);
        let known = running.wait_for_pass(0, is_full);
        sql.set_tag(&ended.id, "edited", settle).write();
        // The pass after the next one began after the edit.
        running.wait_for_pass(known + 1, |_| true);
        let passes = running.passes();
        assert!(
            passes[known..].iter().all(|pass| pass["seen"] == seen),
            "{settle}: {passes:#?}"
        );
        assert_eq!(
            lab.differences().await.len(),
            usize::from(seen == 0),
            "{settle}"
        );
        running.signal("-TERM");
        assert_eq!(running.end_within(STOPPED).0, Some(0));
    }
}
