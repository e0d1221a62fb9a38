//! MLflow's model registry and logged models in the mirror, as a real workload leaves them.

use std::sync::atomic::{AtomicUsize, Ordering};

use mongodb::bson::{Document, doc};
use runlineage::MongoRunStore;
use runlineage::sync::SyncJob;
use serde_json::json;

use crate::support::lab::{Lab, text};
use crate::support::mlflow::Version;
use crate::support::mlopus::mlflow_python;
use crate::support::mongodb::TestDatabase;
use crate::support::proxy::Answer;
use crate::support::registry::{differences, mirrored, shown, stored};
use crate::support::rest;

const NOTHING: [&str; 0] = [];

/// Trains, registers, copies, renames and deletes as teams do; what it leaves behind depends on the version of MLflow.
const WORKLOAD: &str = r"
from sklearn.linear_model import LogisticRegression
import pandas as pd
exp = mlflow.set_experiment(experiment_id=input['exp'])
name = lambda one: input['prefix'] + ' ' + one
data = pd.DataFrame({'a': [0, 1, 0, 1], 'b': [1, 1, 0, 0], 'y': [0, 1, 0, 1]})
made = []
for c in (0.1, 1.0):
    with mlflow.start_run() as run:
        model = LogisticRegression(C=c).fit(data[['a', 'b']], data['y'])
        kwargs = {'name': 'model'} if mlflow.__version__.startswith('3') else {'artifact_path': 'model'}
        info = mlflow.sklearn.log_model(model, registered_model_name=name('churn'), **kwargs)
        made.append((run.info.run_id, getattr(info, 'model_id', None)))
client.update_registered_model(name('churn'), 'who leaves')
client.set_registered_model_tag(name('churn'), 'team', 'blue')
client.set_registered_model_alias(name('churn'), 'best', '2')
client.set_registered_model_alias(name('churn'), 'also', '1')
client.update_model_version(name('churn'), '1', 'the first')
client.set_model_version_tag(name('churn'), '1', 'checked', 'by ana')
client.transition_model_version_stage(name('churn'), '2', 'Production')
client.copy_model_version('models:/' + name('churn') + '/1', name('churn prod'))
client.create_registered_model(name('empty'))
client.create_registered_model(name('foreign'))
client.create_model_version(name('foreign'), 's3://bucket/model', run_id='no run of this server')
client.create_model_version(name('foreign'), 's3://bucket/other')
evaluating = None
if mlflow.__version__.startswith('3'):
    with mlflow.start_run() as run:
        evaluating = run.info.run_id
        predicted = data.assign(p=[0, 1, 1, 1])
        mlflow.models.evaluate(model_type='classifier', data=predicted, targets='y', predictions='p', model_id=made[0][1])
        dataset = mlflow.data.from_pandas(data, name='holdout', targets='y')
        mlflow.log_metric('auc', 0.5, model_id=made[1][1], dataset=dataset)
    client.set_logged_model_tags(made[0][1], {'stage': 'kept'})
    mlflow.initialize_logged_model(name='unfinished', params={'depth': 'seven'}, tags={'owner': 'ana'})
output = {'made': made, 'evaluating': evaluating}
";

#[tokio::test]
async fn what_a_team_registers_is_mirrored_document_by_document() {
    let lab = Lab::new().await;
    let exp = lab.experiment("a");
    let prefix = lab.name("");
    let prefix = prefix.trim();
    let done = mlflow_python(
        lab.server,
        json!({ "exp": exp, "prefix": prefix }),
        WORKLOAD,
    );
    let report = Lab::complete(lab.sync().run(|_| {}).await);

    let expected = shown(&lab.server.uri(), prefix, std::slice::from_ref(&exp));
    assert_eq!(differences(&mirrored(&lab.store).await, &expected), NOTHING);
    let counted = |collection: &str| {
        expected
            .keys()
            .filter(|(name, _)| *name == collection)
            .count() as u64
    };
    let registry = report.registry;
    assert_eq!((registry.models.seen, registry.models.written), (4, 4));
    assert_eq!(registry.versions.written, counted("model_versions"));
    assert_eq!(counted("model_versions"), 5);
    assert_eq!(registry.logged_models.written, counted("logged_models"));

    let version = |name: &str| {
        let id = ("model_versions", format!("{prefix} {name}"));
        expected.get(&id).cloned().expect("it is registered")
    };
    let first_run = text(&done["made"][0][0]);
    assert_eq!(version("churn:1").get_str("run").unwrap(), first_run);
    let copy = version("churn prod:1");
    assert_eq!(
        copy.get_str("copied_from").unwrap(),
        format!("{prefix} churn:1")
    );
    let production = version("churn:2");
    assert_eq!(production.get_str("stage").unwrap(), "Production");
    if lab.server.version() == Version::V3 {
        let first = text(&done["made"][0][1]);
        assert_eq!(version("churn:1").get_str("logged_model").unwrap(), first);
        assert_eq!(counted("logged_models"), 3);
        let evaluated = &expected[&("logged_models", text(&done["made"][1][1]))];
        let evaluations = evaluated.get_array("evaluations").unwrap();
        let [evaluation] = &evaluations[..] else {
            panic!("{evaluations:?}")
        };
        let evaluation = evaluation.as_document().unwrap();
        assert_eq!(
            evaluation.get_str("run").unwrap(),
            text(&done["evaluating"])
        );
        assert_eq!(evaluation.get_str("dataset").unwrap(), "holdout");
    }

    let before = everything(&lab).await;
    let again = Lab::complete(lab.sync().run(|_| {}).await).registry;
    let written = [
        again.models.written,
        again.versions.written,
        again.logged_models.written,
    ];
    assert_eq!(written, [0, 0, 0]);
    assert_eq!(
        everything(&lab).await,
        before,
        "an unchanged document is not written"
    );
}

