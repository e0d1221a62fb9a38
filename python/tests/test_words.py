"""`Node` and `Query`: parsing, printing, and the builders."""

import copy
import pickle
from datetime import datetime, timezone

import pytest

import runlineage as rl
from runlineage import Node, Query


def test_a_node_parses_and_prints():
    for text, printed, kind, key, detail in [
        ("models:/churn/3", "model:churn:3", "model", "churn", "3"),
        ("model:churn", "model:churn", "model", "churn", None),
        ("runs:/8f2c/data/x", "artifact:8f2c/data/x", "artifact", "8f2c", "data/x"),
        ("dataset:clicks@4f2a", "dataset:clicks@4f2a", "dataset", "clicks", "4f2a"),
        ("8f2c", "run:8f2c", "run", "8f2c", None),
        ("prompts:/summary/2", "prompt:summary:2", "prompt", "summary", "2"),
    ]:
        node = Node(text)
        assert (str(node), node.kind, node.key, node.detail) == (printed, kind, key, detail)
        assert Node(node) == node == Node(printed) and hash(node) == hash(Node(printed))
    assert Node("models:/churn/3") == Node.model("churn", 3) == Node.model("churn", "3")
    assert repr(Node.model("it's", 1)) == 'Node("model:it\'s:1")'


def test_any_name_survives_printing():
    for name in ["a b", "c++", "x@y", "and", 'q"t', "p(1)", "a:b", "50%", "é😀", "2+m", "it's"]:
        for node in [Node.model(name, "1"), Node.model(name), Node.dataset(name, "d"), Node.dataset(name), Node.artifact("8f2c", name), Node.prompt(name, 1)]:
            assert Node(str(node)) == node
            assert pickle.loads(pickle.dumps(node)) == node == copy.copy(node)


def test_nodes_sort_and_are_immutable():
    nodes = [Node.model("b"), Node.run("a"), Node.model("a", 2), Node.model("a", 1)]
    assert sorted(nodes) == sorted(reversed(nodes))
    with pytest.raises(AttributeError):
        nodes[0].key = "c"


@pytest.mark.parametrize("text", ["", "model:", "models:/churn@champion", "what:x", "a b"])
def test_a_text_that_is_no_node_is_refused(text):
    with pytest.raises(rl.InvalidArgument):
        Node(text)


def test_builders_give_the_queries_of_the_texts():
    for query, text in [
        (Query(), "true"),
        (Query().with_input_model("churn", 3), "input.model = 'churn:3'"),
        (Query().with_output_model("churn"), "output.model = 'churn'"),
        (Query().with_input_model_versions("churn", [2, "3"]), "input.model in ('churn:2', 'churn:3')"),
        (Query().with_input_model_without_version("churn"), "input.unversioned_model = 'churn'"),
        (Query().with_input_artifact("8f2c", "data/x"), "input.artifact = '8f2c/data/x'"),
        (Query().with_output_artifact_under("8f2c", "data"), "output.artifact under '8f2c/data'"),
        (Query().with_input_path("data/x"), "input.path = 'data/x'"),
        (Query().with_output_path_under("data"), "output.path under 'data'"),
        (Query().with_input_dataset("clicks", "4f2a"), "input.dataset = 'clicks@4f2a'"),
        (Query().with_output_logged_model("m-1"), "output.logged_model = 'm-1'"),
        (Query().with_input_prompt("summary", 2), "input.prompt = 'summary:2'"),
        (Query().with_input("model:churn:3").with_output(Node.model("m")), "input.model = 'churn:3' and output.model = 'm'"),
        (Query().without_inputs().with_status("FAILED"), "inputs missing and status = 'FAILED'"),
        (Query().with_exp("a").with_exp_id("1").with_exp_name("b"), "exp = 'a' and exp.id = '1' and exp.name = 'b'"),
        (Query().with_user("ana").with_name("n").with_id("8f2c").with_parent("9a"), "user = 'ana' and name = 'n' and run_id = '8f2c' and parent = '9a'"),
        (Query().with_name_prefix("train-").with_problems(), "name like 'train-%' and problems exists"),
        (Query().with_metric("auc", gt=0.9, le=1), "metrics.auc > 0.9 and metrics.auc <= 1"),
        (Query().with_param("lr", "0.1").with_param("depth", [1, 2]), "params.lr = '0.1' and params.depth in (1, 2)"),
        (Query().with_tag("team", ne="x").with_tag("done"), "tags.team != 'x' and tags.done exists"),
        (Query().with_tag("a", prefix="v2-").with_tag("b", exists=False), "tags.a like 'v2-%' and tags.b missing"),
        (Query().with_tag("a", none_of=["x", "y"]).with_tag("b", one_of=["z"]), "tags.a not in ('x', 'y') and tags.b = 'z'"),
        (Query().with_any_of("status = FAILED", Query().with_user("ana")), "status = 'FAILED' or user = 'ana'"),
        (Query().with_none_of("status = FAILED"), "not status = 'FAILED'"),
        (Query().with_all_of("status = FAILED").where("metrics.auc > 0.9"), "status = 'FAILED' and metrics.auc > 0.9"),
    ]:
        assert query == Query(text), text
        assert query.render() == Query(text).render()
        assert Query(str(query)) == query and hash(query) == hash(Query(text))
    assert Query().with_input_model("churn").of_origin("registry") != Query().with_input_model("churn")


def test_every_builder_of_mlopus_has_its_name_here():
    names = {f"with_{side}_{kind}" for side in ("input", "output") for kind in ("model", "artifact")}
    assert names <= set(dir(Query))


def test_a_query_is_not_changed_by_its_builders():
    query = Query().with_status("FAILED")
    assert query.with_user("ana") != query == Query().with_status("FAILED")


def test_a_rendered_query_is_native():
    since = datetime(2026, 3, 1, tzinfo=timezone.utc)
    assert Query().with_start_time(since=since, until="2026-04-01").render() == {
        "start_time": {"$gte": since, "$lt": datetime(2026, 4, 1, tzinfo=timezone.utc)}
    }
    assert Query().with_input_model("churn", "3").render() == {"inputs.models": {"$elemMatch": {"name": "churn", "version": "3"}}}
    assert Query().render() == {}


@pytest.mark.parametrize(
    "build",
    [
        lambda: Query("statsu = 'x'"),
        lambda: Query().with_input_model("").render(),
        lambda: Query().with_status("").render(),
        lambda: Query().with_start_time(since=datetime(2026, 3, 1)),
        lambda: Query().with_start_time(since="yesterday, or so"),
        lambda: Query().with_start_time().render(),
        lambda: Query().of_origin("rumour"),
        lambda: Query().with_any_of().render(),
        lambda: Query().with_input("models:/churn@champion"),
    ],
)
def test_a_bad_argument_is_refused(build):
    with pytest.raises(rl.InvalidArgument):
        build()


def test_a_bad_type_is_a_type_error():
    for build in [
        lambda: Query().with_metric("auc", above=1),
        lambda: Query().with_param("flag", True),
        lambda: Query().with_input_model("churn", 1.5),
        lambda: Query(3),
    ]:
        with pytest.raises(TypeError):
            build()
