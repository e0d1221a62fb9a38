//! A run leaves the mirror only on MLflow's verdict on that run.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mongodb::bson::{Document, doc};
use runlineage::sync::{CancellationToken, SyncJob};
use serde_json::{Value, json};

use crate::support::lab::{Lab, plain_runs, run_id};
use crate::support::mlflow::{ADMIN, MlflowServer, Setup, Version};
use crate::support::proxy::{Answer, Request};
use crate::support::rest;
use crate::support::sql::{NewRun, Sql};
use crate::support::unique;

/// A mirrored lab of two experiments with 20 runs each.
pub(crate) async fn mirrored_lab() -> (Lab, [String; 2], BTreeSet<String>) {
    let lab = Lab::new().await;
    let exps = ["a", "b"].map(|name| lab.experiment(name));
    let mut sql = lab.sql();
    for exp in &exps {
        sql.insert(&plain_runs(exp, 20));
    }
    Lab::complete(lab.sync().run(|_| {}).await);
    let mirrored = lab.mirrored().await;
    assert_eq!(mirrored.len(), 40);
    (lab, exps, mirrored)
}

fn impatient(lab: &Lab) -> SyncJob {
    let client = lab.builder().retries(0).build().expect("the URI is valid");
    SyncJob::new(&client, &lab.store).page_size(7)
}

fn empty() -> Answer {
    Answer::text(200, "{}")
}

fn not_there() -> Answer {
    Answer::refuse(404, "RESOURCE_DOES_NOT_EXIST", "not found")
}

#[tokio::test]
async fn no_run_leaves_the_mirror_on_an_answer_that_proves_no_deletion() {
    type Fault = fn(&Request) -> Answer;
    let faults: [(&str, Fault); 10] = [
        ("200 with {} to every call", |_| empty()),
        ("200 with {} to every search", |request| {
            if request.call.ends_with("/search") {
                empty()
            } else {
                Answer::Pass
            }
        }),
        ("200 with {} to searches and gets of runs", |request| {
            if request.call.starts_with("runs/") {
                empty()
            } else {
                Answer::Pass
            }
        }),
        ("401", |_| Answer::text(401, "who are you")),
        ("403 on runs", |request| {
            if request.call.starts_with("runs/") {
                Answer::refuse(403, "PERMISSION_DENIED", "no")
            } else {
                Answer::Pass
            }
        }),
        (
            "an empty scan, and 403 on each run",
            |request| match request.call.as_str() {
                "runs/search" => empty(),
                "runs/get" => Answer::text(403, "Permission denied"),
                _ => Answer::Pass,
            },
        ),
        ("a scan that ends in the middle", |request| {
            if request.call == "runs/search" && !request.body["filter"].is_null() {
                return Answer::refuse(400, "BAD_REQUEST", "no more");
            }
            Answer::Pass
        }),
        (
            "a wrong workspace, which has no such experiments",
            |request| match request.call.as_str() {
                "experiments/search" | "runs/search" => empty(),
                _ => not_there(),
            },
        ),
        (
            "a wrong workspace, as seen after the experiments were listed",
            |request| match request.call.as_str() {
                "experiments/search" => Answer::Pass,
                "runs/search" => empty(),
                _ => not_there(),
            },
        ),
        (
            "another experiment of the same id",
            |request| match request.call.as_str() {
                "runs/search" => empty(),
                "runs/get" => not_there(),
                "experiments/get" => Answer::Change(Box::new(|mut answer| {
                    answer["experiment"]["creation_time"] = json!(5);
                    answer
                })),
                _ => Answer::Pass,
            },
        ),
    ];
    let (lab, _, mirrored) = mirrored_lab().await;
    for (what, fault) in faults {
        lab.proxy.on(fault);
        // Two passes: the checkpoints of the first must not mislead the second.
        for _ in 0..2 {
            let before = lab
                .store
                .freshness()
                .await
                .expect("the store answers")
                .full_pass;
            let result = impatient(&lab).run(|_| {}).await;
            assert_eq!(lab.mirrored().await, mirrored, "{what}");
            let whole = result.is_ok_and(|report| report.incomplete.is_empty());
            let after = lab
                .store
                .freshness()
                .await
                .expect("the store answers")
                .full_pass;
            // MLflow showed each run when it was asked about it, which decides all of them.
            if what != "200 with {} to every search" || !whole {
                assert!(!whole, "{what}: the pass claims to be complete");
                assert_eq!(before, after, "{what}: the mirror claims to be fresh");
            }
        }
    }
    lab.proxy.pass();
    Lab::complete(lab.sync().run(|_| {}).await);
    assert_eq!(lab.differences().await, Vec::<String>::new());
}

