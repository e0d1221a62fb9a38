//! What people know from MLflow means the same here: its URIs, its orders, its texts, its names of fields.

use serde_json::{Value, json};

use crate::support::mlflow;
use crate::support::mongodb::TestDatabase;
use crate::support::program::{Finished, run, runlineage};
use crate::support::rest::Rest;
use crate::support::unique;

/// Runs of one experiment of a real MLflow, mirrored.
struct Scene {
    rest: Rest,
    test: TestDatabase,
    /// The experiment's name and id.
    exp: (String, String),
}

impl Scene {
    async fn new() -> Self {
        let rest = Rest::new(mlflow::shared());
        Self {
            exp: rest.experiment("as in mlflow").await,
            rest,
            test: TestDatabase::new().await,
        }
    }

    /// A run of this name, with these params and metrics.
    async fn run(&self, name: &str, data: &Value) -> String {
        let run = self
            .rest
            .run(&self.exp.1, &[("mlflow.runName", name)])
            .await;
        let list = |kind: &str| {
            let pairs = data[kind].as_object().into_iter().flatten();
            let pair = |(key, value): (&String, &Value)| json!({ "key": key, "value": value, "timestamp": 1, "step": 0 });
            pairs.map(pair).collect::<Vec<_>>()
        };
        let body = json!({ "run_id": run, "params": list("params"), "metrics": list("metrics"), "tags": list("tags") });
        self.rest.post("runs/log-batch", body).await;
        run
    }

    fn sync(&self) {
        self.program(&[
            "sync",
            "--exp",
            &self.exp.0,
            "--tracking-uri",
            &mlflow::shared().uri(),
        ])
        .success();
    }

    fn program(&self, args: &[&str]) -> Finished {
        let connection = ["--mongodb-uri", &self.test.uri];
        run(&mut runlineage(args.iter().chain(&connection)))
    }

    fn find(&self, args: &[&str]) -> Finished {
        self.program(&[&["find", "--exp", &self.exp.0], args].concat())
    }

