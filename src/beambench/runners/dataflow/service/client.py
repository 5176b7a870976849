"""The calls that following a Dataflow job needs: plain REST with JSON, no Beam.

Each call has a time limit and is tried again, with pauses that double, after 429, 5xx and a broken
connection; any other refusal is final. Credentials are Google's application default credentials.
"""

from __future__ import annotations

import os
import re
import urllib.parse
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from beambench.cancellation import Cancellation
from beambench.credentials.google import LOG_IN, VARIABLE, NoCredentialsError, application_default
from beambench.credentials.transport import is_in_the_clear
from beambench.definition.beam_flags import BeamFlags
from beambench.errors import RunError, UsageError

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
CALL_SECONDS = 60.0
ATTEMPTS = 6
FIRST_PAUSE = 1.0
LONGEST_PAUSE = 16.0
LONGEST_TEXT = 300
PAGES = 1000
"""Pages of one list at most: a server that never ends it must not keep us."""

JOB_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")
PROJECT = re.compile(r"[a-z0-9][a-z0-9.:-]{0,199}")
REGION = re.compile(r"[a-z]+(-[a-z0-9]+)+")
OBJECT = re.compile(r"gs://(?P<bucket>[a-z0-9][a-z0-9._-]+)/(?P<name>.+)")


class ServiceError(RunError):
    """A call that failed for good.

    Attributes:
        status: HTTP status; None if there was no answer.
    """

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status

    @property
    def may_pass(self) -> bool:
        """Tell trouble of service or network from a refusal, which asking again does not fix."""
        return self.status is None or self.status == 429 or self.status >= 500


@dataclass(frozen=True)
class JobPlace:
    """Where a job is.

    Raises:
        UsageError: something that cannot be the name of a project, a region or a job.
    """

    project: str
    region: str
    job_id: str

    def __post_init__(self) -> None:
        for part, text, pattern, example in (
            ("job id", self.job_id, JOB_ID, "2026-01-31_01_02_03-1234567890123456789"),
            ("project", self.project, PROJECT, "my-project"),
            ("region", self.region, REGION, "us-central1"),
        ):
            if not pattern.fullmatch(text):
                raise UsageError(f"{part} {text!r}: expected something like {example}")

    @property
    def console_url(self) -> str:
        return (
            f"https://console.cloud.google.com/dataflow/jobs/{self.region}/{self.job_id}"
            f"?project={urllib.parse.quote(self.project, safe=':')}"
        )

    @property
    def flags(self) -> str:
        return f"--project={self.project} --region={self.region}"


@dataclass(frozen=True)
class Endpoints:
    """Base addresses of the services, without a slash at the end."""

    dataflow: str = "https://dataflow.googleapis.com"
    monitoring: str = "https://monitoring.googleapis.com"
    storage: str = "https://storage.googleapis.com"

    @classmethod
    def chosen(
        cls, environment: Mapping[str, str] = os.environ, flags: Sequence[str] = ()
    ) -> Endpoints:
        """Return the real ones where neither gcloud's variables nor Beam's flag say otherwise."""
        flag = BeamFlags(flags).value("dataflow_endpoint")
        names = {
            "dataflow": "CLOUDSDK_API_ENDPOINT_OVERRIDES_DATAFLOW",
            "monitoring": "CLOUDSDK_API_ENDPOINT_OVERRIDES_MONITORING",
            "storage": "STORAGE_EMULATOR_HOST",
        }
        given = {part: environment[name] for part, name in names.items() if environment.get(name)}
        if flag:
            given["dataflow"] = flag
        return cls(**{part: _checked(address) for part, address in given.items()})


def _checked(address: str) -> str:
    """Return an address with its scheme; refuse one that would send credentials in the clear."""
    text = address.strip()
    text = text if "://" in text else f"https://{text}"
    parts = urllib.parse.urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
        raise UsageError(f"endpoint {address!r}: expected https://HOST")
    if is_in_the_clear(parts):
        raise UsageError(f"endpoint {address!r}: http is for this machine only, use https")
    return text.rstrip("/")


def _session(endpoint: str) -> Any:
    """Return a session: with credentials over https, without any to this machine over http.

    Raises:
        UsageError: there are no credentials.
        RunError: the packages are not installed.
    """
    try:
        import google.auth.transport.requests
        import requests
    except ImportError as error:
        raise RunError(
            f"{error.name} is not installed: pip install 'beambench[gcp]' for Dataflow"
        ) from None
    if endpoint.startswith("http://"):
        session = requests.Session()
        session.trust_env = False  # a proxy is not this machine, and .netrc holds credentials
        return session
    try:
        credentials, _ = application_default([SCOPE])
    except NoCredentialsError:
        raise UsageError(
            f"no credentials for Google Cloud: run `{LOG_IN}` or set {VARIABLE}"
        ) from None
    return google.auth.transport.requests.AuthorizedSession(credentials)


def check_access(endpoints: Endpoints) -> None:
    """See that the service can be asked from here, before a job is made that nobody could follow.

    Raises:
        UsageError: there are no credentials.
        RunError: the packages are not installed.
    """
    _session(endpoints.dataflow)


