//! A mirror that is kept fresh, and compared with MLflow.

use std::time::Duration;

use runlineage::sync::{PassKind, Watch};
use serde_json::json;

use crate::support::lab::Lab;
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
        .map(|found| (found.kind, found.run.as_str()))
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

#[tokio::test]
async fn a_watch_mirrors_new_runs_by_quick_passes_and_stops_when_told() {
    let lab = Lab::new().await;
    let uri = lab.server.uri();
    let exp = lab.experiment("watched");
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("it is past 1970");
    let now = i64::try_from(now.as_millis()).expect("it is long before the end of time");
    rest::create_run(&uri, &exp, now);
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let mut stop = Some(stop);
    let mut passes = Vec::new();
    let watch = Watch::new(lab.sync(), Duration::from_millis(50));
    let ended = watch.run(
        async { stopped.await.unwrap_or_default() },
        |_| {},
        |pass| {
            let report = pass.result.expect("the servers are there");
            passes.push((pass.kind, report.seen, report.written));
            match passes.len() {
                1 => drop(rest::create_run(&uri, &exp, now + 1)),
                2 => drop(stop.take()),
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

#[tokio::test]
async fn deleted_runs_are_purged_by_the_date_they_left() {
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
