"""What autolog records of the loads of a run, against a real MLflow."""

import concurrent.futures
import logging
import threading
import time

# Imported before autolog is on: such names pass by every replacement in a module.
from mlflow.artifacts import download_artifacts
from mlflow.pyfunc import load_model as load_pyfunc
from mlflow.sklearn import load_model as load_sklearn

import mlflow
import pytest
from mlflow.store.artifact.models_artifact_repo import ModelsArtifactRepository
from mlflow.store.artifact.runs_artifact_repo import RunsArtifactRepository
from mlflow.tracking import MlflowClient
from mlflow.tracking._tracking_service.client import TrackingServiceClient
from conftest import IS_MLFLOW_2
from proxies import Proxy
from registering import python, recorded
from registering import experiment, run, switched_off, trained  # noqa: F401

import runlineage as rl


def reads(name, version):
    return ("inputs", "models", name, version)


def reads_path(run_id, path):
    return ("inputs", "runs", run_id, path)


LOADS = {
    "pyfunc": lambda trained: load_pyfunc(f"models:/{trained.name}/1"),
    "sklearn": lambda trained: load_sklearn(f"models:/{trained.name}/1"),
    "of the module": lambda trained: mlflow.pyfunc.load_model(f"models:/{trained.name}/1"),
    "alias": lambda trained: load_pyfunc(f"models:/{trained.name}@champion"),
    "download": lambda trained: download_artifacts(f"models:/{trained.name}/1"),
    "download of a folder": lambda trained: download_artifacts(artifact_uri=f"models:/{trained.name}/1/"),
}


@pytest.mark.parametrize("how", LOADS)
def test_a_model_is_recorded_by_its_version_whatever_loads_it(experiment, trained, how):
    rl.lineage.autolog()
    with mlflow.start_run(experiment_id=experiment) as run:
        LOADS[how](trained)
        assert recorded(run) == set(), "it is written at the end of the run"
    assert recorded(run) == {reads(trained.name, "1")}


def test_latest_is_recorded_as_the_version_that_was_loaded(experiment, trained):
    rl.lineage.autolog()
    with mlflow.start_run(experiment_id=experiment) as run:
        load_pyfunc(f"models:/{trained.name}/latest")
    assert recorded(run) == {reads(trained.name, "2")}


def test_artifacts_of_other_runs_are_recorded_by_their_paths(experiment, trained):
    rl.lineage.autolog()
    with mlflow.start_run(experiment_id=experiment) as run:
        download_artifacts(f"runs:/{trained.run_id}/data/train.csv")
        download_artifacts(f"runs:/{trained.run_id}/data")
        mlflow.artifacts.load_text(f"runs:/{trained.run_id}/notes.txt")
        load_pyfunc(trained.uri)
    assert recorded(run) == {reads_path(trained.run_id, path) for path in ("data/train.csv", "data", "notes.txt", "model")}


def test_artifacts_that_are_named_by_the_run_and_a_path_are_recorded_too(experiment, trained):
    rl.lineage.autolog()
    with mlflow.start_run(experiment_id=experiment) as run:
        mlflow.artifacts.download_artifacts(run_id=trained.run_id, artifact_path="data/train.csv")
        MlflowClient().download_artifacts(trained.run_id, "notes.txt")
        mlflow.artifacts.download_artifacts(run_id=trained.run_id)
    assert recorded(run) == {reads_path(trained.run_id, path) for path in ("data/train.csv", "notes.txt", None)}


@pytest.mark.skipif(IS_MLFLOW_2, reason="MLflow 2 has no logged models")
def test_a_logged_model_is_recorded_by_its_id(experiment, trained):
    rl.lineage.autolog()
    with mlflow.start_run(experiment_id=experiment) as run:
        load_pyfunc(f"models:/{trained.model_id}")
    assert recorded(run) == {("inputs", "logged_models", trained.model_id, None)}


def test_a_look_at_a_model_is_no_use_of_it(experiment, trained):
    rl.lineage.autolog()
    with mlflow.start_run(experiment_id=experiment) as run:
        for uri in (f"models:/{trained.name}/1", trained.uri):
            mlflow.models.get_model_info(uri)
            mlflow.models.Model.load(uri)
            mlflow.artifacts.list_artifacts(uri)
            mlflow.pyfunc.get_model_dependencies(uri)
            download_artifacts(f"{uri}/MLmodel")
            download_artifacts(f"{uri}/requirements.txt")
        MlflowClient().list_artifacts(trained.run_id)
        MlflowClient().get_model_version(trained.name, "1")
    assert recorded(run) == set()


