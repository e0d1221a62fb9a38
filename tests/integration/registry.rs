//! MLflow's model registry and logged models in the mirror, as a real workload leaves them.

use mongodb::bson::Document;
use serde_json::json;

use crate::support::lab::{Lab, text};
use crate::support::mlflow::Version;
use crate::support::mlopus::mlflow_python;
use crate::support::registry::{differences, mirrored, shown, stored};

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
