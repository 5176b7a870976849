"""Issues of one repository through GitHub's REST API.

https://docs.github.com/en/rest/issues
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeVar
from urllib.parse import quote, urlsplit

from pydantic import BaseModel, TypeAdapter, ValidationError

from beambench.clock import Clock
from beambench.credentials.masking import without_any_form
from beambench.errors import EXIT_UNPUBLISHED, BeambenchError, RunError
from beambench.printable import printable
from beambench.version import __version__
from beambench.watch.github.place import TOKEN, Place
from beambench.watch.github.rate_limit import seconds_to_wait

if TYPE_CHECKING:
    import requests

API_VERSION = "2022-11-28"
CALL_SECONDS = 30.0
ATTEMPTS = 5
FIRST_PAUSE = 1.0
LONGEST_WAIT = 120.0
"""Seconds that one command waits at most for a rate limit to end."""

BETWEEN_WRITES = 1.0
"""Seconds, as GitHub asks of those who write several things."""

MARK = "<!-- beambench-"
"""How the hidden first line of what we write begins."""

PAGES = 1000
LONGEST_TEXT = 300
HINTS = {
    401: f"the token in {TOKEN} is not accepted: it may have expired",
    403: "the token may not do this: it needs to write issues",
    404: "there is no such repository, or the token may not see it",
    410: "this repository has no issues: switch them on in its settings",
    422: "what was sent is not accepted",
    301: "the repository was renamed or moved: give its new name",
    307: "the repository was renamed or moved: give its new name",
}

T = TypeVar("T")
Body = Mapping[str, str | list[str]]


class GitHubError(BeambenchError):
    """GitHub did not do what it was asked (exit code 5: alarms are known, issues are not current).

    Attributes:
        status: HTTP status; None if there was no answer.
        is_done_perhaps: whether what was asked may have been done nevertheless.
    """

    exit_code = EXIT_UNPUBLISHED

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.is_done_perhaps = status is None or status >= 500


class Label(BaseModel):
    name: str


class Issue(BaseModel):
    """An issue as GitHub tells it, of which we read this much."""

    number: int
    state: Literal["open", "closed"]
    title: str
    html_url: str
    body: str | None = None
    labels: list[Label] = []
    pull_request: dict[str, object] | None = None


class Comment(BaseModel):
    id: int
    body: str | None = None


_ISSUES, _COMMENTS = TypeAdapter(list[Issue]), TypeAdapter(list[Comment])


@dataclass
class GitHub:
    """Calls about the issues of a repository.

    Attributes:
        clock: by which is waited between tries.
    """

    place: Place
    clock: Clock
    _session: requests.Session | None = None
    _waited: float = 0.0
    _has_written: bool = field(default=False)

    def issues(self, label: str) -> list[Issue]:
        """Return the issues with a label, open and closed, the oldest first."""
        found = {"labels": label, "state": "all", "sort": "created", "direction": "asc"}
        return [
            issue
            for page in self._pages("/issues", found)
            for issue in _read(_ISSUES, page, self._words)
            if issue.pull_request is None
        ]

    def comments(self, number: int) -> list[Comment]:
        """Return the comments of an issue, the oldest first."""
        pages = self._pages(f"/issues/{number}/comments", {})
        return [comment for page in pages for comment in _read(_COMMENTS, page, self._words)]

    def ensure_label(self, name: str, description: str) -> None:
        """Make a label, or describe it anew. It needs what giving an issue a label needs.

        GitHub drops the labels of an issue silently where its writer may give none, and an issue
        without its label would not be seen again.
        """
        try:
            self._write("PATCH", f"/labels/{quote(name)}", {"description": description})
        except GitHubError as error:
            if error.status != 404:
                raise
            label = {"name": name, "color": "b60205", "description": description}
            try:
                self._write("POST", "/labels", label)
            except GitHubError as refused:
                if refused.status != 422:  # 422: another call has made it since
                    raise

    def create(self, title: str, body: str, label: str) -> Issue:
        """File an issue, once: after a lost answer it is looked for before it is filed again.

        The first line of its body is no other issue's.
        """

        def there() -> Issue | None:
            return next((each for each in self.issues(label) if _same_mark(each.body, body)), None)

        content: Body = {"title": title, "body": body, "labels": [label]}
        issue = self._once("/issues", content, TypeAdapter(Issue), there)
        if label not in (each.name for each in issue.labels):
            raise GitHubError(
                f"{self.place.repository}#{issue.number} was filed without its label {label}: give "
                "it the label, or the next call files it again"
            )
        return issue

    def comment(self, number: int, body: str) -> None:
        """Comment on an issue, unless its newest comment with a hidden first line has this one."""

        def there() -> Comment | None:
            marked = [each for each in self.comments(number) if (each.body or "").startswith(MARK)]
            return marked[-1] if marked and _same_mark(marked[-1].body, body) else None

        if there() is None:
            path = f"/issues/{number}/comments"
            self._once(path, {"body": body}, TypeAdapter(Comment), there)

    def change_comment(self, comment: Comment, body: str) -> None:
        self._write("PATCH", f"/issues/comments/{comment.id}", {"body": body})

    def pull_requests(self, branch: str) -> list[Issue]:
        """Return the open pull requests of a branch of this repository."""
        owner = self.place.repository.partition("/")[0]
        pages = self._pages("/pulls", {"head": f"{owner}:{branch}", "state": "open"})
        return [each for page in pages for each in _read(_ISSUES, page, self._words)]

    def change(self, number: int, **changed: str) -> Issue:
        """Change state, state_reason or body of an issue."""
        answer = self._write("PATCH", f"/issues/{number}", changed)
        return _read(TypeAdapter(Issue), answer, self._words)

    def _once(
        self, path: str, body: Body, form: TypeAdapter[T], there: Callable[[], T | None]
    ) -> T:
        """Post something that must not be there twice."""
        for attempt in range(ATTEMPTS):
            try:
                return _read(form, self._write("POST", path, body, tries=1), self._words)
            except GitHubError as error:
                if not error.is_done_perhaps or attempt == ATTEMPTS - 1:
                    raise
                self._wait(FIRST_PAUSE * 2**attempt, error)
            done = there()
            if done is not None:
                return done
        raise AssertionError("unreachable")

    def _write(
        self, method: str, path: str, body: Body, tries: int = ATTEMPTS
    ) -> requests.Response:
        if self._has_written and self.clock.wait(BETWEEN_WRITES):
            raise KeyboardInterrupt
        self._has_written = True
        return self._ask(method, self._address(path), None, body, tries)

    def _pages(self, path: str, asked: Mapping[str, str]) -> Iterator[requests.Response]:
        address: str | None = self._address(path)
        parameters: Mapping[str, str] | None = {**asked, "per_page": "100"}
        for _ in range(PAGES):
            if address is None:
                return
            answer = self._ask("GET", address, parameters, None, ATTEMPTS)
            yield answer
            address, parameters = answer.links.get("next", {}).get("url"), None
            if address is not None and urlsplit(address)[:2] != urlsplit(self.place.url)[:2]:
                raise GitHubError(f"{self._host}: the next page is on another server: not followed")

    def _address(self, path: str) -> str:
        return f"{self.place.url}/repos/{self.place.repository}{path}"

    @property
    def _host(self) -> str:
        return urlsplit(self.place.url).netloc

    def _ask(
        self,
        method: str,
        address: str,
        parameters: Mapping[str, str] | None,
        body: Body | None,
        tries: int,
    ) -> requests.Response:
        """Ask, again if that may help. A rate limit is waited for, within limits."""
        attempt = 0
        while True:
            try:
                answer = self._try(method, address, parameters, body)
                limit = seconds_to_wait(answer, self.clock.utc_now())
                if limit is None and answer.status_code in (200, 201):
                    return answer
                error = self._refusal(answer, limit)
            except GitHubError as failed:
                limit, error = None, failed
            if limit is not None:
                self._wait(limit, error)
                continue
            attempt += 1
            if not error.is_done_perhaps or attempt >= tries:
                raise error
            self._wait(FIRST_PAUSE * 2 ** (attempt - 1), error)

    def _wait(self, seconds: float, error: GitHubError) -> None:
        """Wait for what an error asks for; raise it where that would take too long."""
        self._waited += seconds
        if self._waited > LONGEST_WAIT:
            raise error
        if self.clock.wait(seconds):
            raise KeyboardInterrupt

    def _try(
        self,
        method: str,
        address: str,
        parameters: Mapping[str, str] | None,
        body: Body | None,
    ) -> requests.Response:
        import requests

        if self._session is None:
            self._session = session_of(self.place)
        try:
            return self._session.request(
                method,
                address,
                params=None if parameters is None else dict(parameters),
                json=body,
                timeout=CALL_SECONDS,
                allow_redirects=False,
            )
        except requests.RequestException as error:
            raise GitHubError(self._words(f"{self._host}: {error}")) from None

    def _refusal(self, answer: requests.Response, limit: float | None) -> GitHubError:
        status = answer.status_code
        try:
            content = answer.json()
            said = str(content["message"]) if content.get("message") else ""
        except (ValueError, AttributeError, TypeError, KeyError):
            said = answer.text
        hint = HINTS.get(status, "")
        if limit is not None:
            hint = f"too many requests: try again in {math.ceil(limit / 60)} min"
        words = ": ".join(filter(None, (hint, said)))
        return GitHubError(
            self._words(f"{self.place.repository}: {self._host} answered {status}: {words}"), status
        )

    def _words(self, text: str) -> str:
        """Return what may be shown, in a line, without the token."""
        shown = without_any_form([self.place.token or ""], " ".join(text.split()))
        return printable(shown if len(shown) <= LONGEST_TEXT else f"{shown[:LONGEST_TEXT]}…")


def _same_mark(body: str | None, other: str) -> bool:
    """Tell whether two texts have the same first line; GitHub may end lines in another way."""
    return (body or "").splitlines()[:1] == other.splitlines()[:1]


def _read(form: TypeAdapter[T], answer: requests.Response, words: Callable[[str], str]) -> T:
    try:
        return form.validate_json(answer.content)
    except ValidationError:
        host = urlsplit(answer.url).netloc
        raise GitHubError(words(f"{host}: does not answer as GitHub does")) from None


def session_of(place: Place) -> requests.Session:
    """Return a session with a token. Raises RunError where the package is not installed."""
    try:
        import requests
        import requests.auth
    except ImportError:
        raise RunError(
            "requests is not installed: pip install 'beambench[github]' for --github"
        ) from None

    class Token(requests.auth.AuthBase):
        """As `auth` and not as a header, before which a password of .netrc would go."""

        def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
            if place.token is not None:
                request.headers["Authorization"] = f"Bearer {place.token}"
            return request

    session = requests.Session()
    session.trust_env = not place.is_this_machine  # a proxy is not this machine
    session.auth = Token()
    session.headers.update(
        {
            "Accept": "application/vnd.github+json",
            "X-GitHub-Api-Version": API_VERSION,
            "User-Agent": f"beambench/{__version__}",
        }
    )
    return session
