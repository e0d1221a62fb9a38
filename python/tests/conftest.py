"""Real servers, and mirrors of real runs: a small pipeline with lineage, and 2,000 runs of all shapes.

`tools/python-test` starts the servers, builds the wheel, and names the program `runlineage` in RUNLINEAGE_TEST_PROGRAM.
"""

import json
import os
import pathlib
import sqlite3
import subprocess
import time
import uuid
from dataclasses import dataclass

import mlflow
import pymongo
import pytest

import runlineage as rl

IS_MLFLOW_2 = mlflow.__version__.startswith("2.")
MANY = 2_000


def mongodb_uri(database=""):
    uri = os.environ["RUNLINEAGE_TEST_MONGODB_URI"].rstrip("/")
    return f"{uri}/{database}"


def program(*arguments, database, check=True):
    """The standard output of the command line program."""
    command = [os.environ["RUNLINEAGE_TEST_PROGRAM"], *arguments, "--mongodb-uri", mongodb_uri(database)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if check and done.returncode:
        raise AssertionError(f"{arguments} exited with {done.returncode}: {done.stderr}")
    return done.stdout


@pytest.fixture(scope="session", autouse=True)
def no_own_settings():
    for name in ("MONGODB_URI", "MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID"):
        os.environ.pop(name, None)


@pytest.fixture(scope="session")
def server():
    uri = f"http://127.0.0.1:{os.environ['RUNLINEAGE_TEST_MLFLOW_PORT']}"
    mlflow.set_tracking_uri(uri)
    return uri


@pytest.fixture(scope="session")
def databases():
    """Makes names of databases, and drops these in the end."""
    names = []

    def new():
        names.append(f"python_{uuid.uuid4().hex[:12]}")
        return names[-1]

    yield new
    with pymongo.MongoClient(mongodb_uri()) as client:
        for name in names:
            client.drop_database(name)


def sync(server, database, *experiments):
    flags = [flag for experiment in experiments for flag in ("--exp", f"id:{experiment}")]
    program("sync", "--tracking-uri", server, *flags, database=database)


@dataclass
class World:
    """A mirrored pipeline: prepare → train twice → score, and the versions that the two trainings made."""

    database: str
    experiment: str
    experiment_name: str
    model: str
    runs: dict[str, str]

    def __post_init__(self):
        self.index = rl.Index(mongodb_uri(self.database))
        self.version = {number: f"model:{self.model}:{number}" for number in (1, 2)}

    def cli(self, *arguments, **options):
        return program(*arguments, database=self.database, **options)


HOSTILE_RUN = """hostile <b>&"'"""
HOSTILE_MODEL = """x@y c++ "q" 'z' %41 and (1)"""


@pytest.fixture(scope="session")
def world(server, databases):
    client = mlflow.MlflowClient()
    name = f"python-{uuid.uuid4().hex[:8]}"
    experiment = client.create_experiment(name)
    model = f"churn-{uuid.uuid4().hex[:8]}"
    runs = {}

    def run(key, params=None, metrics=None, reads=(), writes=(), status="FINISHED", name=None):
        made = client.create_run(experiment, run_name=name or key)
        runs[key] = made.info.run_id
        for param, text in (params or {}).items():
            client.log_param(made.info.run_id, param, text)
        for metric, value in (metrics or {}).items():
            client.log_metric(made.info.run_id, metric, value)
        for side, nodes in (("inputs", reads), ("outputs", writes)):
            for kind, key, details in nodes:
                client.set_tag(made.info.run_id, f"lineage.{side}.{kind}.{key}", json.dumps(details))
        client.set_terminated(made.info.run_id, status=status)
        return made.info.run_id

    prepare = run("prepare")
    client.set_tag(prepare, f"lineage.outputs.runs.{prepare}", json.dumps(["data/train.parquet"]))
    read = [("runs", prepare, ["data/train.parquet"])]
    one = run("train 1", {"lr": "0.10", "layers": "[3, 4]", "depth": "3"}, {"auc": 0.91, "loss": float("nan")}, reads=read)
    two = run("train 2", {"lr": "0.2", "layers": "[3, 4]", "note": "it''s"}, {"auc": 0.95}, reads=read)
    client.create_registered_model(model)
    for made in (one, two):
        client.create_model_version(model, source=f"runs:/{made}/model", run_id=made)
    client.set_registered_model_alias(model, "champion", "2")
    run("score", reads=[("models", model, ["1"])], status="FAILED")
    reads = [("models", model, ["2"])]
    hostile = run("hostile", {"a": "1", "a.b": "2", "x y/z-1": "héé 😀"}, {"a": 1.0, "a.b": 2.0}, reads=reads, name=HOSTILE_RUN)
    overflow = json.dumps([["inputs", "models", HOSTILE_MODEL, "1"], ["inputs", "runs", one, "a b/ü <x>.png"]])
    client.set_tag(hostile, "lineage_overflow.0123456789abcdef", overflow)

    database = databases()
    sync(server, database, experiment)
    return World(database, experiment, name, model, runs)


@dataclass
class Many:
    """Mirrored runs of all shapes, in two experiments."""

    database: str
    experiments: list[str]

    def __post_init__(self):
        self.index = rl.Index(mongodb_uri(self.database))


@pytest.fixture(scope="session")
def many(server, databases):
    names = [f"python-many-{uuid.uuid4().hex[:8]}" for _ in range(2)]
    experiments = [mlflow.MlflowClient().create_experiment(name) for name in names]
    insert_runs(experiments, MANY)
    database = databases()
    sync(server, database, *experiments)
    return Many(database, experiments)


def insert_runs(experiments, count):
    """Inserts runs into the SQLite file of the running server: by its API, they would take minutes."""
    start = int(time.time() * 1000) - count * 60_000
    statuses = ["FINISHED", "FINISHED", "FAILED", "RUNNING", "KILLED"]
    texts = ["0.10", "1e-3", "True", "None", "3", "-0.0", "", "adam", "it''s", '"quoted"', "[1, 2.50]", '{"a": {"b": 1}}', "héé 😀", "null", "1" * 40]
    runs, tags, params, metrics = [], [], [], []
    for number in range(count):
        run = uuid.uuid4().hex
        status = statuses[number % len(statuses)]
        begin = start + number * 60_000
        end = None if status == "RUNNING" else begin + 1_234
        experiment = experiments[number % len(experiments)]
        uri = f"s3://bucket/{experiment}/{run}/artifacts"
        runs.append((run, f"run {number}", status, begin, end, uri, int(experiment)))
        tags += [(key, text, run) for key, text in {
            "mlflow.user": "ana", "mlflow.runName": f"run {number}", "mlflow.source.type": "LOCAL", "team": texts[number % len(texts)],
            "mlflow.note.content": '["1"]',
        }.items()]
        if number % 5 == 0:
            tags.append(("artifacts_repo", f"gs://moved/{run}", run))
        if number % 3:
            tags.append((f"lineage.inputs.models.model-{number % 7}", json.dumps([str(number % 5)]), run))
        keys = {"optimizer": texts[number % len(texts)], "lr": f"{number % 97 / 1000:.4f}", "depth": str(number % 13)}
        if number % 4 == 0:
            keys |= {"a": "1", "a.b": "2", "a..b": "3", "object": '{"x": {"y": 1}}', "Key with /- .": " padded "}
        if number % 200 == 0:
            keys |= {f"rare.{number}": "yes"}
        params += [(key, text, run) for key, text in keys.items()]
        values = {"auc": (number * 37 % 1000) / 1000, "loss": 1 / (number + 1), "big": 2.0**60 + number}
        if number % 5:
            values |= {"val.auc": -0.0, "val": float(number)}
        metrics += [(key, value, 0, run) for key, value in values.items()]
        if number % 11 == 0:
            metrics.append(("nan", 0.0, 1, run))
    file = pathlib.Path(os.environ["RUNLINEAGE_TEST_MLFLOW_FOLDER"]) / "mlflow.db"
    with sqlite3.connect(file, timeout=120) as db:
        db.executemany(
            "INSERT INTO runs (run_uuid, name, source_type, source_name, entry_point_name, user_id, status, start_time, end_time, source_version,"
            " lifecycle_stage, artifact_uri, experiment_id) VALUES (?, ?, 'LOCAL', '', '', 'ana', ?, ?, ?, '', 'active', ?, ?)",
            runs,
        )
        db.executemany("INSERT INTO tags (key, value, run_uuid) VALUES (?, ?, ?)", tags)
        db.executemany("INSERT INTO params (key, value, run_uuid) VALUES (?, ?, ?)", params)
        db.executemany("INSERT INTO latest_metrics (key, value, timestamp, step, is_nan, run_uuid) VALUES (?, ?, 1, 0, ?, ?)", metrics)
    db.close()
