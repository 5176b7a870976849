"""A server on loopback that answers as a test tells it to, and keeps what it was sent."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from served import QuietHandler, local_server, serving

Answer = tuple[int, str]


@dataclass
class FakeServer:
    url: str = ""
    answer: Callable[[str, str], Answer | None] = lambda path, body: (204, "")
    requests: list[tuple[str, str]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    is_influxdb: bool = True

    @property
    def bodies(self) -> list[str]:
        return [body for _, body in self.requests]


@contextmanager
def fake_server() -> Iterator[FakeServer]:
    """Serve until the block ends. An answer of None cuts the connection."""
    state = FakeServer()

    class Handler(QuietHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            state.requests.append((self.path, body))
            state.headers.append(dict(self.headers))
            answer = state.answer(self.path, body)
            if answer is None:
                self.close_connection = True
                self.connection.close()
                return
            code, text = answer
            self.send_response(code)
            if state.is_influxdb:
                self.send_header("X-Influxdb-Version", "1.6.7")
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            with contextlib.suppress(OSError):  # the client gave up waiting
                self.wfile.write(text.encode())

        def do_GET(self) -> None:
            self.do_POST()

    with serving(local_server(Handler)) as port:
        state.url = f"http://127.0.0.1:{port}"
        yield state
