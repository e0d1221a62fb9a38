"""MLflow's own client, as registering needs it. MLflow is imported when the first function is called."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from runlineage import _native
from runlineage._errors import InvalidArgument, MlflowError

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from runlineage._native import Node

# MLflow accepts at most this many tags in one request.
_BATCH = 100


def need() -> None:
    """Fails with what to do where MLflow is not installed."""
    try:
        import mlflow  # noqa: F401
    except ImportError as error:
        raise InvalidArgument("mlflow: it is not installed; run `pip install mlflow-skinny`, because its client sets the lineage tags") from error


def client(tracking_uri: str | None = None) -> MlflowClient:
    """MLflow's client of this server; without one, of the server that MLflow uses now."""
    need()
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=tracking_uri)


def active_run_id() -> str | None:
    """The id of the innermost active run of this thread."""
    import mlflow

    run = mlflow.active_run()
    return None if run is None else run.info.run_id


def set_lineage(to: MlflowClient, run_id: str, additions: list[tuple[str, Node]], read: str | None = None) -> None:
    """Sets the tags that the run lacks, and repeats until it records every addition. `read` is the run, if it was read just now."""
    attempt = 0
    while True:
        run = read_run(to, run_id) if read is None else read
        read = None
        tags = _native.tags_to_set(run, additions, attempt)
        if tags is None:
            return
        asked("set the lineage tags", lambda: _set(to, run_id, tags))
        attempt += 1


def _set(to: MlflowClient, run_id: str, tags: dict[str, str]) -> None:
    from mlflow.entities import RunTag

    entities = [RunTag(key, value) for key, value in tags.items()]
    for start in range(0, len(entities), _BATCH):
        to.log_batch(run_id, tags=entities[start : start + _BATCH])


def read_run(at: MlflowClient, run_id: str) -> str:
    """The parts of the run that say what it read and wrote, in the JSON of MLflow's REST API.

    Schemas and profiles of datasets are left out: they can be megabytes.
    """
    run = asked("read the run", lambda: at.get_run(run_id))
    inputs, outputs = getattr(run, "inputs", None), getattr(run, "outputs", None)
    datasets = [
        {
            "dataset": {"name": one.dataset.name, "digest": one.dataset.digest},
            "tags": [{"key": tag.key, "value": tag.value} for tag in one.tags or []],
        }
        for one in getattr(inputs, "dataset_inputs", None) or []
    ]
    info = run.info
    parts = {
        "info": {"run_id": info.run_id, "experiment_id": info.experiment_id, "lifecycle_stage": info.lifecycle_stage},
        "data": {"tags": [{"key": key, "value": value} for key, value in run.data.tags.items()]},
        "inputs": {"dataset_inputs": datasets, "model_inputs": _models(getattr(inputs, "model_inputs", None))},
        "outputs": {"model_outputs": _models(getattr(outputs, "model_outputs", None))},
    }
    return json.dumps(parts)


def _models(models: Any) -> list[dict[str, str]]:
    return [{"model_id": model.model_id} for model in models or []]


def asked(doing: str, call: Any) -> Any:
    """What MLflow answers to the call. Its error becomes one of this package, with MLflow's error as the cause."""
    from mlflow.exceptions import MlflowException

    try:
        return call()
    except MlflowException as error:
        raise MlflowError(f"MLflow: cannot {doing}: {error}") from error
