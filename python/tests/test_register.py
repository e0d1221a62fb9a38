"""Registering by hand: `of(run)` and `use(uri)`, against a real MLflow and MongoDB."""

import json
import subprocess
import sys
import textwrap

import mlflow
import pytest
from mlflow.tracking import MlflowClient
from registering import environ, mlopus_tags, python, recorded, tags, unique
from registering import experiment, index, run, switched_off, trained  # noqa: F401
from scene import TOOLS

import runlineage as rl


def test_lineage_is_set_in_the_form_of_mlopus_and_beside_it(experiment):
    with mlflow.start_run(experiment_id=experiment) as run:
        rl.lineage.of(run).with_input_model("churn", "3").with_output_artifact(run, "/plots/roc.png/").register()
    assert mlopus_tags(run) == {
        "lineage.inputs.models.churn": ["3"],
        f"lineage.outputs.runs.{run.info.run_id}": ["plots/roc.png"],
    }
    assert recorded(run) == {("inputs", "models", "churn", "3"), ("outputs", "runs", run.info.run_id, "plots/roc.png")}


def test_every_builder_records_its_kind(run):
    of_run = rl.lineage.of(run)
    of_run.with_input_model("churn", 3).with_output_model("churn").with_input_artifact("8f2c", "a/b").with_output_artifact(run)
    of_run.with_input_dataset("clicks", "4f2a").with_input_logged_model("m-1").with_output_logged_model("m-2")
    of_run.with_input_prompt("summary", 2).with_input("model:churn:4").with_output("runs:/8f2c/c").register()
    assert recorded(run) == {
        ("inputs", "models", "churn", "3"),
        ("outputs", "models", "churn", None),
        ("inputs", "runs", "8f2c", "a/b"),
        ("outputs", "runs", run.info.run_id, None),
        ("inputs", "datasets", "clicks", "4f2a"),
        ("inputs", "logged_models", "m-1", None),
        ("outputs", "logged_models", "m-2", None),
        ("inputs", "prompts", "summary", "2"),
        ("inputs", "models", "churn", "4"),
        ("outputs", "runs", "8f2c", "c"),
    }


@pytest.mark.parametrize("of", [lambda run: run, lambda run: run.info.run_id, lambda run: f"runs:/{run.info.run_id}"])
def test_a_run_is_an_object_or_an_id(run, of):
    rl.lineage.of(of(run)).with_input_artifact(of(run), "x").register()
    assert recorded(run) == {("inputs", "runs", run.info.run_id, "x")}


@pytest.mark.parametrize("run", [None, 7, object(), "", "a b", "a/b"])
def test_what_is_no_run_is_refused_before_any_request(run):
    with pytest.raises(rl.InvalidArgument):
        rl.lineage.of(run)


@pytest.mark.parametrize(
    "add",
    [
        lambda of: of.with_input_model(""),
        lambda of: of.with_input_artifact("a b"),
        lambda of: of.with_output("dataset:clicks"),
        lambda of: of.with_input("run:8f2c"),
        lambda of: of.with_input("models:/churn@champion"),
        lambda of: of.with_input("churn"),
    ],
)
def test_what_no_run_can_refer_to_is_refused_where_it_is_added(add):
    with pytest.raises(rl.InvalidArgument):
        add(rl.lineage.of("8f2c"))


def test_only_tags_that_change_are_set(run, monkeypatch):
    sent = []
    log_batch = MlflowClient.log_batch

    def spy(self, run_id, *args, **kwargs):
        sent.append({tag.key for tag in kwargs["tags"]})
        return log_batch(self, run_id, *args, **kwargs)

    monkeypatch.setattr(MlflowClient, "log_batch", spy)
    rl.lineage.of(run).with_input_model("churn", "3").with_input_model("other", "1").register()
    rl.lineage.of(run).with_input_model("churn", "3").register()
    rl.lineage.of(run).with_input_model("churn", "4").register()
    churn = "lineage.inputs.models.churn"
    assert [{key for key in keys if not key.startswith("lineage_overflow.")} for keys in sent] == [{churn, "lineage.inputs.models.other"}, {churn}]
    assert mlopus_tags(run)[churn] == ["3", "4"]


