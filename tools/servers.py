"""Real servers on free ports, for the tests and the demo. keeper.py ends each server together with the program that started it."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TOOLS = os.path.realpath(os.environ.get("TOOLS_DIR") or os.path.join(ROOT, ".tools"))
KEEPER = [sys.executable, os.path.join(ROOT, "tools", "keeper.py")]

# Another process may take a free port before the server does.
ATTEMPTS = 5


class ServerError(Exception):
    """A server did not start. The text says why."""


class Kept:
    """Servers and folders that end with this block, the last one first."""

    def __init__(self):
        self.keepers = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for keeper in reversed(self.keepers):
            keeper.stdin.close()
            keeper.wait()

    def add(self, keeper):
        self.keepers.append(keeper)

    def folder(self, prefix):
        """A new folder, which is removed in the end."""
        folder = tempfile.mkdtemp(prefix=prefix)
        self.add(keep("finally", ["rm", "-rf", folder]))
        return folder

    def mlflow(self, folder, version=3):
        """Starts an MLflow server whose data is in this folder, and returns its port."""
        program = os.path.join(TOOLS, "mlflow%d" % version, "bin", "mlflow")
        need(program)
        env = without_own_settings()
        env.update(HOME=folder, MLFLOW_DISABLE_TELEMETRY="true", DO_NOT_TRACK="true", MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false")

        def command(port):
            # mlopus needs rclone for artifact roots that are not local, and rclone is not installed.
            return [
                *[program, "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"],
                *["--backend-store-uri", "sqlite:///%s/mlflow.db" % folder],
                *["--default-artifact-root", os.path.join(folder, "artifacts")],
            ]

        return self.start("MLflow server", command, answers_health, seconds=180, cwd=folder, env=env)

    def mongod(self, folder):
        """Starts a MongoDB server whose data is in this folder, and returns its port."""
        program = os.environ.get("MONGOD") or shutil.which("mongod") or os.path.join(TOOLS, "bin", "mongod")
        need(program)
        data = os.path.join(folder, "data")
        os.mkdir(data)

        def command(port):
            return [
                *[program, "--dbpath", data, "--bind_ip", "127.0.0.1", "--port", str(port), "--nounixsocket"],
                *["--wiredTigerCacheSizeGB", "0.25", "--setParameter", "diagnosticDataCollectionEnabled=false"],
            ]

        return self.start("MongoDB server", command, takes_connections, seconds=120, cwd=folder)

    def start(self, name, command, is_ready, seconds, cwd, **options):
        log = os.path.join(cwd, "server.log")
        for _ in range(ATTEMPTS):
            port = free_port()
            with open(log, "ab") as output:
                server = keep("run", command(port), stderr=output, cwd=cwd, **options)
            deadline = time.monotonic() + seconds
            while server.poll() is None and time.monotonic() < deadline:
                if is_ready(port):
                    self.add(server)
                    return port
                time.sleep(0.1)
            ended_by_itself = server.poll() is not None
            server.stdin.close()
            server.wait()
            if not ended_by_itself:
                break
        with open(log, errors="replace") as text:
            raise ServerError("the %s did not start:\n%s" % (name, "".join(text.readlines()[-30:])))


def keep(mode, command, **options):
    # In a session of its own, the keeper does not receive Ctrl-C. This program receives it, and ends its servers in order.
    return subprocess.Popen(KEEPER + [mode] + command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True, **options)


def need(program):
    if not os.path.exists(program):
        raise ServerError("%s is missing: run tools/install" % program)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def takes_connections(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def answers_health(port):
    # Without the proxy of a developer's environment.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open("http://127.0.0.1:%d/health" % port, timeout=5):
            return True
    except OSError:
        return False


def without_own_settings():
    """The environment without a developer's own MLflow and MongoDB settings."""
    return {k: v for k, v in os.environ.items() if not k.startswith("MLFLOW_") and not k.startswith("MONGODB_URI")}
