"""What MLflow's functions load: the places where autolog watches, and the node that each call reads."""

from __future__ import annotations

import contextvars
import functools
import inspect
import os
import posixpath
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import FrameType
from typing import Any

from runlineage._native import Node
from runlineage.lineage._log import Once
from runlineage.lineage._replace import Replacements

# Loading one model passes through several of the watched functions: the outermost call counts.
_inside: contextvars.ContextVar[bool] = contextvars.ContextVar("runlineage_inside_a_load", default=False)

# MLflow downloads these files of a model for a look at its signature, flavours or requirements. That is no use of the model.
_DESCRIPTIONS = {"MLmodel", "conda.yaml", "python_env.yaml", "requirements.txt"}

# It downloads the whole model to read its requirements.
_LOOKS = {("mlflow.pyfunc", "_get_model_dependencies")}

_broken = Once("autolog could not record what %s loaded")


@dataclass(frozen=True)
class Load:
    """Something that was loaded."""

    node: Node
    # The run that made it, where it is known.
    maker: str | None = None
    # MLflow's id of the model that was loaded: `m-…`, or a UUID of MLflow 2.
    model_id: str | None = None
    # Whether MLflow loaded it in order to evaluate it, so that it may be recorded as evaluated later.
    is_evaluation: bool = False


def watch(replacements: Replacements, report: Callable[[Load], None]) -> None:
    """Replaces MLflow's functions that load by ones that report each load."""
    for place in _PLACES:
        watched = functools.partial(_watched, place, replacements, report)
        replacements.replace(place.module, place.owner, place.name, watched)


def _watched(place: _Place, replacements: Replacements, report: Callable[[Load], None], original: Callable[..., str]) -> Callable[..., str]:
    signature = inspect.signature(original)

    @functools.wraps(original)
    def watched(*args: Any, **kwargs: Any) -> str:
        if not replacements.are_on or _inside.get():
            return original(*args, **kwargs)
        try:
            arguments = signature.bind(*args, **kwargs).arguments
            is_load = place.is_load(arguments)
        except Exception:
            # The function itself says what is wrong with its arguments.
            is_load = False
        if not is_load:
            return original(*args, **kwargs)
        token = _inside.set(True)
        try:
            path = original(*args, **kwargs)
        finally:
            _inside.reset(token)
        try:
            load = place.read(arguments, path)
            if load is not None:
                report(load)
        except Exception:
            _broken.warn(original.__qualname__)
        return path

    return watched


@dataclass(frozen=True)
class _Place:
    """A function of MLflow that downloads what a run loads."""

    module: str
    owner: str | None
    name: str
    # What a call with these arguments has read, given the local path that it returned.
    read: Callable[[dict[str, Any], str], Load | None]
    # Whether a call with these arguments is the load. Otherwise it calls another place, which is.
    is_load: Callable[[dict[str, Any]], bool] = lambda arguments: True


def _of_models_repository(arguments: dict[str, Any], path: str) -> Load | None:
    if not _is_whole(arguments["artifact_path"]):
        return None
    repository = arguments["self"]
    if repository.model_name:
        # The repository has resolved an alias to the version that it loads.
        node = Node.model(repository.model_name, repository.model_version)
    else:
        node = Node.logged_model(posixpath.basename(repository.artifact_uri))
    return _described(node, path)


def _of_runs_repository(arguments: dict[str, Any], path: str) -> Load | None:
    repository = arguments["self"]
    run_id, folder = repository.parse_runs_uri(repository.artifact_uri)
    return _of_run(run_id, posixpath.join(folder or "", arguments["artifact_path"] or ""), path)


def _of_client(arguments: dict[str, Any], path: str) -> Load | None:
    return _of_run(arguments["run_id"], arguments["path"] or "", path)


def _of_function(arguments: dict[str, Any], path: str) -> Load | None:
    return _of_run(arguments["run_id"], arguments.get("artifact_path") or "", path)


def _of_run(run_id: str, path_in_run: str, path: str) -> Load | None:
    if posixpath.basename(path_in_run) in _DESCRIPTIONS:
        return None
    path_in_run = posixpath.normpath(path_in_run or ".")
    node = Node.artifact(run_id, None if path_in_run == "." else path_in_run)
    return _described(node, path, maker=run_id)


# Methods of classes, because a program that has imported `load_model` or `download_artifacts` before calls them too. The one function
# is there for `mlflow.artifacts.download_artifacts(run_id=…)`, which passes by both repositories.
_PLACES = (
    _Place("mlflow.store.artifact.models_artifact_repo", "ModelsArtifactRepository", "download_artifacts", _of_models_repository),
    _Place("mlflow.store.artifact.runs_artifact_repo", "RunsArtifactRepository", "download_artifacts", _of_runs_repository),
    _Place("mlflow.tracking._tracking_service.client", "TrackingServiceClient", "download_artifacts", _of_client),
    _Place("mlflow.artifacts", None, "download_artifacts", _of_function, lambda arguments: arguments.get("run_id") is not None),
)


def _is_whole(artifact_path: str | None) -> bool:
    return posixpath.normpath(artifact_path or ".") == "."


def _described(node: Node, path: str, maker: str | None = None) -> Load | None:
    """The load, with what the downloaded model says of itself."""
    callers = set(_callers())
    if callers & _LOOKS:
        return None
    model = _model_file(path)
    return Load(
        node=node,
        maker=maker or model.get("run_id"),
        model_id=model.get("model_id") or model.get("model_uuid"),
        is_evaluation=any(module.startswith("mlflow.models.evaluation") for module, _ in callers),
    )


def _model_file(path: str) -> dict[str, Any]:
    file = os.path.join(path, "MLmodel")
    if not os.path.isfile(file):
        return {}
    import yaml  # MLflow needs it too.

    with open(file, encoding="utf-8") as text:
        model = yaml.safe_load(text)
    return model if isinstance(model, dict) else {}


def _callers() -> Iterator[tuple[str, str]]:
    """The module and the name of each function that is under way, the innermost first."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        yield frame.f_globals.get("__name__", ""), frame.f_code.co_name
        frame = frame.f_back
