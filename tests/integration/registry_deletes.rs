//! A model, a version or a logged model leaves the mirror only when MLflow says so of that very thing.

use std::time::Duration;

use mongodb::bson::Document;
use runlineage::sync::{CancellationToken, Report, SyncJob};
use serde_json::{Value, json};

use crate::support::lab::{Lab, text};
use crate::support::mlflow::Version;
use crate::support::proxy::{Answer, Request};
use crate::support::registry::{Documents, differences, id, mirrored, shown, stored};
use crate::support::rest;

const NOTHING: [&str; 0] = [];

/// A lab with registered models and, in MLflow 3, logged models.
struct Registry {
    lab: Lab,
    exp: String,
    run: String,
    prefix: String,
}

impl Registry {
    /// Models `a` with three versions, `b` with one; two logged models. All of it is mirrored.
    async fn mirrored() -> (Self, Documents) {
        let lab = Lab::new().await;
        let exp = lab.experiment("a");
        let run = rest::create_run(&lab.server.uri(), &exp, 1_700_000_000_000);
        let prefix = lab.name("").trim().to_owned();
        let registry = Self {
            lab,
            exp,
            run,
            prefix,
        };
        registry.create("a", 3);
        registry.create("b", 1);
        for name in ["x", "y"] {
            registry.log_model(name);
        }
        Lab::complete(registry.lab.sync().run(|_| {}).await);
        let before = mirrored(&registry.lab.store).await;
        assert_eq!(before, registry.shown());
        assert!(before.len() >= 6);
        (registry, before)
    }

    fn name(&self, name: &str) -> String {
        format!("{} {name}", self.prefix)
    }

    fn ask(&self, method: &str, call: &str, body: Value) -> Value {
        let (status, answer) = rest::ask(&self.lab.server.uri(), method, call, &body, "");
        assert_eq!(status, 200, "{method} {call} {body}: {answer}");
        answer
    }

    fn create(&self, name: &str, versions: usize) {
        let name = self.name(name);
        self.ask("POST", "registered-models/create", json!({ "name": name }));
        for _ in 0..versions {
            let version =
                json!({ "name": name, "source": "s3://bucket/model", "run_id": self.run });
            self.ask("POST", "model-versions/create", version);
        }
    }

    /// The id of a new logged model; `None` in MLflow 2.
    fn log_model(&self, name: &str) -> Option<String> {
        if self.lab.server.version() == Version::V2 {
            return None;
        }
        let body = json!({ "experiment_id": self.exp, "name": name, "source_run_id": self.run });
        let answer = self.ask("POST", "logged-models", body);
        Some(text(&answer["model"]["info"]["model_id"]))
    }

    fn shown(&self) -> Documents {
        shown(
            &self.lab.server.uri(),
            &self.prefix,
            std::slice::from_ref(&self.exp),
        )
    }

    async fn pass(&self) -> Report {
        Lab::complete(self.lab.sync().run(|_| {}).await)
    }

    /// The stored version, deleted or not.
    async fn version(&self, id: &str) -> Document {
        let versions = stored(&self.lab.store, "model_versions").await;
        let id = self.name(id);
        let found = versions.into_iter().find(|version| self::id(version) == id);
        found.expect("it was mirrored once")
    }

    /// The registry's entries at the run, as `name:version`.
    async fn entries(&self) -> Vec<String> {
        let run = self
            .lab
            .store
            .get_run(&self.run)
            .await
            .expect("a find")
            .expect("it is mirrored");
        let document = run.to_document().expect("it is BSON");
        let outputs = document.get_document("outputs").expect("it has outputs");
        let models = outputs.get_array("models").expect("it has models");
        let text =
            |entry: &Document, field: &str| entry.get_str(field).unwrap_or_default().to_owned();
        let entries = models.iter().filter_map(|entry| entry.as_document());
        entries
            .filter(|entry| text(entry, "from") == "registry")
            .map(|entry| {
                let name = text(entry, "name").replace(&format!("{} ", self.prefix), "");
                format!("{name}:{}", text(entry, "version"))
            })
            .collect()
    }
}

fn is_of_registry(request: &Request) -> bool {
    ["registered-models/", "model-versions/", "logged-models"]
        .iter()
        .any(|call| request.call.starts_with(call))
}