def test_tags_that_another_program_overwrites_meanwhile_are_set_again(run, monkeypatch):
    log_batch = MlflowClient.log_batch
    attempts = []

    def interrupted(self, run_id, *args, **kwargs):
        log_batch(self, run_id, *args, **kwargs)
        attempts.append(kwargs)
        if len(attempts) < 3:
            self.set_tag(run_id, "lineage.inputs.models.churn", json.dumps([f"theirs {len(attempts)}"]))

    monkeypatch.setattr(MlflowClient, "log_batch", interrupted)
    rl.lineage.of(run).with_input_model("churn", "3").register()
    assert mlopus_tags(run)["lineage.inputs.models.churn"] == ["3", "theirs 2"]
    assert len(attempts) == 3


def test_a_program_that_always_removes_the_tags_is_reported(run, monkeypatch):
    log_batch = MlflowClient.log_batch

    def undone(self, run_id, *args, **kwargs):
        log_batch(self, run_id, *args, **kwargs)
        for tag in kwargs["tags"]:
            self.delete_tag(run_id, tag.key)

    monkeypatch.setattr(MlflowClient, "log_batch", undone)
    with pytest.raises(rl.MlflowError, match="overwrote the lineage tags .* 10 times"):
        rl.lineage.of(run).with_input_model("churn", "3").register()


HOSTILE = ["a b", "c++", "x@y", "and", 'q"t', "it's", "p(1)", "größe/klein", "a.b.c", "%", "$x", "模型", "🜁", "\\", "tab\tnew\nline", "n" * 250]


def test_names_paths_and_versions_of_any_text_are_kept_exactly(run):
    of_run = rl.lineage.of(run)
    for name in HOSTILE:
        of_run.with_input_model(name, name).with_input_artifact("8f2c", f"d/{name}").with_input_dataset(name, name)
    of_run.register()
    expected = {("inputs", kind, name, name) for name in HOSTILE for kind in ("models", "datasets")}
    assert recorded(run) == expected | {("inputs", "runs", "8f2c", f"d/{name}") for name in HOSTILE}


def test_long_paths_fill_as_many_tags_as_they_need_and_a_longer_one_is_refused(run):
    paths = [f"{n}/" + "p" * 4_800 for n in range(3)] + [f"{n}/" + "q" * 300 for n in range(400)]
    of_run = rl.lineage.of(run)
    for path in paths:
        of_run.with_input_artifact("8f2c", path)
    of_run.register()
    assert {entry[3] for entry in recorded(run)} == set(paths)
    assert max(len(value) for value in tags(run).values()) <= 5_000
    before = tags(run)
    with pytest.raises(rl.InvalidArgument, match="5000"):
        rl.lineage.of(run).with_input_artifact("8f2c", "p" * 5_000).register()
    assert tags(run) == before


def test_a_run_that_is_deleted_or_unknown_is_refused(run):
    with pytest.raises(rl.MlflowError, match="read the run"):
        rl.lineage.of("0" * 32).with_input_model("churn").register()
    mlflow.MlflowClient().delete_run(run.info.run_id)
    with pytest.raises(rl.MlflowError, match="restore it first"):
        rl.lineage.of(run).with_input_model("churn").register()


def test_with_an_index_the_run_is_mirrored_at_once(run, index):
    rl.lineage.of(run).with_input_model("churn", "3").register()
    with pytest.raises(rl.DatabaseError, match="mirrors nothing yet"):
        index.find_runs("input.model = 'churn:3'")
    rl.lineage.of(run).with_input_model("churn", "4").register(index)
    found = [found.run_id for found in index.find_runs("input.model = 'churn:3' and input.model = 'churn:4'")]
    assert found == [run.info.run_id]


def test_mlopus_reads_the_run_after_each_register_and_registers_again(experiment):
    out, _ = python(
        """
        import json, sys, tempfile
        import mlopus
        import runlineage as rl

        api = mlopus.mlflow.get_api(conf={"cache_dir": tempfile.mkdtemp()})
        run = api.start_run(api.get_exp(sys.argv[1]), "both")
        steps = []

        def read():
            lineage = mlopus.lineage.of(api.get_run(run.id))
            steps.append({name: sorted(versions) for name, versions in lineage.inputs.models.items()})
            return lineage

        mlopus.lineage.of(run).with_input_model("churn", "1").register()
        rl.lineage.of(run).with_input_model("churn", "2").with_input_model("a.b", "1").with_input_model("a b", "1").register()
        read().with_input_model("churn", "3").register()
        rl.lineage.of(run).with_input_model("churn", "4").with_input_artifact(run, "x").register()
        read().with_input_artifact(run.id, "y").register()
        rl.lineage.of(run.id).with_input_model("other").register()
        read()
        run.end_run()
        print("=" + json.dumps([run.id, steps]))
        """,
        experiment,
        interpreter=TOOLS / "mlopus/bin/python",
    )
    run_id, steps = out
    assert steps == [{"churn": ["1", "2"]}, {"churn": ["1", "2", "3", "4"]}, {"churn": ["1", "2", "3", "4"], "other": []}]
    # Each program reads what the other one has written. mlopus cannot express the two other names.
    assert {("inputs", "models", "a.b", "1"), ("inputs", "models", "a b", "1")} < recorded(run_id)
    assert mlopus_tags(run_id)[f"lineage.inputs.runs.{run_id}"] == ["x", "y"]


