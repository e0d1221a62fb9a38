//! What `verify` lists of registered models, versions and logged models.

use mongodb::bson::{DateTime, Document, doc};
use runlineage::sync::Difference;
use serde_json::json;

use crate::support::lab::{Lab, chain, text};
use crate::support::mlflow::Version;
use crate::support::registry::{differences, mirrored, shown};
use crate::support::rest;

/// A mirrored lab with one model, its version and, in MLflow 3, a logged model; with the nodes that they are.
async fn mirrored_lab() -> (Lab, Vec<(&'static str, String, String)>) {
    let lab = Lab::new().await;
    let (uri, exp) = (lab.server.uri(), lab.experiment("a"));
    let name = lab.name("churn");
    rest::post(&uri, "registered-models/create", &json!({ "name": name }));
    rest::post(
        &uri,
        "model-versions/create",
        &json!({ "name": name, "source": "s3://bucket/m" }),
    );
    let mut things = vec![
        ("models", name.clone(), format!("model:{name}")),
        (
            "model_versions",
            format!("{name}:1"),
            format!("model:{name}:1"),
        ),
    ];
    if lab.server.version() == Version::V3 {
        let answer = rest::post(
            &uri,
            "logged-models",
            &json!({ "experiment_id": exp, "name": "m" }),
        );
        let id = text(&answer["model"]["info"]["model_id"]);
        things.push(("logged_models", id.clone(), format!("logged-model:{id}")));
    }
    Lab::complete(lab.sync().run(|_| {}).await);
    let prefix = lab.name("").trim().to_owned();
    let expected = shown(&uri, &prefix, &[exp]);
    assert_eq!(differences(&mirrored(&lab.store).await, &expected), [""; 0]);
    assert_eq!(expected.len(), things.len());
    (lab, things)
}

async fn listed(lab: &Lab) -> Vec<Difference> {
    let verified = lab.sync().verify(|_| {}).await;
    verified
        .unwrap_or_else(|error| panic!("{}", chain(&error)))
        .differences
}

#[tokio::test]
async fn any_change_of_one_document_makes_exactly_that_one_stale() {
    let (lab, things) = mirrored_lab().await;
    assert_eq!(listed(&lab).await, []);
    for (collection, id, node) in &things {
        let documents = lab.test.database.collection::<Document>(collection);
        let this = doc! { "_id": id };
        let whole = documents
            .find_one(this.clone())
            .await
            .expect("a find")
            .expect("it is mirrored");
        for tampering in [
            doc! { "$set": { "created": DateTime::from_millis(1) } },
            doc! { "$unset": { "updated": 1 } },
            doc! { "$set": { "tags": { "more": "x" } } },
            doc! { "$set": { "mirror.fingerprint": "0" } },
            doc! { "$set": { "another_field": 1 } },
        ] {
            let done = documents.update_one(this.clone(), tampering.clone()).await;
            assert_eq!(done.expect("it is taken").modified_count, 1, "{tampering}");
            let found = listed(&lab).await;
            let [difference] = &found[..] else {
                panic!("{tampering}: {found:?}")
            };
            assert_eq!(
                (&difference.subject(), difference.kind),
                (node, "stale"),
                "{tampering}"
            );
            let json = serde_json::to_value(difference).expect("it is JSON");
            assert_eq!(
                (&json["node"], &json["kind"]),
                (&json!(node), &json!("stale"))
            );
            documents
                .replace_one(this.clone(), &whole)
                .await
                .expect("it is taken");
        }
        // Names of before a rename and runs still to project are this mirror's own.
        let own = doc! { "$set": { "former_names": ["x"], "mirror.ticket": 1_i64 } };
        documents
            .update_one(this.clone(), own)
            .await
            .expect("it is taken");
        assert_eq!(listed(&lab).await, []);
    }
}

#[tokio::test]
async fn a_missing_a_deleted_and_an_extra_document_are_listed_as_such() {
    let (lab, things) = mirrored_lab().await;
    for (collection, id, node) in &things {
        let documents = lab.test.database.collection::<Document>(collection);
        let this = doc! { "_id": id };
        let whole = documents
            .find_one_and_delete(this.clone())
            .await
            .expect("a find")
            .expect("it is mirrored");
        let of = |found: Vec<Difference>| -> Vec<(String, &'static str)> {
            found
                .iter()
                .map(|difference| (difference.subject(), difference.kind))
                .collect()
        };
        assert_eq!(of(listed(&lab).await), [(node.clone(), "missing")]);

        let mut deleted = whole.clone();
        deleted.insert("deleted_at", DateTime::now());
        documents.insert_one(&deleted).await.expect("it is taken");
        assert_eq!(of(listed(&lab).await), [(node.clone(), "missing")]);
        documents
            .replace_one(this, &whole)
            .await
            .expect("it is taken");

        let mut extra = whole;
        let (other, other_id) = match *collection {
            "models" => ("model:nobody", "nobody"),
            "model_versions" => ("model:nobody:7", "nobody:7"),
            _ => ("logged-model:m-nobody", "m-nobody"),
        };
        extra.insert("_id", other_id);
        documents.insert_one(&extra).await.expect("it is taken");
        assert_eq!(of(listed(&lab).await), [(other.to_owned(), "extra")]);
        let unlisted = lab
            .sync()
            .registry(false)
            .verify(|_| {})
            .await
            .expect("it compares");
        assert_eq!(unlisted.differences, []);
        documents
            .delete_one(doc! { "_id": other_id })
            .await
            .expect("it is taken");
    }
    assert_eq!(listed(&lab).await, []);
}