fn empty() -> Answer {
    Answer::text(200, "{}")
}

fn not_there() -> Answer {
    Answer::refuse(404, "RESOURCE_DOES_NOT_EXIST", "not found")
}

#[tokio::test]
async fn nothing_leaves_by_an_answer_that_proves_nothing() {
    type Fault = fn(&Request) -> Answer;
    let faults: [(&str, Fault); 9] = [
        ("{} to everything", |request| {
            if is_of_registry(request) {
                empty()
            } else {
                Answer::Pass
            }
        }),
        ("401 to everything", |request| {
            if is_of_registry(request) {
                Answer::text(401, "who are you")
            } else {
                Answer::Pass
            }
        }),
        ("403 to everything", |request| {
            if is_of_registry(request) {
                Answer::refuse(403, "PERMISSION_DENIED", "no")
            } else {
                Answer::Pass
            }
        }),
        ("an emptied registry", |request| {
            // A logged model that its experiment outlived is gone.
            if !is_of_registry(request) || request.call.starts_with("logged-models") {
                Answer::Pass
            } else if request.call.ends_with("/search") {
                empty()
            } else {
                not_there()
            }
        }),
        ("empty searches, and 403 on each thing", |request| {
            if !is_of_registry(request) {
                Answer::Pass
            } else if request.call.ends_with("/search") {
                empty()
            } else {
                Answer::text(403, "Permission denied")
            }
        }),
        (
            "another workspace, with other models",
            |request| match request.call.as_str() {
                "registered-models/search" => Answer::Change(Box::new(|mut page| {
                    let models = page["registered_models"].as_array_mut();
                    for model in models.into_iter().flatten() {
                        model["creation_timestamp"] = json!(5);
                    }
                    page
                })),
                "experiments/get" => not_there(),
                call if call.ends_with("/search") && is_of_registry(request) => empty(),
                _ if is_of_registry(request) => not_there(),
                _ => Answer::Pass,
            },
        ),
        (
            "another workspace, as seen after the models were listed",
            |request| match request.call.as_str() {
                "registered-models/search" => Answer::Pass,
                "experiments/get" => not_there(),
                call if call.ends_with("/search") && is_of_registry(request) => empty(),
                _ if is_of_registry(request) => not_there(),
                _ => Answer::Pass,
            },
        ),
        ("a proxy's page", |request| {
            if is_of_registry(request) {
                Answer::text(200, "<html>Please log in</html>")
            } else {
                Answer::Pass
            }
        }),
        (
            "another experiment of the same id",
            |request| match request.call.as_str() {
                "logged-models/search" | "model-versions/search" => empty(),
                "experiments/get" => Answer::Change(Box::new(|mut answer| {
                    answer["experiment"]["creation_time"] = json!(5);
                    answer
                })),
                _ if is_of_registry(request) && !request.call.ends_with("/search") => not_there(),
                _ => Answer::Pass,
            },
        ),
    ];
    let (registry, before) = Registry::mirrored().await;
    let lab = &registry.lab;
    let entries = registry.entries().await;
    assert_eq!(entries.len(), 4);
    for (what, fault) in faults {
        lab.proxy.on(fault);
        // Twice: what the first pass notes must not mislead the second.
        for _ in 0..2 {
            let job = impatient(lab);
            let lookback = Duration::from_secs(3_600);
            let quick = job
                .run_quick(lookback, &CancellationToken::new(), |_| {})
                .await;
            assert_eq!(
                differences(&mirrored(&lab.store).await, &before),
                NOTHING,
                "{what}, in a quick pass"
            );
            drop(quick);
            let report = job.run(|_| {}).await.expect("the runs are mirrored");
            assert_eq!(
                differences(&mirrored(&lab.store).await, &before),
                NOTHING,
                "{what}"
            );
            assert_eq!(registry.entries().await, entries, "{what}");
            assert_ne!(
                report.incomplete,
                [],
                "{what}: the pass claims to be complete"
            );
            assert_eq!(report.seen, 1, "{what}: the runs are mirrored all the same");
        }
    }
    lab.proxy.pass();
    registry.pass().await;
    assert_eq!(differences(&mirrored(&lab.store).await, &before), NOTHING);
}