    /// The names of the runs that come out, in their order.
    fn names(&self, args: &[&str]) -> Vec<String> {
        let out = self.find(&[args, &["--format", "csv", "--columns", "name"]].concat());
        out.success().lines().skip(1).map(str::to_owned).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_are_sorted_by_a_metric_as_in_mlflow() {
    let scene = Scene::new().await;
    for (name, metrics) in [
        ("tenth", json!({ "val_loss": 0.1 })),
        ("nan", json!({ "val_loss": "NaN" })),
        ("missing", json!({ "other": 1 })),
        ("both", json!({ "val_loss": 0.05, "val_loss.class_a": 0.9 })),
        ("only below", json!({ "val_loss.class_a": 0.01 })),
        ("infinite", json!({ "val_loss": "Infinity" })),
    ] {
        scene.run(name, &json!({ "metrics": metrics })).await;
    }
    scene.sync();
    let numbers = ["both", "tenth", "infinite"];
    for (order, first) in [
        ("metrics.val_loss", numbers),
        ("metrics.val_loss ASC", numbers),
        ("-metrics.val_loss", ["infinite", "tenth", "both"]),
        ("metric.`val_loss` DESC", ["infinite", "tenth", "both"]),
    ] {
        let names = scene.names(&["--sort", order]);
        assert_eq!(names[..4], [&first[..], &["nan"]].concat(), "{order}");
        let mut last = names[4..].to_vec();
        last.sort();
        assert_eq!(last, ["missing", "only below"], "{order}");
        assert_eq!(scene.names(&["--sort", order, "--limit", "1"]), first[..1]);
    }
    // MLflow's own answer of the same runs; it holds an infinity as the largest number.
    let search = json!({ "experiment_ids": [scene.exp.1], "order_by": ["metrics.val_loss DESC"] });
    let answer = scene.rest.post("runs/search", search).await;
    let theirs = answer["runs"].as_array().unwrap().iter();
    let theirs: Vec<&str> = theirs
        .map(|run| run["info"]["run_name"].as_str().unwrap())
        .collect();
    assert_eq!(theirs[..4], ["infinite", "tenth", "both", "nan"]);
    // The own value of a key that others lie below is a column, too.
    let table = scene.find(&[
        "--columns",
        "name,metrics.val_loss",
        "--format",
        "csv",
        "--sort",
        "name",
    ]);
    assert_eq!(
        table.success(),
        "name,metrics.val_loss\nboth,0.05\ninfinite,1.7976931348623157e+308\nmissing,\nnan,NaN\nonly below,\"{\"\"class_a\"\":0.01}\"\ntenth,0.1\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_and_numbers_are_shown_as_mlflow_holds_them() {
    let scene = Scene::new().await;
    let first = scene.run("a", &json!({ "tags": { "git_sha": "1234e56" }, "params": { "lr": "1.10" }, "metrics": { "tiny": 1e-300, "huge": 1e300 } })).await;
    scene.run("b", &json!({ "tags": { "git_sha": "12340e55" }, "params": { "lr": "1.1" }, "metrics": { "tiny": 0.5 } })).await;
    scene.sync();
    let columns = "name, tags.git_sha ,params.lr,metrics.tiny,metrics.huge,run_id";
    let csv = scene
        .find(&[
            "--columns",
            columns,
            "--format",
            "csv",
            "--sort",
            "name",
            "--limit",
            "1",
        ])
        .success();
    assert_eq!(
        csv,
        format!(
            "name,tags.git_sha,params.lr,metrics.tiny,metrics.huge,run_id\na,1234e56,1.10,1e-300,1e+300,{first}\n"
        )
    );
    let table = scene.find(&["--columns", columns]).success();
    for shown in ["1234e56", "12340e55", "1.10", "1e-300"] {
        assert!(table.contains(shown), "{table}");
    }
    let distinct = |field: &str| {
        let mut lines: Vec<String> = scene
            .find(&["--distinct", field])
            .success()
            .lines()
            .map(str::to_owned)
            .collect();
        lines.sort();
        lines
    };
    assert_eq!(distinct("tags.git_sha"), [r#""12340e55""#, r#""1234e56""#]);
    assert_eq!(distinct("params.lr"), [r#""1.10""#, "1.1"]);
    assert_eq!(distinct("metrics.tiny"), ["0.5", "1e-300"]);
    assert_eq!(distinct("run_name"), [r#""a""#, r#""b""#]);
    // Of JSON too, choosing columns loses no text; numbers stay numbers.
    let json = scene
        .find(&[
            "--columns",
            "tags.git_sha,params.lr",
            "--format",
            "ndjson",
            "--sort",
            "name",
            "--limit",
            "1",
        ])
        .success();
    let run: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(
        run["mirror"]["text"]["tags"],
        json!([{ "key": "git_sha", "value": "1234e56" }])
    );
    assert_eq!(
        run["mirror"]["text"]["params"],
        json!([{ "key": "lr", "value": "1.10" }])
    );
    assert_eq!(run["params"]["lr"], json!(1.1));
    assert_eq!(run["tags"].as_object().unwrap().len(), 1, "{run}");
    let infinite = scene.find(&[
        "--where",
        "metrics.tiny < Infinity and metrics.huge > -inf and not metrics.huge = nan",
        "--count",
    ]);
    assert_eq!(infinite.success(), "1\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_field_is_refused_with_the_nearest_name() {
    for (args, near) in [
        (["--sort", "statsu"], "`status`"),
        (["--sort", "metrcs.auc DESC"], "`metrics.KEY`"),
        (["--columns", "run_id,start_tme"], "`start_time`"),
        (["--distinct", "exprnce"], "a run has no field"),
    ] {
        let ended = run(&mut runlineage(["find", args[0], args[1]]));
        assert_eq!(ended.code, Some(2), "{args:?}");
        assert!(ended.stderr.contains(near), "{args:?}: {}", ended.stderr);
    }
}

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
        let said = format!("{uri} is version {version} now");
        assert_eq!(
            registered.stderr.contains(&said),
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

#[test]
fn an_error_in_a_condition_shows_what_to_write_instead() {
    for (condition, way) in [
        ("metrics.avg model score > 0.5", "metrics.`avg model score`"),
        ("exp = my experiment", "'my experiment'"),
        ("name ilike 'Train%'", "write `like"),
        ("name like '%x%'", "--format csv"),
        ("start_time > '10000-01-01'", "past the year 9999"),
    ] {
        let ended = run(&mut runlineage(["find", "--where", condition, "--render"]));
        assert_eq!(ended.code, Some(2), "{condition}");
        assert!(ended.stderr.contains(way), "{condition}: {}", ended.stderr);
    }
    let long = format!("{} = 'x'", "y".repeat(100));
    let ended = run(&mut runlineage(["find", "--where", &long, "--render"]));
    assert_eq!(ended.code, Some(2));
}

#[test]
fn a_time_without_a_zone_is_in_utc_wherever_the_machine_stands() {
    let render = |zone: &str, args: [&str; 2]| {
        run(runlineage(["find", args[0], args[1], "--render"]).env("TZ", zone)).success()
    };
    for args in [
        ["--since", "2024-01-01T12:00"],
        ["--where", "start_time >= '2024-01-01T12:00'"],
        ["--since", "2024-01-01T14:00+02:00"],
    ] {
        for zone in ["America/New_York", "Asia/Tokyo", "UTC"] {
            let rendered = render(zone, args);
            assert!(
                rendered.contains("2024-01-01T12:00:00Z"),
                "{zone} {args:?}: {rendered}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_run_is_shown_with_what_is_known_of_it() {
    let scene = Scene::new().await;
    let run = scene
        .run(
            "gone",
            &json!({ "tags": { "lineage.inputs.models.churn": r#"["3"]"# } }),
        )
        .await;
    scene.run("stays", &json!({})).await;
    scene.sync();
    scene
        .rest
        .post("runs/delete", json!({ "run_id": run }))
        .await;
    scene.sync();
    let shown = scene.program(&["show", &run]);
    assert!(
        shown.stderr.contains("deleted in MLflow"),
        "{}",
        shown.stderr
    );
    let shown = shown.success();
    assert!(shown.contains("gone") && shown.contains("churn"), "{shown}");
    let json = scene.program(&["show", &run, "--format", "json"]).success();
    assert_eq!(
        serde_json::from_str::<Value>(&json).unwrap()["name"],
        "gone"
    );
    scene
        .program(&["purge", "--deleted-before", "2999-01-01"])
        .success();
    let purged = scene.program(&["show", &run]);
    assert!(purged.stderr.contains("purged here"), "{}", purged.stderr);
    assert!(purged.success().contains(&run));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_no_index_holds_is_said() {
    let scene = Scene::new().await;
    scene.run("a", &json!({ "metrics": { "auc": 1 } })).await;
    scene.sync();
    for (order, said) in [
        ("metrics.auc", true),
        ("-end_time", true),
        ("-start_time", false),
        ("run_id", false),
    ] {
        let args = ["find", "--sort", order, "--limit", "1"];
        let stderr = scene.program(&args).stderr;
        assert_eq!(
            stderr.contains("No index holds this order"),
            said,
            "{order}: {stderr}"
        );
    }
}
