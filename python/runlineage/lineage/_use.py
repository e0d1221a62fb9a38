"""`use(uri)`: registers that a run reads what a URI names."""

from __future__ import annotations

from typing import Any

from runlineage import _native
from runlineage._errors import InvalidArgument
from runlineage._native import Node
from runlineage.lineage import _mlflow


def use(uri: str, *, run_id: Any = None) -> str:
    """Registers that the active run reads what the URI names, and returns the URI with the version that MLflow resolves.

    The URI is `models:/NAME/VERSION`, `models:/NAME@ALIAS`, `models:/NAME/latest`, `models:/NAME/STAGE`, `models:/m-…`,
    `runs:/RUN_ID/PATH`, `prompts:/NAME/VERSION`, or the text of a node such as `dataset:clicks@4f2a`. MLflow resolves an alias, a
    stage and `latest` at this moment. Load what this function returns, so that the run uses what it registers:

    >>> model = mlflow.pyfunc.load_model(rl.lineage.use("models:/churn@champion"))      # doctest: +SKIP

    Args:
        uri: what the run reads.
        run_id: the run that reads it, if it is not the active run of this thread: its id, an MLflow run or a run of mlopus.

    Raises:
        InvalidArgument: if the URI names nothing that a run can read, or if no run is active and `run_id` is not given.
        MlflowError: if MLflow does not know the alias, or refuses the tags.
    """
    client = _mlflow.client()
    reader = _native.run_id(run_id) if run_id is not None else _mlflow.active_run_id()
    if reader is None:
        raise InvalidArgument("run_id: no run is active in this thread; call this inside `with mlflow.start_run():`, or give run_id")
    node = _native.node_of_uri(uri) or _resolved(client, uri)
    _mlflow.set_lineage(client, reader, [("input", node)])
    return _native.uri_of_node(node)


def _resolved(client: Any, uri: str) -> Node:
    # MLflow's own function, so that the version is the one which MLflow loads for this URI.
    from mlflow.store.artifact.utils.models import get_model_name_and_version

    name, version = _mlflow.asked(f"resolve {uri}", lambda: get_model_name_and_version(client, uri))
    return Node.model(name, version)