#[tokio::test]
async fn erased_runs_leave_the_mirror_on_the_verdict_of_mlflow_and_get_tombstones() {
    let (lab, _, mirrored) = mirrored_lab().await;
    let gone: Vec<&String> = mirrored.iter().step_by(7).collect();
    let mut sql = lab.sql();
    for id in &gone {
        sql.erase(id);
    }
    sql.write();
    let report = Lab::complete(lab.sync().run(|_| {}).await);
    assert_eq!(report.deleted, gone.len() as u64);
    assert_eq!(lab.differences().await, Vec::<String>::new());
    let kept = lab.test.database.collection::<Document>("deleted_runs");
    let kept = kept.count_documents(
        doc! { "_id": { "$in": gone.iter().map(|id| id.as_str()).collect::<Vec<_>>() } },
    );
    assert_eq!(kept.await.expect("a count"), gone.len() as u64);
}

#[tokio::test]
async fn deleted_runs_and_experiments_leave_the_mirror_and_return_when_mlflow_restores_them() {
    let (lab, [first, _], mirrored) = mirrored_lab().await;
    let uri = lab.server.uri();
    let run = mirrored.first().expect("there are runs");
    rest::post(&uri, "runs/delete", &json!({ "run_id": run }));
    assert_eq!(Lab::complete(lab.sync().run(|_| {}).await).deleted, 1);
    assert_eq!(lab.differences().await, Vec::<String>::new());

    rest::post(
        &uri,
        "experiments/delete",
        &json!({ "experiment_id": first }),
    );
    Lab::complete(lab.sync().run(|_| {}).await);
    assert_eq!(lab.differences().await, Vec::<String>::new());
    assert!(lab.mirrored().await.len() <= 20);

    rest::post(
        &uri,
        "experiments/restore",
        &json!({ "experiment_id": first }),
    );
    rest::post(
        &uri,
        "experiments/update",
        &json!({ "experiment_id": first, "new_name": lab.name("renamed") }),
    );
    Lab::complete(lab.sync().run(|_| {}).await);
    assert_eq!(lab.differences().await, Vec::<String>::new());
}

#[tokio::test]
async fn an_erased_experiment_keeps_its_mirrored_runs_and_is_reported() {
    let (lab, [first, _], mirrored) = mirrored_lab().await;
    let mut sql = lab.sql();
    for run in lab
        .truth()
        .runs
        .iter()
        .filter(|run| run["info"]["experiment_id"] == *first)
    {
        sql.erase(run["info"]["run_id"].as_str().expect("an id"));
    }
    sql.add(
        "DELETE FROM experiment_tags WHERE experiment_id = ?",
        json!([first]),
    );
    sql.add(
        "DELETE FROM experiments WHERE experiment_id = ?",
        json!([first]),
    )
    .write();
    let report = lab.sync().run(|_| {}).await.expect("the pass goes on");
    assert_eq!(report.incomplete.len(), 1, "{report:?}");
    assert_eq!(report.incomplete[0].experiment, first);
    assert_eq!(lab.mirrored().await, mirrored);
}

#[tokio::test]
async fn more_than_a_hundred_runs_leave_in_one_pass_only_when_allowed() {
    let lab = Lab::new().await;
    let exp = lab.experiment("many");
    let runs = plain_runs(&exp, 150);
    let mut sql = lab.sql();
    sql.insert(&runs);
    Lab::complete(lab.sync().page_size(50).run(|_| {}).await);
    for run in &runs[..101] {
        sql.erase(&run.id);
    }
    sql.write();
    for _ in 0..2 {
        let report = lab.sync().run(|_| {}).await.expect("the pass goes on");
        assert!(
            report.incomplete[0].reason.contains("--allow-mass-delete"),
            "{report:?}"
        );
        assert_eq!((report.deleted, lab.mirrored().await.len()), (0, 150));
    }
    // With one run restored, a hundred are missing, which is within the limit.
    sql.insert(&runs[..1]);
    let report = Lab::complete(lab.sync().run(|_| {}).await);
    assert_eq!((report.deleted, lab.mirrored().await.len()), (100, 50));
    for run in &runs[1..] {
        sql.erase(&run.id);
    }
    sql.write();
    let more = plain_runs(&exp, 150);
    sql.insert(&more);
    Lab::complete(lab.sync().page_size(100).run(|_| {}).await);
    for run in &more[..105] {
        sql.erase(&run.id);
    }
    sql.write();
    let report = Lab::complete(
        lab.sync()
            .page_size(100)
            .allow_mass_delete(true)
            .run(|_| {})
            .await,
    );
    assert_eq!(report.deleted, 105);
    assert_eq!(lab.differences().await, Vec::<String>::new());
}

