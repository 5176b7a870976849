"""A model behind HTTP: Beam's remote handler against an endpoint of ours on this machine."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from beambench.definition.schema import Definition
from beambench.errors import RunError, UsageError
from beambench.record.run_record import ModelRuns
from beambench.workloads.base import Label, Parameters, Weights, Workload
from beambench.workloads.rows.base import numbers

if TYPE_CHECKING:
    from apache_beam.ml.inference.base import ModelHandler


class EndpointParameters(Parameters):
    """What the endpoint is like.

    `latency_ms`: from the request's arrival to the answer; `fail_every`: every n-th request is
    refused with 503; `columns`: numbers a row.
    """

    latency_ms: float = Field(5.0, ge=0, le=60_000)
    fail_every: int | None = Field(None, ge=2)
    columns: int = Field(64, ge=1)


class RemoteEndpoint(Workload):
    """Sends rows of numbers to an endpoint that lives as long as the worker."""

    runs_on_torch: ClassVar[bool] = False
    model_runs: ClassVar[ModelRuns] = "elsewhere"
    model_flag: ClassVar[str | None] = None
    input_types: ClassVar[tuple[str, ...]] = ("rows",)
    parameters_type: ClassVar[type[Parameters]] = EndpointParameters

    def __init__(self, definition: Definition, weights: Weights) -> None:
        super().__init__(definition, weights)
        self._server: subprocess.Popen[bytes] | None = None
        self._port = 0

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_server": None}

    @classmethod
    def check(cls, definition: Definition) -> None:
        super().check(definition)
        model = definition.model
        if model.weights != "none":
            raise UsageError(
                f"{definition.name}: model.weights {model.weights}: the model is behind an "
                "endpoint: write none"
            )
        if model.large or model.copies is not None:
            raise UsageError(
                f"{definition.name}: model.large and model.copies: no model is loaded here"
            )

    def model_handler(self) -> ModelHandler[Any, Any, Any]:
        from beambench.workloads.remote.handler import EndpointModelHandler

        self._start()
        return EndpointModelHandler(self._port, **self.handler_options())

    def _start(self) -> None:
        """Start the endpoint unless it runs; it ends with this process, which holds its stdin."""
        if self._port:
            return
        chosen: EndpointParameters = self.parameters
        module = "beambench.workloads.remote.server"
        seconds, fail_every = chosen.latency_ms / 1000, chosen.fail_every or 0
        self._server = subprocess.Popen(
            [sys.executable, "-m", module, str(seconds), str(fail_every)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._server.stdout is not None
        port = self._server.stdout.readline()
        if not port:
            raise RunError(f"the endpoint did not start: exit code {self._server.wait()}")
        self._port = int(port)

    def preprocess(self, raw: bytes) -> list[float]:
        return numbers(raw, self.parameters.columns)

    def postprocess(self, prediction: Any) -> Label:
        scores: list[float] = prediction.inference
        return scores.index(max(scores))

    def evidence(self, prediction: Any) -> Sequence[float]:
        scores: list[float] = prediction.inference
        return scores