def test_local_paths_and_what_cannot_be_loaded_are_not_recorded(experiment, trained, tmp_path):
    local = download_artifacts(f"models:/{trained.name}/1", dst_path=str(tmp_path))
    rl.lineage.autolog()
    with mlflow.start_run(experiment_id=experiment) as run:
        load_pyfunc(local)
        for uri in (f"models:/{trained.name}/99", f"runs:/{trained.run_id}/none", f"runs:/{'0' * 32}/x"):
            with pytest.raises(Exception) as ours:
                download_artifacts(uri)
            rl.lineage.autolog(disable=True)
            with pytest.raises(type(ours.value)) as theirs:
                download_artifacts(uri)
            rl.lineage.autolog()
            assert str(ours.value).split(" ")[:3] == str(theirs.value).split(" ")[:3]
    assert recorded(run) == set()


def test_what_a_run_made_itself_is_not_recorded_but_a_nested_run_reads_it(experiment):
    from sklearn.linear_model import LinearRegression

    rl.lineage.autolog()
    with mlflow.start_run(experiment_id=experiment) as parent:
        where = {"artifact_path": "own"} if IS_MLFLOW_2 else {"name": "own"}
        logged = mlflow.sklearn.log_model(LinearRegression().fit([[0.0]], [0.0]), **where, pip_requirements=[])
        version = mlflow.register_model(logged.model_uri, f"own-{parent.info.run_id}")
        mlflow.log_text("x", "x.txt")
        own = [f"models:/{version.name}/{version.version}", logged.model_uri, f"runs:/{parent.info.run_id}/x.txt"]
        for uri in own:
            download_artifacts(uri)
        with mlflow.start_run(experiment_id=experiment, nested=True) as child:
            load_pyfunc(own[0])
            download_artifacts(own[2])
        download_artifacts(own[2])
    assert recorded(parent) == set()
    assert recorded(child) == {reads(version.name, version.version), reads_path(parent.info.run_id, "x.txt")}


def test_a_nested_run_is_the_innermost(experiment, trained):
    rl.lineage.autolog()
    with mlflow.start_run(experiment_id=experiment) as outer:
        load_pyfunc(f"models:/{trained.name}/1")
        with mlflow.start_run(experiment_id=experiment, nested=True) as inner:
            load_pyfunc(f"models:/{trained.name}/2")
        assert recorded(inner) == {reads(trained.name, "2")}
        download_artifacts(f"runs:/{trained.run_id}/notes.txt")
    assert recorded(outer) == {reads(trained.name, "1"), reads_path(trained.run_id, "notes.txt")}


def test_a_model_that_mlflow_records_as_evaluated_is_not_recorded_as_used(experiment, trained):
    import pandas

    frame = pandas.DataFrame({"x": [0.0, 1.0], "y": [0.0, 1.0]})
    quick = {"log_explainer": False, "log_model_explainability": False}
    rl.lineage.autolog(interval=0.01)
    with mlflow.start_run(experiment_id=experiment) as run:
        mlflow.models.evaluate(f"models:/{trained.name}/1", frame, targets="y", model_type="regressor", evaluator_config=quick)
        # The two versions are one model of MLflow.
        load_pyfunc(f"models:/{trained.name}/2")
        download_artifacts(f"runs:/{trained.run_id}/notes.txt")
    assert '"model"' in MlflowClient().get_run(run.info.run_id).data.tags["mlflow.datasets"]
    assert recorded(run) == {reads_path(trained.run_id, "notes.txt")}


def test_a_run_that_fails_keeps_what_it_loaded(experiment, trained):
    rl.lineage.autolog()
    with pytest.raises(ZeroDivisionError):
        with mlflow.start_run(experiment_id=experiment) as run:
            load_pyfunc(f"models:/{trained.name}/1")
            1 / 0
    assert recorded(run) == {reads(trained.name, "1")}
    assert MlflowClient().get_run(run.info.run_id).info.status == "FAILED"


def test_a_run_that_goes_on_is_written_every_interval_and_each_load_once(experiment, trained, monkeypatch):
    read = []
    get_run = MlflowClient.get_run

    def spy(self, run_id):
        read.append(threading.current_thread().name)
        return get_run(self, run_id)

    monkeypatch.setattr(MlflowClient, "get_run", spy)
    rl.lineage.autolog(interval=0.3)
    with mlflow.start_run(experiment_id=experiment) as run:
        load_pyfunc(f"models:/{trained.name}/1")
        eventually(lambda: recorded(run) == {reads(trained.name, "1")})
        time.sleep(1)
        before = read.count("runlineage-autolog")
        for _ in range(3):
            load_pyfunc(f"models:/{trained.name}@champion")
        time.sleep(1)
    assert recorded(run) == {reads(trained.name, "1")}
    assert read.count("runlineage-autolog") == before


