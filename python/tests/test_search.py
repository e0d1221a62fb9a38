"""`search_runs`, `find_runs` and what belongs to them, beside `mlflow.search_runs` and the stored documents."""

import math
from datetime import datetime, timezone

import mlflow
import numpy as np
import pandas as pd
import pymongo
import pytest
from conftest import HOSTILE_MODEL, HOSTILE_RUN, MANY, mongodb_uri

import runlineage as rl

LINEAGE = ["inputs", "outputs"]


def of_mlflow(experiments, **arguments):
    return mlflow.search_runs(experiment_ids=experiments, **arguments)


def assert_same(ours, theirs):
    """Equal in every column that both have, by value and by type; and MLflow has no column that is missing here."""
    assert set(theirs.columns) - set(ours.columns) == set()
    assert set(ours.columns) - set(theirs.columns) == set(LINEAGE)
    ours, theirs = (frame.set_index("run_id").sort_index() for frame in (ours, theirs))
    assert list(ours.index) == list(theirs.index)
    for name in theirs.columns:
        pd.testing.assert_series_equal(ours[name], theirs[name], check_exact=True, obj=name)


def test_a_frame_equals_that_of_mlflow_column_by_column_and_type_by_type(many):
    ours = many.index.search_runs()
    assert len(ours) == MANY
    theirs = of_mlflow(many.experiments)
    assert_same(ours, theirs)
    assert ours["start_time"].dt.tz is not None
    assert ours["end_time"].isna().sum() == MANY / 5
    assert {str(ours[name].dtype) for name in ours if name.startswith("metrics.")} == {"float64"}
    # The newest runs come first in both.
    assert list(ours["run_id"]) == list(theirs["run_id"])


@pytest.mark.parametrize(
    "condition",
    ["metrics.auc > 0.5 and params.optimizer = 'adam'", "params.lr = '0.0100' and status = 'FINISHED'", "tags.team = '0.10'"],
)
def test_a_condition_of_mlflow_finds_the_same_runs(many, condition):
    theirs = of_mlflow(many.experiments, filter_string=condition)
    assert 0 < len(theirs) < MANY / 2
    assert_same(many.index.search_runs(condition), theirs)


def test_an_order_and_a_limit_give_the_same_rows_as_mlflow(many):
    arguments = {"order_by": ["metrics.auc DESC", "metrics.loss ASC"], "max_results": 50}
    ours = many.index.search_runs(**arguments)
    theirs = of_mlflow(many.experiments, **arguments)
    assert list(ours["run_id"]) == list(theirs["run_id"])
    assert ours["metrics.auc"].is_monotonic_decreasing


def test_experiments_are_named_by_id_or_by_name(many, world):
    one = many.index.search_runs(experiment_ids=many.experiments[:1])
    assert len(one) == MANY / 2 and set(one["experiment_id"]) == set(many.experiments[:1])
    named = world.index.search_runs(experiment_names=[world.experiment_name])
    assert set(named["run_id"]) == set(world.runs.values())
    with pytest.raises(rl.NotFound, match="no experiment \"nope\" is mirrored"):
        world.index.search_runs(experiment_names=["nope"])
    with pytest.raises(rl.NotFound, match="nope"):
        world.index.search_runs("exp = 'nope'")


def test_lineage_stands_beside_the_columns_of_mlflow(world):
    frame = world.index.search_runs().set_index("run_id")
    score = frame.loc[world.runs["score"]]
    assert (score["inputs"], score["outputs"]) == ([world.version[1]], [])
    train = frame.loc[world.runs["train 1"]]
    assert train["inputs"] == [f"artifact:{world.runs['prepare']}/data/train.parquet"]
    assert train["outputs"] == [world.version[1]]


def test_hostile_names_come_back_as_they_are(world):
    run = world.index.get_run(world.runs["hostile"])
    assert run.run_name == HOSTILE_RUN
    nodes = {(node.kind, node.key, node.detail) for node in run.inputs}
    assert ("model", HOSTILE_MODEL, "1") in nodes
    assert ("artifact", world.runs["train 1"], "a b/ü <x>.png") in nodes
    for node in run.inputs:
        assert rl.Node(str(node)) == node
    found = world.index.search_runs(rl.Query().with_input_model(HOSTILE_MODEL, "1"))
    assert list(found["run_id"]) == [world.runs["hostile"]]
    text = str(rl.Node.model(HOSTILE_MODEL, "1")).replace("'", "''")
    assert list(world.index.search_runs(f"input = '{text}'")["run_id"]) == [world.runs["hostile"]]
    row = world.index.search_runs(f"run_id = '{world.runs['hostile']}'").iloc[0]
    assert (row["params.a"], row["params.a.b"], row["params.x y/z-1"], row["metrics.a"]) == ("1", "2", "héé 😀", 1.0)


