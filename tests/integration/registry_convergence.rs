//! After a quiet full pass the mirror holds the registry as MLflow has it, whatever was edited before and between any two requests.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mongodb::bson::Document;
use runlineage::MongoRunStore;
use runlineage::sync::{CancellationToken, SyncJob};
use serde_json::{Value, json};

use crate::support::lab::{Lab, text};
use crate::support::mlflow::Version;
use crate::support::mongodb::TestDatabase;
use crate::support::proxy::Answer;
use crate::support::registry::{differences, id, mirrored, shown, stored};
use crate::support::rest;

const NOTHING: [&str; 0] = [];

fn sequences() -> u64 {
    match std::env::var("RUNLINEAGE_TEST_SCALE").as_deref() {
        Ok("full") => 300,
        _ => 30,
    }
}

/// Edits runs, the registry and logged models at random. MLflow refuses some edits, as of what is deleted.
struct Editor {
    uri: String,
    prefix: String,
    exps: Vec<String>,
    runs: Vec<String>,
    logged_models: Vec<String>,
    has_logged_models: bool,
    rng: fastrand::Rng,
    edits: usize,
}

impl Editor {
    fn ask(&self, method: &str, call: &str, body: &Value) -> Value {
        rest::ask(&self.uri, method, call, body, "").1
    }

    /// Few names, so that models are made anew and renamed to one that was used before.
    fn name(&mut self) -> String {
        format!(
            "{} {}",
            self.prefix,
            ["a", "b", "c", "it's"][self.rng.usize(..4)]
        )
    }

    fn version(&mut self) -> String {
        self.rng.u8(1..5).to_string()
    }

    fn run(&mut self) -> String {
        let index = self.rng.usize(..self.runs.len());
        self.runs[index].clone()
    }

    fn logged_model(&mut self) -> Option<String> {
        let index = self.rng.usize(..self.logged_models.len().max(1));
        self.logged_models.get(index).cloned()
    }

    fn edit(&mut self) {
        self.edits += 1;
        let (name, other, version) = (self.name(), self.name(), self.version());
        let value = format!("v{}x", self.rng.u8(..10));
        match self.rng.u8(..24) {
            0..3 => drop(self.ask("POST", "registered-models/create", &json!({ "name": name }))),
            3..7 => {
                let run =
                    [self.run(), String::new(), "foreign".into()][self.rng.usize(..3)].clone();
                let body = json!({ "name": name, "source": "s3://bucket/m", "run_id": run });
                self.ask("POST", "model-versions/create", &body);
            }
            7 => {
                let source = format!("models:/{other}/{version}");
                self.ask(
                    "POST",
                    "model-versions/create",
                    &json!({ "name": name, "source": source }),
                );
            }
            8 => {
                let body = json!({ "name": name, "alias": "best", "version": version });
                self.ask("POST", "registered-models/alias", &body);
            }
            9 => {
                let stage = ["Staging", "Production", "None"][self.rng.usize(..3)];
                let body = json!({ "name": name, "version": version, "stage": stage, "archive_existing_versions": true });
                self.ask("POST", "model-versions/transition-stage", &body);
            }
            10 => {
                let body = json!({ "name": name, "version": version, "description": value });
                self.ask("PATCH", "model-versions/update", &body);
            }
            11 => {
                let body = json!({ "name": name, "description": value });
                self.ask("PATCH", "registered-models/update", &body);
            }
            12 => {
                let body = json!({ "name": name, "key": "k", "value": value });
                self.ask("POST", "registered-models/set-tag", &body);
            }
            13 => {
                let body = json!({ "name": name, "version": version, "key": "k", "value": value });
                self.ask("POST", "model-versions/set-tag", &body);
            }
            14 => drop(self.ask(
                "POST",
                "registered-models/rename",
                &json!({ "name": name, "new_name": other }),
            )),
            15 => drop(self.ask(
                "DELETE",
                "model-versions/delete",
                &json!({ "name": name, "version": version }),
            )),
            16 => drop(self.ask(
                "DELETE",
                "registered-models/delete",
                &json!({ "name": name }),
            )),
            17 => self.edit_run(),
            _ if self.has_logged_models => self.edit_logged_model(&value, &name),
            _ => {}
        }
    }

    fn edit_run(&mut self) {
        let run = self.run();
        match self.rng.u8(..4) {
            0 => {
                let exp = self.exps[self.rng.usize(..self.exps.len())].clone();
                self.runs
                    .push(rest::create_run(&self.uri, &exp, 1_700_000_000_000));
            }
            1 => drop(self.ask("POST", "runs/delete", &json!({ "run_id": run }))),
            _ => drop(self.ask("POST", "runs/restore", &json!({ "run_id": run }))),
        }
    }