def test_a_thread_has_no_active_run_which_is_said_once_and_nothing_is_started(experiment, trained, caplog):
    rl.lineage.autolog()
    before = {run.info.run_id for run in MlflowClient().search_runs([experiment])}

    def load(_):
        load_pyfunc(f"models:/{trained.name}/1")
        return mlflow.active_run()

    rl.lineage._autolog._no_run._is_said = False
    with caplog.at_level(logging.WARNING, "runlineage.lineage"), mlflow.start_run(experiment_id=experiment) as run:
        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            assert set(pool.map(load, range(3))) == {None}
    assert recorded(run) == set()
    assert [record.message.split(",")[0] for record in caplog.records] == [f"autolog does not record that model:{trained.name}:1 was loaded"]
    assert {run.info.run_id for run in MlflowClient().search_runs([experiment])} == before | {run.info.run_id}


def test_threads_read_for_the_run_that_is_given_and_for_their_own(experiment, trained, run, monkeypatch):
    from_environment = MlflowClient().create_run(experiment)
    monkeypatch.setenv("MLFLOW_RUN_ID", from_environment.info.run_id)
    rl.lineage.autolog()
    in_thread(lambda: load_pyfunc(f"models:/{trained.name}/1"))
    rl.lineage.autolog(run_id=run)
    in_thread(lambda: load_pyfunc(f"models:/{trained.name}/2"))
    own = []

    def work():
        monkeypatch.delenv("MLFLOW_RUN_ID")
        with mlflow.start_run(experiment_id=experiment) as active:
            download_artifacts(f"runs:/{trained.run_id}/notes.txt")
        own.append(active)

    in_thread(work)
    rl.lineage.autolog(disable=True)
    assert recorded(from_environment) == {reads(trained.name, "1")}
    assert recorded(run) == {reads(trained.name, "2")}
    assert recorded(own[0]) == {reads_path(trained.run_id, "notes.txt")}


def test_disable_writes_what_is_waiting_and_restores_mlflow_exactly(experiment, trained):
    places = [
        (ModelsArtifactRepository, "download_artifacts"),
        (RunsArtifactRepository, "download_artifacts"),
        (TrackingServiceClient, "download_artifacts"),
        (mlflow.artifacts, "download_artifacts"),
        (MlflowClient, "set_terminated"),
    ]
    originals = [vars(owner)[name] for owner, name in places]
    with mlflow.start_run(experiment_id=experiment) as run:
        rl.lineage.autolog()
        rl.lineage.autolog()
        assert all(vars(owner)[name] is not original for (owner, name), original in zip(places, originals))
        load_pyfunc(f"models:/{trained.name}/1")
        rl.lineage.autolog(disable=True)
        assert [vars(owner)[name] for owner, name in places] == originals
        assert recorded(run) == {reads(trained.name, "1")}
        load_pyfunc(f"models:/{trained.name}/2")
    assert recorded(run) == {reads(trained.name, "1")}


def test_a_wrapper_of_another_library_survives_disable(monkeypatch):
    rl.lineage.autolog()
    ours = ModelsArtifactRepository.download_artifacts
    theirs = lambda *args, **kwargs: ours(*args, **kwargs)  # noqa: E731
    monkeypatch.setattr(ModelsArtifactRepository, "download_artifacts", theirs)
    rl.lineage.autolog(disable=True)
    assert vars(ModelsArtifactRepository)["download_artifacts"] is theirs


