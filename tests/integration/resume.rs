//! An interrupted pass: the next one resumes it, and decides the runs that were undecided.

use std::time::Duration;

use mongodb::bson::{Document, doc};
use runlineage::sync::CancellationToken;
use serde_json::{Value, json};

use crate::support::lab::{Lab, plain_runs};
use crate::support::proxy::{Answer, Request};

#[tokio::test]
async fn runs_erased_in_mlflow_leave_the_mirror_even_if_the_pass_that_noticed_was_killed() {
    let lab = Lab::new().await;
    let exps = ["a", "b"].map(|name| lab.experiment(name));
    let mut sql = lab.sql();
    for exp in &exps {
        sql.insert(&plain_runs(exp, 10));
    }
    Lab::complete(lab.sync().run(|_| {}).await);
    let first = lab.truth().runs[0].clone();
    sql.erase(first["info"]["run_id"].as_str().expect("an id"))
        .write();
    // The process dies in one experiment after it has finished the other and recorded the erased run there.
    let erased_in = first["info"]["experiment_id"].clone();
    lab.proxy.on(move |request| {
        if request.call == "runs/search" && request.body["experiment_ids"][0] != erased_in {
            return Answer::Silence(Duration::from_secs(5));
        }
        Answer::Pass
    });
    let sync = lab.sync();
    let state = lab.test.database.collection::<Document>("sync_state");
    let noticed = async {
        while state
            .count_documents(doc! { "gone": { "$exists": true } })
            .await
            .ok()
            != Some(1)
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        ended = sync.run(|_| {}) => panic!("the pass was not given up in the middle: {ended:?}"),
        () = noticed => {}
    }
    let leases = lab.test.database.collection::<Document>("leases");
    leases.delete_many(doc! {}).await.expect("a delete");
    lab.proxy.pass();
    Lab::complete(lab.sync().run(|_| {}).await);
    assert_eq!(lab.differences().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_resumed_pass_removes_nothing_on_the_answers_of_another_server() {
    a_wrong_server(true).await;
}

#[tokio::test]
async fn a_resumed_pass_without_a_recorded_experiment_removes_nothing_on_the_answers_of_another_server()
 {
    a_wrong_server(false).await;
}

async fn a_wrong_server(is_recorded: bool) {
    let lab = Lab::new().await;
    let exp = lab.experiment("a");
    lab.sql().insert(&plain_runs(&exp, 20));
    Lab::complete(lab.sync().run(|_| {}).await);
    if !is_recorded {
        let state = lab.test.database.collection::<Document>("sync_state");
        let forgotten = state.delete_many(doc! { "_id": { "$regex": "^scan/" } });
        assert_eq!(forgotten.await.expect("a delete").deleted_count, 1);
    }
    let mirrored = lab.mirrored().await;
    // Another server has an experiment of this id with another creation time and other runs.
    let other = lab.experiment("other");
    lab.sql().insert(&plain_runs(&other, 20));
    lab.proxy.on(move |request| {
        let (exp, other) = (exp.clone(), other.clone());
        let uri = crate::support::mlflow::shared().uri();
        let swap = |value: &mut Value, from: &str, to: &str| {
            let text = value
                .to_string()
                .replace(&format!("\"{from}\""), &format!("\"{to}\""));
            *value = serde_json::from_str(&text).expect("still JSON");
        };
        match request.call.as_str() {
            "experiments/search" => Answer::Change(Box::new(move |mut page| {
                let all = page["experiments"].as_array_mut().expect("a list");
                all.retain(|shown| shown["experiment_id"] == *other);
                swap(&mut page, &other, &exp);
                page
            })),
            "runs/search" => {
                let mut body = request.body.clone();
                body["experiment_ids"] = json!([other]);
                let mut page = crate::support::rest::post(&uri, "runs/search", &body);
                swap(&mut page, &other, &exp);
                Answer::text(200, &page.to_string())
            }
            "runs/get" => Answer::refuse(404, "RESOURCE_DOES_NOT_EXIST", "not here"),
            _ => {
                let (_, mut answer) = crate::support::rest::ask(
                    &uri,
                    "GET",
                    &format!("experiments/get?experiment_id={other}"),
                    &Value::Null,
                    "",
                );
                swap(&mut answer, &other, &exp);
                Answer::text(200, &answer.to_string())
            }
        }
    });
    for _ in 0..3 {
        let report = lab.sync().run(|_| {}).await.expect("the pass goes on");
        assert!(!report.incomplete.is_empty(), "{report:?}");
        let left: Vec<_> = mirrored
            .difference(&lab.mirrored().await)
            .cloned()
            .collect();
        assert!(left.is_empty(), "{} runs left the mirror", left.len());
    }
}

/// Runs a pass until it asks for its third page of runs, and stops it there.
async fn give_up_at_the_third_page(
    lab: &Lab,
    fault: impl Fn(&Request) -> Answer + Send + std::marker::Sync + 'static,
) {
    let pages = std::sync::atomic::AtomicUsize::new(0);
    let (reached, third) = std::sync::mpsc::channel();
    lab.proxy.on(move |request| {
        if request.call != "runs/search" {
            return fault(request);
        }
        if pages.fetch_add(1, std::sync::atomic::Ordering::SeqCst) < 2 {
            return Answer::Pass;
        }
        let _ = reached.send(());
        Answer::Silence(Duration::from_secs(5))
    });
    give_up_once(lab, &third).await;
}

/// Stops a pass once the channel tells that it has asked for the third page.
async fn give_up_once(lab: &Lab, third: &std::sync::mpsc::Receiver<()>) {
    let sync = lab.sync();
    let stop = CancellationToken::new();
    let stopped = async {
        while third.try_recv().is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // By then, the pass has saved the pages before.
        tokio::time::sleep(Duration::from_secs(2)).await;
        stop.cancel();
    };
    let (report, ()) = tokio::join!(sync.run_until(&stop, |_| {}), stopped);
    let report = report.expect("no error");
    assert_eq!(report, None, "the pass was given up in the middle");
}

#[tokio::test]
async fn runs_erased_before_the_checkpoint_leave_the_mirror_when_the_pass_is_resumed() {
    let lab = Lab::new().await;
    let exp = lab.experiment("a");
    let runs = plain_runs(&exp, 30);
    let mut sql = lab.sql();
    sql.insert(&runs);
    let whole = Lab::complete(lab.sync().run(|_| {}).await);
    assert_eq!(whole.resumed_from, None);
    for run in [&runs[0], &runs[3], &runs[29]] {
        sql.erase(&run.id);
    }
    sql.write();
    let before = mongodb::bson::DateTime::now().timestamp_millis();
    give_up_at_the_third_page(&lab, |_| Answer::Pass).await;
    assert_eq!(lab.mirrored().await.len(), 30);
    let after = mongodb::bson::DateTime::now().timestamp_millis();
    lab.proxy.pass();
    lab.proxy.take_requests();
    let report = Lab::complete(lab.sync().run(|_| {}).await);
    let requests = lab.proxy.take_requests();
    let mut searches = requests
        .iter()
        .filter(|request| request.call == "runs/search");
    assert!(
        searches.all(|request| request.body["filter"].is_string()),
        "it began anew"
    );
    assert_eq!(report.deleted, 3);
    assert_eq!(lab.differences().await, Vec::<String>::new());
    let began = report
        .resumed_from
        .expect("it was taken up")
        .timestamp_millis();
    assert!((before..=after).contains(&began), "{began}");
    let json = serde_json::to_value(&report).expect("JSON");
    assert!(
        json["resumed_from"]
            .as_str()
            .is_some_and(|date| date.ends_with('Z')),
        "{json}"
    );
}

#[tokio::test]
async fn undecided_runs_are_still_undecided_when_the_pass_is_resumed() {
    let lab = Lab::new().await;
    let exp = lab.experiment("a");
    let runs = plain_runs(&exp, 30);
    let mut sql = lab.sql();
    sql.insert(&runs);
    Lab::complete(lab.sync().run(|_| {}).await);
    sql.erase(&runs[0].id).write();
    let refuse = |request: &Request| {
        if request.call == "runs/get" {
            return Answer::text(403, "Permission denied");
        }
        Answer::Pass
    };
    give_up_at_the_third_page(&lab, refuse).await;
    lab.proxy.on(refuse);
    let report = lab.sync().run(|_| {}).await.expect("the pass goes on");
    assert_eq!(report.incomplete.len(), 1, "{report:?}");
    assert!(
        report.incomplete[0].reason.contains(&runs[0].id),
        "{report:?}"
    );
    lab.proxy.pass();
    Lab::complete(lab.sync().run(|_| {}).await);
    assert_eq!(lab.differences().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_run_that_mlflow_shows_again_stays_even_if_a_killed_pass_recorded_it_as_deleted_upstream()
{
    // Runs are erased and restored in the experiment under way, and in one that was scanned to its end.
    let lab = Lab::new().await;
    let exp = lab.experiment("a");
    let done = lab.experiment("b");
    let (runs, others) = (plain_runs(&exp, 30), plain_runs(&done, 3));
    let mut sql = lab.sql();
    sql.insert(&runs);
    sql.insert(&others);
    Lab::complete(lab.sync().run(|_| {}).await);
    for run in [&runs[0], &runs[3], &others[0], &others[1]] {
        sql.erase(&run.id);
    }
    sql.write();
    let first = done.clone();
    let pages = std::sync::atomic::AtomicUsize::new(0);
    let (reached, third) = std::sync::mpsc::channel();
    lab.proxy.on(move |request| {
        if request.call != "runs/search" || request.experiment() == first {
            return Answer::Pass;
        }
        if pages.fetch_add(1, std::sync::atomic::Ordering::SeqCst) < 2 {
            return Answer::Pass;
        }
        let _ = reached.send(());
        Answer::Silence(Duration::from_secs(5))
    });
    give_up_once(&lab, &third).await;
    let state = lab.test.database.collection::<Document>("sync_state");
    let recorded = state.count_documents(doc! { "gone": { "$exists": true } });
    assert_eq!(recorded.await.ok(), Some(2), "both experiments have some");

    // MLflow is restored from a backup that lacks one run of each experiment.
    sql.insert(&[runs[0].clone(), others[0].clone()]);
    lab.proxy.pass();
    let report = Lab::complete(lab.sync().run(|_| {}).await);
    assert!(report.resumed_from.is_some(), "{report:?}");
    assert_eq!(report.deleted, 2);
    assert_eq!(lab.differences().await, Vec::<String>::new());
    assert!(lab.mirrored().await.contains(&runs[0].id));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_mlflow_shows_again_before_the_pass_ends_stays() {
    let lab = Lab::new().await;
    let exp = lab.experiment("a");
    let runs = plain_runs(&exp, 30);
    let mut sql = lab.sql();
    sql.insert(&runs);
    Lab::complete(lab.sync().run(|_| {}).await);
    sql.erase(&runs[0].id).erase(&runs[1].id).write();
    let sql = std::sync::Mutex::new(sql);
    let (back, asked) = (runs[0].clone(), std::sync::atomic::AtomicUsize::new(0));
    lab.proxy.on(move |request| {
        // By the third page, the missing runs of the first one are decided.
        let is_third = request.call == "runs/search"
            && asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 3;
        if is_third {
            sql.lock().unwrap().insert(std::slice::from_ref(&back));
        }
        Answer::Pass
    });
    let report = Lab::complete(lab.sync().run(|_| {}).await);
    assert_eq!(report.deleted, 1);
    assert!(lab.mirrored().await.contains(&runs[0].id));
    assert_eq!(lab.differences().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_run_recorded_as_deleted_upstream_stays_while_mlflow_does_not_answer() {
    let lab = Lab::new().await;
    let exp = lab.experiment("a");
    let runs = plain_runs(&exp, 30);
    let mut sql = lab.sql();
    sql.insert(&runs);
    Lab::complete(lab.sync().run(|_| {}).await);
    sql.erase(&runs[0].id).write();
    give_up_at_the_third_page(&lab, |_| Answer::Pass).await;
    lab.proxy.on(|request| {
        if request.call == "runs/get" {
            return Answer::text(403, "Permission denied");
        }
        Answer::Pass
    });
    let report = lab.sync().run(|_| {}).await.expect("the pass goes on");
    assert_eq!(report.deleted, 0, "{report:?}");
    assert_eq!(report.incomplete.len(), 1, "{report:?}");
    assert!(
        report.incomplete[0].reason.contains(&runs[0].id),
        "{report:?}"
    );
    assert_eq!(lab.mirrored().await.len(), 30);
    lab.proxy.pass();
    let report = Lab::complete(lab.sync().run(|_| {}).await);
    assert_eq!(report.deleted, 1);
}
