"""Beam's vLLM handler with a server that fails soon and says why. Apart, because it needs Beam."""

from __future__ import annotations

import logging
import os
import re
import threading
import time
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Mapping
from typing import Any

from apache_beam.ml.inference.vllm_inference import VLLMCompletionsModelHandler, _VLLMModelServer

from beambench.errors import RunError

POLL_SECONDS = 0.1
LINES_KEPT = 400
SAYS_WHY = re.compile(r"\b(?:\w*Error|\w*Exception|error):\s*\S")
PREFIX = re.compile(r"^\(\w+ pid=\d+\)\s*")
"""Which of its processes said it, in front of a server's line."""


class ServerLog(logging.Handler):
    """The last lines of a server, which Beam writes to the root logger, as long as it starts."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self._lines: deque[str] = deque(maxlen=LINES_KEPT)
        self._root = logging.getLogger()
        self._level = self._root.level

    def emit(self, record: logging.LogRecord) -> None:
        if record.module == "vllm_inference":
            self._lines.append(record.getMessage())

    def __enter__(self) -> ServerLog:
        self._level = self._root.level
        self._root.addHandler(self)
        self._root.setLevel(min(self._level, logging.INFO))
        return self

    def __exit__(self, *_: object) -> None:
        self._root.setLevel(self._level)
        self._root.removeHandler(self)

    def reason(self) -> str:
        """Return the last line that names an error, else the last one."""
        said = [PREFIX.sub("", line).strip() for line in self._lines if line.strip()]
        errors = [line for line in said if SAYS_WHY.search(line)]
        return ([*said, *errors] or ["it said nothing"])[-1][:300]


class Server(_VLLMModelServer):
    """Beam's server, started once: Beam would try four times, however sure it is to fail again.

    Attributes:
        server_start_us: from the start of the process until the server answered, in microseconds;
            Beam itself looks every 5 s only. None as long as it has not.
    """

    server_start_us: int | None = None

    def start_server(self, retries: int = 0) -> None:
        begin, stop = time.perf_counter_ns(), threading.Event()
        watcher = threading.Thread(target=self._note_start, args=(begin, stop), daemon=True)
        with ServerLog() as log:
            watcher.start()
            try:
                super().start_server(0)
            except Exception as error:
                raise RunError(f"the vLLM server did not start: {log.reason()}") from error
            finally:
                stop.set()
                watcher.join()

    def check_connectivity(self, retries: int = 0, timeout_secs: float = 600) -> None:
        super().check_connectivity(0, timeout_secs)

    def _note_start(self, begin_ns: int, stop: threading.Event) -> None:
        while not stop.wait(POLL_SECONDS):
            if self._server_port > 0 and self._answers():
                self.server_start_us = (time.perf_counter_ns() - begin_ns) // 1000
                return

    def _answers(self) -> bool:
        url = f"http://localhost:{self._server_port}/health"
        try:
            with urllib.request.urlopen(url, timeout=1):  # noqa: S310 - our own server
                return True
        except (OSError, urllib.error.URLError):
            return False


class VLLMHandler(VLLMCompletionsModelHandler):
    """Beam's handler with our `Server`, and with environment variables for it."""

    def __init__(
        self,
        model_name: str,
        vllm_server_kwargs: dict[str, str | None],
        environment: Mapping[str, str],
        **batching: Any,
    ) -> None:
        super().__init__(model_name, vllm_server_kwargs, **batching)
        self._env_vars = dict(environment)

    def load_model(self) -> Server:
        # Beam sets them before, but only in the process that runs batches.
        os.environ.update(self._env_vars)
        return Server(self._model_name, self._vllm_server_kwargs)
