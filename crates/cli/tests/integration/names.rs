//! Names in a search: ambiguous experiments are refused, unknown names reported.

use serde_json::json;

use crate::support::experiment::Scene;
use crate::support::mlflow;

#[tokio::test(flavor = "multi_thread")]
async fn an_experiment_that_could_be_two_has_to_be_told() {
    let scene = Scene::new().await;
    scene.run("by id", &json!({})).await;
    let other = scene
        .rest
        .post("experiments/create", json!({ "name": scene.exp.1 }))
        .await;
    let other = other["experiment_id"].as_str().unwrap();
    scene
        .rest
        .run(other, &[("mlflow.runName", "by name")])
        .await;
    let tracking = mlflow::shared().uri();
    scene
        .program(&[
            "sync",
            "--exp",
            &scene.exp.0,
            "--exp",
            &format!("id:{other}"),
            "--tracking-uri",
            &tracking,
        ])
        .success();
    let find =
        |exp: &str| scene.program(&["find", "--exp", exp, "--format", "csv", "--columns", "name"]);
    let either = find(&scene.exp.1);
    assert_eq!(either.code, Some(2), "{}", either.stderr);
    assert!(
        either
            .stderr
            .contains(&format!("write id:{0} or name:{0}", scene.exp.1)),
        "{}",
        either.stderr
    );
    assert_eq!(
        find(&format!("id:{}", scene.exp.1)).success(),
        "name\nby id\n"
    );
    assert_eq!(
        find(&format!("name:{}", scene.exp.1)).success(),
        "name\nby name\n"
    );
    for flag in ["--exp", "--exclude-exp"] {
        let sync = scene.program(&["sync", flag, &scene.exp.1, "--tracking-uri", &tracking]);
        assert_eq!(sync.code, Some(2), "{flag}: {}", sync.stderr);
        assert!(sync.stderr.contains("write id:"), "{}", sync.stderr);
    }
    scene
        .rest
        .post("experiments/delete", json!({ "experiment_id": other }))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_mirror_has_never_seen_is_said() {
    let scene = Scene::new().await;
    scene.run("a", &json!({})).await;
    scene.sync();
    let typo = scene.program(&["find", "--exp", "typo"]);
    assert_eq!(typo.code, Some(1));
    assert!(
        typo.stderr.contains("no experiment \"typo\" is mirrored"),
        "{}",
        typo.stderr
    );
    for (args, said) in [
        (
            ["--input-model", "nowhere:3"],
            "has never seen the model name \"nowhere\"",
        ),
        (
            ["--output-artifact", "77ab/x"],
            "has never seen the run id \"77ab\"",
        ),
    ] {
        let none = scene.find(&args);
        assert_eq!(none.code, Some(0), "{}", none.stderr);
        assert!(none.stderr.contains(said), "{}", none.stderr);
    }
}
