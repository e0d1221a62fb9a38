"""Writes what runs have loaded, in a thread for each tracking server, so that a slow server slows no run and no other server."""

from __future__ import annotations

import atexit
import contextvars
import os
import sys
import threading
import time
from dataclasses import dataclass, field

from runlineage import _native
from runlineage._errors import InvalidArgument
from runlineage._native import Node
from runlineage.lineage import _mlflow
from runlineage.lineage._loads import Load
from runlineage.lineage._log import Once

# How long the end of a run waits for its lineage, in seconds. A tracking server that does not answer delays the run no longer.
_PATIENCE = 10.0

_failed = Once("autolog could not record what run %s loaded; it tries again every %g seconds while this program runs")
_refused = Once("autolog cannot record what run %s loaded")


@dataclass
class _Run:
    """What one run has loaded."""

    id: str
    tracking_uri: str
    # The workspace of MLflow is a variable of the context.
    context: contextvars.Context
    due: float
    waiting: dict[Node, Load] = field(default_factory=dict)
    written: set[Node] = field(default_factory=set)
    is_ending: bool = False
    failures: int = 0

    def ready(self) -> list[Load]:
        """What can be written. An evaluation is recorded as one only at its end, so its model waits for the end of the run."""
        return [load for load in self.waiting.values() if self.is_ending or not load.is_evaluation]


class Recorder:
    """Collects the loads of runs, and writes each once: every `interval` seconds, and at the end of its run."""

    def __init__(self) -> None:
        self.interval = 30.0
        self._reset()
        os.register_at_fork(after_in_child=self._reset)

    def _reset(self) -> None:
        # A child of fork has no thread, and its parent writes what was collected before.
        self._changed = threading.Condition()
        self._runs: dict[tuple[str, str], _Run] = {}
        self._threads: dict[str, threading.Thread] = {}

    def add(self, run_id: str, tracking_uri: str, load: Load) -> None:
        """Remembers that the run loaded this."""
        with self._changed:
            due = time.monotonic() + self.interval
            run = self._runs.get((tracking_uri, run_id))
            if run is None:
                run = _Run(run_id, tracking_uri, contextvars.copy_context(), due)
                self._runs[tracking_uri, run_id] = run
            if load.node in run.written or load.node in run.waiting:
                return
            if not run.waiting:
                run.due = due
            run.waiting[load.node] = load
            self._start(tracking_uri)
            self._changed.notify_all()

    def flush(self, run_id: str | None = None) -> None:
        """Writes what this run has loaded, or what all runs have. Returns when it is written, has failed, or after 10 seconds."""
        with self._changed:
            asked = [(key, run) for key, run in self._runs.items() if run_id in (None, run.id)]
            for key, run in asked:
                if not run.waiting:
                    del self._runs[key]
            runs = [run for _, run in asked if run.waiting]
            before = {id(run): run.failures for run in runs}
            for run in runs:
                run.is_ending, run.due = True, time.monotonic()
            self._changed.notify_all()
            self._changed.wait_for(lambda: all(not run.waiting or run.failures > before[id(run)] for run in runs), _PATIENCE)

    def _start(self, tracking_uri: str) -> None:
        if tracking_uri in self._threads:
            return
        is_first = not self._threads
        thread = threading.Thread(target=self._work, args=[tracking_uri], name="runlineage-autolog", daemon=True)
        self._threads[tracking_uri] = thread
        thread.start()
        if is_first:
            self._write_at_exit()

    def _write_at_exit(self) -> None:
        # MLflow ends the active run at exit. This function is registered later than MLflow's own, so it runs earlier.
        atexit.register(self.flush)
        multiprocessing = sys.modules.get("multiprocessing.util")
        if multiprocessing is not None and sys.modules["multiprocessing"].parent_process() is not None:
            # A child process that multiprocessing has forked does not call what atexit has registered.
            multiprocessing.Finalize(None, self.flush, exitpriority=1)

    def _work(self, tracking_uri: str) -> None:
        while True:
            with self._changed:
                run = self._next(tracking_uri)
                while run is None:
                    self._changed.wait(self._seconds(tracking_uri))
                    run = self._next(tracking_uri)
                loads = run.ready()
            is_done = run.context.run(_write, run, loads, self.interval)
            with self._changed:
                if is_done:
                    for load in loads:
                        run.waiting.pop(load.node, None)
                        run.written.add(load.node)
                else:
                    run.failures += 1
                run.due = time.monotonic() + self.interval
                if run.is_ending and not run.waiting:
                    self._runs.pop((run.tracking_uri, run.id), None)
                self._changed.notify_all()

    def _next(self, tracking_uri: str) -> _Run | None:
        now = time.monotonic()
        due = (run for run in self._unwritten(tracking_uri) if run.due <= now)
        return next(due, None)

    def _unwritten(self, tracking_uri: str) -> list[_Run]:
        return [run for run in self._runs.values() if run.tracking_uri == tracking_uri and run.ready()]

    def _seconds(self, tracking_uri: str) -> float | None:
        """How long until the next run of this server is due; `None` if there is none."""
        due = [run.due for run in self._unwritten(tracking_uri)]
        return min(max(0.0, min(due) - time.monotonic()), threading.TIMEOUT_MAX) if due else None


def _write(run: _Run, loads: list[Load], interval: float) -> bool:
    """Registers the loads in MLflow. Whether they need no further attempt."""
    try:
        client = _mlflow.client(run.tracking_uri)
        read = _mlflow.read_run(client, run.id)
        seen = _native.native_logged_models(read)
        uses = [load for load in loads if load.model_id not in seen]
        _mlflow.set_lineage(client, run.id, [("input", load.node) for load in uses], read)
    except InvalidArgument:
        _refused.warn(run.id)
    except Exception as error:
        if getattr(error.__cause__, "error_code", None) == "RESOURCE_DOES_NOT_EXIST":
            _refused.warn(run.id)
        else:
            _failed.warn(run.id, interval)
            return False
    return True
