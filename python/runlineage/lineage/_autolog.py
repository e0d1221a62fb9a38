"""`autolog()`: records the models and artifacts that the active run loads."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import Any

from runlineage import _native
from runlineage._errors import InvalidArgument
from runlineage.lineage import _mlflow
from runlineage.lineage._loads import Load, watch
from runlineage.lineage._log import Once
from runlineage.lineage._recorder import Recorder
from runlineage.lineage._replace import Replacements

_no_run = Once(
    "autolog does not record that %s was loaded, because no run is active in this thread; in a thread or a worker, call"
    " runlineage.lineage.autolog(run_id=…) or set MLFLOW_RUN_ID"
)
_broken = Once("autolog could not record what run %s loaded")


def autolog(disable: bool = False, *, run_id: Any = None, interval: float = 30.0) -> None:
    """Records, as inputs of the active run, the model versions, logged models and artifacts that it loads through MLflow.

    A load is a whole model, or an artifact or folder of a run, by any function of MLflow, also one that was imported before:
    `mlflow.pyfunc.load_model`, a flavour's `load_model`, `mlflow.artifacts.download_artifacts` and so on. An alias, a stage and
    `latest` are recorded as the version that was loaded. Not recorded are: local paths; a look at a model's description, such as
    `mlflow.models.get_model_info`; what the run made itself; and a model that MLflow records as evaluated by the run.

    Each is written once for each run, to the run's tags: at the end of the run, and every `interval` seconds before. The end of a
    run waits at most 10 seconds for it. No error here reaches the run; the first of each kind is logged by the logger
    `runlineage.lineage`.

    The run is the innermost active run of the thread that loads; without one, it is `run_id`, else MLFLOW_RUN_ID. With none of
    them, nothing is recorded, and this is logged once. No run is ever started.

    Args:
        disable: writes what was collected and stops recording. MLflow's functions are as they were before.
        run_id: the run of threads and workers that have no active run: its id, an MLflow run or a run of mlopus.
        interval: seconds between two writes of a run that goes on.

    Raises:
        InvalidArgument: if `run_id` is no run, if `interval` is not a positive number, or if MLflow is not installed.
    """
    if disable:
        _switch.off()
        return
    if not isinstance(interval, (int, float)) or not interval > 0:
        raise InvalidArgument(f"interval: {interval!r} is no positive number of seconds")
    _switch.on(None if run_id is None else _native.run_id(run_id), interval)


class _Switch:
    """Whether autolog is on, and for which run."""

    def __init__(self) -> None:
        self._replacements = Replacements()
        self._recorder = Recorder()
        self._run_id: str | None = None

    def on(self, run_id: str | None, interval: float) -> None:
        _mlflow.need()
        self._run_id = run_id
        self._recorder.interval = interval
        if not self._replacements.are_on:
            watch(self._replacements, self._report)
            self._replacements.replace("mlflow.tracking.client", "MlflowClient", "set_terminated", self._flushing)

    def off(self) -> None:
        self._replacements.restore()
        self._recorder.flush()

    def _report(self, load: Load) -> None:
        import mlflow

        run_id = _mlflow.active_run_id() or self._run_id or os.environ.get("MLFLOW_RUN_ID")
        if not run_id:
            # `mlflow.evaluate` loads the model before it starts its run.
            if not load.is_evaluation:
                _no_run.warn(load.node, trace=False)
            return
        if load.maker != run_id:
            self._recorder.add(run_id, mlflow.get_tracking_uri(), load)

    def _flushing(self, original: Callable[..., None]) -> Callable[..., None]:
        """MLflow's client ends every run by this method: at the end of `with`, by `mlflow.end_run`, and at exit."""

        @functools.wraps(original)
        def set_terminated(client: Any, run_id: str, *args: Any, **kwargs: Any) -> None:
            if self._replacements.are_on:
                try:
                    self._recorder.flush(run_id)
                except Exception:
                    _broken.warn(run_id)
            return original(client, run_id, *args, **kwargs)

        return set_terminated


_switch = _Switch()
