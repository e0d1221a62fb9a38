//! Faults between this program and MLflow: transient ones are retried, permanent ones end at once, and a partial page is never
//! taken for a whole one.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use runlineage::sync::SyncJob;
use serde_json::{Value, json};

use crate::support::lab::{Lab, chain, plain_runs, run_id};
use crate::support::proxy::Answer;
use crate::support::scale::scaled;
use crate::support::sql::NewRun;

const FAULTS: usize = 10;
/// The fault that a timeout ends.
const SILENCE: usize = 4;
/// A timeout for that fault. Every other answer has to come within it too, on a loaded machine.
const IMPATIENT: Duration = Duration::from_secs(6);

/// The transient faults.
fn fault(kind: usize) -> Answer {
    match kind {
        0 => Answer::Say(
            429,
            vec![("Retry-After", "1".into())],
            b"slow down".to_vec(),
        ),
        1 => Answer::text(503, "down for a moment"),
        2 => Answer::refuse(500, "INTERNAL_ERROR", "the database is locked"),
        3 => Answer::text(502, "<html>bad gateway</html>"),
        SILENCE => Answer::Silence(IMPATIENT + Duration::from_secs(1)),
        5 => Answer::Reset(0.0),
        6 => Answer::Reset(0.7),
        7 => Answer::CutOff(0.7),
        8 => Answer::text(200, "<!doctype html><title>Log in</title>"),
        _ => Answer::text(408, ""),
    }
}

async fn lab_with_runs(count: usize) -> (Lab, String) {
    let lab = Lab::new().await;
    let exp = lab.experiment("faults");
    lab.sql().insert(&plain_runs(&exp, count));
    (lab, exp)
}

/// A sync that gives up after so many retries.
fn sync(lab: &Lab, retries: usize) -> SyncJob {
    sync_through(lab, retries, FAULTS)
}

/// Like `sync`; of all faults, only silence needs a timeout that ends soon.
fn sync_through(lab: &Lab, retries: usize, fault: usize) -> SyncJob {
    let mut client = lab.builder().retries(retries);
    if fault == SILENCE {
        client = client.timeout(IMPATIENT);
    }
    SyncJob::new(&client.build().expect("the URI is valid"), &lab.store).page_size(7)
}

#[tokio::test]
async fn a_transient_fault_is_retried_and_the_mirror_is_complete() {
    for kind in 0..FAULTS {
        let (lab, _) = lab_with_runs(20).await;
        let faults = AtomicUsize::new(0);
        lab.proxy.on(move |request| {
            let second_page = request.call == "runs/search" && !request.body["filter"].is_null();
            if second_page && faults.fetch_add(1, Ordering::SeqCst) < 2 {
                return fault(kind);
            }
            Answer::Pass
        });
        let start = Instant::now();
        let report = Lab::complete(sync_through(&lab, 6, kind).run(|_| {}).await);
        assert_eq!((report.seen, report.written), (20, 20), "fault {kind}");
        assert_eq!(
            lab.differences().await,
            Vec::<String>::new(),
            "fault {kind}"
        );
        if kind == 0 {
            assert!(
                start.elapsed() >= Duration::from_secs(2),
                "it asked to be left alone for 1 s, twice"
            );
        }
    }
}

#[tokio::test]
async fn a_lasting_fault_ends_after_the_retries_with_a_clear_error_and_no_partial_page() {
    for kind in 0..FAULTS {
        let (lab, _) = lab_with_runs(20).await;
        lab.proxy.on(move |request| {
            if request.call == "runs/search" && !request.body["filter"].is_null() {
                return fault(kind);
            }
            Answer::Pass
        });
        let result = sync_through(&lab, 2, kind).run(|_| {}).await;
        let said = match result {
            Ok(report) => {
                assert_eq!(report.incomplete.len(), 1, "fault {kind}: {report:?}");
                report.incomplete[0].reason.clone()
            }
            Err(error) => chain(&error),
        };
        assert!(
            said.contains("runs/search") && said.contains(&lab.proxy.uri()),
            "fault {kind}: {said}"
        );
        let asked = lab.proxy.take_requests();
        let asked = asked
            .iter()
            .filter(|request| request.call == "runs/search" && !request.body["filter"].is_null())
            .count();
        assert_eq!(asked, 3, "fault {kind}: once and two retries");
        let mirrored = lab.mirrored().await.len();
        assert!(
            mirrored == 7 || mirrored == 0,
            "fault {kind}: {mirrored} of a page of 7"
        );
        let freshness = lab.store.freshness().await.expect("the store answers");
        assert_eq!(
            freshness.full_pass, None,
            "fault {kind}: nothing was complete"
        );
    }
}

