"""A stand-in for Dataflow and Cloud Monitoring on loopback: one job that does what a test scripts.

It answers the six calls that beambench and Beam's own client make: create, get, update, list
messages, metrics and time series. Time does not pass in it: each look at the job is a step.
"""

from __future__ import annotations

import contextlib
import json
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from served import QuietHandler, local_server, serving

PROJECT, REGION = "my-project", "us-central1"
JOB_ID = "2026-01-31_01_02_03-1234567890123456789"
CREATED, STARTED_AT, ENDED = (
    "2026-01-31T09:02:03.5Z",
    "2026-01-31T09:02:04Z",
    "2026-01-31T09:12:03.5Z",
)
WORKERS_STARTED, WORKERS_STOPPED = "2026-01-31T09:04:00.25Z", "2026-01-31T09:11:00.75Z"
ALL_STARTED = "All workers have finished the startup processes and began to receive work requests."
SERVICE = {
    "TotalVcpuTime": 1080.0,
    "TotalMemoryUsage": 4147200.0,
    "TotalPdUsage": 27000.0,
    "TotalSsdUsage": 0.0,
    "TotalShuffleDataProcessed": 0.25,
    "TotalStreamingDataProcessed": 0.0,
    "BillableShuffleDataProcessed": 0.0625,
}
PATHS = {
    "create": re.compile(r"/v1b3/projects/[^/]+/locations/[^/]+/jobs"),
    "job": re.compile(r"/v1b3/projects/(?P<p>[^/]+)/locations/(?P<r>[^/]+)/jobs/(?P<id>[^/]+)"),
    "messages": re.compile(r"/v1b3/projects/[^/]+/locations/[^/]+/jobs/[^/]+/messages"),
    "metrics": re.compile(r"/v1b3/projects/[^/]+/locations/[^/]+/jobs/[^/]+/metrics"),
    "series": re.compile(r"/v3/projects/[^/]+/timeSeries"),
    "object": re.compile(r"/storage/v1/b/(?P<bucket>[^/]+)/o/(?P<name>[^/]+)"),
}
CUT = 0
"""A fault: the connection is cut without an answer."""


def message(text: str, time: str, importance: str = "BASIC", number: int | None = None) -> Any:
    return {
        "id": f"m{time}-{number}" if number is not None else f"m{time}-{text[:9]}",
        "time": time,
        "messageText": text,
        "messageImportance": f"JOB_MESSAGE_{importance}",
    }


def failed(text: str, time: str = "2026-01-31T09:10:00Z", number: int | None = None) -> Any:
    return message(text, time, "ERROR", number)


def service(name: str, value: float, **context: str) -> Any:
    """Return a metric of the service's own."""
    return {
        "name": {"origin": "dataflow/v1b3", "name": name, "context": context},
        "scalar": value,
        "updateTime": ENDED,
    }


def user(
    name: str, value: Any, step: str = "s2", namespace: str = "beambench", **extra: str
) -> Any:
    """Return a user's counter, or distribution if the value is a mapping."""
    context = {"step": step, "namespace": namespace, **extra}
    kind = "distribution" if isinstance(value, dict) else "scalar"
    return {
        "name": {"origin": "user", "name": name, "context": context},
        kind: value,
        "updateTime": ENDED,
    }


def all_service(**changes: float | None) -> list[Any]:
    """Return the service's metrics of a job that ended; None leaves one out."""
    values = SERVICE | changes
    return [service(name, value) for name, value in values.items() if value is not None]


