"""How the package behaves in a process: threads, Ctrl-C, fork, imports, logging, and servers that die."""

import contextlib
import multiprocessing
import os
import pathlib
import pickle
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pymongo
import pytest
from conftest import MANY, mongodb_uri
from proxies import Proxy

import runlineage as rl

ROOT = pathlib.Path(__file__).parent.parent.parent
TOOLS = pathlib.Path(os.environ.get("TOOLS_DIR") or ROOT / ".tools")


def python(script, *arguments, **options):
    """Runs a script in an interpreter of its own, which has to end by itself."""
    command = [sys.executable, "-c", textwrap.dedent(script), *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=120, **options)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def own_threads():
    names = []
    for task in pathlib.Path("/proc/self/task").iterdir():
        # A thread of the pool may end between the listing and the reading.
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            names.append((task / "comm").read_text().strip())
    return [name for name in names if name.startswith("runlineage")]


def test_the_import_loads_nothing_that_is_not_needed_yet():
    heavy = ["pandas", "numpy", "mlflow", "networkx", "tqdm", "asyncio", "json", "logging", "http", "dataclasses", "inspect", "runlineage.lineage"]
    script = "import sys; before = set(sys.modules); import runlineage; print(*sorted(set(sys.argv[1:]) & set(sys.modules) - before))"
    assert python(script, *heavy) == ""


def test_a_search_for_runs_needs_no_pandas(many):
    script = """
        import sys
        import runlineage as rl
        index = rl.Index(sys.argv[1])
        print(len(list(index.find_runs(max_results=5))), len(index.search_runs(max_results=5, output_format="list")), "pandas" in sys.modules)
    """
    assert python(script, mongodb_uri(many.database)) == "5 5 False"


def test_threads_share_one_pool_and_answer_alike(many):
    expected = [many.index.count_runs(f"input.model = 'model-{number}'") for number in range(7)]
    index = rl.Index(mongodb_uri(many.database))
    with ThreadPoolExecutor(8) as pool:
        counted = list(pool.map(lambda number: index.count_runs(f"input.model = 'model-{number % 7}'"), range(70)))
    assert counted == expected * 10
    assert len(own_threads()) == 2


def test_other_threads_run_while_a_query_waits(many):
    with Proxy(mongodb_uri()) as proxy:
        index = rl.Index(proxy.uri(many.database))
        expected = index.count_runs()
        proxy.pause()
        with ThreadPoolExecutor(1) as pool:
            begin = time.monotonic()
            waiting = pool.submit(index.count_runs)
            steps = 0
            while time.monotonic() < begin + 1:
                steps += 1
                time.sleep(0.005)
            assert not waiting.done()
            proxy.resume()
            assert waiting.result() == expected == MANY
        assert steps > 50


def test_ctrl_c_ends_a_query_within_half_a_second(many):
    script = """
        import signal, sys, time
        import runlineage as rl
        # A shell's background job ignores the signal, and so do the programs that it starts.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        index = rl.Index(sys.argv[1])
        index.status()
        print("ready", flush=True)
        sys.stdin.readline()
        try:
            print("waits", flush=True)
            index.search_runs() if sys.argv[2] == "search" else index.graph("model:model-1:1")
        except KeyboardInterrupt:
            print(time.time(), flush=True)
    """
    for what in ("search", "graph"):
        with Proxy(mongodb_uri()) as proxy:
            command = [sys.executable, "-c", textwrap.dedent(script), proxy.uri(many.database), what]
            with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
                assert process.stdout.readline() == "ready\n"
                proxy.pause()
                process.stdin.write("\n")
                process.stdin.flush()
                assert process.stdout.readline() == "waits\n"
                time.sleep(1.5)
                sent = time.time()
                process.send_signal(signal.SIGINT)
                assert float(process.stdout.readline()) - sent < 0.5
                proxy.resume()
                process.stdin.close()
                assert process.wait(30) == 0


