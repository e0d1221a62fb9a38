"""What the tests of registering share: runs and models on a real MLflow, and scripts in processes of their own."""

import json
import os
import pathlib
import subprocess
import sys
import textwrap
import uuid
from dataclasses import dataclass

import mlflow
import mlflow.sklearn
import pytest
from conftest import IS_MLFLOW_2, mongodb_uri

import runlineage as rl

# Where this package is installed, for interpreters of other programs.
PACKAGES = pathlib.Path(rl.__file__).parent.parent




@dataclass(frozen=True)
class Trained:
    """A run that made a model, and the versions 1 and 2 of a registered model, both of them that model."""

    run_id: str
    name: str
    # MLflow's URI of the model by its run.
    uri: str
    # MLflow 3 only.
    model_id: str | None


@pytest.fixture(scope="session")
def experiment(server):
    return mlflow.create_experiment(unique("python"))


@pytest.fixture(scope="session")
def trained(experiment):
    from sklearn.linear_model import LinearRegression

    model = LinearRegression().fit([[0.0], [1.0]], [0.0, 1.0])
    name = unique("churn")
    with mlflow.start_run(experiment_id=experiment) as run:
        where = {"artifact_path": "model"} if IS_MLFLOW_2 else {"name": "model"}
        logged = mlflow.sklearn.log_model(model, **where, pip_requirements=["scikit-learn"])
        mlflow.log_text("a,b", "data/train.csv")
        mlflow.log_text("x", "notes.txt")
    client = mlflow.MlflowClient()
    client.create_registered_model(name)
    for _ in range(2):
        mlflow.register_model(logged.model_uri, name)
    client.set_registered_model_alias(name, "champion", "1")
    return Trained(run.info.run_id, name, f"runs:/{run.info.run_id}/model", getattr(logged, "model_id", None))


@pytest.fixture
def run(experiment):
    return mlflow.MlflowClient().create_run(experiment)


@pytest.fixture
def index(databases):
    return rl.Index(mongodb_uri(), databases())


@pytest.fixture(autouse=True)
def switched_off():
    yield
    rl.lineage.autolog(disable=True)
    while mlflow.active_run():
        mlflow.end_run()


def unique(word):
    return f"{word}-{uuid.uuid4().hex[:8]}"


def tags(run):
    """The tags of a run that MLflow does not set itself."""
    run_id = run if isinstance(run, str) else run.info.run_id
    all_tags = mlflow.MlflowClient().get_run(run_id).data.tags
    return {key: value for key, value in all_tags.items() if not key.startswith("mlflow.")}


def recorded(run):
    """The entries in the overflow tags of a run, which hold all that was registered: (side, kind, key, detail)."""
    values = [value for key, value in tags(run).items() if key.startswith("lineage_overflow.")]
    return {tuple(entry) for value in values for entry in json.loads(value.replace("''", "'"))}


def mlopus_tags(run):
    """The tags of a run that mlopus reads."""
    return {key: json.loads(value) for key, value in tags(run).items() if key.startswith("lineage.")}


def environ(**more):
    """The environment of a process that imports this package and uses the tracking server of the tests."""
    path = os.pathsep.join(filter(None, [str(PACKAGES), os.environ.get("PYTHONPATH")]))
    return {**os.environ, "PYTHONPATH": path, "MLFLOW_TRACKING_URI": mlflow.get_tracking_uri(), "GIT_PYTHON_REFRESH": "quiet", **more}


def python(script, *arguments, interpreter=sys.executable, **environment):
    """Runs a script in a process of its own. Returns its answer, which is JSON in a line after `=`, and what it wrote to stderr."""
    command = [str(interpreter), "-c", textwrap.dedent(script), *arguments]
    ended = subprocess.run(command, env=environ(**environment), capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stderr
    answers = [json.loads(line[1:]) for line in ended.stdout.splitlines() if line.startswith("=")]
    return (answers or [None])[-1], ended.stderr
