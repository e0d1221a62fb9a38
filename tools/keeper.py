"""Ends a server, or runs a clean-up command, when the program that started this keeper ends. For the tests and the demo.

    keeper.py run COMMAND...       runs a server in its own process group, prints its process id, and kills the group at the end
    keeper.py finally COMMAND...   runs a clean-up command at the end

End-of-file on stdin is the end. Only the starting program holds the other end of that pipe, so the kernel closes it even after
kill -9.
"""

import os
import signal
import subprocess
import sys
import threading
import time


def run(command):
    server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sys.stderr, start_new_session=True)
    print(server.pid, flush=True)

    def kill_in_the_end():
        sys.stdin.buffer.read()
        kill_group(server.pid)

    threading.Thread(target=kill_in_the_end, daemon=True).start()
    status = server.wait()
    # Child processes of the server must not outlive it.
    kill_group(server.pid)
    os._exit(status if status >= 0 else 128 - status)


def kill_group(group):
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        pass


def in_the_end(command):
    sys.stdin.buffer.read()
    # Servers are being killed at the same time: a folder in which one still writes cannot be removed at the first try.
    for _ in range(100):
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if done.returncode == 0:
            return
        time.sleep(0.1)


if __name__ == "__main__":
    if sys.argv[1] == "run":
        run(sys.argv[2:])
    else:
        in_the_end(sys.argv[2:])