def test_an_iterator_that_is_left_leaves_no_cursor(many):
    with pymongo.MongoClient(mongodb_uri()) as client:
        before = open_cursors(client, many.database)
        runs = rl.Index(mongodb_uri(many.database)).find_runs()
        next(runs)
        opened = open_cursors(client, many.database)
        del runs
        deadline = time.monotonic() + 10
        while open_cursors(client, many.database) > before and time.monotonic() < deadline:
            time.sleep(0.05)
        assert (opened, open_cursors(client, many.database)) == (before + 1, before)


def open_cursors(client, database):
    pipeline = [{"$currentOp": {"idleCursors": True, "localOps": True}}, {"$match": {"type": "idleCursor", "ns": f"{database}.runs"}}]
    return len(list(client.admin.aggregate(pipeline)))


def test_a_child_of_a_fork_asks_by_connections_of_its_own(many):
    script = """
        import os, sys, threading
        import runlineage as rl
        index = rl.Index(sys.argv[1])
        expected = index.count_runs()
        begun = index.find_runs()
        next(begun)
        for _ in range(200):
            next(begun)
        # Another thread asks all the time, so that a fork meets locks that are taken.
        stop = threading.Event()
        def ask():
            while not stop.is_set():
                index.count_runs("status = FAILED")
        thread = threading.Thread(target=ask)
        thread.start()
        for _ in range(10):
            child = os.fork()
            if child == 0:
                code = 1
                try:
                    assert index.count_runs() == expected
                    assert len(index.search_runs(max_results=10)) == 10
                    try:
                        list(begun)
                    except rl.Error as error:
                        code = 0 if "forked" in str(error) else 2
                finally:
                    os._exit(code)
            _, status = os.waitpid(child, 0)
            assert status == 0, status
        stop.set()
        thread.join()
        assert index.count_runs() == expected
        print(sum(1 for _ in begun))
    """
    left = int(python(script, mongodb_uri(many.database)))
    assert left == MANY - 201


def count_failed(index_of):
    return count_failed.index.count_runs("status = FAILED") if index_of is None else rl.Index(index_of).count_runs("status = FAILED")


def test_a_pool_of_processes_uses_an_index_of_its_parent(many):
    expected = many.index.count_runs("status = FAILED")
    count_failed.index = many.index
    with multiprocessing.get_context("fork").Pool(3) as pool:
        assert pool.map(count_failed, [None] * 9) == [expected] * 9
    with pytest.raises(TypeError, match="not pickled|not pickle"):
        pickle.dumps(many.index)


def test_a_server_that_dies_is_an_error_and_one_that_comes_back_answers(many):
    with Proxy(mongodb_uri()) as proxy:
        index = rl.Index(proxy.uri(many.database, serverSelectionTimeoutMS=1000))
        runs = index.find_runs()
        for _ in range(50):
            next(runs)
        proxy.cut()
        # Never a shorter list of runs.
        with pytest.raises(rl.MongoError):
            list(runs)
        begin = time.monotonic()
        with pytest.raises(rl.MongoError) as raised:
            index.search_runs()
        assert time.monotonic() - begin < 15
        assert isinstance(raised.value, ConnectionError) and "caused by:" in str(raised.value)
        with pytest.raises(rl.MongoError):
            index.graph("model:model-1:1")
        proxy.mend()
        assert index.count_runs() == MANY