#[tokio::test]
async fn the_registry_is_mirrored_whatever_experiments_are_chosen_and_left_out_only_when_asked() {
    let lab = Lab::new().await;
    let [first, second] = ["a", "b"].map(|name| lab.experiment(name));
    let prefix = lab.name("").trim().to_owned();
    let input = json!({ "exps": [first, second], "prefix": prefix });
    mlflow_python(
        lab.server,
        input,
        r"
client.create_registered_model(input['prefix'] + ' churn')
client.create_model_version(input['prefix'] + ' churn', 's3://bucket/model')
if mlflow.__version__.startswith('3'):
    for exp in input['exps']:
        client.create_logged_model(exp, 'm')
",
    );
    let nothing = Lab::complete(lab.sync().registry(false).run(|_| {}).await);
    assert_eq!(nothing.registry.models.seen, 0);
    assert_eq!(mirrored(&lab.store).await.len(), 0);

    Lab::complete(
        lab.sync()
            .except([lab.name("b").as_str()])
            .run(|_| {})
            .await,
    );
    let expected = shown(&lab.server.uri(), &prefix, &[first]);
    assert!(expected.len() >= 2);
    assert_eq!(differences(&mirrored(&lab.store).await, &expected), NOTHING);
}

async fn everything(lab: &Lab) -> Vec<Document> {
    let mut all = Vec::new();
    for collection in ["models", "model_versions", "logged_models", "runs"] {
        all.extend(stored(&lab.store, collection).await);
    }
    all
}

#[tokio::test]
async fn versions_that_do_not_fit_one_page_are_asked_for_by_the_names_of_their_models() {
    let lab = Lab::new().await;
    let uri = lab.server.uri();
    let prefix = lab.name("").trim().to_owned();
    for name in [
        "churn",
        "it's",
        "q\"t",
        "it's \"both\"",
        "itxs",
        "c++ & more",
    ] {
        let name = format!("{prefix} {name}");
        rest::post(&uri, "registered-models/create", &json!({ "name": name }));
        for _ in 0..2 {
            let version = json!({ "name": name, "source": "s3://bucket/model" });
            rest::post(&uri, "model-versions/create", &version);
        }
    }
    let faults: [fn() -> Answer; 2] = [
        || {
            Answer::Change(Box::new(|mut page| {
                page["next_page_token"] = json!("more");
                if let Some(versions) = page["model_versions"].as_array_mut() {
                    versions.truncate(1);
                }
                page
            }))
        },
        || Answer::text(504, "the gateway is out of patience"),
    ];
    lab.experiment("a");
    let expected = shown(&uri, &prefix, &[]);
    assert_eq!(expected.len(), 18);
    for fault in faults {
        let test = TestDatabase::new().await;
        let store = MongoRunStore::connect(&test.uri)
            .await
            .expect("the server is there");
        lab.proxy.on(move |request| {
            let is_whole =
                request.call == "model-versions/search" && !request.head.contains("filter=");
            if is_whole { fault() } else { Answer::Pass }
        });
        let client = lab.builder().retries(0).build().expect("the URI is valid");
        Lab::complete(SyncJob::new(&client, &store).run(|_| {}).await);
        assert_eq!(differences(&mirrored(&store).await, &expected), NOTHING);
    }
}

#[tokio::test]
async fn a_version_without_a_run_has_that_of_its_logged_model() {
    let lab = Lab::new().await;
    if lab.server.version() == Version::V2 {
        // It has no logged models.
        return;
    }
    let (uri, name) = (lab.server.uri(), lab.name("churn"));
    let exps = ["a", "b"].map(|name| lab.experiment(name));
    rest::post(&uri, "registered-models/create", &json!({ "name": name }));
    let runs = exps.clone().map(|exp| {
        let run = rest::create_run(&uri, &exp, 1_700_000_000_000);
        let model = json!({ "experiment_id": exp, "name": "m", "source_run_id": run });
        let model = rest::post(&uri, "logged-models", &model);
        let id = text(&model["model"]["info"]["model_id"]);
        let version = json!({ "name": name, "source": format!("models:/{id}"), "model_id": id });
        rest::post(&uri, "model-versions/create", &version);
        run
    });
    // MLflow before 3.17 does not copy the run of a logged model.
    lab.proxy.on(|request| match request.call.as_str() {
        "model-versions/search" => Answer::Change(Box::new(|mut page| {
            for version in page["model_versions"].as_array_mut().into_iter().flatten() {
                version["run_id"] = json!("");
            }
            page
        })),
        "model-versions/get" => Answer::Change(Box::new(|mut answer| {
            answer["model_version"]["run_id"] = json!("");
            answer
        })),
        _ => Answer::Pass,
    });
    // The logged model of the second experiment is not mirrored: MLflow is asked for it.
    let job = lab.sync().except([lab.name("b").as_str()]);
    Lab::complete(job.run(|_| {}).await);
    let versions = stored(&lab.store, "model_versions").await;
    let found = versions
        .iter()
        .map(|version| version.get_str("run").unwrap());
    assert_eq!(found.collect::<Vec<_>>(), runs);
    let verified = job.verify(|_| {}).await.expect("it compares");
    assert_eq!(verified.differences, []);
    let run = lab
        .store
        .get_run(&runs[0])
        .await
        .expect("a find")
        .expect("it is mirrored");
    let document = run.to_document().expect("it is BSON");
    let outputs = document.get_document("outputs").unwrap();
    assert_eq!(outputs.get_array("models").unwrap().len(), 1);
}