#[tokio::test]
async fn a_permanent_error_fails_at_once_with_the_message_of_mlflow() {
    type Refusal = (fn() -> Answer, &'static str);
    let refusals: [Refusal; 6] = [
        (
            || Answer::refuse(400, "INVALID_PARAMETER_VALUE", "no such order"),
            "no such order",
        ),
        (
            || Answer::refuse(403, "PERMISSION_DENIED", "not for you"),
            "not for you",
        ),
        (|| Answer::text(403, "Permission denied"), "403"),
        (
            || Answer::text(401, "You are not authenticated"),
            "MLFLOW_TRACKING_USERNAME",
        ),
        (
            || Answer::refuse(500, "FEATURE_DISABLED", "ask the administrator"),
            "ask the administrator",
        ),
        (
            || Answer::text(404, "<html>not here</html>"),
            "root of an MLflow tracking server",
        ),
    ];
    for (answer, words) in refusals {
        let (lab, _) = lab_with_runs(20).await;
        lab.proxy.on(move |request| {
            if request.call == "runs/search" {
                answer()
            } else {
                Answer::Pass
            }
        });
        match sync(&lab, 6).run(|_| {}).await {
            Ok(report) => {
                assert_eq!(report.incomplete.len(), 1, "{report:?}");
                assert!(report.incomplete[0].reason.contains(words), "{report:?}");
            }
            // MLflow refuses every request of an unknown user, so the pass ends.
            Err(error) => assert!(
                words == "MLFLOW_TRACKING_USERNAME" && chain(&error).contains(words),
                "{error}"
            ),
        }
        let asked = lab.proxy.take_requests();
        let asked = asked
            .iter()
            .filter(|request| request.call == "runs/search")
            .count();
        assert_eq!(asked, 1, "{words}: asked again for what does not pass");
        // The list of experiments is refused too, which ends the pass.
        lab.proxy.on(move |_| answer());
        let error = sync(&lab, 6)
            .run(|_| {})
            .await
            .expect_err("no experiments are known");
        assert!(chain(&error).contains(words), "{error}");
        assert_eq!(lab.proxy.take_requests().len(), 1, "{words}");
    }
}

#[tokio::test]
async fn an_experiment_that_mlflow_refuses_does_not_stop_the_others() {
    let (lab, refused) = lab_with_runs(20).await;
    let other = lab.experiment("other");
    lab.sql().insert(&plain_runs(&other, 20));
    let bad = refused.clone();
    lab.proxy.on(move |request| {
        if request.call == "runs/search" && request.experiment() == bad {
            return Answer::refuse(400, "INVALID_PARAMETER_VALUE", "broken");
        }
        Answer::Pass
    });
    let report = sync(&lab, 6).run(|_| {}).await.expect("the pass goes on");
    assert_eq!((report.seen, report.experiments), (20, 1), "{report:?}");
    assert_eq!(report.incomplete[0].experiment, refused);
    lab.proxy.pass();
    Lab::complete(lab.sync().run(|_| {}).await);
    assert_eq!(lab.differences().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_repeated_page_token_is_an_error() {
    let lab = Lab::new().await;
    let exp = lab.experiment("token");
    let runs: Vec<NewRun> = (0..40).map(|_| NewRun::new(run_id(), &exp, 5)).collect();
    lab.sql().insert(&runs);
    let kept: Arc<Mutex<Option<Value>>> = Arc::default();
    lab.proxy.on(move |request| {
        let is_group = request.body["filter"]
            .as_str()
            .is_some_and(|filter| filter.contains("= 5") && !filter.contains(">="));
        if !is_group {
            return Answer::Pass;
        }
        let kept = kept.clone();
        Answer::Change(Box::new(move |mut page| {
            let mut kept = kept.lock().unwrap();
            page["next_page_token"] = kept
                .get_or_insert_with(|| page["next_page_token"].clone())
                .clone();
            page
        }))
    });
    let report = sync(&lab, 1).run(|_| {}).await.expect("the pass goes on");
    assert!(
        report.incomplete[0]
            .reason
            .contains("the same page token twice"),
        "{report:?}"
    );
    lab.proxy.pass();
    Lab::complete(lab.sync().run(|_| {}).await);
    assert_eq!(lab.differences().await, Vec::<String>::new());
}

/// The requested size of each page of runs, in the order of the requests.
fn page_sizes(lab: &Lab) -> Vec<u64> {
    let requests = lab.proxy.take_requests();
    let pages = requests
        .iter()
        .filter(|request| request.call == "runs/search");
    pages
        .filter_map(|page| page.body["max_results"].as_u64())
        .collect()
}

#[tokio::test]
async fn a_page_over_64_mib_is_requested_again_with_half_the_runs() {
    let (lab, _) = lab_with_runs(20).await;
    lab.proxy.on(|request| {
        if request.call == "runs/search" && request.body["max_results"].as_u64() > Some(3) {
            return Answer::Change(Box::new(|mut page| {
                // The field that holds the profiles of datasets.
                page["runs"][0]["inputs"] = json!({ "dataset_inputs": "x".repeat(65 << 20) });
                page
            }));
        }
        Answer::Pass
    });
    let report = Lab::complete(lab.sync().page_size(20).run(|_| {}).await);
    assert_eq!(report.seen, 20);
    let sizes = page_sizes(&lab);
    assert_eq!(sizes[..4], [20, 10, 5, 2], "{sizes:?}");
    assert_eq!(lab.differences().await, Vec::<String>::new());
}

#[tokio::test]
async fn pages_grow_again_once_runs_are_smaller() {
    let (lab, _) = lab_with_runs(60).await;
    lab.proxy.on(|request| {
        let is_first = request.call == "runs/search" && request.body["filter"].is_null();
        if is_first && request.body["max_results"].as_u64() > Some(3) {
            return Answer::Change(Box::new(|mut page| {
                page["runs"][0]["inputs"] = json!({ "dataset_inputs": "x".repeat(65 << 20) });
                page
            }));
        }
        Answer::Pass
    });
    let report = Lab::complete(lab.sync().page_size(20).run(|_| {}).await);
    assert_eq!(report.seen, 60);
    let sizes = page_sizes(&lab);
    assert_eq!(sizes[..9], [20, 10, 5, 2, 4, 8, 16, 20, 20], "{sizes:?}");
    assert_eq!(lab.differences().await, Vec::<String>::new());
}

#[tokio::test]
async fn after_a_sync_through_random_faults_the_mirror_equals_mlflow() {
    for seed in 0..scaled(1, 10) {
        let lab = Lab::new().await;
        let mut sql = lab.sql();
        for name in ["a", "b", "c"] {
            sql.insert(&plain_runs(&lab.experiment(name), 40));
        }
        let rng = Mutex::new(fastrand::Rng::with_seed(seed));
        lab.proxy.on(move |_| {
            let mut rng = rng.lock().unwrap();
            if rng.f64() < 0.25 {
                fault(rng.usize(..FAULTS))
            } else {
                Answer::Pass
            }
        });
        let report = Lab::complete(sync_through(&lab, 8, SILENCE).run(|_| {}).await);
        assert_eq!((report.seen, report.written), (120, 120), "seed {seed}");
        assert_eq!(lab.differences().await, Vec::<String>::new(), "seed {seed}");
    }
}

#[tokio::test]
async fn no_more_requests_than_the_concurrency_are_under_way() {
    let lab = Lab::new().await;
    let mut sql = lab.sql();
    for name in ["a", "b", "c", "d", "e"] {
        sql.insert(&plain_runs(&lab.experiment(name), 20));
    }
    lab.proxy.on(|_| {
        std::thread::sleep(Duration::from_millis(20));
        Answer::Pass
    });
    let client = lab
        .builder()
        .concurrency(2)
        .build()
        .expect("the URI is valid");
    Lab::complete(
        SyncJob::new(&client, &lab.store)
            .concurrency(4)
            .page_size(7)
            .run(|_| {})
            .await,
    );
    assert_eq!(lab.proxy.peak(), 2);
}

/// Three experiments of 20 runs each, scanned one after the other.
async fn three_experiments() -> (Lab, [String; 3]) {
    let lab = Lab::new().await;
    let exps = three_experiments_of(&lab);
    (lab, exps)
}

fn three_experiments_of(lab: &Lab) -> [String; 3] {
    let exps = ["a", "b", "c"].map(|name| lab.experiment(name));
    for exp in &exps {
        lab.sql().insert(&plain_runs(exp, 20));
    }
    exps
}

#[tokio::test]
async fn an_outage_in_the_middle_ends_the_pass_and_the_next_one_resumes_it() {
    for kind in [0, 1, 2, 5] {
        let (lab, _) = three_experiments().await;
        let asked = AtomicUsize::new(0);
        lab.proxy.on(move |_| {
            // The list of experiments, and pages of runs.
            if asked.fetch_add(1, Ordering::SeqCst) < 4 {
                return Answer::Pass;
            }
            fault(kind)
        });
        let job = sync(&lab, 1).registry(false).concurrency(1);
        let error = job.run(|_| {}).await;
        let error = error.expect_err("MLflow is out");
        assert!(
            chain(&error).contains("runs/search"),
            "fault {kind}: {error}"
        );
        let requests = lab.proxy.take_requests();
        assert_eq!(
            requests.len(),
            8,
            "fault {kind}: two requests, each with a retry"
        );
        lab.proxy.pass();
        let report = Lab::complete(lab.sync().run(|_| {}).await);
        assert!(report.resumed_from.is_some(), "fault {kind}");
        assert_eq!(
            lab.differences().await,
            Vec::<String>::new(),
            "fault {kind}"
        );
    }
}

#[tokio::test]
async fn an_experiment_that_mlflow_always_fails_for_does_not_stop_the_others() {
    let (lab, [_, bad, _]) = three_experiments().await;
    let at = bad.clone();
    lab.proxy.on(move |request| {
        if request.call == "runs/search" && request.experiment() == at {
            return Answer::text(504, "that takes too long");
        }
        Answer::Pass
    });
    let report = sync(&lab, 1).concurrency(1).run(|_| {}).await;
    let report = report.expect("the others are no trouble");
    assert_eq!(report.seen, 40, "{report:?}");
    assert_eq!(report.incomplete.len(), 1, "{report:?}");
    assert_eq!(report.incomplete[0].experiment, bad);
}

#[tokio::test]
async fn a_page_full_of_runs_without_a_start_time_makes_the_experiment_incomplete() {
    let lab = Lab::with_own_mlflow().await;
    let [_, undated, _] = three_experiments_of(&lab);
    let id: i64 = undated.parse().expect("a number");
    let without = "UPDATE runs SET start_time = NULL WHERE experiment_id = ?";
    lab.sql().add(without, json!([id])).write();
    let at = undated.clone();
    // First a fake answer with such runs, then the real server, which refuses to list them.
    lab.proxy.on(move |request| {
        if request.call != "runs/search" || request.experiment() != at {
            return Answer::Pass;
        }
        let run = |id: usize| json!({ "info": { "run_id": format!("{id:032x}"), "experiment_id": at, "lifecycle_stage": "active" } });
        let page = json!({ "runs": (0..7).map(run).collect::<Vec<_>>(), "next_page_token": "more" });
        Answer::text(200, &page.to_string())
    });
    for reason in ["no start time", "start_time"] {
        let report = sync(&lab, 1).run(|_| {}).await.expect("the pass goes on");
        assert_eq!(report.incomplete.len(), 1, "{report:?}");
        assert_eq!(report.incomplete[0].experiment, undated, "{report:?}");
        assert!(report.incomplete[0].reason.contains(reason), "{report:?}");
        let freshness = lab.store.freshness().await.expect("the store answers");
        assert_eq!((report.seen, freshness.full_pass), (40, None));
        lab.proxy.pass();
    }
}
