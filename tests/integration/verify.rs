//! `verify` lists every run whose document differs from MLflow in any way, and no other run.

use mongodb::bson::{DateTime, Document, doc};
use runlineage::sync::{Difference, SyncJob};
use serde_json::json;

use crate::support::lab::{Lab, chain, plain_runs};
use crate::support::proxy::Answer;
use crate::support::sql::NewRun;

/// A mirrored lab. Its runs have a tag, a param, a metric and a lineage entry; the fifth run has a problem too.
async fn mirrored_lab() -> (Lab, Vec<NewRun>) {
    let lab = Lab::new().await;
    let mut runs = plain_runs(&lab.experiment("a"), 10);
    for run in &mut runs {
        run.tags.push(("team".into(), "1.10".into()));
    }
    runs[4]
        .tags
        .push(("lineage.inputs.models.bad".into(), "{".into()));
    lab.sql().insert(&runs);
    Lab::complete(lab.sync().run(|_| {}).await);
    (lab, runs)
}

async fn differences(lab: &Lab) -> Vec<Difference> {
    let verified = lab.sync().verify(|_| {}).await;
    verified
        .unwrap_or_else(|error| panic!("{}", chain(&error)))
        .differences
}

fn tamperings() -> Vec<(&'static str, Document)> {
    let set = |what, to: mongodb::bson::Bson| (what, doc! { "$set": { what: to } });
    vec![
        set("name", "another".into()),
        set("status", "FAILED".into()),
        set("exp.id", "4711".into()),
        set("exp.name", "another".into()),
        set("start_time", DateTime::from_millis(1).into()),
        set("end_time", DateTime::from_millis(1).into()),
        ("end_time", doc! { "$unset": { "end_time": 1 } }),
        set("user", "bob".into()),
        set("repo", "s3://elsewhere".into()),
        set("tags.team", 1.2.into()),
        set("tags.more", "x".into()),
        ("tags", doc! { "$unset": { "tags.team": 1 } }),
        ("tags", doc! { "$unset": { "tags": 1 } }),
        set("tags", "no document".into()),
        set("params.lr", 0.2.into()),
        (
            "the text of a param",
            doc! { "$unset": { "mirror.text.params": 1 } },
        ),
        set(
            "mirror.text.params",
            vec![doc! { "key": "lr", "value": "0.100" }].into(),
        ),
        set("metrics.auc", 0.25.into()),
        set("metrics.auc", "0.5".into()),
        set("metrics.more", 1.0.into()),
        set("inputs.models", Vec::<Document>::new().into()),
        set("inputs.models.0.version", "2".into()),
        set("inputs.models.0.name", "another".into()),
        set("inputs.models.0.from", "elsewhere".into()),
        (
            "an entry more",
            doc! { "$push": { "outputs.runs": { "id": "r", "from": "tag" } } },
        ),
        ("problems", doc! { "$unset": { "mirror.problems": 1 } }),
        set(
            "mirror.problems",
            vec![doc! { "key": "k", "reason": "r" }].into(),
        ),
        set("mirror.fingerprint", "0".into()),
        set("mirror.quarantined", true.into()),
        set("another_field", 1.into()),
    ]
}

#[tokio::test]
async fn any_change_of_one_document_makes_exactly_that_run_stale() {
    let (lab, runs) = mirrored_lab().await;
    assert_eq!(differences(&lab).await, []);
    let mirrored = lab.test.database.collection::<Document>("runs");
    let this = doc! { "_id": &runs[4].id };
    let whole = mirrored.find_one(this.clone()).await.expect("a find");
    let whole = whole.expect("it is mirrored");
    for (what, tampering) in tamperings() {
        let tamper = mirrored.update_one(this.clone(), tampering.clone());
        let done = tamper.bypass_document_validation(true).await;
        assert_eq!(done.expect("it is taken").modified_count, 1, "{tampering}");
        let found = differences(&lab).await;
        let found: Vec<_> = found
            .iter()
            .map(|difference| (difference.node.key(), difference.kind))
            .collect();
        assert_eq!(
            found,
            [(runs[4].id.as_str(), "stale")],
            "{what}: {tampering}"
        );
        let restored = mirrored.replace_one(this.clone(), &whole).await;
        assert_eq!(restored.expect("it is taken").modified_count, 1);
    }
    assert_eq!(differences(&lab).await, []);
}