fn authorization((name, password): (&str, &str)) -> String {
    format!(
        "Authorization: Basic {}\r\n",
        STANDARD.encode(format!("{name}:{password}"))
    )
}

/// One real server with basic authentication serves both parts of the test.
#[tokio::test]
async fn an_unreadable_experiment_and_another_server_remove_no_run() {
    let guarded = MlflowServer::start(Setup {
        basic_auth: true,
        ..Setup::default()
    });
    an_experiment_that_became_unreadable(&guarded).await;
    a_wrong_server(&guarded).await;
}

async fn an_experiment_that_became_unreadable(guarded: &MlflowServer) {
    let admin = authorization(ADMIN);
    let ask = |method: &str, call: &str, body| {
        let (status, answer) = rest::ask(&guarded.uri(), method, call, &body, &admin);
        assert_eq!(status, 200, "{call}: {answer}");
        answer
    };
    let reader = ("reader", "reads-only-1234");
    ask(
        "POST",
        "users/create",
        json!({ "username": reader.0, "password": reader.1 }),
    );
    let exps = ["open", "closed"].map(|name| {
        let answer = ask(
            "POST",
            "experiments/create",
            json!({ "name": unique(name) }),
        );
        let id = answer["experiment_id"].as_str().expect("an id").to_owned();
        permit(guarded, ask, reader.0, &id, true);
        id
    });
    let mut sql = Sql::open(guarded);
    for exp in &exps {
        sql.insert(&plain_runs(exp, 10));
    }
    let lab = Lab::new().await;
    lab.proxy.list_only("");
    lab.proxy.point_at(&guarded.uri());
    let client = lab
        .builder()
        .basic_auth(reader.0, reader.1)
        .retries(1)
        .build()
        .expect("the URI is valid");
    let sync = SyncJob::new(&client, &lab.store).page_size(7);
    Lab::complete(sync.run(|_| {}).await);
    let mirrored = lab.mirrored().await;
    assert_eq!(mirrored.len(), 20);

    permit(guarded, ask, reader.0, &exps[1], false);
    for _ in 0..2 {
        let report = sync.run(|_| {}).await.expect("the pass goes on");
        assert_eq!(lab.mirrored().await, mirrored);
        assert!(
            report
                .incomplete
                .iter()
                .any(|what| what.experiment == exps[1]),
            "{report:?}"
        );
    }
}

/// Allows or forbids a user to read an experiment.
fn permit(
    server: &MlflowServer,
    ask: impl Fn(&str, &str, Value) -> Value,
    user: &str,
    exp: &str,
    may_read: bool,
) {
    if server.version() == Version::V3 {
        let call = if may_read { "grant" } else { "revoke" };
        let call = format!("/api/3.0/mlflow/users/permissions/{call}");
        ask(
            "POST",
            &call,
            json!({ "username": user, "resource_type": "experiment", "resource_id": exp, "permission": "READ" }),
        );
        return;
    }
    let body = json!({ "experiment_id": exp, "username": user, "permission": "READ" });
    if may_read {
        ask("POST", "experiments/permissions/create", body);
    } else {
        ask("DELETE", "experiments/permissions/delete", body);
    }
}

