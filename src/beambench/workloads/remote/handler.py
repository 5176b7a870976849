"""The model handler of the remote endpoint. Apart, because its base class needs Beam."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterable, Sequence
from typing import Any

from apache_beam.ml.inference.base import PredictionResult, RemoteModelHandler

NAMESPACE = "BeamML_RemoteEndpoint"
TIMEOUT_S = 60.0


class RefusedError(Exception):
    """The endpoint answered with an HTTP error."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"HTTP {status}: {text}")
        self.status = status

    def __reduce__(self) -> Any:
        return RefusedError, (self.status, str(self).partition(": ")[2])


def is_retriable(error: Exception) -> bool:
    """Tell whether another attempt may do: not if the endpoint finds fault with the request."""
    if isinstance(error, RefusedError):
        return error.status == 429 or error.status >= 500
    return isinstance(error, (OSError, http.client.HTTPException))


class Connection(threading.local):
    """One connection a thread that is kept open, and opened again after an error."""

    def __init__(self, port: int) -> None:  # called again in each thread that uses it
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)

    def predict(self, rows: Sequence[list[float]]) -> list[Any]:
        """Raises RefusedError for an HTTP error, OSError or HTTPException without an answer."""
        body = json.dumps({"instances": list(rows)}).encode()
        try:
            self._connection.request("POST", "/predict", body, {"Content-Type": "application/json"})
            answer = self._connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException):
            self._connection.close()
            raise
        if answer.status != http.client.OK:
            raise RefusedError(answer.status, content.decode("utf-8", "replace")[:200])
        predictions: list[Any] = json.loads(content)["predictions"]
        return predictions


class EndpointModelHandler(RemoteModelHandler[list[float], PredictionResult, Connection]):
    """Sends a batch of rows in one request; retries and throttles as Beam's base class does."""

    def __init__(self, port: int, **options: Any) -> None:
        super().__init__(namespace=NAMESPACE, retry_filter=is_retriable)
        self._port = port
        # Beam 2.77's RemoteModelHandler hands no batching on to ModelHandler.
        self._batching_kwargs = options

    def create_client(self) -> Connection:
        return Connection(self._port)

    def request(
        self,
        batch: Sequence[list[float]],
        model: Connection,
        inference_args: dict[str, Any] | None = None,
    ) -> Iterable[PredictionResult]:
        predictions = model.predict(batch)
        return [
            PredictionResult(row, prediction)
            for row, prediction in zip(batch, predictions, strict=True)
        ]

    def get_metrics_namespace(self) -> str:
        return NAMESPACE