#[tokio::test]
async fn a_missing_and_an_extra_run_are_listed_as_such() {
    let (lab, runs) = mirrored_lab().await;
    let mirrored = lab.test.database.collection::<Document>("runs");
    let missing = doc! { "_id": &runs[2].id };
    let mut document = mirrored
        .find_one_and_delete(missing)
        .await
        .expect("it is taken")
        .expect("it is mirrored");
    document.insert("_id", "nobody");
    mirrored.insert_one(document).await.expect("it is taken");
    let mut sql = lab.sql();
    sql.set_stage(&runs[3].id, "deleted")
        .erase(&runs[5].id)
        .write();
    let mut found: Vec<_> = differences(&lab)
        .await
        .into_iter()
        .map(|difference| (difference.subject(), difference.kind))
        .collect();
    found.sort();
    let mut expected = vec![
        (runs[2].id.clone(), "missing"),
        (runs[3].id.clone(), "extra"),
        (runs[5].id.clone(), "extra"),
        ("nobody".to_owned(), "extra"),
    ];
    expected.sort();
    assert_eq!(found, expected);
}

fn impatient(lab: &Lab) -> SyncJob {
    let client = lab.builder().retries(0).build().expect("the URI is valid");
    SyncJob::new(&client, &lab.store)
}

/// The differences with one run missing from the mirror, and this answer of MLflow to the second read of the run.
async fn second_read(lab: &Lab, answer: fn() -> Answer) -> runlineage::Result<Vec<Difference>> {
    lab.proxy.on(move |request| match request.call.as_str() {
        "runs/get" => answer(),
        _ => Answer::Pass,
    });
    let verified = impatient(lab).verify(|_| {}).await;
    verified.map(|verified| verified.differences)
}

#[tokio::test]
async fn only_the_answer_that_a_run_does_not_exist_clears_it_at_the_second_read() {
    let (lab, runs) = mirrored_lab().await;
    let mirrored = lab.test.database.collection::<Document>("runs");
    let id = runs[2].id.as_str();
    mirrored
        .delete_one(doc! { "_id": id })
        .await
        .expect("it is taken");

    let outages: [fn() -> Answer; 5] = [
        || Answer::refuse(500, "INTERNAL_ERROR", "the database is locked"),
        || Answer::refuse(503, "TEMPORARILY_UNAVAILABLE", "later"),
        || Answer::text(502, "<html>bad gateway</html>"),
        || Answer::text(429, "slow down"),
        || Answer::Reset(0.5),
    ];
    for outage in outages {
        let error = second_read(&lab, outage).await;
        let error = chain(&error.expect_err("nothing was compared"));
        assert!(error.contains("runs/get"), "{error}");
    }

    let refusals: [fn() -> Answer; 4] = [
        || Answer::refuse(403, "PERMISSION_DENIED", "not for you"),
        || Answer::refuse(400, "INVALID_PARAMETER_VALUE", "not for you"),
        || Answer::text(401, "not for you"),
        || Answer::text(200, "<html>log in</html>"),
    ];
    for refusal in refusals {
        let found = second_read(&lab, refusal).await.expect("it is compared");
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!((found[0].node.key(), found[0].kind), (id, "missing"));
        assert!(found[0].what.contains("runs/get"), "{found:?}");
    }

    let gone = || Answer::refuse(404, "RESOURCE_DOES_NOT_EXIST", "no such run");
    assert_eq!(second_read(&lab, gone).await.expect("it is compared"), []);
    // The same answer about its experiment says nothing about the run.
    lab.proxy.on(|request| match request.call.as_str() {
        "experiments/get" => Answer::refuse(404, "RESOURCE_DOES_NOT_EXIST", "none"),
        _ => Answer::Pass,
    });
    let found = impatient(&lab)
        .verify(|_| {})
        .await
        .expect("it is compared");
    assert_eq!(found.differences.len(), 1, "{found:?}");

    // A mirrored run that MLflow does not know stays listed.
    lab.proxy.pass();
    Lab::complete(lab.sync().run(|_| {}).await);
    lab.sql().erase(id).write();
    let found = second_read(&lab, gone).await.expect("it is compared");
    assert_eq!((found[0].node.key(), found[0].kind), (id, "extra"));
    assert_eq!(json!(found).as_array().map(Vec::len), Some(1));
}