async fn a_wrong_server(wrong: &MlflowServer) {
    let (lab, [first, second], mirrored) = mirrored_lab().await;
    // On that server, the same ids belong to other experiments, with more than a page of runs.
    let mut sql = Sql::open(wrong);
    for id in [&first, &second] {
        sql.add(
            "INSERT OR REPLACE INTO experiments (experiment_id, name, artifact_location, lifecycle_stage, creation_time, last_update_time) VALUES (?, ?, 's3://elsewhere', 'active', 5, 5)",
            json!([id.parse::<i64>().expect("a number"), lab.name(&format!("elsewhere {id}"))]),
        );
    }
    sql.write();
    let there: Vec<NewRun> = (0..20)
        .map(|index| NewRun::new(run_id(), &first, index))
        .collect();
    sql.insert(&there);
    lab.proxy.point_at(&wrong.uri());
    let client = lab
        .builder()
        .basic_auth(ADMIN.0, ADMIN.1)
        .retries(1)
        .build()
        .expect("the URI is valid");
    let sync = SyncJob::new(&client, &lab.store).page_size(7);
    // The checkpoints of a pass over the other server must not mislead the next pass.
    for _ in 0..3 {
        let report = sync.run(|_| {}).await.expect("the pass goes on");
        assert!(!report.incomplete.is_empty(), "{report:?}");
        let left: Vec<_> = mirrored
            .difference(&lab.mirrored().await)
            .cloned()
            .collect();
        assert!(
            left.is_empty(),
            "the wrong server took {} runs away",
            left.len()
        );
    }
    lab.proxy.point_at(&lab.server.uri());
    Lab::complete(sync.run(|_| {}).await);
    assert_eq!(lab.differences().await, Vec::<String>::new());
}

/// Erases an experiment and its runs from MLflow, as `mlflow gc` does.
pub(crate) fn erase_experiment(lab: &Lab, exp: &str) {
    let mut sql = lab.sql();
    for run in lab.truth().runs {
        if run["info"]["experiment_id"] == *exp {
            sql.erase(run["info"]["run_id"].as_str().expect("an id"));
        }
    }
    for table in ["experiment_tags", "experiments"] {
        let delete = format!("DELETE FROM {table} WHERE experiment_id = ?");
        sql.add(&delete, json!([exp]));
    }
    sql.write();
}

/// A lab whose runs no full pass has seen: `register` mirrored one of them, a quick pass the others.
async fn lab_without_a_full_pass() -> (Lab, [String; 2], Vec<NewRun>) {
    let lab = Lab::new().await;
    let exps = ["quick", "registered"].map(|name| lab.experiment(name));
    let mut runs = plain_runs(&exps[0], 5);
    for run in &mut runs {
        run.status = "RUNNING";
    }
    runs.extend(plain_runs(&exps[1], 1));
    lab.sql().insert(&runs);
    let client = lab.builder().build().expect("the URI is valid");
    let run = client
        .run(&runs[5].id.parse().expect("a run id"))
        .await
        .expect("it is there");
    let registration = runlineage::lineage::of(&run).expect("it has tags");
    let registration = registration.with_input_model("m", "1");
    let registered = registration.register(&client, &lab.store).await;
    registered.expect("MLflow takes it");
    let day = std::time::Duration::from_secs(86_400);
    let pass = lab.sync();
    let pass = pass.run_quick(day, &CancellationToken::new(), |_| {}).await;
    pass.expect("a quick pass");
    assert_eq!(lab.mirrored().await.len(), 6);
    (lab, exps, runs)
}

#[tokio::test]
async fn an_experiment_that_no_full_pass_has_seen_is_reported_when_it_is_erased() {
    let (lab, exps, _) = lab_without_a_full_pass().await;
    for exp in &exps {
        erase_experiment(&lab, exp);
    }
    lab.experiment("another");
    let report = lab.sync().run(|_| {}).await.expect("the pass goes on");
    let missed: BTreeSet<_> = report
        .incomplete
        .iter()
        .map(|what| what.experiment.clone())
        .collect();
    assert_eq!(missed, BTreeSet::from(exps.clone()), "{report:?}");
    for exp in &exps {
        let forgotten = lab.sync().forget_experiment(exp).await;
        assert!(forgotten.expect("it is gone") > 0);
    }
    Lab::complete(lab.sync().run(|_| {}).await);
    assert!(lab.mirrored().await.is_empty());
}

#[tokio::test]
async fn erased_runs_that_no_full_pass_has_seen_leave_on_the_verdict_of_mlflow() {
    let (lab, _, runs) = lab_without_a_full_pass().await;
    let mut sql = lab.sql();
    for run in [&runs[2], &runs[5]] {
        sql.erase(&run.id);
    }
    sql.write();
    let report = Lab::complete(lab.sync().run(|_| {}).await);
    assert_eq!(report.deleted, 2);
    assert_eq!(lab.differences().await, Vec::<String>::new());
}

