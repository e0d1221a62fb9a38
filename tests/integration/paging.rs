//! A scan misses no run that exists from start to end, and shows none twice, whatever changes between two pages.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use futures::TryStreamExt as _;
use serde_json::json;

use crate::support::lab::{Lab, run_id};
use crate::support::proxy::Answer;
use crate::support::rest;
use crate::support::scale::scaled;
use crate::support::sql::{NewRun, Sql};

/// Start times at the limits of what clocks, BSON and JSON can hold. They are few, so that groups exceed a page.
const TIMES: [i64; 12] = [
    -62_135_596_800_001,
    -86_400_000,
    -1,
    0,
    1,
    2_147_483_648,
    1_700_000_000_000,
    1_700_000_000_001,
    1_700_086_400_000,
    253_402_300_799_999,
    253_402_300_800_000,
    9_007_199_254_740_993,
];

#[tokio::test]
async fn no_run_is_missed_while_others_are_created_deleted_and_restored_between_pages() {
    for seed in 0..scaled(3, 24) {
        scan_under_change(seed).await;
    }
}

async fn scan_under_change(seed: u64) {
    let lab = Lab::new().await;
    let exp = lab.experiment("paging");
    let mut rng = fastrand::Rng::with_seed(seed);
    let new =
        |rng: &mut fastrand::Rng| NewRun::new(run_id(), &exp, TIMES[rng.usize(..TIMES.len())]);
    // The first runs stay; the others are deleted and restored at random.
    let stay: Vec<NewRun> = (0..60).map(|_| new(&mut rng)).collect();
    let come_and_go: Vec<NewRun> = (0..30).map(|_| new(&mut rng)).collect();
    let mut sql = lab.sql();
    sql.insert(&stay);
    sql.insert(&come_and_go);

    let changing = Arc::new(Mutex::new((sql, rng)));
    let ids: Vec<String> = come_and_go.iter().map(|run| run.id.clone()).collect();
    let change = {
        let (exp, changing) = (exp.clone(), changing.clone());
        move || {
            let (sql, rng) = &mut *changing.lock().unwrap();
            for _ in 0..rng.usize(1..6) {
                edit(sql, rng, &exp, &ids);
            }
        }
    };
    lab.proxy.on(move |request| {
        if request.call == "runs/search" {
            change();
        }
        Answer::Pass
    });

    // The library streams active runs only; a sync also tracks the deleted ones.
    let experiment = runlineage_experiment(&lab).await;
    let client = lab.builder().build().expect("the URI is valid");
    let shown: Vec<_> = client.runs(&experiment).try_concat().await.expect("a scan");
    assert_shown(
        seed,
        &stay,
        &shown
            .iter()
            .map(|run| run.id().to_owned())
            .collect::<Vec<_>>(),
    );

    let report = Lab::complete(lab.sync().run(|_| {}).await);
    let mirrored = lab.mirrored().await;
    let missed: Vec<_> = stay
        .iter()
        .filter(|run| !mirrored.contains(&run.id))
        .collect();
    assert!(missed.is_empty(), "seed {seed}: missed {missed:?}");
    assert!(report.seen >= stay.len() as u64);

    lab.proxy.pass();
    Lab::complete(lab.sync().run(|_| {}).await);
    assert_eq!(lab.differences().await, Vec::<String>::new(), "seed {seed}");
}

/// Makes one random change that MLflow's API offers too.
fn edit(sql: &mut Sql, rng: &mut fastrand::Rng, exp: &str, ids: &[String]) {
    let id = &ids[rng.usize(..ids.len())];
    match rng.u8(..3) {
        0 => {
            let at = TIMES[rng.usize(..TIMES.len())];
            sql.insert(&[NewRun::new(run_id(), exp, at)]);
        }
        1 => sql.set_stage(id, "deleted").write(),
        _ => sql.set_stage(id, "active").write(),
    }
}

async fn runlineage_experiment(lab: &Lab) -> runlineage::mlflow::ExperimentInfo {
    let client = lab.builder().build().expect("the URI is valid");
    let all: Vec<_> = client.experiments().try_concat().await.expect("a list");
    all.into_iter().next().expect("the lab has an experiment")
}

