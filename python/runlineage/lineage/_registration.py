"""`of(run)`: registers lineage on a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runlineage import _native
from runlineage._native import Node
from runlineage.lineage import _mlflow

if TYPE_CHECKING:
    from runlineage import Index


def of(run: Any, *, tracking_uri: str | None = None) -> Registration:
    """Starts a registration on a run. Nothing is sent before `register()`.

    Args:
        run: an MLflow `Run` or `ActiveRun`, a run of mlopus, or a run id.
        tracking_uri: the tracking server; by default the one that MLflow uses when `register()` is called.

    Raises:
        InvalidArgument: if `run` is none of these.
    """
    return Registration(_native.run_id(run), tracking_uri)


class Registration:
    """What a run read and wrote, to be registered. Each `with_…` adds to it and returns it.

    Wherever a run is named, its id, an MLflow run and a run of mlopus are accepted.
    """

    def __init__(self, run_id: str, tracking_uri: str | None = None) -> None:
        self._run_id = run_id
        self._tracking_uri = tracking_uri
        self._additions: list[tuple[str, Node]] = []

    def with_input(self, node: str | Node) -> Registration:
        """Adds that the run read this node: its text, such as `model:churn:3`, or its URI in MLflow, such as `models:/churn/3`.

        Raises:
            InvalidArgument: if the text is no node, or of a kind that no run reads.
        """
        return self._with("input", node)

    def with_output(self, node: str | Node) -> Registration:
        """Adds that the run wrote this node: its text or its URI in MLflow.

        Raises:
            InvalidArgument: if the text is no node, or of a kind that no run writes.
        """
        return self._with("output", node)

    def with_input_model(self, name: str, version: str | int | None = None) -> Registration:
        """Adds that the run read this model; no version means that none is recorded."""
        return self._with("input", Node.model(name, version))

    def with_output_model(self, name: str, version: str | int | None = None) -> Registration:
        """Adds that the run wrote this model; no version means that none is recorded."""
        return self._with("output", Node.model(name, version))

    def with_input_artifact(self, run: Any, path_in_run: str | None = None) -> Registration:
        """Adds that the run read this path of this run, without its leading and trailing slashes; no path means the whole run."""
        return self._with("input", Node.artifact(_native.run_id(run), path_in_run))

    def with_output_artifact(self, run: Any, path_in_run: str | None = None) -> Registration:
        """Adds that the run wrote this path of this run, without its leading and trailing slashes; no path means the whole run."""
        return self._with("output", Node.artifact(_native.run_id(run), path_in_run))

    def with_input_dataset(self, name: str, digest: str | None = None) -> Registration:
        """Adds that the run read this dataset; no digest means that none is recorded."""
        return self._with("input", Node.dataset(name, digest))

    def with_input_logged_model(self, id: str) -> Registration:
        """Adds that the run read this logged model, such as `m-3f0b6c1d2e4a4f5b8c7d9e0f1a2b3c4d`."""
        return self._with("input", Node.logged_model(id))

    def with_output_logged_model(self, id: str) -> Registration:
        """Adds that the run wrote this logged model."""
        return self._with("output", Node.logged_model(id))

    def with_input_prompt(self, name: str, version: str | int | None = None) -> Registration:
        """Adds that the run read this prompt; no version means that none is recorded."""
        return self._with("input", Node.prompt(name, version))

    def register(self, index: Index | None = None) -> None:
        """Sets the tags on the run in MLflow.

        MLflow's own client sets them, and only those that change. Lineage that the run records already stays, whoever wrote it:
        each addition is also written to a tag that no other program writes, so that no concurrent writer can undo it.

        Args:
            index: mirrors the run at once. Without an index, the next sync mirrors it. The index reads the run over HTTP from the same
                tracking server, with the settings of MLflow's environment variables.

        Raises:
            InvalidArgument: if a name, a version or a path is too long for a tag of MLflow: about 4,900 characters.
            MlflowError: if MLflow refuses the tags, if the run is deleted, or if another program overwrote the tags ten times.
            Error: if MLflow has the lineage, but the mirror could not be written. The next sync mirrors it.
        """
        client = _mlflow.client(self._tracking_uri)
        _mlflow.set_lineage(client, self._run_id, self._additions)
        if index is not None:
            _native.register(index._mirror, client.tracking_uri, self._run_id, self._additions)

    def _with(self, direction: str, node: str | Node) -> Registration:
        self._additions.append((direction, _native.registrable(direction, node)))
        return self

    def __repr__(self) -> str:
        parts = ", ".join(f"{direction} {node}" for direction, node in self._additions)
        return f"<Registration on run {self._run_id}: {parts or 'nothing'}>"