@dataclass
class JobClient:
    """Calls about one job.

    Attributes:
        pause: waits some seconds between two tries; true if waiting was interrupted.
    """

    place: JobPlace
    endpoints: Endpoints = field(default_factory=Endpoints)
    pause: Callable[[float], bool] = field(default_factory=lambda: Cancellation().wait)
    make_session: Callable[[str], Any] = _session
    _sessions: dict[str, Any] = field(default_factory=dict)

    @property
    def _job(self) -> str:
        quoted = (
            urllib.parse.quote(part, safe=":")
            for part in (self.place.project, self.place.region, self.place.job_id)
        )
        return "{}/v1b3/projects/{}/locations/{}/jobs/{}".format(self.endpoints.dataflow, *quoted)

    def job(self) -> dict[str, Any]:
        """Return the job with all that the service says of it."""
        return self._json("GET", self._job, {"view": "JOB_VIEW_ALL"})

    def state(self) -> dict[str, Any]:
        """Return the summary of the job: its state and times."""
        return self._json("GET", self._job, {"view": "JOB_VIEW_SUMMARY"})

    def cancel(self) -> None:
        """Ask the service to cancel the job; it takes its time."""
        self._json("PUT", self._job, body={"requestedState": "JOB_STATE_CANCELLED"})

    def message_pages(self, since: str | None) -> Iterator[dict[str, Any]]:
        """Yield the answers that list messages and autoscaling events from a time on."""
        asked = {"minimumImportance": "JOB_MESSAGE_DEBUG", "startTime": since}
        yield from self._pages(f"{self._job}/messages", asked)

    def metrics(self) -> list[dict[str, Any]]:
        """Return the metrics as they are now: the service's own and the user's."""
        return list(self._json("GET", f"{self._job}/metrics").get("metrics", []))

    def time_series(
        self, metric: str, pcollection: str, begin: str, end: str
    ) -> list[dict[str, Any]]:
        """Return a metric of a PCollection in steps of 60 s, each the mean of its samples."""
        asked = {
            "filter": f'metric.type="dataflow.googleapis.com/job/{metric}" '
            f'AND metric.labels.job_id="{self.place.job_id}" '
            f'AND metric.labels.pcollection="{pcollection}"',
            "interval.startTime": begin,
            "interval.endTime": end,
            "aggregation.alignmentPeriod": "60s",
            "aggregation.perSeriesAligner": "ALIGN_MEAN",
        }
        project = urllib.parse.quote(self.place.project, safe=":")
        address = f"{self.endpoints.monitoring}/v3/projects/{project}/timeSeries"
        pages = self._pages(address, asked)
        return [series for page in pages for series in page.get("timeSeries", [])]

    def read_object(self, address: str) -> bytes:
        """Return the content of a gs:// object."""
        parts = OBJECT.fullmatch(address)
        if parts is None:
            raise UsageError(f"{address!r}: expected gs://BUCKET/OBJECT")
        name = urllib.parse.quote(parts["name"], safe="")
        where = f"{self.endpoints.storage}/storage/v1/b/{parts['bucket']}/o/{name}"
        content: bytes = self._answer("GET", where, {"alt": "media"}, None, address).content
        return content

    def _pages(self, address: str, asked: Mapping[str, str | None]) -> Iterator[dict[str, Any]]:
        token = None
        for _ in range(PAGES):
            page = self._json("GET", address, {**asked, "pageToken": token})
            yield page
            token = page.get("nextPageToken")
            if not token:
                return

    def _json(
        self,
        method: str,
        address: str,
        asked: Mapping[str, str | None] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        answer = self._answer(method, address, asked, body, f"job {self.place.job_id}")
        try:
            document = answer.json()
        except ValueError:
            document = None
        if not isinstance(document, dict):
            raise ServiceError(f"{_host(address)}: the answer is no JSON object")
        return document

    def _answer(
        self,
        method: str,
        address: str,
        asked: Mapping[str, str | None] | None,
        body: Mapping[str, Any] | None,
        about: str,
    ) -> Any:
        """Make one call, again if it may help.

        Raises:
            ServiceError: refused, or still no answer after all tries.
        """
        error = ServiceError(f"{about}: no answer")
        for attempt in range(ATTEMPTS):
            if attempt and self.pause(min(FIRST_PAUSE * 2 ** (attempt - 1), LONGEST_PAUSE)):
                break
            try:
                return self._try(method, address, asked, body, about)
            except ServiceError as failed:
                error = failed
            if not error.may_pass:
                break
        raise error

    def _try(
        self,
        method: str,
        address: str,
        asked: Mapping[str, str | None] | None,
        body: Mapping[str, Any] | None,
        about: str,
    ) -> Any:
        host = _host(address)
        if host not in self._sessions:
            self._sessions[host] = self.make_session(address)
        import google.auth.exceptions
        import requests

        try:
            answer = self._sessions[host].request(
                method,
                address,
                params={key: value for key, value in (asked or {}).items() if value is not None},
                json=body,
                timeout=CALL_SECONDS,
                allow_redirects=False,
            )
        except google.auth.exceptions.RefreshError as error:
            raise ServiceError(
                f"{host}: the credentials were refused: {_line(error)}", 401
            ) from None
        except (requests.RequestException, google.auth.exceptions.GoogleAuthError) as error:
            raise ServiceError(f"{host}: {_line(error)}") from None
        if answer.status_code != 200:
            raise _refusal(answer, host, about)
        return answer


def _host(address: str) -> str:
    return urllib.parse.urlsplit(address).netloc


def _refusal(answer: Any, host: str, about: str) -> ServiceError:
    status = int(answer.status_code)
    try:
        said = str(answer.json()["error"]["message"])
    except (ValueError, KeyError, TypeError):
        said = str(answer.text)
    text = f": {_line(said)}" if said.strip() else ""
    hints = {
        401: "the credentials are not accepted",
        403: "not allowed",
        404: "there is no such thing in this project and region",
        429: "too many requests, or a quota is used up",
    }
    hint = f" ({hints[status]})" if status in hints else ""
    return ServiceError(f"{about}: {host} answered {status}{hint}{text}", status)


def _line(said: object) -> str:
    text = " ".join(str(said).split()) or type(said).__name__
    return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}…"
