"""A small training pipeline that records its lineage with mlopus: prepare, train, evaluate, score and report.

    MLFLOW_TRACKING_URI=http://localhost:5000 python examples/pipeline.py

The pipeline predicts which customers leave ("churn"), from random data. Each step is an MLflow run, and registers its inputs and
outputs with `mlopus.lineage`. MLflow itself records the versions, the alias of the one in production, and the training data. Then `runlineage sync` mirrors the runs, and `runlineage find` searches them. The last line of the
output is a JSON object of run ids by step.
"""

import csv
import hashlib
import json
import math
import os
import random
import tempfile

import mlopus
from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag

MODEL = "churn"
# What is in production, under a name of its own.
PRODUCTION = "churn-production"
COLUMNS = ["months", "calls", "price"]


def main():
    api = mlopus.mlflow.get_api(
        conf={
            "tracking_uri": os.environ["MLFLOW_TRACKING_URI"],
            # An example should leave nothing in the home folder.
            "cache_dir": tempfile.mkdtemp(prefix="churn-"),
        }
    )
    exp = api.get_or_create_exp("churn")
    runs = {}

    customers = runs["prepare"] = prepare(exp, month="2026-10", seed=10)
    # Train three candidates. Each becomes the next version of the registered model.
    versions = []
    for rate, rounds in [(0.02, 40), (0.5, 300), (0.5, 1200)]:
        run, version = train(api, exp, customers, rate, rounds)
        runs["train-v" + version.version] = run
        versions.append(version)
    for version in versions:
        runs["evaluate-v" + version.version] = evaluate(exp, customers, version)

    # Version 2 goes into production: it scores the customers of two months, and a report reads the scores.
    promote(versions[1])
    for month, seed in [("2026-11", 11), ("2026-12", 12)]:
        fresh = runs["prepare-" + month] = prepare(exp, month, seed)
        runs["score-" + month] = score(exp, fresh, versions[1], month)
    runs["report"] = report(exp, [runs["score-2026-11"], runs["score-2026-12"]])

    # Version 4 is trained as version 2 was, but on the customers of November, and for longer.
    runs["train-v4"], _ = train(api, exp, runs["prepare-2026-11"], 0.5, 600)

    print(json.dumps({what: run.id for what, run in runs.items()}))


def prepare(exp, month, seed):
    """Generates the customers of a month, split into training and test data."""
    with exp.start_run("prepare-" + month) as run:
        dice = random.Random(seed)
        customers = [make_customer(dice) for _ in range(800)]
        run.log_params({"month": month, "customers": len(customers)})
        run.log_metrics({"churned": sum(c["churned"] for c in customers) / len(customers)})

        lineage = mlopus.lineage.of(run)
        for part, rows in [("train", customers[:600]), ("test", customers[600:])]:
            path = "data/%s.csv" % part
            run.log_artifact(lambda target, rows=rows: write_csv(target, rows), path_in_run=path)
            lineage = lineage.with_output_artifact(run.id, path)
        lineage.register()
    return run


def train(api, exp, customers, rate, rounds):
    """Fits a logistic regression by gradient descent, and registers it as the next version of the model."""
    with exp.start_run("train-churn") as run:
        rows = read_csv(customers, "data/train.csv")
        weights = [0.0] * (len(COLUMNS) + 1)
        for _ in range(rounds):
            slope = [0.0] * len(weights)
            for row in rows:
                error = predict(weights, row) - row["churned"]
                for i, x in enumerate(features(row)):
                    slope[i] += error * x / len(rows)
            weights = [w - rate * s for w, s in zip(weights, slope)]

        run.log_params({"rate": rate, "rounds": rounds})
        run.log_metrics({"loss": loss(weights, rows)})
        log_dataset(run, "customers", rows, source="runs:/%s/data/train.csv" % customers.id)
        model = api.get_or_create_model(MODEL)
        version = model.log_version(run, lambda target: save(target, weights), path_in_run="model")
        mlopus.lineage.of(run).with_input_artifact(customers.id, "data/train.csv").with_output_model(
            MODEL, version.version
        ).register()
    return run, version


