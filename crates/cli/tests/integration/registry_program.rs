//! The registry by the program: `sync --no-registry`, `sync --forget-model`, and what `verify` prints.

use serde_json::{Value, json};

use crate::support::lab::Lab;
use crate::support::program::{Finished, run, runlineage};
use crate::support::proxy::Answer;
use crate::support::registry::mirrored;
use crate::support::rest;

fn program(lab: &Lab, args: &[&str]) -> Finished {
    let (mongodb, mlflow) = (&lab.test.uri, lab.proxy.uri());
    let connection = [
        "--source",
        "lab",
        "--mongodb-uri",
        mongodb,
        "--tracking-uri",
        &mlflow,
    ];
    let mut command = runlineage(args.iter().chain(&connection));
    command.env("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0");
    run(&mut command)
}

#[track_caller]
fn json_of(finished: &Finished, code: i32) -> Value {
    assert_eq!(finished.code, Some(code), "{finished:?}");
    serde_json::from_str(&finished.stdout).unwrap_or_else(|_| panic!("{finished:?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_may_not_read_the_registry_leaves_it_out_by_a_flag() {
    let lab = Lab::new().await;
    let run = rest::create_run(&lab.server.uri(), &lab.experiment("a"), 1_700_000_000_000);
    lab.proxy.on(|request| {
        if request.call.starts_with("registered-models") {
            Answer::refuse(403, "PERMISSION_DENIED", "no")
        } else {
            Answer::Pass
        }
    });
    let finished = program(&lab, &["sync", "--format", "json"]);
    let report = json_of(&finished, 1);
    assert_eq!(report["seen"], 1);
    assert!(finished.stderr.contains("--no-registry"), "{finished:?}");
    assert!(lab.mirrored().await.contains(&run));
    let report = json_of(
        &program(&lab, &["sync", "--no-registry", "--format", "json"]),
        0,
    );
    assert_eq!(
        report["registry"]["models"],
        json!({ "seen": 0, "written": 0, "deleted": 0 })
    );
    let refused = program(&lab, &["verify", "--format", "json"]);
    let verification = json_of(&refused, 1);
    assert_eq!(
        (&verification["seen"], &verification["differences"]),
        (&json!(1), &json!([]))
    );
    assert!(refused.stderr.contains("`--no-registry`"), "{refused:?}");
    assert_eq!(program(&lab, &["verify", "--no-registry"]).code, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_only_model_is_forgotten_by_a_flag_once_mlflow_has_deleted_it() {
    let lab = Lab::new().await;
    lab.experiment("a");
    let (uri, name) = (lab.server.uri(), lab.name("churn"));
    rest::post(&uri, "registered-models/create", &json!({ "name": name }));
    for _ in 0..2 {
        let version = json!({ "name": name, "source": "s3://bucket/model" });
        rest::post(&uri, "model-versions/create", &version);
    }
    let report = json_of(&program(&lab, &["sync", "--format", "json"]), 0);
    assert_eq!(report["registry"]["versions"]["written"], 2);
    let refused = program(&lab, &["sync", "--forget-model", &name]);
    assert!(
        refused.code == Some(2) || refused.code == Some(1),
        "{refused:?}"
    );
    assert!(refused.stderr.contains("MLflow lists"), "{refused:?}");

    let (status, _) = rest::ask(
        &uri,
        "DELETE",
        "registered-models/delete",
        &json!({ "name": name }),
        "",
    );
    assert_eq!(status, 200);
    let finished = program(&lab, &["sync"]);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(finished.stderr.contains("--forget-model"), "{finished:?}");
    let differing = json_of(&program(&lab, &["verify", "--format", "json"]), 1);
    let nodes = differing["differences"].as_array().expect("a list").iter();
    let mut nodes: Vec<&str> = nodes.filter_map(|one| one["node"].as_str()).collect();
    nodes.sort_unstable();
    let model = format!("model:{name}");
    assert_eq!(
        nodes,
        [model.clone(), format!("{model}:1"), format!("{model}:2")]
    );
    assert_eq!(mirrored(&lab.store).await.len(), 3);

    let finished = program(&lab, &["sync", "--forget-model", &name]);
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert!(
        finished.stderr.contains("2 mirrored versions removed"),
        "{finished:?}"
    );
    assert_eq!(mirrored(&lab.store).await.len(), 0);
    assert_eq!(program(&lab, &["verify"]).code, Some(0));
}