@dataclass
class DataflowStub:
    """A job, and what is done to requests.

    Attributes:
        states: the state at each look; the last one stays.
        messages: those that can be seen from a look on.
        metrics: the answer to each request; the last one stays.
        series: points of each series by the metric's last word.
        faults: by kind of request, HTTP statuses to answer the next ones with.
        refused: by kind of request, a status that every one is answered with.
        page_size: messages in one answer.
        cancelled_after: looks after a cancellation until the job is cancelled; None: it never is.
        objects: contents of gs:// addresses, for tests that need no more of a store.
        current: asked for the state instead of `states`.
        on_create: called with the body of the request that creates a job.
        requests: how many of each kind.
        seen: method, address and body of each.
        authorised: requests that carried a credential.
    """

    url: str = ""
    states: list[str] = field(default_factory=lambda: ["PENDING", "RUNNING", "DONE"])
    messages: list[tuple[int, Any]] = field(
        default_factory=lambda: [
            (1, message(ALL_STARTED, WORKERS_STARTED, "DETAILED")),
            (2, message("Stopping worker pool...", WORKERS_STOPPED)),
        ]
    )
    scalings: list[Any] = field(default_factory=list)
    metrics: list[list[Any]] = field(default_factory=lambda: [all_service()])
    series: dict[str, list[Any]] = field(default_factory=dict)
    job: dict[str, Any] = field(default_factory=dict)
    faults: dict[str, list[int]] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)
    page_size: int = 100
    cancelled_after: int | None = 1
    objects: dict[str, bytes] = field(default_factory=dict)
    current: Callable[[], str] | None = None
    on_create: Callable[[Any], None] | None = None
    requests: Counter[str] = field(default_factory=Counter)
    seen: list[tuple[str, str, Any]] = field(default_factory=list)
    authorised: int = 0
    looks: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def environment(self) -> dict[str, str]:
        return {
            "CLOUDSDK_API_ENDPOINT_OVERRIDES_DATAFLOW": self.url,
            "CLOUDSDK_API_ENDPOINT_OVERRIDES_MONITORING": self.url,
        }

    def answer(self, method: str, target: str, body: Any) -> tuple[int, Any]:
        """Return status and body; status `CUT` for no answer at all."""
        parts = urlsplit(target)
        asked = {key: values[0] for key, values in parse_qs(parts.query).items()}
        kind = next((name for name, path in PATHS.items() if path.fullmatch(parts.path)), "unknown")
        kind = "cancel" if (method, kind) == ("PUT", "job") else kind
        with self._lock:
            self.requests[kind] += 1
            self.seen.append((method, target, body))
            waiting = self.faults.get(kind)
            status = waiting.pop(0) if waiting else self.refused.get(kind, 200)
            if status != 200:
                return status, {"error": {"code": status, "message": f"scripted {status}"}}
            matched = PATHS["job"].match(parts.path)
            if matched and matched["id"] != JOB_ID:
                said = f"(1a2b): Information about job {matched['id']} could not be found."
                return 404, {"error": {"code": 404, "message": said}}
            stored = PATHS["object"].fullmatch(parts.path)
            if stored:
                address = f"gs://{stored['bucket']}/{unquote(stored['name'])}"
                return (200, self.objects[address]) if address in self.objects else (404, {})
            handle = getattr(self, f"_{kind}", None)
            return (200, handle(asked, body)) if handle else (404, {})

    def _create(self, asked: dict[str, str], body: Any) -> Any:
        self.job |= body
        if self.on_create is not None:
            self.on_create(body)
        return self._described("PENDING") | {"clientRequestId": body.get("clientRequestId", "")}

    def _job(self, asked: dict[str, str], body: Any) -> Any:
        scripted = self.states[min(self.looks, len(self.states) - 1)]
        state = self.current() if self.current is not None else scripted
        if asked.get("view") != "JOB_VIEW_ALL":
            self.looks += 1
            return {
                key: value
                for key, value in self._described(state).items()
                if key not in ("environment", "steps", "pipelineDescription")
            }
        return self._described(state)

    def _described(self, state: str) -> dict[str, Any]:
        ends = state in ("DONE", "FAILED", "CANCELLED", "UPDATED", "DRAINED")
        return {
            "name": "beambench-tiny",
            **self.job,
            "id": JOB_ID,
            "projectId": PROJECT,
            "location": REGION,
            "createTime": CREATED,
            "startTime": STARTED_AT,
            "currentState": f"JOB_STATE_{state}",
            "currentStateTime": ENDED if ends else STARTED_AT,
        }

    def _cancel(self, asked: dict[str, str], body: Any) -> Any:
        after = self.cancelled_after
        later = ["CANCELLING"] * 1000 if after is None else ["CANCELLING"] * after + ["CANCELLED"]
        self.states = [*self.states[: self.looks], *later]
        return self._described("CANCELLING")

    def _messages(self, asked: dict[str, str], body: Any) -> Any:
        since = asked.get("startTime", "")
        known = [
            text for look, text in self.messages if look < self.looks and text["time"] >= since
        ]
        first = int(asked.get("pageToken", 0))
        page = {"jobMessages": known[first : first + self.page_size]}
        if first + self.page_size < len(known):
            page["nextPageToken"] = str(first + self.page_size)
        return page | {"autoscalingEvents": self.scalings}

    def _metrics(self, asked: dict[str, str], body: Any) -> Any:
        metrics = self.metrics.pop(0) if len(self.metrics) > 1 else self.metrics[0]
        return {"metricTime": ENDED, "metrics": metrics}

    def _series(self, asked: dict[str, str], body: Any) -> Any:
        name = re.search(r'job/(\w+)"', asked["filter"])
        points = self.series.get(name[1] if name else "", [])
        return (
            {"timeSeries": [{"points": [{"value": point} for point in points]}]} if points else {}
        )


class _Handler(QuietHandler):
    stub: DataflowStub

    def _do(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        self.stub.authorised += "Authorization" in self.headers
        try:
            status, answer = self.stub.answer(self.command, self.path, body)
        except Exception as error:  # seen by the test in what the client says of it
            status, answer = 400, {"error": {"code": 400, "message": f"the stub: {error!r}"}}
        if status == CUT:
            self.close_connection = True
            return
        content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=UTF-8")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_GET(self) -> None:
        self._do()

    def do_POST(self) -> None:
        self._do()

    def do_PUT(self) -> None:
        self._do()


@contextlib.contextmanager
def dataflow(**script: Any) -> Iterator[DataflowStub]:
    """Run the stub."""
    stub = DataflowStub(**script)
    handler = type("Handler", (_Handler,), {"stub": stub})
    with serving(local_server(handler)) as port:
        # Beam's client takes plain http to a host called localhost only.
        stub.url = f"http://localhost:{port}"
        yield stub
