"""What a walk through lineage found: `Graph`, `Impact`, `Provenance`, `Paths` and `Diff`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runlineage import _native

if TYPE_CHECKING:
    import os

    import networkx as nx
    import pandas as pd

# More siblings than this become one node, as in the program and on the web page.
FOLD = 5


class Answer:
    """An answer of the library. It needs no database any more."""

    def __init__(self, answer: _native.Answer) -> None:
        self._answer = answer
        self._data: dict[str, Any] | None = None

    def to_dict(self) -> dict[str, Any]:
        """The answer in the form of the program's `--format json`."""
        if self._data is None:
            import json

            self._data = json.loads(self._answer.json())
        return self._data

    @property
    def truncated(self) -> dict[str, Any] | None:
        """The limit that stopped the walk early, and the node where; `None` if the answer is complete."""
        return self.to_dict().get("truncated")

    def _cut(self) -> str:
        return "" if self.truncated is None else ", truncated"


class Drawable(Answer):
    """An answer that is a picture too."""

    def draw(self, format: str = "svg", *, fold: int = FOLD) -> bytes:
        """The picture or the file, as bytes.

        Args:
            format: `svg`, `png`, `html`, and for all but a diff `tree`, `csv`, `dot`, `mermaid`, `graphml` or `openlineage`.
            fold: More siblings of one kind than this become one node; 0 folds none.

        Raises:
            DrawingError: A PNG is too large.
        """
        if format == "json":
            return self._answer.json()
        drawn, missing = self._answer.draw(format, fold)
        if missing:
            import logging

            shown = ", ".join(f"{glyph} (U+{ord(glyph):04X})" for glyph in missing[:10])
            logging.getLogger("runlineage").warning("no font here has a glyph for %s, so the PNG shows boxes instead", shown)
        return drawn

    def save(self, path: str | os.PathLike[str], *, format: str | None = None, fold: int = FOLD) -> None:
        """Writes the answer into a file; an existing file is replaced.

        Args:
            path: Its ending gives the format: txt, json, csv, svg, png, html, dot or gv, mmd (Mermaid), graphml, ndjson (OpenLineage).
            format: The name of a format, whatever the file's ending.
            fold: As in `draw`.
        """
        drawn = self.draw(format or _native.format_of(path), fold=fold)
        with open(path, "wb") as file:
            file.write(drawn)

    def _repr_svg_(self) -> str:
        return self.draw("svg").decode()

    def _repr_html_(self) -> str:
        import base64

        # As an image, so that the styles of two pictures on one page do not meet.
        picture = base64.b64encode(self.draw("svg")).decode()
        return f'<img alt="lineage" style="max-width: 100%" src="data:image/svg+xml;base64,{picture}">'


class Graph(Drawable):
    """Nodes and the flows of data between them. A notebook shows it as a picture."""

    @property
    def nodes(self) -> list[dict[str, Any]]:
        """Each node: `id`, `kind`, `depth` (in runs from the start), `known`, and what the mirror knows of it."""
        return self.to_dict()["nodes"]

    @property
    def edges(self) -> list[dict[str, Any]]:
        """Each edge: `from` and `to` (ids of nodes, as the data flows), and whether it is `certain`."""
        return self.to_dict()["edges"]

    def to_networkx(self) -> nx.DiGraph:
        """The graph for networkx, which has to be installed. Nodes and edges have the fields of `nodes` and `edges` as attributes."""
        import networkx as nx

        graph = nx.DiGraph()
        for node in self.nodes:
            graph.add_node(node["id"], **{name: value for name, value in node.items() if name != "id"})
        for edge in self.edges:
            graph.add_edge(edge["from"], edge["to"], **{name: value for name, value in edge.items() if name not in ("from", "to")})
        return graph

    def to_pandas(self) -> pd.DataFrame:
        """The nodes, one row each: `node`, `kind`, `depth`, `known`, `deleted`, `name`, `experiment`, `status`, `user`, `start_time`."""
        import pandas as pd

        rows = [_row(node) for node in self.nodes]
        frame = pd.DataFrame(rows, columns=["node", "kind", "depth", "known", "deleted", *FACTS])
        return _with_times(frame)

    def edges_to_pandas(self) -> pd.DataFrame:
        """The edges, one row each: `from`, `to`, `certain`."""
        import pandas as pd

        return pd.DataFrame(self.edges, columns=["from", "to", "certain"])

    def __len__(self) -> int:
        return len(self.nodes)

    def __repr__(self) -> str:
        return f"<Graph of {len(self.nodes)} nodes and {len(self.edges)} edges{self._cut()}>"


