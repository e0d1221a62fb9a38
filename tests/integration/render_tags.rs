//! `Query::render_tags()` gives a filter with which mlopus' own `find_runs` finds the same runs.

use bson::{Document, doc};
use runlineage::{Error, Query};
use serde_json::json;

use crate::support::mirror::{client, ids, mirror, set, sync};
use crate::support::mlflow;
use crate::support::mlopus::mlopus;
use crate::support::mongodb::TestDatabase;
use crate::support::rest::Rest;

fn query() -> Query {
    Query::new()
}

#[test]
fn a_query_is_rendered_as_mlopus_renders_it() {
    let cases = [
        (query(), doc! {}),
        (
            query().with_input_model("churn", "3"),
            doc! { "tags.lineage.inputs.models.churn": "3" },
        ),
        (
            query().with_output_model("größe/klein", None),
            doc! { "tags.lineage.outputs.models.größe/klein": { "$exists": true } },
        ),
        (
            query()
                .with_input_artifact("77ab", "/data/x.parquet/")
                .with_output_artifact("88cd", None),
            doc! {
                "tags.lineage.inputs.runs.77ab": "data/x.parquet",
                "tags.lineage.outputs.runs.88cd": { "$exists": true },
            },
        ),
        // A repeated condition is rendered once.
        (
            query()
                .with_input_model("churn", "3")
                .with_input_model("churn", "3")
                .with_output_model("churn", "4"),
            doc! { "tags.lineage.inputs.models.churn": "3", "tags.lineage.outputs.models.churn": "4" },
        ),
    ];
    for (query, expected) in cases {
        assert_eq!(
            query.render_tags().expect("mlopus can express it"),
            expected
        );
    }
}

#[test]
fn a_query_that_mlopus_cannot_express_is_an_error() {
    let any = [
        query().with_input_model("a", "1"),
        query().with_input_model("b", "1"),
    ];
    let unsupported = [
        query().with_input_model("churn.v2", "3"),
        query().with_input_model("a b", None),
        query().with_output_artifact("77ab.x", "data"),
        query().with_input_model("gro\u{a7cb}e", "3"),
        query()
            .with_input_model("churn", "1")
            .with_input_model("churn", "2"),
        query()
            .with_input_model("churn", None)
            .with_input_model("churn", "2"),
        query().with_any_of(any),
        query().with_exp("1"),
        query().with_status("FAILED"),
        query().with_tag("team", "risk"),
        query().with_param("lr", 0.1),
        query().with_parent("77ab"),
        query().with_problems(),
        query().with_input_path("data"),
        query().with_output_path_under("data"),
    ];
    for query in unsupported {
        let rendered = query.render_tags();
        assert!(
            matches!(rendered, Err(Error::Unsupported { .. })),
            "{query:?}: {rendered:?}"
        );
    }
    let bad = query()
        .with_input_model("", "1")
        .with_exp("1")
        .render_tags();
    assert!(
        matches!(
            bad,
            Err(Error::InvalidArgument {
                argument: "model name",
                ..
            })
        ),
        "{bad:?}"
    );
}

#[tokio::test]
async fn mlopus_finds_the_same_runs_with_the_rendered_filter() {
    let server = mlflow::shared();
    let (experiment, _) = Rest::new(server).experiment("rendered").await;
    let made = mlopus(
        server,
        json!({ "exp": experiment }),
        r"
exp = api.get_or_create_exp(input['exp'])
runs = [api.start_run(exp, name) for name in ('train', 'score', 'both', 'none')]
train, score, both, none = runs
mlopus.lineage.of(train).with_output_model('churn', '2').with_output_artifact(train.id, '/plots/roc.png/').register()
mlopus.lineage.of(score).with_input_model('churn', '2').with_input_artifact(train.id, 'plots/roc.png').register()
mlopus.lineage.of(both).with_input_model('churn', '2').with_input_model('größe/klein', '1').with_output_model('churn', '3').register()
output = [run.id for run in runs]
",
    );
    let train = made[0].as_str().expect("ids are text");
    let (test, mlflow) = (TestDatabase::new().await, client(server));
    let store = mirror(&test).await;
    assert_eq!(sync(&mlflow, &store, &[&experiment]).await.seen, 4);

    let queries = [
        (query().with_output_model("churn", "2"), 1),
        (query().with_input_model("größe/klein", "1"), 1),
        (query().with_input_model("churn", None), 2),
        (query().with_input_model("churn", "2"), 2),
        (query().with_input_artifact(train, "plots/roc.png"), 1),
        (query().with_output_artifact(train, None), 1),
        (
            query()
                .with_input_model("churn", None)
                .with_output_model("churn", "3"),
            1,
        ),
        (query().with_input_model("churn", "9"), 0),
    ];
    let rendered: Vec<Document> = queries
        .iter()
        .map(|(query, _)| query.render_tags().expect("mlopus can express it"))
        .collect();
    let rendered = bson::Bson::from(rendered).into_relaxed_extjson();
    let found = mlopus(
        server,
        json!({ "exp": experiment, "queries": rendered }),
        r"
exp = api.get_or_create_exp(input['exp'])
output = [sorted(run.id for run in exp.find_runs(query)) for query in input['queries']]
",
    );
    for ((query, count), found) in queries.iter().zip(found.as_array().expect("an array")) {
        let here = ids(&store, query).await;
        let there = found.as_array().expect("an array").iter();
        let there = set(there.map(|id| id.as_str().expect("ids are text")));
        assert_eq!(there, here, "{query:?}");
        assert_eq!(here.len(), *count, "{query:?}");
    }
}