def test_decoded_params_and_tags_are_values(world):
    runs = [world.runs["train 1"], world.runs["train 2"]]
    condition = f"run_id in ('{runs[0]}', '{runs[1]}')"
    texts = world.index.search_runs(condition).set_index("run_id")
    values = world.index.search_runs(condition, decoded=True).set_index("run_id")
    assert (texts.loc[runs[0], "params.lr"], values.loc[runs[0], "params.lr"]) == ("0.10", 0.1)
    assert (texts.loc[runs[0], "params.layers"], values.loc[runs[0], "params.layers"]) == ("[3, 4]", [3, 4])
    assert (values.loc[runs[0], "params.depth"], values.loc[runs[1], "params.depth"]) == (3, None)
    assert (texts.loc[runs[1], "params.note"], values.loc[runs[1], "params.note"]) == ("it''s", "it''s")
    assert values.loc[runs[0], "tags.mlflow.runName"] == "train 1"


def test_nan_is_nan_and_times_have_a_time_zone(world):
    frame = world.index.search_runs().set_index("run_id")
    assert math.isnan(frame.loc[world.runs["train 1"], "metrics.loss"])
    assert math.isnan(frame.loc[world.runs["score"], "metrics.auc"])
    run = world.index.get_run(world.runs["train 1"])
    assert math.isnan(run.metrics["loss"]) and run.metrics["auc"] == 0.91
    assert run.start_time.tzinfo == timezone.utc
    assert run.start_time == frame.loc[run.run_id, "start_time"]
    assert run.to_dict()["start_time"] == run.start_time


def test_only_the_named_columns_are_read(many):
    columns = ["metrics.auc", "params.lr", "start_time", "artifact_uri", "inputs", "params.of no run", "metrics.of_no_run"]
    frame = many.index.search_runs(columns=columns, max_results=20)
    assert list(frame.columns) == ["run_id", *columns]
    whole = many.index.search_runs(max_results=20)
    for name in ["run_id", "metrics.auc", "params.lr", "start_time", "artifact_uri", "inputs"]:
        pd.testing.assert_series_equal(frame[name], whole[name])
    assert frame["params.of no run"].isna().all() and frame["metrics.of_no_run"].dtype == np.float64
    with pytest.raises(rl.InvalidArgument, match="columns: a run has no field `metrcs.auc`"):
        many.index.search_runs(columns=["metrcs.auc"])


def test_a_limit_that_cut_the_runs_is_logged(many, caplog):
    assert len(many.index.search_runs(max_results=10)) == 10
    assert "only the first 10 runs were read" in caplog.text
    caplog.clear()
    assert len(many.index.search_runs(max_results=MANY)) == MANY
    assert "only the first" not in caplog.text


def test_a_search_without_an_index_is_logged(many, caplog):
    many.index.search_runs("params.lr = '0.0100'")
    assert "no index serves this search" in caplog.text
    caplog.clear()
    many.index.search_runs("input.model = 'model-1' and params.lr = '0.0100'")
    assert caplog.text == ""


def test_runs_are_listed_and_iterated_as_objects(many):
    listed = many.index.search_runs("input.model = 'model-1'", output_format="list")
    assert all(isinstance(run, rl.Run) for run in listed)
    iterated = list(many.index.find_runs("input.model = 'model-1'"))
    assert [run.run_id for run in iterated] == [run.run_id for run in listed]
    assert len(listed) == many.index.count_runs("input.model = 'model-1'") == len(many.index.search_runs("input.model = 'model-1'"))
    assert len(list(many.index.find_runs())) == MANY
    assert len(list(many.index.find_runs(max_results=3))) == 3
    run = listed[0]
    frame = many.index.search_runs(f"run_id = '{run.run_id}'").iloc[0]
    assert (run.run_id, run.experiment_id, run.status, run.artifact_uri) == tuple(frame[["run_id", "experiment_id", "status", "artifact_uri"]])
    assert {f"params.{key}": text for key, text in run.params.items()} == frame.filter(like="params.").dropna().to_dict()
    assert {f"tags.{key}": text for key, text in run.tags.items()} == frame.filter(like="tags.").dropna().to_dict()
    assert [str(node) for node in run.inputs] == frame["inputs"]
    assert run.user == "ana" and run.run_name.startswith("run ")