class Impact(Answer):
    """All that a node reached."""

    @property
    def reached(self) -> list[dict[str, Any]]:
        """The nodes downstream, each with its `depth` (in runs), whether a `certain` way leads to it, and a shortest `path`."""
        return self.to_dict()["reached"]

    @property
    def aliased(self) -> list[dict[str, Any]]:
        """The versions to which aliases point now. A serving endpoint usually loads such a version."""
        return self.to_dict()["aliased"]

    @property
    def open_ends(self) -> list[str]:
        """Outputs without a recorded consumer. The mirror cannot tell what else depends on them."""
        return self.to_dict()["open_ends"]

    def to_pandas(self) -> pd.DataFrame:
        """The nodes downstream, one row each.

        The columns: `distance` (in runs), `kind`, `node`, `name`, `certain`, `deleted`, `aliases` and `path` (lists), `experiment`,
        `status`, `user`, `start_time`.
        """
        import pandas as pd

        rows = [
            {
                **_row(node),
                "distance": node["depth"],
                "certain": node["certain"],
                "aliases": (node.get("version") or {}).get("aliases", []),
                "path": node["path"],
            }
            for node in self.reached
        ]
        own = ["distance", "kind", "node", "name", "certain", "deleted", "aliases", "path"]
        frame = pd.DataFrame(rows, columns=[*own, *(fact for fact in FACTS if fact not in own)])
        return _with_times(frame)

    def __len__(self) -> int:
        return len(self.reached)

    def __repr__(self) -> str:
        return f"<Impact of {self.to_dict()['start']}: {len(self.reached)} nodes{self._cut()}>"


class Provenance(Drawable):
    """Where a node came from, and how complete that is. A notebook shows it as a picture."""

    @property
    def complete(self) -> bool:
        """Whether nothing upstream is missing or in doubt."""
        return self.to_dict()["complete"]

    @property
    def unresolved(self) -> dict[str, Any]:
        """What is missing or in doubt."""
        return self.to_dict()["unresolved"]

    @property
    def truncated(self) -> dict[str, Any] | None:
        """The limit that stopped the walk early, and the node where; `None` if it was not stopped."""
        return self.unresolved.get("truncated")

    def __repr__(self) -> str:
        return f"<Provenance, {'complete' if self.complete else 'incomplete'}{self._cut()}>"


class Paths(Drawable):
    """The shortest lineage path between two nodes. A notebook shows it as a picture."""

    @property
    def shortest(self) -> dict[str, Any] | None:
        """The `nodes` and `edges` of the path; `None` if no path joins the two."""
        return self.to_dict()["shortest"]

    def __bool__(self) -> bool:
        return self.shortest is not None

    def __repr__(self) -> str:
        nodes = " → ".join(node["id"] for node in (self.shortest or {}).get("nodes", []))
        return f"<Paths: {nodes or 'none'}{self._cut()}>"


class Diff(Drawable):
    """Why two runs or versions differ. A notebook shows it as a picture."""

    @property
    def outcome(self) -> str:
        """Such as `different` or `equal`."""
        return self.to_dict()["outcome"]

    @property
    def pairs(self) -> list[dict[str, Any]]:
        """The pairs of runs that were compared: `state` tells whether the two diverge here first, or only follow."""
        return self.to_dict()["pairs"]

    def __repr__(self) -> str:
        data = self.to_dict()
        return f"<Diff of {data['a']} and {data['b']}: {self.outcome}>"


# What `_row` takes from the facts of a run.
FACTS = ["name", "experiment", "status", "user", "start_time"]


def _row(node: dict[str, Any]) -> dict[str, Any]:
    run = node.get("run") or {}
    experiment = run.get("experiment") or {}
    return {
        "node": node["id"],
        "kind": node["kind"],
        "depth": node["depth"],
        "known": node["known"],
        "deleted": node.get("deleted", False),
        "name": run.get("name"),
        "experiment": experiment.get("name") or experiment.get("id"),
        "status": run.get("status"),
        "user": run.get("user"),
        "start_time": run.get("start_time"),
    }


def _with_times(frame: pd.DataFrame) -> pd.DataFrame:
    import pandas as pd

    frame["start_time"] = pd.to_datetime(frame["start_time"], utc=True, format="ISO8601")
    return frame