fn impatient(lab: &Lab) -> SyncJob {
    let client = lab.builder().retries(0).build().expect("the URI is valid");
    SyncJob::new(&client, &lab.store).page_size(7)
}

#[tokio::test]
async fn a_user_who_may_not_read_the_registry_gets_the_runs_and_is_told() {
    let (registry, before) = Registry::mirrored().await;
    let lab = &registry.lab;
    lab.proxy.on(|request| {
        if request.call.starts_with("registered-models") {
            Answer::refuse(403, "PERMISSION_DENIED", "no")
        } else {
            Answer::Pass
        }
    });
    let run = rest::create_run(&lab.server.uri(), &registry.exp, 1_700_000_000_001);
    let report = lab.sync().run(|_| {}).await.expect("the runs are mirrored");
    let [incomplete] = &report.incomplete[..] else {
        panic!("{report:?}")
    };
    assert!(
        incomplete.reason.contains("--no-registry"),
        "{incomplete:?}"
    );
    assert!(incomplete.reason.contains("may not read"), "{incomplete:?}");
    assert!(lab.mirrored().await.contains(&run));
    assert_eq!(differences(&mirrored(&lab.store).await, &before), NOTHING);
    Lab::complete(lab.sync().registry(false).run(|_| {}).await);
}

#[tokio::test]
async fn what_mlflow_deletes_is_kept_with_the_time_and_leaves_its_run() {
    let (registry, before) = Registry::mirrored().await;
    let lab = &registry.lab;
    assert_eq!(registry.entries().await, ["a:1", "a:2", "a:3", "b:1"]);
    let version = json!({ "name": registry.name("a"), "version": "2" });
    registry.ask("DELETE", "model-versions/delete", version);
    let report = registry.pass().await;
    assert_eq!(report.registry.versions.deleted, 1);
    assert_eq!(
        differences(&mirrored(&lab.store).await, &registry.shown()),
        NOTHING
    );
    assert_eq!(registry.entries().await, ["a:1", "a:3", "b:1"]);
    let deleted = registry.version("a:2").await;
    assert!(deleted.get_datetime("deleted_at").is_ok(), "{deleted}");
    assert_eq!(deleted.get_str("run").unwrap(), registry.run);
    assert!(
        deleted
            .get_document("mirror")
            .unwrap()
            .get("pending_runs")
            .is_none(),
        "{deleted}"
    );

    registry.ask(
        "DELETE",
        "registered-models/delete",
        json!({ "name": registry.name("a") }),
    );
    let report = registry.pass().await;
    assert_eq!(
        (
            report.registry.models.deleted,
            report.registry.versions.deleted
        ),
        (1, 2)
    );
    assert_eq!(
        differences(&mirrored(&lab.store).await, &registry.shown()),
        NOTHING
    );
    assert_eq!(registry.entries().await, ["b:1"]);

    // Made anew under the name: another model, whose versions begin at 1 again.
    registry.create("a", 1);
    registry.pass().await;
    assert_eq!(
        differences(&mirrored(&lab.store).await, &registry.shown()),
        NOTHING
    );
    assert_eq!(registry.entries().await, ["a:1", "b:1"]);
    let (old, new) = (
        &before[&("model_versions", registry.name("a:1"))],
        registry.version("a:1").await,
    );
    assert_ne!(old.get("model_created"), new.get("model_created"));
    assert!(
        !new.contains_key("deleted_at") && !new.contains_key("former_names"),
        "{new}"
    );
}

#[tokio::test]
async fn a_model_made_anew_between_two_passes_replaces_the_old_one() {
    let (registry, _) = Registry::mirrored().await;
    registry.ask(
        "DELETE",
        "registered-models/delete",
        json!({ "name": registry.name("a") }),
    );
    registry.create("a", 2);
    let report = registry.pass().await;
    assert_eq!(
        report.registry.versions.deleted, 1,
        "the third version is gone"
    );
    assert_eq!(
        differences(&mirrored(&registry.lab.store).await, &registry.shown()),
        NOTHING
    );
    assert_eq!(registry.entries().await, ["a:1", "a:2", "b:1"]);
}

