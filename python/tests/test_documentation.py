"""Every example of `docs/python.md` runs unchanged and prints what the page shows; so does the notebook."""

import json
import os
import pathlib
import re
import subprocess
import sys

import nbformat
import pytest
from nbclient import NotebookClient
from scene import ROOT, scene  # noqa: F401

import runlineage as rl

PAGE = ROOT / "docs" / "python.md"
NOTEBOOK = ROOT / "python" / "examples" / "lineage.ipynb"
# What the page writes for "your server".
URI = "mongodb://localhost/runlineage"


def examples(page=PAGE):
    """Each example of a page: its line, its code, and the output that the page shows."""
    text = page.read_text()
    blocks = re.finditer(r"^```python\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?", text, flags=re.MULTILINE | re.DOTALL)
    return [(text[: block.start()].count("\n") + 1, block[1], block[2] or "") for block in blocks]


# Runs code in one namespace, example by example, and prints what each of them printed.
RUNNER = """
import contextlib, io, json, sys
names, outputs = {}, []
for place, code in json.load(sys.stdin):
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, place, "exec"), names)
    outputs.append(printed.getvalue())
print(json.dumps(outputs))
"""


def test_every_example_of_the_page_prints_what_the_page_shows(scene, server, tmp_path):  # noqa: F811
    import mlflow

    mlflow.set_experiment("documentation")
    codes = [(f"{PAGE}:{line}", code.replace(URI, scene)) for line, code, _ in examples()]
    # Earlier tests may have left a thread of autolog busy with a server that does not answer.
    # MLflow prints the addresses of pages.
    env = dict(os.environ, MLFLOW_TRACKING_URI=server, MLFLOW_EXPERIMENT_NAME="documentation", MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT="true")
    done = subprocess.run([sys.executable, "-c", RUNNER], input=json.dumps(codes), stdout=subprocess.PIPE, text=True, cwd=tmp_path, env=env)
    assert done.returncode == 0
    printed = json.loads(done.stdout.splitlines()[-1])
    wrong = [f"line {line} printed:\n{output}" for (line, _, shown), output in zip(examples(), printed, strict=True) if output != shown]
    assert not wrong, "\n\n".join(wrong)
    assert len(printed) >= 9
    assert (tmp_path / "churn-2.svg").read_text().startswith("<svg")


def test_the_example_for_package_indexes_runs(scene):  # noqa: F811
    [(_, code, _)] = examples(ROOT / "python" / "README.md")
    exec(code.replace(URI, scene), {})


def test_every_argument_and_method_of_the_page_exists():
    text = PAGE.read_text()
    for method in re.findall(r"`index\.(\w+)\(", text):
        assert hasattr(rl.Index, method), method
    for name in re.findall(r"`rl\.(\w+)", text):
        assert hasattr(rl, name), name


@pytest.mark.skipif(sys.platform != "linux", reason="the wheel is for Linux")
def test_the_notebook_runs_and_shows_its_pictures(scene, tmp_path):  # noqa: F811
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    for cell in notebook.cells:
        cell.source = cell.source.replace(URI, scene)
    # The kernel is the interpreter of this test, which has the wheel.
    client = NotebookClient(notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}})
    os.environ["JUPYTER_PLATFORM_DIRS"] = "1"
    client.execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    pictures = [output["data"]["image/svg+xml"] for output in outputs if "image/svg+xml" in output.get("data", {})]
    assert len(pictures) >= 2 and all("<svg" in "".join(picture) for picture in pictures)
    tables = [output for output in outputs if "<table" in str(output.get("data", {}).get("text/html", ""))]
    assert tables
