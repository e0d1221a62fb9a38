"""Walks, facets and the rest: the same answers as the program gives, and their forms for Python."""

import csv
import io
import json
import xml.etree.ElementTree as ET

import pytest
from conftest import HOSTILE_MODEL, HOSTILE_RUN, program

import runlineage as rl

PNG = b"\x89PNG\r\n\x1a\n"


def parsed(text):
    return json.loads(text)


def test_a_graph_equals_that_of_the_program(world):
    model = world.version[1]
    cases = [
        ((model,), {}, []),
        ((model,), {"upstream": 1}, ["--upstream", "1"]),
        ((model,), {"downstream": "all", "parents": True}, ["--downstream", "all", "--parents"]),
        ((world.runs["train 1"],), {"upstream": 3, "downstream": 0}, ["--upstream", "3", "--downstream", "0"]),
        ((f"2+{model}+1 and where(status = FINISHED)",), {}, []),
        ((f"+{model} or sinks({model}+)",), {"uncertain": True}, ["--uncertain"]),
        ((model,), {"where": "status = FINISHED", "max_nodes": 3}, ["--where", "status = FINISHED", "--max-nodes", "3"]),
        ((f"models:/{world.model}@champion",), {}, []),
    ]
    for arguments, options, flags in cases:
        ours = world.index.graph(*arguments, **options)
        assert ours.to_dict() == parsed(world.cli("graph", *arguments, *flags, "--format", "json")), arguments
        assert len(ours.nodes) > 1 and len(ours.edges) > 0


def test_other_walks_equal_those_of_the_program(world):
    one, two, prepare = world.version[1], world.version[2], world.runs["prepare"]
    data = f"artifact:{prepare}/data"
    assert world.index.impact(data).to_dict() == parsed(world.cli("impact", data, "--format", "json"))
    assert world.index.paths(data, one).to_dict() == parsed(world.cli("paths", data, one, "--format", "json"))
    assert world.index.diff(one, two).to_dict() == parsed(world.cli("diff", one, two, "--format", "json"))
    ours = world.index.provenance(one, upstream=2).to_dict()
    theirs = parsed(world.cli("provenance", one, "--upstream", "2", "--format", "json"))
    times = ours.pop("written_at"), theirs.pop("written_at")
    assert ours == theirs and all(times)


def test_what_is_known_of_nodes_equals_the_program(world):
    for node in [world.version[1], f"model:{world.model}", f"run:{world.runs['score']}"]:
        assert world.index.node(node) == parsed(world.cli("show", node, "--format", "json")), node
    assert world.index.node(f"models:/{world.model}@champion")["node"] == world.version[2]
    assert world.index.versions(world.model) == parsed(world.cli("versions", world.model, "--deleted", "--format", "json"))
    for facet in ["exp", "status", "user", "input-model", "output-artifact"]:
        assert world.index.facet(facet) == parsed(world.cli("find", "--facet", facet, "--format", "json")), facet
    assert world.index.facet("status", "input.model = 'nothing'") == []
    assert world.index.count_runs("status = FAILED") == int(world.cli("find", "--where", "status = FAILED", "--count")) == 1


def test_a_search_equals_that_of_the_program(many):
    condition = "input.model = 'model-3:2' and metrics.auc > 0.3"
    found = parsed(program("find", "--where", condition, "--sort=-start_time", "--format", "json", database=many.database))
    assert len(found) > 10
    assert [run.run_id for run in many.index.find_runs(condition)] == [run["_id"] for run in found]
    rows = csv.DictReader(io.StringIO(program("find", "--where", condition, "--sort=-start_time", "--columns", "_id,metrics.auc,params.lr,tags.team", "--format", "csv", database=many.database)))
    frame = many.index.search_runs(condition)
    expected = [(row["_id"], float(row["metrics.auc"]), row["params.lr"], row["tags.team"]) for row in rows]
    assert list(zip(frame["run_id"], frame["metrics.auc"], frame["params.lr"], frame["tags.team"])) == expected