#[tokio::test]
async fn a_renamed_model_and_its_versions_keep_their_former_names() {
    let (registry, _) = Registry::mirrored().await;
    let rename = |from: &str, to: &str| {
        let body = json!({ "name": registry.name(from), "new_name": registry.name(to) });
        registry.ask("POST", "registered-models/rename", body);
    };
    let former = |document: &Document| -> Vec<String> {
        let names = document
            .get_array("former_names")
            .cloned()
            .unwrap_or_default();
        names
            .iter()
            .filter_map(|name| name.as_str().map(str::to_owned))
            .collect()
    };
    rename("a", "c");
    registry.pass().await;
    assert_eq!(
        differences(&mirrored(&registry.lab.store).await, &registry.shown()),
        NOTHING
    );
    assert_eq!(registry.entries().await, ["b:1", "c:1", "c:2", "c:3"]);
    assert_eq!(former(&registry.version("c:2").await), [registry.name("a")]);

    // A quick pass sees the new name, and the next full pass the old one leave.
    rename("c", "d");
    let quick = registry.lab.sync();
    let quick = quick
        .run_quick(Duration::from_secs(60), &CancellationToken::new(), |_| {})
        .await;
    assert_eq!(
        quick
            .expect("it passes")
            .expect("it is not stopped")
            .incomplete,
        []
    );
    registry.pass().await;
    assert_eq!(
        differences(&mirrored(&registry.lab.store).await, &registry.shown()),
        NOTHING
    );
    let names = [registry.name("a"), registry.name("c")];
    assert_eq!(former(&registry.version("d:1").await), names);
    let models = stored(&registry.lab.store, "models").await;
    let model = models.iter().find(|model| id(model) == registry.name("d"));
    assert_eq!(former(model.expect("it is mirrored")), names);

    // Two models change their names with each other.
    for (from, to) in [("b", "t"), ("d", "b"), ("t", "d")] {
        rename(from, to);
    }
    registry.pass().await;
    assert_eq!(
        differences(&mirrored(&registry.lab.store).await, &registry.shown()),
        NOTHING
    );
    assert_eq!(former(&registry.version("d:1").await), [registry.name("b")]);
    let names = ["a", "c", "d"].map(|name| registry.name(name));
    assert_eq!(former(&registry.version("b:2").await), names);
    assert_eq!(registry.entries().await, ["b:1", "b:2", "b:3", "d:1"]);
}

