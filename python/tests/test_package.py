"""The wheel, its types, and its stubs."""

import os
import pathlib
import subprocess
import sys
import zipfile

import pytest
from scene import ROOT
from test_documentation import examples

import runlineage as rl

PYTHON = ROOT / "python"


def run(*command, **options):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def wheel():
    return os.environ["RUNLINEAGE_TEST_WHEEL"]


def test_the_wheel_needs_nothing_else(wheel, tmp_path):
    bare = tmp_path / "bare"
    run(sys.executable, "-m", "venv", "--without-pip", str(bare))
    python = str(bare / "bin" / "python")
    packages = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
    with zipfile.ZipFile(wheel) as files:
        files.extractall(packages)
    script = """
import runlineage as rl
print(rl.Query().with_input_model("churn", 3), rl.lineage.of("8f2c").with_input_model("churn", "3") is not None)
try:
    rl.Index("mongodb://127.0.0.1:1/x?serverSelectionTimeoutMS=100").status()
except rl.MongoError:
    print("no server")
try:
    rl.Index("mongodb://127.0.0.1:1/x").search_runs()
except ImportError as error:
    print("pandas" in str(error) or "numpy" in str(error))
"""
    printed = run(python, "-I", "-c", script)
    assert printed.splitlines() == ["input.model = 'churn:3' True", "no server", "True"]


def test_the_wheel_is_for_every_python_from_3_10_on_and_has_its_types(wheel):
    name = pathlib.Path(wheel).name
    assert "-cp310-abi3-linux_" in name
    with zipfile.ZipFile(wheel) as files:
        names = files.namelist()
    assert {"runlineage/py.typed", "runlineage/_native.pyi", "runlineage/_native.abi3.so", "runlineage/lineage/__init__.py"} <= set(names)
    assert not any("test" in name for name in names)


def test_the_import_takes_a_moment():
    # The release build takes a third of this; a test machine may be busy.
    script = "import time; begin = time.perf_counter(); import runlineage; print(time.perf_counter() - begin)"
    fastest = min(float(run(sys.executable, "-c", script)) for _ in range(5))
    assert fastest < 0.3


@pytest.fixture(scope="module")
def mypy(tmp_path_factory):
    """A folder outside of the checkout, and the environment of mypy there, which keeps what it has learnt."""
    folder = tmp_path_factory.mktemp("types")
    return {"cwd": folder, "env": {**os.environ, "MYPY_CACHE_DIR": str(folder / "cache")}}


CONFIG = str(PYTHON / "pyproject.toml")
MYPY = [sys.executable, "-m", "mypy", "--config-file", CONFIG]


def test_the_package_and_the_examples_have_the_right_types(mypy):
    page = mypy["cwd"] / "page.py"
    page.write_text("\n".join(code for _, code, _ in examples()))
    run(*MYPY, "-p", "runlineage", **mypy)
    run(*MYPY, str(page), **mypy)


def test_a_mistake_in_types_is_found(mypy):
    # Were the types of the package not found, everything would pass.
    page = mypy["cwd"] / "mistake.py"
    page.write_text("import runlineage as rl\nrl.Index('mongodb://h').search_runs(max_results='ten')\nrl.Query().with_input_mode('churn')\n")
    refused = subprocess.run([*MYPY, str(page)], stdout=subprocess.PIPE, text=True, **mypy)
    assert "search_runs" in refused.stdout and "with_input_mode" in refused.stdout, refused.stdout


def test_the_stubs_have_every_name_of_the_native_module(mypy):
    run(sys.executable, "-m", "mypy.stubtest", "--mypy-config-file", CONFIG, "runlineage._native", **mypy)


def test_every_public_name_is_documented_and_exported():
    for name in rl.__all__:
        thing = getattr(rl, name)
        assert name == "__version__" or (thing.__doc__ or "").strip(), name
        if not isinstance(thing, type) or issubclass(thing, BaseException):
            continue
        for member in vars(thing):
            if not member.startswith("_"):
                documented = getattr(thing, member).__doc__
                assert (documented or "").strip(), f"{name}.{member}"