def test_a_graph_is_drawn_and_saved_in_every_format(world, tmp_path):
    graph = world.index.graph(world.version[1])
    for name in ["tree.txt", "g.json", "g.csv", "g.svg", "g.png", "g.html", "g.dot", "g.gv", "g.mmd", "g.graphml", "g.ndjson"]:
        expected = tmp_path / f"theirs-{name}"
        world.cli("graph", world.version[1], "--out", str(expected))
        graph.save(tmp_path / name)
        assert (tmp_path / name).read_bytes() == expected.read_bytes(), name
    graph.save(tmp_path / "picture", format="svg", fold=0)
    assert ET.fromstring((tmp_path / "picture").read_bytes()).tag.endswith("svg")
    with pytest.raises(rl.InvalidArgument, match="does not tell the format"):
        graph.save(tmp_path / "g.pdf")
    with pytest.raises(rl.DrawingError, match="unknown format"):
        graph.draw("pdf")
    with pytest.raises(OSError):
        graph.save(tmp_path / "missing" / "g.svg")


def test_answers_show_themselves_in_a_notebook(world):
    answers = [
        world.index.graph(world.version[1]),
        world.index.provenance(world.version[1]),
        world.index.paths(world.runs["prepare"], world.version[1]),
        world.index.diff(world.version[1], world.version[2]),
    ]
    for answer in answers:
        svg = answer._repr_svg_()
        assert ET.fromstring(svg).tag.endswith("svg")
        html = answer._repr_html_()
        assert html.startswith("<img ") and "<script" not in html
        assert answer.draw("png").startswith(PNG)
    assert world.model in answers[0]._repr_svg_()


def test_hostile_names_stay_text_in_every_form(world, tmp_path):
    node = rl.Node.model(HOSTILE_MODEL, "1")
    graph = world.index.graph(node)
    assert str(node) in {shown["id"] for shown in graph.nodes}
    # The text of a node needs no quotes, though a selection would.
    assert world.index.graph(str(node)).to_dict() == graph.to_dict()
    picture = graph._repr_svg_()
    ET.fromstring(picture)
    assert "<b>" not in picture
    assert str(node) in graph.to_networkx()
    assert set(world.index.impact(node).to_pandas()["name"].dropna()) == {HOSTILE_RUN}


def test_a_graph_becomes_a_networkx_graph(world):
    import networkx as nx

    graph = world.index.graph(world.version[1], upstream="all", downstream="all")
    digraph = graph.to_networkx()
    assert (len(digraph), digraph.size()) == (len(graph), len(graph.edges))
    data = f"artifact:{world.runs['prepare']}/data/train.parquet"
    assert nx.has_path(digraph, data, f"run:{world.runs['score']}")
    assert digraph.nodes[world.version[1]]["kind"] == "model"
    assert all("certain" in edge for _, _, edge in digraph.edges(data=True))


def test_a_graph_becomes_frames(world):
    graph = world.index.graph(world.version[1])
    nodes = graph.to_pandas().set_index("node")
    assert set(nodes.index) == {node["id"] for node in graph.nodes}
    score = nodes.loc[f"run:{world.runs['score']}"]
    assert (score["kind"], score["name"], score["status"], score["experiment"]) == ("run", "score", "FAILED", world.experiment_name)
    assert score["start_time"] == world.index.get_run(world.runs["score"]).start_time
    edges = graph.edges_to_pandas()
    assert list(edges.columns) == ["from", "to", "certain"] and len(edges) == len(graph.edges)


