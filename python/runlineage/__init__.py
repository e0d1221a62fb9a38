"""Who used this model, where did it come from, what depends on it: answers about MLflow runs from a mirror in MongoDB.

>>> import runlineage as rl
>>> index = rl.Index("mongodb://localhost/runlineage")
>>> runs = index.search_runs("input.model = 'churn:3' and metrics.auc > 0.9", order_by=["metrics.auc DESC"])
>>> graph = index.graph("model:churn:7", upstream=2, downstream=1)

The command `runlineage sync` makes the mirror and keeps it fresh.
"""

from typing import TYPE_CHECKING, Any

from runlineage._answers import Diff, Graph, Impact, Paths, Provenance
from runlineage._errors import (
    DatabaseError,
    DocumentError,
    DrawingError,
    Error,
    InvalidArgument,
    LocalDatabaseError,
    MlflowError,
    MongoError,
    NotFound,
    Unsupported,
)
from runlineage._index import Index, Status
from runlineage._native import Node, Query, Run, __version__

if TYPE_CHECKING:
    from runlineage import lineage

__all__ = [
    "DatabaseError",
    "Diff",
    "DocumentError",
    "DrawingError",
    "Error",
    "Graph",
    "Impact",
    "Index",
    "InvalidArgument",
    "LocalDatabaseError",
    "MlflowError",
    "MongoError",
    "Node",
    "NotFound",
    "Paths",
    "Provenance",
    "Query",
    "Run",
    "Status",
    "Unsupported",
    "__version__",
    "lineage",
]


def __getattr__(name: str) -> Any:
    # Its imports take longer than all others together, and who only asks does not need it.
    if name == "lineage":
        import importlib

        return importlib.import_module("runlineage.lineage")
    raise AttributeError(f"module 'runlineage' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