def test_a_run_is_found_by_its_id_or_by_mlflows_object(world):
    id = world.runs["score"]
    for asked in (id, f"runs:/{id}", mlflow.get_run(id), mlflow.get_run(id).info, world.index.get_run(id)):
        assert world.index.get_run(asked).run_id == id
    assert world.index.get_run("f" * 32) is None


def test_a_search_without_runs_gives_a_typed_frame(many):
    frame = many.index.search_runs("input.model = 'nothing reads this'")
    assert len(frame) == 0
    assert list(frame.columns) == ["run_id", "experiment_id", "status", "artifact_uri", "start_time", "end_time", *LINEAGE]
    assert frame["start_time"].dt.tz is not None


def test_a_rendered_query_finds_the_same_runs_by_pymongo(many):
    since = datetime.now(timezone.utc).replace(year=2020)
    query = rl.Query().with_input_model("model-2", 3).with_start_time(since=since).with_metric("auc", ge=0.25, lt=0.75).with_param("depth", [1, 2, 3])
    expected = set(many.index.search_runs(query)["run_id"])
    assert expected
    with pymongo.MongoClient(mongodb_uri(), tz_aware=True) as client:
        found = client[many.database]["runs"].find(query.render(), {"_id": 1})
        assert {run["_id"] for run in found} == expected
    assert set(many.index.search_runs(str(query))["run_id"]) == expected


def test_times_far_from_ours_do_not_break_a_frame(databases):
    database = databases()
    with pymongo.MongoClient(mongodb_uri()) as client:
        dates = {"a": datetime(9999, 12, 31, tzinfo=timezone.utc), "b": datetime(1, 1, 1, tzinfo=timezone.utc), "c": "253402300800000"}
        client[database]["runs"].insert_many({"_id": id, "start_time": date} for id, date in dates.items())
    index = rl.Index(mongodb_uri(database))
    frame = index.search_runs(order_by=["run_id"])
    years = [str(time) for time in frame["start_time"].astype(str)]
    assert [year[:4] for year in years[:2]] == ["9999", "0001"]
    assert index.get_run("a").start_time.year == 9999


def test_a_foreign_document_needs_no_more_than_an_id(databases):
    database = databases()
    with pymongo.MongoClient(mongodb_uri()) as client:
        client[database]["runs"].insert_one({"_id": "bare"})
        client[database]["runs"].insert_one({"_id": "odd", "params": {"n": 3, "o": {}, "l": [1, {"x": None}]}, "metrics": {"i": 1, "s": "x"}})
    frame = rl.Index(mongodb_uri(database)).search_runs(order_by=["run_id"])
    assert list(frame["run_id"]) == ["bare", "odd"]
    assert frame.loc[1, "params.n"] == "3" and frame.loc[1, "metrics.i"] == 1.0 and math.isnan(frame.loc[1, "metrics.s"])


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"filter": "statsu = 'x'"}, rl.InvalidArgument, "column 1: there is no field `statsu`"),
        ({"filter": '{"$where": "1"}'}, rl.Unsupported, "$where"),
        ({"filter": 3}, TypeError, "a text such as"),
        ({"order_by": ["statsu DESC"]}, rl.InvalidArgument, "order_by: a run has no field `statsu`"),
        ({"order_by": "metrics.auc"}, rl.InvalidArgument, "write a list"),
        ({"max_results": -1}, rl.InvalidArgument, "max_results"),
        ({"timeout": 0}, rl.InvalidArgument, "timeout"),
        ({"timeout": float("nan")}, rl.InvalidArgument, "timeout"),
        ({"output_format": "polars"}, rl.InvalidArgument, "pandas or list"),
    ],
)
def test_a_bad_argument_is_refused_with_what_to_write(many, arguments, error, text):
    with pytest.raises(error) as raised:
        many.index.search_runs(**arguments)
    assert text in str(raised.value)
    assert isinstance(raised.value, (rl.Error, TypeError))


def test_nothing_mirrored_is_an_error_and_not_an_empty_frame(databases):
    with pytest.raises(rl.DatabaseError, match="mirrors nothing yet"):
        rl.Index(mongodb_uri(databases())).search_runs()
