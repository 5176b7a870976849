"""A model endpoint on this machine: ``python -m beambench.workloads.remote.server LATENCY``.

Answers rows of numbers with scores after a stated latency. It prints its port, which the system
chose, as its first line, and ends when its standard input is closed: with whoever started it.
"""

from __future__ import annotations

import itertools
import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CLASSES = 10


def scores(row: list[float]) -> list[float]:
    """Return the sum of every tenth number: a model that takes no time and sees its input."""
    return [sum(row[index::CLASSES]) for index in range(CLASSES)]


class Endpoint(ThreadingHTTPServer):
    """Answers a request after `latency` seconds; refuses every `fail_every`-th with 503."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, latency: float, fail_every: int = 0) -> None:
        super().__init__(("127.0.0.1", 0), Predict)
        self.latency = latency
        self._fail_every = fail_every
        self._requests = itertools.count(1)

    def refuses(self) -> bool:
        """Count a request and tell whether it is one to refuse."""
        number = next(self._requests)
        return bool(self._fail_every) and number % self._fail_every == 0


class Predict(BaseHTTPRequestHandler):
    """POST {"instances": [row, …]} → {"predictions": [scores, …]}, with keep-alive."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # headers and body in one packet, or the client's delayed ACK costs 40 ms
    disable_nagle_algorithm = True
    server: Endpoint

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        time.sleep(self.server.latency)
        if self.server.refuses():
            self._answer(503, {"error": "overloaded"})
            return
        try:
            predictions = [scores(row) for row in json.loads(body)["instances"]]
        except (ValueError, KeyError, TypeError) as error:
            self._answer(400, {"error": str(error)})
            return
        self._answer(200, {"predictions": predictions})

    def _answer(self, status: int, content: dict[str, object]) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Log no request: that would be most of the work."""


def main(latency: float, fail_every: int) -> None:
    server = Endpoint(latency, fail_every)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdout.write(f"{server.server_port}\n")
    sys.stdout.flush()
    sys.stdin.buffer.read()


if __name__ == "__main__":
    main(float(sys.argv[1]), int(sys.argv[2]))