def log_dataset(run, name, rows, source):
    """Records the training data in MLflow itself, as `mlflow.log_input` does."""
    digest = hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:8]
    dataset = Dataset(name=name, digest=digest, source_type="artifact", source=source)
    used_for = [InputTag("mlflow.data.context", "training")]
    MlflowClient(os.environ["MLFLOW_TRACKING_URI"]).log_inputs(run.id, [DatasetInput(dataset, used_for)])


def promote(version):
    """Points the alias `champion` to a version, and copies the version under the name of production."""
    client = MlflowClient(os.environ["MLFLOW_TRACKING_URI"])
    client.set_registered_model_alias(MODEL, "champion", version.version)
    client.copy_model_version("models:/%s/%s" % (MODEL, version.version), PRODUCTION)


def evaluate(exp, customers, version):
    """Measures a version on test data."""
    with exp.start_run("evaluate-churn") as run:
        rows = read_csv(customers, "data/test.csv")
        weights = load(version)
        right = sum((predict(weights, row) > 0.5) == bool(row["churned"]) for row in rows)
        run.log_params({"model_version": version.version})
        run.log_metrics({"accuracy": right / len(rows), "loss": loss(weights, rows)})
        mlopus.lineage.of(run).with_input_model(MODEL, version.version).with_input_artifact(
            customers.id, "data/test.csv"
        ).register()
    return run


def score(exp, customers, version, month):
    """Predicts for each customer of a month how likely they are to leave."""
    with exp.start_run("score-" + month) as run:
        weights = load(version)
        rows = read_csv(customers, "data/test.csv") + read_csv(customers, "data/train.csv")
        scores = [{"customer": i, "score": round(predict(weights, row), 4)} for i, row in enumerate(rows)]
        run.log_metrics({"likely_to_leave": sum(s["score"] > 0.5 for s in scores)})
        run.log_artifact(lambda target: write_csv(target, scores), path_in_run="scores.csv")
        mlopus.lineage.of(run).with_input_model(MODEL, version.version).with_input_artifact(
            customers.id, "data/test.csv"
        ).with_input_artifact(customers.id, "data/train.csv").with_output_artifact(run.id, "scores.csv").register()
    return run


def report(exp, scorings):
    """Counts the customers that are likely to leave, in each scoring."""
    with exp.start_run("report") as run:
        lineage = mlopus.lineage.of(run).with_output_artifact(run.id, "report.txt")
        lines = []
        for scoring in scorings:
            likely = sum(row["score"] > 0.5 for row in read_csv(scoring, "scores.csv"))
            lines.append("%s: %d customers are likely to leave\n" % (scoring.name, likely))
            lineage = lineage.with_input_artifact(scoring.id, "scores.csv")
        run.log_artifact(lambda target: target.write_text("".join(lines)), path_in_run="report.txt")
        lineage.register()
    return run


def make_customer(dice):
    months, calls, price = dice.uniform(0, 48), dice.randrange(8), dice.uniform(10, 90)
    leaning = 1.5 - months / 12 + calls * 0.6 + (price - 50) / 40
    churned = dice.random() < 1 / (1 + math.exp(-leaning))
    return {"months": round(months, 1), "calls": calls, "price": round(price, 2), "churned": int(churned)}


def features(row):
    return [1.0, row["months"] / 48, row["calls"] / 8, row["price"] / 90]


def predict(weights, row):
    return 1 / (1 + math.exp(-sum(w * x for w, x in zip(weights, features(row)))))


def loss(weights, rows):
    return -sum(math.log(p if row["churned"] else 1 - p) for row in rows for p in [predict(weights, row)]) / len(rows)


def save(target, weights):
    target.mkdir()
    (target / "weights.json").write_text(json.dumps(weights))


def load(version):
    return version.load_artifact(lambda folder: json.loads((folder / "weights.json").read_text()))


def write_csv(target, rows):
    with open(target, "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)


def read_csv(run, path):
    def loader(file):
        with open(file, newline="") as rows:
            return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(rows)]

    return run.load_artifact(loader, path)


if __name__ == "__main__":
    main()