#[tokio::test]
async fn what_a_killed_pass_wrote_and_did_not_project_is_projected_by_the_next_one() {
    let lab = Lab::new().await;
    let (uri, name) = (lab.server.uri(), lab.name("churn"));
    let run = rest::create_run(&uri, &lab.experiment("a"), 1_700_000_000_000);
    rest::post(&uri, "registered-models/create", &json!({ "name": name }));
    let version = json!({ "name": name, "source": "s3://bucket/model", "run_id": run });
    rest::post(&uri, "model-versions/create", &version);
    Lab::complete(lab.sync().run(|_| {}).await);

    let runs = lab.test.database.collection::<Document>("runs");
    let (this, versions) = (
        doc! { "_id": &run },
        lab.test.database.collection::<Document>("model_versions"),
    );
    let before = runs
        .find_one(this.clone())
        .await
        .expect("a find")
        .expect("it is mirrored");
    let unproject = doc! { "$set": { "outputs.models": [] }, "$unset": { "mirror.registry": 1 } };
    runs.update_one(this.clone(), unproject)
        .await
        .expect("it is taken");
    let pending = doc! { "$set": { "mirror.pending_runs": [&run, "not mirrored"] } };
    versions
        .update_many(doc! {}, pending)
        .await
        .expect("it is taken");

    Lab::complete(lab.sync().run(|_| {}).await);
    let after = runs
        .find_one(this)
        .await
        .expect("a find")
        .expect("it is mirrored");
    assert_eq!(after.get("outputs"), before.get("outputs"));
    assert_eq!(
        before
            .get_document("outputs")
            .unwrap()
            .get_array("models")
            .unwrap()
            .len(),
        1
    );
    let versions = stored(&lab.store, "model_versions").await;
    assert!(
        !versions[0]
            .get_document("mirror")
            .unwrap()
            .contains_key("pending_runs")
    );
}

#[tokio::test]
async fn pages_of_logged_models_shrink_for_a_gateway_that_gives_up_on_large_ones() {
    let lab = Lab::new().await;
    if lab.server.version() == Version::V2 {
        // It has no logged models.
        return;
    }
    let (uri, exp) = (lab.server.uri(), lab.experiment("a"));
    for _ in 0..9 {
        rest::post(
            &uri,
            "logged-models",
            &json!({ "experiment_id": exp, "name": "m" }),
        );
    }
    lab.proxy.on(|request| {
        let is_large = request.body["max_results"]
            .as_u64()
            .is_some_and(|count| count > 3);
        match request.call.as_str() {
            "logged-models/search" if is_large => Answer::text(504, "out of patience"),
            _ => Answer::Pass,
        }
    });
    Lab::complete(lab.sync().page_size(100).run(|_| {}).await);
    let expected = shown(&uri, "no model", &[exp]);
    assert_eq!(expected.len(), 9);
    assert_eq!(differences(&mirrored(&lab.store).await, &expected), NOTHING);
}

#[tokio::test]
async fn a_page_of_logged_models_is_saved_although_mlflow_refuses_the_next_one() {
    let lab = Lab::new().await;
    if lab.server.version() == Version::V2 {
        // It has no logged models.
        return;
    }
    let (uri, exp) = (lab.server.uri(), lab.experiment("a"));
    for _ in 0..6 {
        rest::post(
            &uri,
            "logged-models",
            &json!({ "experiment_id": exp, "name": "m" }),
        );
    }
    let asked = AtomicUsize::new(0);
    lab.proxy.on(move |request| match request.call.as_str() {
        "logged-models/search" if asked.fetch_add(1, Ordering::Relaxed) > 0 => {
            Answer::refuse(403, "PERMISSION_DENIED", "not any more")
        }
        _ => Answer::Pass,
    });
    let report = lab.sync().page_size(3).run(|_| {}).await.unwrap();
    assert_eq!(report.incomplete.len(), 1, "{report:?}");
    let saved = lab.store.database().collection::<Document>("logged_models");
    assert_eq!(saved.count_documents(doc! {}).await.unwrap(), 3);
}