#[tokio::test]
async fn an_experiment_of_unknown_creation_time_can_be_forgotten_and_mirrored_again() {
    let lab = Lab::new().await;
    let exp = lab.experiment("old");
    let runs = plain_runs(&exp, 10);
    let mut sql = lab.sql();
    sql.insert(&runs);
    lab.proxy.on(|request| match request.call.as_str() {
        "experiments/search" => Answer::Change(Box::new(|mut page| {
            for experiment in page["experiments"].as_array_mut().expect("a list") {
                experiment
                    .as_object_mut()
                    .expect("an object")
                    .remove("creation_time");
            }
            page
        })),
        "experiments/get" => Answer::Change(Box::new(|mut answer| {
            let experiment = answer["experiment"].as_object_mut();
            experiment.expect("an object").remove("creation_time");
            answer
        })),
        _ => Answer::Pass,
    });
    Lab::complete(lab.sync().run(|_| {}).await);
    sql.erase(&runs[0].id).write();
    let report = lab.sync().run(|_| {}).await.expect("the pass goes on");
    let said = format!("--forget-experiment {exp}");
    assert!(report.incomplete[0].reason.contains(&said), "{report:?}");
    assert_eq!(lab.mirrored().await.len(), 10);
    let forgotten = lab.sync().forget_experiment(&exp).await;
    assert_eq!(forgotten.expect("it may be another"), 10);
    Lab::complete(lab.sync().run(|_| {}).await);
    assert_eq!(lab.differences().await, Vec::<String>::new());
    assert_eq!(lab.mirrored().await.len(), 9);
}

/// How many requests for a single run MLflow got since the last call.
fn asked(lab: &Lab) -> usize {
    let requests = lab.proxy.take_requests();
    requests
        .iter()
        .filter(|request| request.call == "runs/get")
        .count()
}

#[tokio::test]
async fn the_number_of_requests_for_single_missing_runs_is_bounded() {
    let lab = Lab::new().await;
    let exp = lab.experiment("many");
    let other = lab.experiment("other");
    let runs = plain_runs(&exp, 150);
    let mut sql = lab.sql();
    sql.insert(&runs);
    sql.insert(&plain_runs(&other, 10));
    Lab::complete(lab.sync().page_size(50).run(|_| {}).await);
    let at = exp.clone();
    type Refusal = fn() -> Answer;
    let refusals: [(Refusal, usize); 3] = [
        (|| Answer::text(403, "Permission denied"), 20),
        // One request and its retry.
        (|| Answer::text(503, "down"), 2),
        (empty, 2),
    ];
    for (refusal, times) in refusals {
        let at = at.clone();
        lab.proxy.on(move |request| match request.call.as_str() {
            "runs/search" if request.experiment() == at => empty(),
            "runs/get" => refusal(),
            _ => Answer::Pass,
        });
        lab.proxy.take_requests();
        let client = lab.builder().retries(1).build().expect("the URI is valid");
        let report = SyncJob::new(&client, &lab.store).run(|_| {}).await;
        let report = report.expect("the pass goes on");
        assert_eq!(asked(&lab), times, "{report:?}");
        let reason = &report.incomplete[0].reason;
        assert!(
            reason.contains("did not list 150 mirrored runs"),
            "{report:?}"
        );
        assert!(reason.contains("MLflow was not asked"), "{report:?}");
        assert_eq!(report.seen, 10, "{report:?}");
    }
    // All of them are deleted upstream, which is over the limit.
    lab.proxy.pass();
    for run in &runs {
        sql.erase(&run.id);
    }
    sql.write();
    lab.proxy.take_requests();
    let report = lab.sync().run(|_| {}).await.expect("the pass goes on");
    assert_eq!(asked(&lab), 101, "{report:?}");
    assert!(
        report
            .incomplete
            .iter()
            .all(|what| what.reason.contains("--allow-mass-delete")),
        "{report:?}"
    );
    assert_eq!((report.deleted, lab.mirrored().await.len()), (0, 160));
    let report = lab.sync().allow_mass_delete(true).run(|_| {}).await;
    assert_eq!(Lab::complete(report).deleted, 150);
}

#[tokio::test]
async fn a_pass_over_some_experiments_expects_their_runs_only() {
    let (lab, [first, second], _) = mirrored_lab().await;
    for sync in [
        lab.sync().only([first.clone()]),
        lab.sync().except([second]),
    ] {
        let expected = std::sync::Mutex::new(BTreeSet::new());
        let note = |progress: runlineage::sync::Progress| {
            expected.lock().unwrap().insert(progress.expected);
        };
        Lab::complete(sync.run(note).await);
        assert_eq!(expected.into_inner().unwrap(), BTreeSet::from([20]));
    }
}
