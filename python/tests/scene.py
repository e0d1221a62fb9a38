"""The runs of `examples/pipeline.py`, mirrored: the scene of the documentation and of the notebook."""

import json
import os
import pathlib
import subprocess

import pytest
from conftest import program

import runlineage as rl

ROOT = pathlib.Path(__file__).parent.parent.parent
TOOLS = pathlib.Path(os.environ.get("TOOLS_DIR") or ROOT / ".tools")


@pytest.fixture(scope="session")
def scene(server, databases):
    """The URI of a mirror of the pipeline's runs."""
    from conftest import mongodb_uri

    pipeline = [TOOLS / "mlopus" / "bin" / "python", ROOT / "examples" / "pipeline.py"]
    env = {**os.environ, "MLFLOW_TRACKING_URI": server, "GIT_PYTHON_REFRESH": "quiet"}
    done = subprocess.run(pipeline, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 0, done.stderr
    assert "score-2026-11" in json.loads(done.stdout.splitlines()[-1])
    database = databases()
    program("sync", "--tracking-uri", server, "--exp", "name:churn", database=database)
    assert rl.Index(mongodb_uri(database)).count_runs() > 10
    return mongodb_uri(database)