fn assert_shown(seed: u64, stay: &[NewRun], shown: &[String]) {
    let mut times: BTreeMap<&str, usize> = BTreeMap::new();
    for id in shown {
        *times.entry(id).or_default() += 1;
    }
    let twice: Vec<_> = times.iter().filter(|(_, count)| **count > 1).collect();
    assert!(twice.is_empty(), "seed {seed}: shown twice: {twice:?}");
    let missed: Vec<_> = stay
        .iter()
        .filter(|run| !times.contains_key(run.id.as_str()))
        .collect();
    assert!(missed.is_empty(), "seed {seed}: missed {missed:?}");
}

#[tokio::test]
async fn a_group_of_runs_with_one_start_time_that_exceeds_a_page_is_mirrored_whole() {
    let lab = Lab::new().await;
    let exp = lab.experiment("group");
    let mut sql = lab.sql();
    let groups = [(0, 1), (5, 40), (6, 7), (7, 8), (8, 1)];
    let runs: Vec<NewRun> = groups
        .iter()
        .flat_map(|(at, count)| (0..*count).map(|_| NewRun::new(run_id(), &exp, *at)))
        .collect();
    sql.insert(&runs);
    let expected: BTreeSet<String> = runs.iter().map(|run| run.id.clone()).collect();
    for page_size in [1, 2, 7, 8, 39, 40, 41, 1_000] {
        let report = lab.sync().page_size(page_size).run(|_| {}).await;
        assert_eq!(Lab::complete(report).seen, 57, "page size {page_size}");
        assert_eq!(lab.mirrored().await, expected, "page size {page_size}");
    }
}

#[tokio::test]
async fn runs_made_by_the_rest_api_with_clocks_a_day_apart_are_all_mirrored() {
    let lab = Lab::new().await;
    let exp = lab.experiment("clocks");
    let uri = lab.server.uri();
    let now = 1_790_000_000_000;
    for index in 0..10 {
        rest::create_run(&uri, &exp, now + index);
    }
    // During the scan, machines whose clocks are a day ahead and a day behind start runs.
    let created = Arc::new(Mutex::new(Vec::new()));
    let (exp_id, later) = (exp.clone(), created.clone());
    lab.proxy.on(move |request| {
        if request.call == "runs/search" {
            for clock in [-86_400_000, 86_400_000] {
                let id = rest::create_run(&uri, &exp_id, now + clock + request.number as i64);
                later.lock().unwrap().push(id);
            }
        }
        Answer::Pass
    });
    Lab::complete(lab.sync().page_size(4).run(|_| {}).await);
    assert!(!created.lock().unwrap().is_empty());
    lab.proxy.pass();
    Lab::complete(lab.sync().page_size(4).run(|_| {}).await);
    assert_eq!(lab.differences().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_server_that_ignores_the_filter_is_an_error_and_not_an_endless_scan() {
    let lab = Lab::new().await;
    let exp = lab.experiment("ignored filter");
    let mut sql = lab.sql();
    sql.insert(&crate::support::lab::plain_runs(&exp, 30));
    let first = rest::post(
        &lab.server.uri(),
        "runs/search",
        &json!({ "experiment_ids": [exp], "max_results": 7, "run_view_type": "ALL", "order_by": ["attributes.start_time ASC"] }),
    );
    lab.proxy.on(move |request| {
        if request.call == "runs/search" {
            return Answer::Say(200, Vec::new(), first.to_string().into_bytes());
        }
        Answer::Pass
    });
    let pass = lab.sync();
    let pass = pass.run(|_| {});
    let report = tokio::time::timeout(std::time::Duration::from_secs(120), pass).await;
    let report = report.expect("the scan ends").expect("the pass goes on");
    assert_eq!(report.incomplete.len(), 1, "{report:?}");
    assert!(
        report.incomplete[0].reason.contains("the server answered"),
        "{report:?}"
    );
}
