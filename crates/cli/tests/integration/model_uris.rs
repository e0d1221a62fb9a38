//! Model URIs that MLflow's registry resolves: stages, aliases, `latest`.

use serde_json::json;

use crate::support::experiment::Scene;
use crate::support::mlflow;
use crate::support::mlopus::mlopus;
use crate::support::program::{run, runlineage};
use crate::support::unique;

#[tokio::test(flavor = "multi_thread")]
async fn a_model_uri_is_resolved_in_mlflow() {
    let scene = Scene::new().await;
    let model = unique("m");
    let name = json!({ "name": model });
    scene.rest.post("registered-models/create", name).await;
    for version in ["1", "2", "3"] {
        let source = json!({ "name": model, "source": "s3://bucket/model" });
        let made = scene.rest.post("model-versions/create", source).await;
        assert_eq!(made["model_version"]["version"], version);
    }
    let stage = json!({ "name": model, "version": "2", "stage": "Production", "archive_existing_versions": false });
    scene
        .rest
        .post("model-versions/transition-stage", stage)
        .await;
    let alias = json!({ "name": model, "alias": "champion", "version": "1" });
    scene.rest.post("registered-models/alias", alias).await;
    let run = scene.run("uses", &json!({})).await;
    let tracking = mlflow::shared().uri();
    let with = |args: &[&str]| scene.program(&[args, &["--tracking-uri", &tracking]].concat());
    for (uri, version) in [
        (format!("models:/{model}/Production"), "2"),
        (format!("models:/{model}/production"), "2"),
        (format!("models:/{model}/latest"), "3"),
        (format!("models:/{model}@champion"), "1"),
        (format!("models:/{model}/2"), "2"),
    ] {
        let registered = with(&["register", &run, "--input-model", &uri]);
        assert_eq!(registered.code, Some(0), "{uri}: {}", registered.stderr);
        let expected = format!("{uri} is version {version} now");
        assert_eq!(
            registered.stderr.contains(&expected),
            !uri.ends_with("/2"),
            "{}",
            registered.stderr
        );
        let found = with(&[
            "find",
            "--input-model",
            &uri,
            "--format",
            "csv",
            "--columns",
            "name",
        ]);
        assert_eq!(found.success(), "name\nuses\n", "{uri}");
    }
    let tags = scene.rest.tags(&run).await;
    assert_eq!(
        tags[&format!("lineage.inputs.models.{model}")],
        r#"["1", "2", "3"]"#
    );
    for uri in [
        format!("models:/{model}/Staging"),
        format!("models:/{model}@nobody"),
        format!("models:/{}/latest", unique("unknown")),
        "models:/m-0123456789abcdef0123456789abcdef".to_owned(),
        "runs:/8f2c/model".to_owned(),
        "s3://bucket/model".to_owned(),
    ] {
        let registered = with(&["register", &run, "--input-model", &uri]);
        assert!(
            matches!(registered.code, Some(1 | 2)),
            "{uri}: {}",
            registered.stderr
        );
        let found = with(&["find", "--input-model", &uri]);
        assert!(matches!(found.code, Some(1 | 2)), "{uri}: {}", found.stderr);
    }
    assert_eq!(
        scene.rest.tags(&run).await,
        tags,
        "nothing else was written"
    );
}

#[test]
fn an_alias_is_resolved_by_mlflow() {
    let server = mlflow::shared();
    let name = unique("alias");
    mlopus(
        server,
        json!({ "name": name }),
        r"
import mlflow
client = mlflow.MlflowClient()
client.create_registered_model(input['name'])
client.create_model_version(input['name'], source='s3://bucket/x')
client.create_model_version(input['name'], source='s3://bucket/y')
client.set_registered_model_alias(input['name'], 'champion', '2')
",
    );
    let model = format!("models:/{name}@champion");
    let rendered = run(&mut runlineage([
        "find",
        "--input-model",
        &model,
        "--render",
        "--tracking-uri",
        &server.uri(),
    ]));
    assert!(
        rendered.stderr.contains("is version 2 now"),
        "{}",
        rendered.stderr
    );
    let rendered = rendered.success();
    assert!(
        rendered.contains(&name) && rendered.contains(r#""version": "2""#),
        "{rendered}"
    );
    let unknown = format!("models:/{name}@nobody");
    let failed = run(&mut runlineage([
        "find",
        "--input-model",
        &unknown,
        "--render",
        "--tracking-uri",
        &server.uri(),
    ]));
    assert_eq!(failed.code, Some(1));
    let nowhere = run(&mut runlineage([
        "find",
        "--input-model",
        &model,
        "--render",
    ]));
    assert_eq!(nowhere.code, Some(2), "{}", nowhere.stderr);
}
