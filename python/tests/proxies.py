"""`Proxy`: stands before a server, and pauses or cuts its connections."""

import contextlib
import socket
import threading
import urllib.parse


class Proxy:
    """Forwards connections to a server. While it is paused, bytes wait; while it is cut, connections end at once."""

    def __init__(self, uri):
        server = urllib.parse.urlparse(uri)
        self.server = (server.hostname, server.port)
        self.flows = threading.Event()
        self.flows.set()
        self.is_cut = False
        self.sockets = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def uri(self, database, **options):
        return f"mongodb://127.0.0.1:{self.port}/{database}?{urllib.parse.urlencode(options)}"

    def pause(self):
        self.flows.clear()

    def resume(self):
        self.flows.set()

    def cut(self):
        self.is_cut = True
        self.drop()

    def mend(self):
        self.is_cut = False

    def drop(self):
        """Ends every connection that is open."""
        for end in self.sockets:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        self.sockets.clear()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                # A server that works on one connection at a time would wait for a request on this one.
                self.flows.wait()
                if self.is_cut:
                    client.close()
                    continue
                server = socket.create_connection(self.server)
                self.sockets += [client, server]
                for source, target in ((client, server), (server, client)):
                    threading.Thread(target=self.forward, args=(source, target), daemon=True).start()

    def forward(self, source, target):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                self.flows.wait()
                target.sendall(data)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.resume()
        self.listener.close()
        self.drop()
