#!/usr/bin/env python3
"""What a data frame costs: beside pymongo, beside `mlflow.search_runs`, and to import the package.

    tools/python-test --bench      (builds the wheel with optimisation, starts the servers, and runs this)

RUNS is the number of runs in the large database: 200,000 by default. MLFLOW_RUNS is the number in MLflow: 10,000 by default.
"""

import os
import pathlib
import statistics
import subprocess
import sys
import time
import uuid

import mlflow
import pandas as pd
import pymongo

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "tests"))
from conftest import insert_runs, mongodb_uri, program, sync  # noqa: E402

import runlineage as rl  # noqa: E402

RUNS = int(os.environ.get("RUNS", 200_000))
MLFLOW_RUNS = int(os.environ.get("MLFLOW_RUNS", 10_000))
WANTED = 2_000
MODEL = "wanted"


def main():
    server = f"http://127.0.0.1:{os.environ['RUNLINEAGE_TEST_MLFLOW_PORT']}"
    mlflow.set_tracking_uri(server)
    with pymongo.MongoClient(mongodb_uri(), tz_aware=True) as client:
        databases = [f"python_bench_{uuid.uuid4().hex[:8]}" for _ in range(2)]
        try:
            experiment = beside_mlflow(server, databases[0])
            beside_pymongo(client, *databases, experiment)
        finally:
            for database in databases:
                client.drop_database(database)
    imported()


def beside_mlflow(server, database):
    experiment = mlflow.MlflowClient().create_experiment(f"bench-{uuid.uuid4().hex[:8]}")
    insert_runs([experiment], MLFLOW_RUNS)
    sync(server, database, experiment)
    condition = "metrics.auc > 0.2"
    index = rl.Index(mongodb_uri(database))
    ours, frame = best(lambda: index.search_runs(condition), 5)
    theirs, expected = best(lambda: mlflow.search_runs([experiment], condition), 1)
    assert set(frame["run_id"]) == set(expected["run_id"])
    print(f"{len(frame)} of {MLFLOW_RUNS} runs: mlflow.search_runs {theirs:.2f} s, here {ours:.3f} s, ratio {theirs / ours:.0f}")
    return experiment


def beside_pymongo(client, source, database, experiment):
    program("migrate", database=database)
    copy_runs(client[source]["runs"], client[database]["runs"])
    query = rl.Query().with_input_model(MODEL)
    index = rl.Index(mongodb_uri(database))
    runs = client[database]["runs"]
    ours, frame = best(lambda: index.search_runs(query), 7)
    by_hand, flat = best(lambda: pd.DataFrame([flattened(run) for run in runs.find(query.render())]), 7)
    normalized, _ = best(lambda: pd.json_normalize(list(runs.find(query.render()))), 3)
    assert len(frame) == len(flat) == WANTED
    assert set(flat.columns) == set(frame.columns), set(flat.columns) ^ set(frame.columns)
    print(f"{WANTED} of {RUNS} runs, {len(frame.columns)} columns: pymongo and a loop {by_hand * 1e3:.0f} ms, here {ours * 1e3:.0f} ms, ratio {ours / by_hand:.2f}")
    print(f"pymongo and pandas.json_normalize {normalized * 1e3:.0f} ms, ratio {ours / normalized:.2f}")


def copy_runs(source, target):
    """Fills the large database with copies of the mirrored runs, of which some read the wanted model."""
    samples = list(source.find().limit(1_000))
    every = RUNS // WANTED
    batch = []
    for number in range(RUNS):
        run = dict(samples[number % len(samples)])
        run["_id"] = f"{number:032x}"
        models = [{"name": MODEL, "version": "1", "from": "tag"}] if number % every == 0 else []
        run["inputs"] = {"models": models, "runs": []}
        batch.append(run)
        if len(batch) == 5_000:
            target.insert_many(batch, ordered=False)
            batch = []
    if batch:
        target.insert_many(batch, ordered=False)


def flattened(run):
    """The cells of a run under the names of the frame's columns, as people write it for pymongo."""
    row = {
        "run_id": run["_id"],
        "experiment_id": run["exp"]["id"],
        "status": run["status"],
        "artifact_uri": run["repo"],
        "start_time": run["start_time"],
        "end_time": run.get("end_time"),
    }
    for root in ("metrics", "params", "tags"):
        flatten(run.get(root, {}), root, row)
    for root, entries in run["mirror"].get("unnested", {}).items():
        row.update((f"{root}.{entry['key']}", entry["value"]) for entry in entries)
    for root, entries in run["mirror"].get("text", {}).items():
        for entry in entries:
            row = {key: value for key, value in row.items() if not key.startswith(f"{root}.{entry['key']}.")} if entry["value"].startswith("{") else row
            row[f"{root}.{entry['key']}"] = entry["value"]
    for side in ("inputs", "outputs"):
        models = [f"model:{entry['name']}:{entry.get('version')}" for entry in run[side].get("models", ())]
        row[side] = models + [f"artifact:{entry['id']}/{entry.get('path')}" for entry in run[side].get("runs", ())]
    return row


def flatten(tree, prefix, row):
    for name, value in tree.items():
        if isinstance(value, dict):
            flatten(value, f"{prefix}.{name}", row)
        else:
            row[f"{prefix}.{name}"] = value


def imported():
    script = "import time; begin = time.perf_counter(); import runlineage; print(time.perf_counter() - begin)"
    times = [float(subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, check=True).stdout) for _ in range(15)]
    print(f"import runlineage: {min(times) * 1e3:.0f} ms, median {statistics.median(times) * 1e3:.0f} ms")


def best(ask, times):
    """The shortest time of some calls, and the answer."""
    fastest = float("inf")
    for _ in range(times):
        begin = time.perf_counter()
        answer = ask()
        fastest = min(fastest, time.perf_counter() - begin)
    return fastest, answer


if __name__ == "__main__":
    main()
