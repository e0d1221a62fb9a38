//! Names in a search: ambiguous experiments are refused, unknown names reported.

use serde_json::json;

use crate::support::experiment::Scene;
use crate::support::mlflow;
use crate::support::program::Finished;

/// Two mirrored experiments: the id of the first one is the name of the second one.
struct TwoExperiments {
    scene: Scene,
    second: String,
}

impl TwoExperiments {
    async fn new() -> Self {
        let scene = Scene::new().await;
        scene.run("by id", &json!({})).await;
        let body = json!({ "name": scene.exp.1 });
        let second = scene.rest.post("experiments/create", body).await;
        let second = second["experiment_id"].as_str().unwrap().to_owned();
        let name = [("mlflow.runName", "by name")];
        scene.rest.run(&second, &name).await;
        let two = Self { scene, second };
        let (first, second) = (&two.scene.exp.0, format!("id:{}", two.second));
        two.with_mlflow(&["sync", "--exp", first, "--exp", &second])
            .success();
        two
    }

    fn with_mlflow(&self, args: &[&str]) -> Finished {
        let tracking = mlflow::shared().uri();
        self.scene
            .program(&[args, &["--tracking-uri", &tracking]].concat())
    }

    /// The names of the runs that `find` prints.
    fn names(&self, args: &[&str]) -> Vec<String> {
        let columns = ["--format", "csv", "--columns", "name", "--sort", "name"];
        let found = self.scene.program(&[&["find"], args, &columns].concat());
        found.success().lines().skip(1).map(str::to_owned).collect()
    }

    /// Other tests sync the whole MLflow, where two experiments of one text would be in their way.
    async fn delete(self) {
        let body = json!({ "experiment_id": self.second });
        self.scene.rest.post("experiments/delete", body).await;
    }
}

