"""Serving HTTP from a thread of the tests, for as long as a block lasts."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer
from typing import Any


class QuietHandler(BaseHTTPRequestHandler):
    """A handler that logs nothing."""

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextlib.contextmanager
def serving(server: HTTPServer) -> Iterator[int]:
    """Serve until the block ends; yield the port."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def local_server(handler: type[BaseHTTPRequestHandler], host: str = "127.0.0.1") -> HTTPServer:
    """Return a server on a free port of this machine, which answers in threads."""
    return ThreadingHTTPServer((host, 0), handler)
