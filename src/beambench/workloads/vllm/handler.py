"""Beam's vLLM handler with a server that fails soon and says why. Apart, because it needs Beam."""

from __future__ import annotations

import os
import tempfile
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Mapping
from typing import Any

from apache_beam.ml.inference.vllm_inference import VLLMCompletionsModelHandler, _VLLMModelServer

from beambench.errors import RunError
from beambench.instrumentation.request_times import ReportsRequestTimes
from beambench.record.observation import RequestTimes
from beambench.workloads.vllm.request_times import request_times
from beambench.workloads.vllm.server_log import ServerLog

POLL_SECONDS = 0.1
LONGEST_SOCKET_FOLDER = 107 - 1 - 36 - 8
"""Of the 107 bytes of an address a slash and a UUID are taken, and vLLM may add a suffix."""


class Server(_VLLMModelServer):
    """Beam's server, started once: Beam would try four times, however sure it is to fail again.

    Attributes:
        server_start_us: from the start of the process until the server answered, in microseconds;
            Beam itself looks every 5 s only. None as long as it has not.
        server_device: `cpu` or `cuda`, as its engine logged when it started; None if it did not.
    """

    server_start_us: int | None = None
    server_device: str | None = None

    def request_times(self) -> tuple[str, RequestTimes] | None:
        """Return an identity of the server, and what it tells of all requests since its start."""
        told = request_times(self._server_port)
        return (self._identity, told) if told is not None else None

    def start_server(self, retries: int = 0) -> None:
        self._identity = uuid.uuid4().hex[:8]
        begin, stop = time.perf_counter_ns(), threading.Event()
        watcher = threading.Thread(target=self._note_start, args=(begin, stop), daemon=True)
        with ServerLog() as log:
            watcher.start()
            try:
                super().start_server(0)
                self.server_device = log.device()
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
            with urllib.request.urlopen(url, timeout=1):
                return True
        except (OSError, urllib.error.URLError):
            return False


def socket_folder() -> str:
    """Return where a server's processes put the sockets between them: the temporary folder.

    Unless its path is too long for the address of a socket: then what is short everywhere.
    """
    folder = tempfile.gettempdir()
    return folder if len(os.fsencode(folder)) <= LONGEST_SOCKET_FOLDER else "/tmp"  # noqa: S108


class VLLMHandler(VLLMCompletionsModelHandler, ReportsRequestTimes):
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
        os.environ.update({"VLLM_RPC_BASE_PATH": socket_folder(), **self._env_vars})
        return Server(self._model_name, self._vllm_server_kwargs)

    def request_times(self, model: Server) -> tuple[str, RequestTimes] | None:
        return model.request_times()