#[track_caller]
fn is_refused(finished: &Finished, argument: &str, advice: &str) {
    let Finished { stderr, .. } = finished;
    assert_eq!(finished.code, Some(2), "{stderr}");
    let error = format!("error: {argument}: ");
    assert!(
        stderr.contains(&error) && stderr.contains(advice),
        "{stderr}"
    );
    assert_eq!(finished.stdout, "", "a refused search prints nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ambiguous_experiment_of_a_flag_is_refused() {
    let two = TwoExperiments::new().await;
    let text = two.scene.exp.1.as_str();
    let (id, name) = (format!("id:{text}"), format!("name:{text}"));
    let advice = format!("write {id} or {name}");
    for instead in [&[][..], &["--count"], &["--facet", "exp"], &["--explain"]] {
        let found = two
            .scene
            .program(&[&["find", "--exp", text], instead].concat());
        is_refused(&found, "--exp", &advice);
    }
    assert_eq!(two.names(&["--exp", &id]), ["by id"]);
    assert_eq!(two.names(&["--exp", &name]), ["by name"]);
    for command in ["sync", "verify"] {
        for flag in ["--exp", "--exclude-exp"] {
            let refused = two.with_mlflow(&[command, flag, text]);
            is_refused(&refused, "experiment", &advice);
        }
    }
    two.delete().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ambiguous_experiment_of_a_condition_is_refused() {
    let two = TwoExperiments::new().await;
    let text = two.scene.exp.1.as_str();
    let (id, name) = (format!("exp.id = '{text}'"), format!("exp.name = '{text}'"));
    let advice = format!("write {id} or {name}");
    for condition in [
        format!("exp = '{text}'"),
        format!("experiment = '{text}'"),
        format!("exp in ('{}', '{text}')", two.scene.exp.0),
        format!("exp != '{text}'"),
        format!("not exp = '{text}'"),
        format!("name = 'by id' or (status = 'RUNNING' and not (exp = '{text}'))"),
    ] {
        for instead in [
            &[][..],
            &["--format", "ndjson"],
            &["--count"],
            &["--facet", "exp"],
            &["--distinct", "name"],
            &["--explain"],
        ] {
            let args = [&["find", "--where", &condition], instead].concat();
            is_refused(&two.scene.program(&args), "--where", &advice);
        }
    }
    assert_eq!(two.names(&["--where", &id]), ["by id"]);
    assert_eq!(two.names(&["--where", &name]), ["by name"]);
    let both = format!("{id} or {name}");
    assert_eq!(two.names(&["--where", &both]), ["by id", "by name"]);
    two.delete().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_experiment_that_is_not_mirrored_is_an_error() {
    let scene = Scene::new().await;
    scene.run("a", &json!({})).await;
    scene.sync();
    for args in [
        ["--exp", "typo"],
        ["--exp", "name:typo"],
        ["--where", "exp = 'typo'"],
        ["--where", "exp.name = 'typo'"],
        ["--where", "experiment_id in ('1', 'typo')"],
        ["--where", "name = 'a' or not exp = 'typo'"],
        ["--where", r#"{"exp.name": "typo"}"#],
        [
            "--where",
            r#"{"$or": [{"status": "FAILED"}, {"exp.id": {"$in": ["typo"]}}]}"#,
        ],
    ] {
        for instead in [&[][..], &["--count"], &["--facet", "user"]] {
            let typo = scene.program(&[&["find"], &args[..], instead].concat());
            assert_eq!(typo.code, Some(1), "{args:?}: {}", typo.stderr);
            assert!(
                typo.stderr
                    .contains("is mirrored; `runlineage find --facet exp`"),
                "{args:?}: {}",
                typo.stderr
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_or_run_that_the_mirror_has_never_seen_is_reported() {
    const MODEL: &str = "has never seen the model name \"nowhere\"";
    const RUN: &str = "has never seen the run id \"77ab\"";
    let scene = Scene::new().await;
    scene.run("a", &json!({})).await;
    scene.sync();
    for (args, expected) in [
        (["--input-model", "nowhere:3"], MODEL),
        (["--output-artifact", "77ab/x"], RUN),
        (["--parent", "77ab"], RUN),
        (["--where", "input.model = 'nowhere:3'"], MODEL),
        (
            ["--where", "output.model in ('nowhere:1', 'nowhere:2')"],
            MODEL,
        ),
        (["--where", "input.unversioned_model = 'nowhere'"], MODEL),
        (["--where", "input = 'model:nowhere'"], MODEL),
        (["--where", "input.artifact under '77ab/x'"], RUN),
        (["--where", "run_id = '77ab'"], RUN),
        (["--where", "user = 'nobody' and parent = '77ab'"], RUN),
        (["--where", r#"{"inputs.models.name": "nowhere"}"#], MODEL),
        (
            [
                "--where",
                r#"{"outputs.models": {"$elemMatch": {"name": "nowhere", "version": "3"}}}"#,
            ],
            MODEL,
        ),
        (["--where", r#"{"_id": {"$eq": "77ab"}}"#], RUN),
        (["--where", r#"{"inputs.runs.id": "77ab"}"#], RUN),
        (["--where", r#"{"tags.mlflow.parentRunId": "77ab"}"#], RUN),
    ] {
        for instead in [
            &[][..],
            &["--count"],
            &["--facet", "user"],
            &["--distinct", "name"],
        ] {
            let none = scene.find(&[&args[..], instead].concat());
            assert_eq!(none.code, Some(0), "{args:?}: {}", none.stderr);
            assert!(
                none.stderr.contains(expected),
                "{args:?} {instead:?}: {}",
                none.stderr
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_left_mlflow_has_been_seen() {
    let scene = Scene::new().await;
    let run = scene.run("gone", &json!({})).await;
    let tag = json!({ "tags": { "mlflow.parentRunId": "parent0" } });
    scene.run("child", &tag).await;
    scene.sync();
    scene
        .rest
        .post("runs/delete", json!({ "run_id": run }))
        .await;
    scene.sync();
    for args in [
        ["--input-artifact", &format!("{run}/x")],
        ["--where", &format!("run_id = '{run}'")],
        ["--where", "run_id = 'parent0'"],
    ] {
        let Finished {
            code, stderr: none, ..
        } = scene.find(&args);
        assert_eq!(code, Some(0), "{args:?}: {none}");
        assert!(none.contains("No run matches"), "{args:?}: {none}");
        assert!(!none.contains("never seen"), "{args:?}: {none}");
    }
}