def test_two_processes_that_register_at_the_same_time_lose_nothing(run):
    script = """
        import sys
        import runlineage as rl

        for n in range(15):
            rl.lineage.of(sys.argv[1]).with_input_model("churn", f"{sys.argv[2]}{n}").register()
        """
    processes = [
        subprocess.Popen([sys.executable, "-c", textwrap.dedent(script), run.info.run_id, which], env=environ())
        for which in "ab"
    ]
    assert [process.wait(timeout=300) for process in processes] == [0, 0]
    assert recorded(run) == {("inputs", "models", "churn", f"{which}{n}") for which in "ab" for n in range(15)}
    # Whoever registers next completes the tag of mlopus.
    rl.lineage.of(run).with_input_model("churn", "last").register()
    assert len(mlopus_tags(run)["lineage.inputs.models.churn"]) == 31


def test_a_use_is_registered_with_the_version_to_which_the_alias_points(experiment, trained):
    name, client = trained.name, mlflow.MlflowClient()
    with mlflow.start_run(experiment_id=experiment) as run:
        assert rl.lineage.use(f"models:/{name}@champion") == f"models:/{name}/1"
        assert rl.lineage.use(f"models:/{name}/latest") == f"models:/{name}/2"
        client.set_registered_model_alias(name, "champion", "2")
        assert rl.lineage.use(f"models:/{name}@champion") == f"models:/{name}/2"
        client.set_registered_model_alias(name, "champion", "1")
    assert recorded(run) == {("inputs", "models", name, "1"), ("inputs", "models", name, "2")}


@pytest.mark.parametrize(
    ("uri", "entry", "resolved"),
    [
        ("models:/churn/7", ("models", "churn", "7"), None),
        ("models:/a b@x/7", ("models", "a b@x", "7"), None),
        ("runs:/8f2c/data/x", ("runs", "8f2c", "data/x"), None),
        ("runs:/8f2c", ("runs", "8f2c", None), None),
        ("models:/m-" + "0" * 32, ("logged_models", "m-" + "0" * 32, None), None),
        ("prompts:/summary/2", ("prompts", "summary", "2"), None),
        ("dataset:clicks@4f2a", ("datasets", "clicks", "4f2a"), None),
        ("model:churn:7", ("models", "churn", "7"), "models:/churn/7"),
    ],
)
def test_a_use_of_each_kind_goes_to_the_run_that_is_given(run, uri, entry, resolved):
    assert rl.lineage.use(uri, run_id=run) == (resolved or uri)
    assert recorded(run) == {("inputs", *entry)}


def test_a_use_needs_a_run_a_version_and_an_alias_that_exists(run, trained):
    with pytest.raises(rl.InvalidArgument, match="no run is active"):
        rl.lineage.use("models:/churn/7")
    for uri in ["models:/churn", "churn", "s3://bucket/x", "models:/a/b/c"]:
        with pytest.raises(rl.InvalidArgument):
            rl.lineage.use(uri, run_id=run)
    for uri in [f"models:/{trained.name}@nobody", f"models:/{unique('none')}/latest"]:
        with pytest.raises(rl.MlflowError, match="cannot resolve"):
            rl.lineage.use(uri, run_id=run)
    assert recorded(run) == set()
    assert mlflow.active_run() is None


def test_the_tags_of_others_are_left_alone(run):
    client = mlflow.MlflowClient()
    client.set_tag(run.info.run_id, "lineage.inputs.models.churn", json.dumps(["1", "x"]))
    client.set_tag(run.info.run_id, "lineage.inputs.models.broken", "{not json")
    client.set_tag(run.info.run_id, "other", "text")
    rl.lineage.of(run).with_input_model("churn", "2").with_input_model("broken", "2").register()
    found = tags(run)
    assert found["other"] == "text"
    assert found["lineage.inputs.models.broken"] == "{not json"
    assert json.loads(found["lineage.inputs.models.churn"]) == ["1", "2", "x"]