#[tokio::test]
async fn an_emptied_registry_proves_nothing_until_somebody_says_so() {
    let (registry, before) = Registry::mirrored().await;
    let lab = &registry.lab;
    for name in ["a", "b"] {
        registry.ask(
            "DELETE",
            "registered-models/delete",
            json!({ "name": registry.name(name) }),
        );
    }
    for _ in 0..2 {
        let report = lab.sync().run(|_| {}).await.expect("the pass goes on");
        let [incomplete] = &report.incomplete[..] else {
            panic!("{report:?}")
        };
        assert!(
            incomplete.reason.contains("--forget-model"),
            "{incomplete:?}"
        );
        assert!(
            incomplete.reason.contains("--allow-mass-delete"),
            "{incomplete:?}"
        );
        assert_eq!(differences(&mirrored(&lab.store).await, &before), NOTHING);
    }
    assert_eq!(
        lab.sync()
            .forget_model(&registry.name("a"))
            .await
            .expect("it is gone"),
        3
    );
    let report = lab.sync().run(|_| {}).await.expect("the pass goes on");
    assert_eq!(report.incomplete.len(), 1);
    assert_eq!(registry.entries().await, ["b:1"]);

    Lab::complete(lab.sync().allow_mass_delete(true).run(|_| {}).await);
    assert_eq!(
        differences(&mirrored(&lab.store).await, &registry.shown()),
        NOTHING
    );
    assert_eq!(registry.entries().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_model_that_mlflow_lists_cannot_be_forgotten() {
    let (registry, before) = Registry::mirrored().await;
    let refused = registry.lab.sync().forget_model(&registry.name("a")).await;
    let refused = refused.expect_err("it is listed").to_string();
    assert!(refused.contains("MLflow lists"), "{refused}");
    assert_eq!(
        differences(&mirrored(&registry.lab.store).await, &before),
        NOTHING
    );
}

#[tokio::test]
async fn more_than_a_hundred_versions_at_once_go_only_when_asked_for() {
    let (registry, _) = Registry::mirrored().await;
    let lab = &registry.lab;
    registry.create("many", 102);
    registry.pass().await;
    for version in 1..=101 {
        let version = json!({ "name": registry.name("many"), "version": version.to_string() });
        registry.ask("DELETE", "model-versions/delete", version);
    }
    let report = lab.sync().run(|_| {}).await.expect("the pass goes on");
    let [incomplete] = &report.incomplete[..] else {
        panic!("{report:?}")
    };
    assert!(
        incomplete.reason.contains("mirrored model versions"),
        "{incomplete:?}"
    );
    assert_eq!(report.registry.versions.deleted, 0);
    let report = Lab::complete(lab.sync().allow_mass_delete(true).run(|_| {}).await);
    assert_eq!(report.registry.versions.deleted, 101);
    assert_eq!(
        differences(&mirrored(&lab.store).await, &registry.shown()),
        NOTHING
    );
}

#[tokio::test]
async fn logged_models_leave_when_mlflow_shows_them_deleted_or_no_longer_has_them() {
    let (registry, before) = Registry::mirrored().await;
    let lab = &registry.lab;
    if lab.server.version() == Version::V2 {
        assert!(
            before
                .keys()
                .all(|(collection, _)| *collection != "logged_models")
        );
        return;
    }
    let models = before
        .keys()
        .filter(|(collection, _)| *collection == "logged_models");
    let models: Vec<&String> = models.map(|(_, id)| id).collect();
    registry.ask(
        "DELETE",
        &format!("logged-models/{}", models[0]),
        Value::Null,
    );
    let report = registry.pass().await;
    assert_eq!(report.registry.logged_models.deleted, 1);
    assert_eq!(
        differences(&mirrored(&lab.store).await, &registry.shown()),
        NOTHING
    );

    // As `mlflow gc` does.
    let mut sql = lab.sql();
    for table in [
        "logged_model_tags",
        "logged_model_params",
        "logged_model_metrics",
        "logged_models",
    ] {
        sql.add(
            &format!("DELETE FROM {table} WHERE model_id = ?"),
            json!([models[1]]),
        );
    }
    sql.write();
    let report = registry.pass().await;
    assert_eq!(report.registry.logged_models.deleted, 1);
    assert_eq!(
        differences(&mirrored(&lab.store).await, &registry.shown()),
        NOTHING
    );
    let kept = stored(&lab.store, "logged_models").await;
    assert!(
        kept.iter()
            .all(|model| model.get_datetime("deleted_at").is_ok()),
        "{kept:?}"
    );
    assert_eq!(kept.len(), 2);
}

#[tokio::test]
async fn what_was_read_before_a_deletion_and_is_written_after_it_stays_deleted() {
    let (registry, _) = Registry::mirrored().await;
    let lab = &registry.lab;
    let (name, uri) = (registry.name("a"), lab.server.uri());
    let other = SyncJob::new(
        &lab.builder().build().expect("the URI is valid"),
        &lab.store,
    );
    // While the page with version 2 is on its way, the version is deleted.
    let deleted = json!({ "name": name, "version": "2" });
    let once = std::sync::Once::new();
    lab.proxy.on(move |request| {
        if request.call != "model-versions/search" {
            return Answer::Pass;
        }
        let (uri, deleted) = (uri.clone(), deleted.clone());
        let mut first = false;
        once.call_once(|| first = true);
        if !first {
            return Answer::Pass;
        }
        Answer::After(Box::new(move || {
            rest::ask(&uri, "DELETE", "model-versions/delete", &deleted, "");
        }))
    });
    other.run(|_| {}).await.expect("it passes");
    lab.proxy.pass();
    registry.pass().await;
    assert_eq!(
        differences(&mirrored(&lab.store).await, &registry.shown()),
        NOTHING
    );
    assert_eq!(registry.entries().await, ["a:1", "a:3", "b:1"]);
}
