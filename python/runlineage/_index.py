"""`Index`: the connection to a mirror, and what is asked of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Iterator, NamedTuple, Sequence

from runlineage import _native
from runlineage._answers import Diff, Graph, Impact, Paths, Provenance
from runlineage._errors import Error, InvalidArgument

if TYPE_CHECKING:
    import os
    from datetime import datetime
    from typing import Literal, Union, overload

    import pandas as pd

    from runlineage._native import Node, Query, Run

    Filter = Union[str, Query, None]
    Levels = Union[int, Literal["all"], None]
    AnyNode = Union[str, Node]
else:

    def overload(function):
        return function


# Of a search, as in `mlflow.search_runs`.
MAX_RESULTS = 100_000
# In seconds.
TIMEOUT = 60.0


class Status(NamedTuple):
    """What is mirrored, and when it was last synced."""

    source: str | None
    """The tracking server; `None` before the first sync."""
    full_pass: datetime | None
    """When the last complete full pass began, in UTC. Everything in MLflow at that time is mirrored."""
    quick_pass: datetime | None
    """When the last complete quick pass began, in UTC."""
    pending_migrations: int
    """How many migrations are pending. Until they are applied, searches may be slow."""


class Index:
    """A mirror of MLflow's runs in MongoDB. It only reads, and one object serves all threads.

    After `os.fork`, a child opens its own connections at its first question.

    Args:
        uri: The URI of MongoDB, such as `mongodb://user:password@host:27017/database`.
        database: The database, if the URI names none; by default `runlineage`.

    Raises:
        InvalidArgument: The URI is not valid. A server that does not answer fails the first question instead.
    """

    def __init__(self, uri: str, database: str | None = None) -> None:
        self._open: _native.Index | None = _native.Index(uri, database)

    @classmethod
    def local(cls, database: str | None = None, *, folder: str | os.PathLike[str] | None = None) -> Index:
        """The private MongoDB server of this user, which the program's `--local` uses too. It is started if it is not running.

        It needs a `mongod`: in `PATH`, or named by the variable `MONGOD`. It ends a minute after its last user.

        Args:
            database: By default `runlineage`.
            folder: Where the data is, instead of the user's data folder.

        Raises:
            LocalDatabaseError: There is no `mongod`, or it cannot be started.
        """
        index = cls.__new__(cls)
        index._open = _native.Index.local(database, folder)
        return index

    @property
    def _mirror(self) -> _native.Index:
        if self._open is None:
            raise Error("this index is closed; open another one")
        return self._open

    @property
    def database(self) -> str:
        """The name of the database."""
        return self._mirror.database

    def close(self) -> None:
        """Closes the connections. Answers and iterators that exist stay usable."""
        self._open = None

    def __enter__(self) -> Index:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        # Never the URI, which may hold a password.
        return "<Index closed>" if self._open is None else f"<Index of database {self.database!r}>"

    def __reduce__(self) -> Any:
        raise TypeError("an Index holds connections and is not pickled; make one in each process")

    def status(self) -> Status:
        """What is mirrored, and when it was last synced."""
        return Status(**self._mirror.status())

    if TYPE_CHECKING:

        @overload
        def search_runs(
            self,
            filter: Filter = None,
            *,
            experiment_ids: Sequence[str] | None = None,
            experiment_names: Sequence[str] | None = None,
            order_by: Sequence[str] | None = None,
            max_results: int = MAX_RESULTS,
            columns: Sequence[str] | None = None,
            decoded: bool = False,
            output_format: Literal["pandas"] = "pandas",
            timeout: float = TIMEOUT,
            progress: bool | None = None,
        ) -> pd.DataFrame: ...

        @overload
        def search_runs(
            self,
            filter: Filter = None,
            *,
            experiment_ids: Sequence[str] | None = None,
            experiment_names: Sequence[str] | None = None,
            order_by: Sequence[str] | None = None,
            max_results: int = MAX_RESULTS,
            columns: Sequence[str] | None = None,
            decoded: bool = False,
            output_format: Literal["list"],
            timeout: float = TIMEOUT,
            progress: bool | None = None,
        ) -> list[Run]: ...

    def search_runs(
        self,
        filter: Filter = None,
        *,
        experiment_ids: Sequence[str] | None = None,
        experiment_names: Sequence[str] | None = None,
        order_by: Sequence[str] | None = None,
        max_results: int = MAX_RESULTS,
        columns: Sequence[str] | None = None,
        decoded: bool = False,
        output_format: str = "pandas",
        timeout: float = TIMEOUT,
        progress: bool | None = None,
    ) -> pd.DataFrame | list[Run]:
        """The runs that match, in the columns and types of `mlflow.search_runs`, with their lineage beside.

        One row for each run, with the columns `run_id`, `experiment_id`, `status`, `artifact_uri` (texts), `start_time`, `end_time`
        (in UTC), `metrics.*` (float64; NaN where the run has none), `params.*` and `tags.*` (MLflow's texts; missing where the run
        has none), `inputs` and `outputs` (lists of the texts of nodes).

        Args:
            filter: Conditions as a text such as `"input.model = 'churn:3' and metrics.auc > 0.9"`, in the language of MLflow's
                `filter_string` and of `runlineage find --where`; a `Query`; or a MongoDB filter as JSON. Without it, all runs.
            experiment_ids: Only runs of these experiments.
            experiment_names: Only runs of these experiments.
            order_by: Fields such as `"metrics.auc DESC"`; by default the newest runs come first.
            max_results: At most this many runs; 0 for all. If more match, a warning is logged.
            columns: Read only these columns, such as `["run_id", "metrics.auc", "inputs"]`. `run_id` is always there.
            decoded: Give params and tags as values (numbers, lists), not as MLflow's texts.
            output_format: `"pandas"` for a `DataFrame`, `"list"` for a list of `Run`.
            timeout: In seconds, how long MongoDB may work on the search.
            progress: Show a bar by tqdm. By default if tqdm is installed, the output is a terminal or a notebook, and the search takes
                longer than two seconds.

        Raises:
            InvalidArgument: The filter or another argument is not valid.
            NotFound: An experiment is not mirrored.
            MongoError: MongoDB does not answer, or not in time.
            DatabaseError: Nothing is mirrored yet.
        """
        args = _search_args(experiment_ids, experiment_names, order_by, max_results, columns, timeout)
        if output_format == "list":
            return list(self._mirror.runs(filter, args))
        if output_format != "pandas":
            raise InvalidArgument(f"output_format: {output_format!r} is none; write pandas or list")
        # Before the search, which may take long.
        from runlineage import _frames

        with _frames.Bar(progress) as bar:
            found, rows = self._mirror.frame(filter, args, decoded, bar.show)
        return _frames.frame(found, rows, columns)

    def find_runs(
        self,
        filter: Filter = None,
        *,
        experiment_ids: Sequence[str] | None = None,
        experiment_names: Sequence[str] | None = None,
        order_by: Sequence[str] | None = None,
        max_results: int = 0,
        timeout: float = TIMEOUT,
    ) -> Iterator[Run]:
        """The runs that match, fetched while one iterates.

        Args:
            filter, experiment_ids, experiment_names, order_by, timeout: As in `search_runs`.
            max_results: At most this many runs; by default all.

        Raises:
            As `search_runs`.
        """
        return self._mirror.runs(filter, _search_args(experiment_ids, experiment_names, order_by, max_results, None, timeout))

    def count_runs(
        self,
        filter: Filter = None,
        *,
        experiment_ids: Sequence[str] | None = None,
        experiment_names: Sequence[str] | None = None,
        timeout: float = TIMEOUT,
    ) -> int:
        """How many runs match. The arguments are those of `search_runs`."""
        return self._mirror.count(filter, _search_args(experiment_ids, experiment_names, None, 0, None, timeout))

    def get_run(self, run_id: Any) -> Run | None:
        """The run with this id, or of a run object of MLflow or mlopus; `None` if it is not mirrored."""
        return self._mirror.run(run_id)

    def facet(
        self,
        name: str,
        filter: Filter = None,
        *,
        experiment_ids: Sequence[str] | None = None,
        experiment_names: Sequence[str] | None = None,
        max_results: int = 0,
        timeout: float = TIMEOUT,
    ) -> list[dict[str, Any]]:
        """Counts the runs that match by value, the most frequent value first: `{"value": …, "runs": …}` each.

        Args:
            name: `exp`, `status`, `user`, or a kind of node in a direction, such as `input-model` or `output-artifact`.
            filter, experiment_ids, experiment_names, timeout: As in `search_runs`.
            max_results: At most this many values; by default all.
        """
        args = _search_args(experiment_ids, experiment_names, None, max_results, None, timeout)
        return _loads(self._mirror.facet(name, filter, args))

    def versions(self, name: str, *, timeout: float = TIMEOUT) -> dict[str, Any]:
        """A registered model and its versions, the newest first, with their aliases and the runs that read them.

        The form is that of `runlineage versions --format json`, with the deleted versions.

        Raises:
            NotFound: No such model is mirrored.
        """
        return _loads(self._mirror.versions(name, timeout))

    def node(self, node: AnyNode, *, timeout: float = TIMEOUT) -> dict[str, Any]:
        """What the mirror knows of a node, and the runs that wrote and read it; of a run, its document.

        The form is that of `runlineage show --format json`.

        Raises:
            NotFound: The mirror has never seen the node.
        """
        return _loads(self._mirror.node(node, timeout))

    def graph(
        self,
        select: AnyNode,
        *,
        upstream: Levels = None,
        downstream: Levels = None,
        uncertain: bool = False,
        parents: bool = False,
        where: str | Query | None = None,
        max_nodes: int = 1_000,
        timeout: float = TIMEOUT,
    ) -> Graph:
        """The graph around a node, or of a selection of nodes.

        Args:
            select: A node such as `"model:churn:7"` or a run's id, or a selection such as
                `"2+model:churn:7+1 and where(status = FINISHED)"`, as `runlineage graph` takes it.
            upstream: Levels of runs upstream, or `"all"`. By default 2, or 0 if only `downstream` is given.
            downstream: Levels of runs downstream, or `"all"`. By default 2, or 0 if only `upstream` is given.
            uncertain: Walk through uncertain edges too: a reference without a version or digest may mean any.
            parents: Show the parents and children of the runs too.
            where: Walk only through runs that match these conditions.
            max_nodes: Stop the walk at this many nodes. `Graph.truncated` says where it stopped.
            timeout: In seconds, how long MongoDB may work on one query.

        Raises:
            InvalidArgument: The selection is not valid.
            NotFound: The mirror has never seen a node of the selection.
        """
        how = _walk_args(uncertain, where, max_nodes, timeout)
        return Graph(self._mirror.graph(select, upstream, downstream, parents, how))

    def impact(
        self,
        node: AnyNode,
        *,
        downstream: Levels = None,
        uncertain: bool = False,
        where: str | Query | None = None,
        max_nodes: int = 100_000,
        timeout: float = TIMEOUT,
    ) -> Impact:
        """All that a node reached: runs, versions, and the aliases that point to them now.

        Args:
            node: Such as `"dataset:clicks@4f2a"`.
            downstream: Levels of runs; by default all.
            uncertain, where, max_nodes, timeout: As in `graph`.
        """
        how = _walk_args(uncertain, where, max_nodes, timeout)
        return Impact(self._mirror.impact(node, downstream, how))

    def provenance(
        self,
        node: AnyNode,
        *,
        upstream: Levels = None,
        uncertain: bool = False,
        where: str | Query | None = None,
        max_nodes: int = 10_000,
        timeout: float = TIMEOUT,
    ) -> Provenance:
        """Where a run or a version came from: data, code, params, people, times, and what is unresolved.

        Args:
            node: Such as `"model:churn:7"`.
            upstream: Levels of runs; by default all.
            uncertain, where, max_nodes, timeout: As in `graph`.
        """
        how = _walk_args(uncertain, where, max_nodes, timeout)
        return Provenance(self._mirror.provenance(node, upstream, how))

    def paths(
        self,
        a: AnyNode,
        b: AnyNode,
        *,
        uncertain: bool = False,
        where: str | Query | None = None,
        max_nodes: int = 100_000,
        timeout: float = TIMEOUT,
    ) -> Paths:
        """The shortest lineage path between two nodes, in whichever direction the data went.

        Args:
            a, b: The two ends.
            uncertain, where, max_nodes, timeout: As in `graph`.
        """
        how = _walk_args(uncertain, where, max_nodes, timeout)
        return Paths(self._mirror.paths(a, b, how))

    def diff(self, a: AnyNode, b: AnyNode, *, upstream: Levels = None, max_pairs: int = 1_000, timeout: float = TIMEOUT) -> Diff:
        """Why two runs or two versions differ: the first points where their upstreams diverge, and what follows from these.

        Args:
            a, b: Two runs, or two versions.
            upstream: Levels of runs; by default all.
            max_pairs: Compare at most this many pairs of runs.
            timeout: As in `graph`.
        """
        return Diff(self._mirror.diff(a, b, upstream, max_pairs, timeout))


def _search_args(
    experiment_ids: Sequence[str] | None,
    experiment_names: Sequence[str] | None,
    order_by: Sequence[str] | None,
    max_results: int,
    columns: Sequence[str] | None,
    timeout: float,
) -> dict[str, Any]:
    texts = {"experiment_ids": experiment_ids, "experiment_names": experiment_names, "order_by": order_by, "columns": columns}
    for name, value in texts.items():
        # A text is a sequence of its letters, too.
        if isinstance(value, str):
            raise InvalidArgument(f"{name}: write a list, such as [{value!r}]")
    if max_results < 0:
        raise InvalidArgument("max_results: write a number of at least 1, or 0 for all")
    return {
        "experiment_ids": list(experiment_ids or ()),
        "experiment_names": list(experiment_names or ()),
        "order_by": list(order_by or ()),
        "max_results": max_results,
        "columns": None if columns is None else list(columns),
        "timeout": timeout,
    }


def _walk_args(uncertain: bool, where: str | Query | None, max_nodes: int, timeout: float) -> dict[str, Any]:
    return {"uncertain": uncertain, "where": where, "max_nodes": max_nodes, "timeout": timeout}


def _loads(text: bytes) -> Any:
    import json

    return json.loads(text)