@pytest.fixture
def proxy(server, monkeypatch):
    """MLflow asks the tracking server through this proxy, and asks once."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "5")
    proxy = Proxy(server)
    mlflow.set_tracking_uri(f"http://127.0.0.1:{proxy.port}")
    yield proxy
    proxy.cut()
    mlflow.set_tracking_uri(server)


def test_a_server_that_dies_and_comes_back_delays_the_lineage_and_not_the_run(experiment, trained, proxy, caplog):
    rl.lineage._recorder._failed._is_said = False
    rl.lineage.autolog(interval=0.2)
    with caplog.at_level(logging.WARNING, "runlineage.lineage"), mlflow.start_run(experiment_id=experiment) as run:
        load_pyfunc(f"models:/{trained.name}/1")
        proxy.cut()
        eventually(lambda: caplog.records)
        time.sleep(1)
        proxy.mend()
    assert recorded(run) == {reads(trained.name, "1")}
    assert [record.message.split(";")[0] for record in caplog.records] == [f"autolog could not record what run {run.info.run_id} loaded"]


def test_a_server_that_is_dead_at_the_end_of_a_run_raises_only_what_mlflow_raises(experiment, trained, proxy):
    rl.lineage.autolog()
    with pytest.raises(mlflow.exceptions.MlflowException):
        with mlflow.start_run(experiment_id=experiment) as run:
            load_pyfunc(f"models:/{trained.name}/1")
            proxy.cut()
    proxy.mend()
    rl.lineage.autolog(disable=True)
    assert recorded(run) == {reads(trained.name, "1")}


def test_a_server_that_hangs_delays_the_end_of_a_run_by_a_bounded_time(experiment, trained, proxy, monkeypatch):
    monkeypatch.setattr(rl.lineage._recorder, "_PATIENCE", 0.5)
    rl.lineage.autolog()
    with pytest.raises(mlflow.exceptions.MlflowException):
        with mlflow.start_run(experiment_id=experiment):
            load_pyfunc(f"models:/{trained.name}/1")
            proxy.pause()
            began = time.monotonic()
    # MLflow's own request takes five seconds.
    assert time.monotonic() - began < 9


def test_a_server_that_hangs_delays_no_run_of_another_server(experiment, trained, proxy, server):
    rl.lineage.autolog()
    hanging = mlflow.start_run(experiment_id=experiment).info.run_id
    load_pyfunc(f"models:/{trained.name}/1")
    proxy.pause()
    ending = threading.Thread(target=MlflowClient(f"http://127.0.0.1:{proxy.port}").set_terminated, args=[hanging])
    ending.start()
    mlflow.set_tracking_uri(server)
    with mlflow.start_run(experiment_id=experiment, nested=True) as run:
        load_pyfunc(f"models:/{trained.name}/1")
    assert recorded(run) == {reads(trained.name, "1")}
    proxy.resume()
    ending.join()
    mlflow.end_run()
    assert recorded(hanging) == {reads(trained.name, "1")}


AT_EXIT = """
    import json, logging, sys
    import mlflow
    from mlflow.artifacts import download_artifacts
    import runlineage as rl

    rl.lineage.autolog()
    run = mlflow.start_run(experiment_id=sys.argv[1])
    download_artifacts(sys.argv[2])
    print("=" + json.dumps(run.info.run_id))
    """


@pytest.mark.parametrize("end", ["", "sys.exit(0)", "mlflow.end_run(); mlflow.start_run(experiment_id=sys.argv[1])"])
def test_a_program_that_ends_without_ending_its_run_writes_at_exit(experiment, trained, end):
    run_id, stderr = python(AT_EXIT + end, experiment, f"models:/{trained.name}/1")
    assert recorded(run_id) == {reads(trained.name, "1")}, stderr


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_child_process_reads_for_the_run_that_is_given(experiment, trained, run, method, tmp_path):
    program = tmp_path / "program.py"
    program.write_text(
        "import multiprocessing, sys\n"
        "from mlflow.artifacts import download_artifacts\n"
        "import runlineage as rl\n"
        "def child(run_id, uri):\n"
        "    rl.lineage.autolog(run_id=run_id)\n"
        "    download_artifacts(uri)\n"
        "def main(run_id, mine, other, method):\n"
        "    rl.lineage.autolog(run_id=run_id)\n"
        "    download_artifacts(mine)\n"
        "    process = multiprocessing.get_context(method).Process(target=child, args=(run_id, other))\n"
        "    process.start(); process.join()\n"
        "    assert process.exitcode == 0\n"
    )
    script = "import sys, json; sys.path.insert(0, sys.argv[1]); import program; program.main(*sys.argv[2:]); print('=null')"
    _, stderr = python(script, str(tmp_path), run.info.run_id, f"models:/{trained.name}/1", f"models:/{trained.name}/2", method)
    assert recorded(run) == {reads(trained.name, "1"), reads(trained.name, "2")}, stderr


def test_importing_the_package_does_not_import_mlflow():
    out, _ = python("import json, sys, runlineage; print('=' + json.dumps(sorted({'mlflow', 'pandas', 'yaml'} & set(sys.modules))))")
    assert out == []


def test_bad_arguments_are_refused_at_once():
    for arguments in ({"interval": 0}, {"interval": float("nan")}, {"interval": "30"}, {"run_id": object()}, {"run_id": "a b"}):
        with pytest.raises(rl.InvalidArgument):
            rl.lineage.autolog(**arguments)


def in_thread(work):
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


def eventually(holds, seconds=20):
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.1)