def test_a_mongod_that_is_killed_is_an_error(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [mongod(), "--dbpath", tmp_path, "--bind_ip", "127.0.0.1", "--port", str(port), "--nounixsocket", "--wiredTigerCacheSizeGB", "0.25"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as server:
        index = rl.Index(f"mongodb://127.0.0.1:{port}/x?serverSelectionTimeoutMS=30000")
        assert index.status().source is None
        server.kill()
    index = rl.Index(f"mongodb://127.0.0.1:{port}/x?serverSelectionTimeoutMS=500")
    with pytest.raises(rl.MongoError):
        index.status()


def mongod():
    return os.environ.get("MONGOD") or shutil.which("mongod") or str(TOOLS / "bin" / "mongod")


def test_no_text_of_an_index_holds_its_password():
    index = rl.Index("mongodb://ana:s3cret%40pw@127.0.0.1:1/x?serverSelectionTimeoutMS=100")
    texts = [repr(index), str(index), index.database]
    for ask in (index.status, index.search_runs):
        with pytest.raises(rl.MongoError) as raised:
            ask()
        texts.append(str(raised.value))
    for uri in ("mongodb://ana:s3cret@[", "postgres://ana:s3cret@h", "mongodb://ana:s3cret@h:x/y", "mongodb://a:s3cret@h/?noSuchOption=1"):
        with pytest.raises(rl.InvalidArgument) as raised:
            rl.Index(uri)
        texts.append(str(raised.value))
    assert not any("s3cret" in text for text in texts), texts


def test_a_closed_index_says_so(many):
    with rl.Index(mongodb_uri(many.database)) as index:
        runs = index.find_runs(max_results=300)
        next(runs)
    with pytest.raises(rl.Error, match="closed"):
        index.status()
    assert repr(index) == "<Index closed>"
    assert len(list(runs)) == 299
    index.close()


def test_the_database_may_stand_beside_the_uri(many):
    index = rl.Index(os.environ["RUNLINEAGE_TEST_MONGODB_URI"], many.database)
    assert index.database == many.database and index.count_runs() == MANY
    assert rl.Index("mongodb://localhost").database == "runlineage"


def test_all_exceptions_are_one_family():
    names = [name for name in rl.__all__ if isinstance(getattr(rl, name), type) and issubclass(getattr(rl, name), BaseException)]
    assert len(names) > 8
    for name in names:
        assert issubclass(getattr(rl, name), rl.Error) and getattr(rl, name).__module__ == "runlineage"


def test_a_long_search_shows_a_bar(many, capsys):
    with Proxy(mongodb_uri()) as proxy:
        index = rl.Index(proxy.uri(many.database))
        index.count_runs()
        proxy.pause()
        threading.Timer(0.4, proxy.resume).start()
        assert len(index.search_runs(progress=True)) == MANY
        assert "runs" in capsys.readouterr().err
        index.search_runs(progress=False)
        index.search_runs()
        assert capsys.readouterr().err == ""


def test_the_local_database_is_shared_and_ends_with_its_users(tmp_path):
    script = """
        import os, subprocess, sys
        import runlineage as rl
        index = rl.Index.local()
        assert index.status().source is None and index.database == "runlineage"
        done = subprocess.run([os.environ["RUNLINEAGE_TEST_PROGRAM"], "find", "--local"], capture_output=True, text=True)
        assert done.returncode == 1 and "mirrors nothing yet" in done.stderr, done.stderr
        child = os.fork()
        if child == 0:
            os._exit(0 if index.status().source is None else 1)
        assert os.waitpid(child, 0)[1] == 0
        print("served")
    """
    tmp_path.chmod(0o700)
    folders = {"XDG_DATA_HOME": tmp_path / "data", "XDG_RUNTIME_DIR": tmp_path / "run"}
    for folder in folders.values():
        folder.mkdir(mode=0o700)
    env = {**os.environ, **{name: str(folder) for name, folder in folders.items()}, "MONGOD": mongod(), "RUNLINEAGE_LOCAL_LINGER_MS": "200"}
    assert python(script, env=env) == "served"
    deadline = time.monotonic() + 30
    while is_running(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not is_running(tmp_path)


def is_running(folder):
    """Whether a process names this folder in its arguments."""
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if str(folder).encode() in (process / "cmdline").read_bytes() and int(process.name) != os.getpid():
                return True
        except OSError:
            continue
    return False


def test_a_machine_without_a_mongod_gets_the_reason(tmp_path):
    script = """
        import runlineage as rl
        try:
            rl.Index.local()
        except rl.LocalDatabaseError as error:
            print(error)
    """
    env = {**os.environ, "MONGOD": str(tmp_path / "missing")}
    assert "MONGOD is" in python(script, env=env)
