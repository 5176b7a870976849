"""A reverse proxy on loopback that does to requests what networks and servers do at their worst."""

from __future__ import annotations

import contextlib
import http.client
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

FAULTS = (
    "refuse",  # no answer, nothing passed on
    "delay",
    "cut after",  # passed on, and the answer lost
    "cut half-way",  # half of the answer
    "5xx before",
    "5xx after",  # passed on, and answered with an error all the same
    *("429", "400"),
)
REFUSALS = {"5xx before": (500, 502, 503), "429": (429,), "400": (400,)}


@dataclass
class FaultyProxy:
    """Attributes:
    share: of requests that something happens to.
    faults: what can happen.
    strips_insert_ids: take the ids away that BigQuery tells a row sent twice by.
    done: how often each fault happened, and "none".
    under_way: requests that are passed on and not answered yet.
    """

    url: str = ""
    share: float = 0.5
    faults: tuple[str, ...] = FAULTS
    strips_insert_ids: bool = False
    chance: random.Random = field(default_factory=lambda: random.Random(7))
    done: Counter[str] = field(default_factory=Counter)
    under_way: int = 0
    _next: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def requests(self) -> int:
        return self.done.total()

    def choose(self) -> str:
        """Return what happens to a request: each fault once, in random order, then all again."""
        with self._lock:
            fault = "none"
            if self.chance.random() < self.share:
                if not self._next:
                    self._next = self.chance.sample(self.faults, len(self.faults))
                fault = self._next.pop()
            self.done[fault] += 1
            return fault

    @contextmanager
    def passing_on(self) -> Iterator[None]:
        with self._lock:
            self.under_way += 1
        try:
            yield
        finally:
            with self._lock:
                self.under_way -= 1


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    state: FaultyProxy
    target: str


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_POST(self) -> None:
        with (
            contextlib.suppress(OSError, http.client.HTTPException),
            self.server.state.passing_on(),
        ):
            self._serve()

    def do_GET(self) -> None:
        self.do_POST()

    def do_PATCH(self) -> None:
        self.do_POST()

    def do_PUT(self) -> None:
        self.do_POST()

    def _serve(self) -> None:
        state = self.server.state
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fault = state.choose()
        self.close_connection = True
        if fault == "refuse":
            return
        if fault in REFUSALS:
            refusal = b'{"error": {"message": "by the proxy"}}'
            self._answer(state.chance.choice(REFUSALS[fault]), refusal, "application/json")
            return
        if fault == "delay":
            time.sleep(state.chance.uniform(0.05, 0.5))
        code, kind, content = self._pass_on(body)
        if fault == "cut after":
            return
        if fault == "5xx after":
            self._answer(503, b"", kind)
            return
        half = len(content) // 2 if fault == "cut half-way" else len(content)
        self._answer(code, content, kind, send=half)

    def _pass_on(self, body: bytes) -> tuple[int, str, bytes]:
        is_insert = self.path.partition("?")[0].endswith("/insertAll")
        if self.server.state.strips_insert_ids and is_insert:
            content = json.loads(body)
            for row in content["rows"]:
                row.pop("insertId", None)
            body = json.dumps(content).encode()
        names = ("Content-Type", "Authorization", "Accept")
        headers = {name: self.headers[name] for name in names if self.headers[name]}
        place = urlsplit(self.server.target)
        connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=60)
        try:
            connection.request(self.command, self.path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.headers.get("Content-Type", ""), answer.read()
        finally:
            connection.close()

    def _answer(self, code: int, content: bytes, kind: str, send: int | None = None) -> None:
        self.send_response(code)
        self.send_header("Content-Type", kind)
        if code != 204:
            self.send_header("Content-Length", str(len(content)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(content[:send])

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def faulty_proxy(target: str, **options: Any) -> Iterator[FaultyProxy]:
    """Stand before a server until the block ends."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.target = target
    server.state = FaultyProxy(url=f"http://127.0.0.1:{server.server_address[1]}", **options)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield server.state
    finally:
        server.shutdown()
        server.server_close()