    fn edit_logged_model(&mut self, value: &str, name: &str) {
        let (run, model) = (self.run(), self.logged_model());
        let Some(model) = model.filter(|_| self.rng.u8(..4) > 0) else {
            let exp = self.exps[self.rng.usize(..self.exps.len())].clone();
            let body = json!({ "experiment_id": exp, "name": "m", "source_run_id": run });
            let answer = self.ask("POST", "logged-models", &body);
            let id = text(&answer["model"]["info"]["model_id"]);
            self.logged_models.extend((!id.is_empty()).then_some(id));
            return;
        };
        let call = format!("logged-models/{model}");
        match self.rng.u8(..6) {
            0 => drop(self.ask("PATCH", &call, &json!({ "model_id": model, "status": 2 }))),
            1 => {
                let body = json!({ "model_id": model, "tags": [{ "key": "k", "value": value }] });
                self.ask("PATCH", &format!("{call}/tags"), &body);
            }
            2 => drop(self.ask("DELETE", &call, &Value::Null)),
            3 => {
                let body = json!({ "name": name, "source": format!("models:/{model}"), "model_id": model });
                self.ask("POST", "model-versions/create", &body);
            }
            _ => {
                let body = json!({
                    "run_id": run, "key": "auc", "value": 0.5, "timestamp": 1, "model_id": model,
                    "dataset_name": "d", "dataset_digest": value,
                });
                self.ask("POST", "runs/log-metric", &body);
            }
        }
    }
}

/// Runs as they are mirrored, without what is of this mirror alone.
async fn runs(store: &MongoRunStore) -> BTreeMap<String, Document> {
    let runs = stored(store, "runs").await.into_iter();
    runs.map(|mut run| {
        run.remove("mirror");
        (id(&run), run)
    })
    .collect()
}

#[tokio::test]
async fn after_a_quiet_full_pass_the_registry_equals_mlflow_and_a_fresh_mirror() {
    let lab = Lab::new().await;
    let uri = lab.server.uri();
    let exps: Vec<String> = ["x", "y"].map(|name| lab.experiment(name)).into();
    let run = rest::create_run(&uri, &exps[0], 1_700_000_000_000);
    let prefix = lab.name("").trim().to_owned();
    // A registry whose models have all gone could not be told from another one.
    rest::post(
        &uri,
        "registered-models/create",
        &json!({ "name": format!("{prefix} anchor") }),
    );
    let seed = std::env::var("RUNLINEAGE_TEST_SEED").ok();
    let mut rng = fastrand::Rng::with_seed(seed.and_then(|seed| seed.parse().ok()).unwrap_or(1));
    let editor = Arc::new(Mutex::new(Editor {
        uri: uri.clone(),
        prefix: prefix.clone(),
        exps: exps.clone(),
        runs: vec![run],
        logged_models: Vec::new(),
        has_logged_models: lab.server.version() == Version::V3,
        rng: rng.fork(),
        edits: 0,
    }));
    let job = lab.sync().page_size(2);
    let lookback = Duration::from_secs(3_600);
    let (mut killed, mut compared, mut renamed) = (0, 0, 0);
    for sequence in 0..sequences() {
        for _ in 0..3 {
            for _ in 0..rng.usize(..8) {
                editor.lock().unwrap().edit();
            }
            // Between any two requests something is edited; a pass of some ends at a request, as by a kill.
            let stop = CancellationToken::new();
            let ends_at = rng.bool().then(|| rng.usize(1..20));
            let (editing, stopping) = (editor.clone(), stop.clone());
            let asked = Mutex::new(0);
            lab.proxy.on(move |_| {
                let mut asked = asked.lock().unwrap();
                *asked += 1;
                if ends_at == Some(*asked) {
                    stopping.cancel();
                }
                let mut editing = editing.lock().unwrap();
                if editing.rng.bool() {
                    editing.edit();
                }
                Answer::Pass
            });
            let ended = if rng.u8(..3) == 0 {
                job.run_quick(lookback, &stop, |_| {}).await
            } else {
                job.run_until(&stop, |_| {}).await
            };
            killed += u64::from(ended.expect("MLflow and MongoDB are there").is_none());
        }
        lab.proxy.pass();
        Lab::complete(job.run(|_| {}).await);
        let expected = shown(&uri, &prefix, &exps);
        let is = mirrored(&lab.store).await;
        assert_eq!(differences(&is, &expected), NOTHING, "sequence {sequence}");
        let verified = job.verify(|_| {}).await.expect("it compares");
        assert_eq!(verified.differences, [], "sequence {sequence}");

        let other = TestDatabase::new().await;
        let fresh = MongoRunStore::connect(&other.uri)
            .await
            .expect("the server is there");
        let client = lab.builder().build().expect("the URI is valid");
        Lab::complete(SyncJob::new(&client, &fresh).run(|_| {}).await);
        assert_eq!(
            differences(&is, &mirrored(&fresh).await),
            NOTHING,
            "sequence {sequence}"
        );
        assert_eq!(
            runs(&lab.store).await,
            runs(&fresh).await,
            "sequence {sequence}"
        );
        compared += is.len();
        let versions = stored(&lab.store, "model_versions").await;
        renamed += versions
            .iter()
            .filter(|version| version.contains_key("former_names"))
            .count();

        let again = Lab::complete(job.run(|_| {}).await).registry;
        let written = [again.models, again.versions, again.logged_models]
            .map(|counts| counts.written + counts.deleted);
        assert_eq!(
            written,
            [0, 0, 0],
            "sequence {sequence}: nothing had changed"
        );
    }
    let edits = editor.lock().unwrap().edits as u64;
    assert!(
        edits > 20 * sequences() && killed > sequences() / 10 && compared as u64 > 5 * sequences()
    );
    assert!(renamed > 0, "no sequence left a renamed version behind");
}
