"""A site on a server of this machine alone, for as long as somebody looks at it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from beambench.clock import Clock
from beambench.errors import UsageError

HOST = "127.0.0.1"
POLL_S = 0.05
"""How soon a server ends once it is told to."""

EVERY_S = 2.0
"""How often a watched store is looked at."""


class _Handler(SimpleHTTPRequestHandler):
    """Files of one folder, to those who asked for this machine: no other name leads here."""

    def send_head(self) -> object:  # type: ignore[override] # a file, or None
        """Refuse a name that somebody else's server answered with our address."""
        name = self.headers.get("Host", "").partition(":")[0]
        if name not in (HOST, "localhost"):
            self.send_error(HTTPStatus.FORBIDDEN)
            return None
        return super().send_head()

    def end_headers(self) -> None:
        self.send_header("Cache-Control", "no-cache")  # pages are written again
        super().end_headers()

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - its name there
        """Say nothing: what is asked for is of no interest."""


@contextmanager
def served(folder: Path, port: int = 0) -> Iterator[str]:
    """Serve a folder until the end of the block; yield its address.

    Raises UsageError for a port that is taken, or that may not be used.
    """
    try:
        server = ThreadingHTTPServer((HOST, port), partial(_Handler, directory=str(folder)))
    except OSError as error:
        raise UsageError(f"--port {port}: {error.strerror or error}: give another one") from None
    thread = threading.Thread(target=server.serve_forever, args=(POLL_S,), daemon=True)
    thread.start()
    try:
        yield f"http://{HOST}:{server.server_address[1]}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def watch(
    clock: Clock, version: Callable[[], object], rebuild: Callable[[], None], before: object
) -> None:
    """Rebuild whenever a version is another one than before, until the clock is cancelled."""
    while not clock.wait(EVERY_S):
        now = version()
        if now != before:
            rebuild()
            before = now