def test_an_impact_becomes_a_frame_with_the_rows_of_the_program(world):
    data = f"artifact:{world.runs['prepare']}/data/train.parquet"
    impact = world.index.impact(data)
    frame = impact.to_pandas()
    rows = list(csv.DictReader(io.StringIO(world.cli("impact", data, "--format", "csv"))))
    assert len(frame) == len(impact) == len(rows) > 4
    for ours, theirs in zip(frame.to_dict("records"), rows):
        assert str(ours["distance"]) == theirs["distance"] and ours["node"] == theirs["node"]
        assert (ours["name"] if isinstance(ours["name"], str) else "") == theirs["name"]
        assert " ".join(ours["aliases"]) == theirs["aliases"] and " → ".join(ours["path"]) == theirs["path"]
        assert str(ours["certain"]).lower() == theirs["certain"]
    assert frame["start_time"].dt.tz is not None
    empty = world.index.impact(f"run:{world.runs['score']}").to_pandas()
    assert len(empty) == 0 and list(empty.columns) == list(frame.columns)
    assert impact.aliased == [{"version": world.version[2], "aliases": ["champion"]}]


def test_a_limit_says_where_it_cut(world):
    whole = world.index.graph(world.version[1])
    assert whole.truncated is None
    cut = world.index.graph(world.version[1], max_nodes=2)
    assert cut.truncated["limit"] == "nodes" and "truncated" in repr(cut)


def test_representations_name_what_was_found(world):
    one, two = world.version[1], world.version[2]
    assert repr(world.index.graph(one)).startswith("<Graph of ")
    assert repr(world.index.impact(one)) == f"<Impact of {one}: 1 nodes>"
    assert repr(world.index.provenance(one)).startswith("<Provenance, ")
    assert world.index.provenance(one).complete is False
    paths = world.index.paths(world.runs["prepare"], one)
    assert paths and one in repr(paths)
    assert not world.index.paths(world.runs["score"], two)
    assert repr(world.index.diff(one, two)) == f"<Diff of {one} and {two}: different>"
    assert [pair["state"] for pair in world.index.diff(one, two).pairs if pair["state"] == "first"]


def test_a_node_that_nobody_has_seen_is_an_error(world):
    index, unseen = world.index, "model:nobody-made-this:3"
    for ask in [
        lambda: index.graph(unseen),
        lambda: index.graph(f"{world.version[1]} or \"{unseen}\""),
        lambda: index.impact(unseen),
        lambda: index.provenance(unseen),
        lambda: index.paths(unseen, world.version[1]),
        lambda: index.diff(world.version[1], unseen),
        lambda: index.node(unseen),
        lambda: index.node("run:" + "f" * 32),
        lambda: index.versions("nobody made this"),
        lambda: index.graph("models:/nobody@champion"),
    ]:
        with pytest.raises(rl.NotFound):
            ask()
    # It is what Python programs catch for a missing key, too.
    assert issubclass(rl.NotFound, LookupError)


def test_a_bad_argument_of_a_walk_is_refused(world):
    index, one = world.index, world.version[1]
    for ask, text in [
        (lambda: index.graph("what is this"), "select"),
        (lambda: index.graph(f"{one} nad +{one}"), "select"),
        (lambda: index.graph(f"2+{one}", upstream=1), "says the levels"),
        (lambda: index.graph(one, upstream="most"), "all"),
        (lambda: index.graph(one, max_nodes=0), "max_nodes"),
        (lambda: index.graph(one, where="statsu = 3"), "where"),
        (lambda: index.diff("dataset:clicks", one), "neither a run nor a version"),
        (lambda: index.facet("colour"), "the facets are exp"),
        (lambda: index.node(f"artifact:{world.runs['prepare']}/x"), "no fields of its own"),
    ]:
        with pytest.raises(rl.InvalidArgument, match=text):
            ask()
    with pytest.raises((OverflowError, rl.InvalidArgument)):
        index.graph(one, upstream=-1)


def test_status_tells_what_is_mirrored(world, server):
    status = world.index.status()
    assert status.source == server and status.pending_migrations == 0
    # Only one experiment was synced, which is no full pass.
    assert status.full_pass is None
