//! Tags that cannot be read are reported, and everything else is mirrored.

use runlineage::{MongoRunStore, Query};
use serde_json::{Value, json};

use crate::support::mirror::{ids, set};
use crate::support::mlflow;
use crate::support::mongodb::TestDatabase;
use crate::support::program::{run, runlineage};
use crate::support::rest::Rest;

#[tokio::test]
async fn bad_tags_are_reported_and_do_not_stop_the_rest() {
    let server = mlflow::shared();
    let rest = Rest::new(server);
    let (name, exp) = rest.experiment("bad-tags").await;
    let bad = [
        ("lineage.inputs.models.broken", "[1, "),
        ("lineage.inputs.models.object", r#"{"a": 1}"#),
        ("lineage.sideways.models.x", "[]"),
        (
            "lineage_overflow.0000000000000000",
            r#"[["inputs", "models", 3]]"#,
        ),
        ("lineage.inputs.models.churn", r#"["2"]"#),
        ("other", "[1, "),
    ];
    let run_id = rest.run(&exp, &bad).await;
    let fine = rest
        .run(&exp, &[("lineage.inputs.models.churn", r#"["2"]"#)])
        .await;
    let test = TestDatabase::new().await;
    let (tracking, mongodb) = (server.uri(), test.uri.clone());
    let sync = || {
        run(&mut runlineage([
            "sync",
            "--exp",
            &name,
            "--format",
            "json",
            "--tracking-uri",
            &tracking,
            "--mongodb-uri",
            &mongodb,
        ]))
    };
    let report = last_line(&sync().success());
    for (field, value) in [
        ("seen", 2),
        ("written", 2),
        ("unchanged", 0),
        ("deleted", 0),
        ("quarantined", 0),
        ("problems", 1),
    ] {
        assert_eq!(report[field], value, "{field} of {report}");
    }
    let again = last_line(&sync().success());
    assert_eq!(
        (&again["seen"], &again["unchanged"], &again["problems"]),
        (&json!(2), &json!(2), &json!(1))
    );

    let store = MongoRunStore::from_database(test.database.clone());
    assert_eq!(
        ids(&store, Query::new().with_input_model("churn", "2")).await,
        set([&run_id, &fine])
    );
    let stored = store
        .get_run(&run_id)
        .await
        .expect("MongoDB answers")
        .expect("the run is mirrored");
    let problems = set(stored.problems().into_iter().map(|problem| problem.key));
    assert_eq!(problems, set(bad[..4].iter().map(|(key, _)| *key)));
    let stderr = sync().stderr;
    assert!(
        stderr.contains("1 mirrored run has recorded problems"),
        "{stderr}"
    );
}

fn last_line(stdout: &str) -> Value {
    serde_json::from_str(stdout.lines().last().unwrap_or_default())
        .expect("the last line of stdout is one object")
}
