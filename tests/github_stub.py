"""A stand-in for the issues of GitHub's REST API on loopback, which checks every request.

A request that GitHub would not take so is answered 400 and kept in `wrong`, which tests see empty.
"""

from __future__ import annotations

import contextlib
import json
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import jsonschema

from served import QuietHandler, local_server, serving

REPOSITORY = "acme/bench"
TOKEN = "ghp_" + "Secret0123456789abcdef"
TEXT = {"type": "string", "minLength": 1}


def form(required: list[str], **properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": required,
        "properties": properties,
        "minProperties": 1,
    }


BODIES = {
    "create": form(
        ["title", "body", "labels"],
        title=TEXT | {"maxLength": 256},
        body=TEXT | {"maxLength": 65536},
        labels={"type": "array", "items": TEXT},
    ),
    "update": form(
        [],
        body=TEXT | {"maxLength": 65536},
        state={"enum": ["open", "closed"]},
        state_reason={"enum": ["completed", "not_planned", "reopened"]},
    ),
    "comment": form(["body"], body=TEXT | {"maxLength": 65536}),
    "edit_comment": form(["body"], body=TEXT | {"maxLength": 65536}),
    "label": form(
        ["name", "color"], name=TEXT, color={"pattern": "^[0-9a-f]{6}$"}, description=TEXT
    ),
    "edit_label": form([], description=TEXT | {"maxLength": 100}),
}
PARAMETERS = {
    "list": {"labels", "state", "sort", "direction", "per_page", "page"},
    "comments": {"per_page", "page"},
    "pulls": {"head", "state", "per_page", "page"},
}
ROUTES = {
    "list": ("GET", r"/issues"),
    "create": ("POST", r"/issues"),
    "update": ("PATCH", r"/issues/(\d+)"),
    "comments": ("GET", r"/issues/(\d+)/comments"),
    "comment": ("POST", r"/issues/(\d+)/comments"),
    "edit_comment": ("PATCH", r"/issues/comments/(\d+)"),
    "label": ("POST", r"/labels"),
    "edit_label": ("PATCH", r"/labels/([^/]+)"),
    "pulls": ("GET", r"/pulls"),
}

Fault = int | tuple[int, dict[str, str]] | str
"""Answered in place of doing: a status, a status with headers, or `cut`; `lost`: done, then cut."""


@dataclass
class GitHubStub:
    """A repository.

    Attributes:
        issues: as GitHub tells them; their comments lie in `comments` by number.
        pulls: open pull requests, by branch.
        faults: by kind of request, what is done to the next ones.
        page_size: entries in one answer, however many were asked for.
        drops_labels: whether the token may give no label, which GitHub does not say.
        token: that must come; None: none may come.
        calls: kind and body of each request, in order.
        wrong: what was wrong with requests.
    """

    url: str = ""
    issues: list[dict[str, Any]] = field(default_factory=list)
    comments: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    labels: dict[str, dict[str, Any]] = field(default_factory=dict)
    pulls: dict[str, int] = field(default_factory=dict)
    faults: dict[str, list[Fault]] = field(default_factory=dict)
    page_size: int = 100
    drops_labels: bool = False
    token: str | None = TOKEN
    next_page: Callable[[str], str] = lambda address: address
    calls: list[tuple[str, Any]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def writes(self) -> list[str]:
        """The kinds of requests that wrote, but for labels, in order."""
        written = ("create", "update", "comment", "edit_comment")
        return [kind for kind, _ in self.calls if kind in written]

    def file(self, body: str | None, label: str = "beambench-alarm", **more: Any) -> dict[str, Any]:
        """File an issue as a human would."""
        number = len(self.issues) + 1
        issue = {
            "number": number,
            "state": "open",
            "title": "title",
            "body": body,
            "labels": [{"name": label}] if label else [],
            "html_url": f"https://github.example/{REPOSITORY}/issues/{number}",
            **more,
        }
        self.issues.append(issue)
        return issue

    def answer(
        self, method: str, target: str, headers: dict[str, str], body: Any
    ) -> tuple[int | str, Any, dict[str, str]]:
        parts = urlsplit(target)
        asked = {key: values[0] for key, values in parse_qs(parts.query).items()}
        with self._lock:
            kind, argument = self._route(method, parts.path)
            self.calls.append((kind, body))
            self._check(kind, headers, asked, body)
            waiting = self.faults.get(kind)
            fault = waiting.pop(0) if waiting else None
            if isinstance(fault, int | tuple):
                status, more = fault if isinstance(fault, tuple) else (fault, {})
                return status, {"message": f"scripted {status}"}, more
            if fault == "cut":
                return "cut", None, {}
            if kind in PARAMETERS:
                return self._page(getattr(self, f"_{kind}")(argument, asked), parts.path, asked)
            status, document = getattr(self, f"_{kind}")(argument, body)
            return "cut" if fault == "lost" else status, document, {}

    def _route(self, method: str, path: str) -> tuple[str, str]:
        prefix = f"/repos/{REPOSITORY}"
        for kind, (verb, pattern) in ROUTES.items():
            match = re.fullmatch(pattern, path.removeprefix(prefix))
            if path.startswith(prefix) and verb == method and match:
                return kind, unquote(match[1]) if match.groups() else ""
        raise ValueError(f"{method} {path}: no such route")

    def _check(self, kind: str, headers: dict[str, str], asked: dict[str, str], body: Any) -> None:
        expected = None if self.token is None else f"Bearer {self.token}"
        assert headers.get("authorization") == expected, "token"
        assert headers["accept"] == "application/vnd.github+json"
        assert headers["x-github-api-version"] == "2022-11-28"
        assert headers["user-agent"].startswith("beambench/")
        assert set(asked) <= PARAMETERS.get(kind, set()), asked
        if kind in BODIES:
            assert headers["content-type"] == "application/json"
            jsonschema.validate(body, BODIES[kind])
        else:
            assert body is None

    def _page(
        self, entries: list[Any], path: str, asked: dict[str, str]
    ) -> tuple[int, Any, dict[str, str]]:
        size = min(self.page_size, int(asked.get("per_page", 30)))
        page = int(asked.get("page", 1))
        more = {}
        if page * size < len(entries):
            rest = "&".join(f"{key}={value}" for key, value in asked.items() if key != "page")
            address = self.next_page(f"{self.url}{path}?{rest}&page={page + 1}")
            more = {"Link": f'<{address}>; rel="next", <{self.url}{path}>; rel="last"'}
        return 200, entries[(page - 1) * size : page * size], more

    def _list(self, _: str, asked: dict[str, str]) -> list[Any]:
        assert asked["state"] == "all"
        label = asked["labels"]
        return [issue for issue in self.issues if {"name": label} in issue["labels"]]

    def _pulls(self, _: str, asked: dict[str, str]) -> list[Any]:
        owner, branch = asked["head"].split(":", 1)
        assert owner == REPOSITORY.partition("/")[0]
        number = self.pulls.get(branch)
        return [] if number is None else [self.issues[number - 1]]

    def _comments(self, number: str, _: dict[str, str]) -> list[Any]:
        return self.comments.get(int(number), [])

    def _create(self, _: str, body: Any) -> tuple[int, Any]:
        assert set(body["labels"]) <= set(self.labels), "the label was not made before"
        issue = self.file(body["body"], "", title=body["title"])
        if not self.drops_labels:
            issue["labels"] = [{"name": name} for name in body["labels"]]
        return 201, issue

    def _update(self, number: str, body: Any) -> tuple[int, Any]:
        self.issues[int(number) - 1] |= {
            key: value for key, value in body.items() if key != "state_reason"
        }
        return 200, self.issues[int(number) - 1]

    def _comment(self, number: str, body: Any) -> tuple[int, Any]:
        comment = {"id": sum(map(len, self.comments.values())) + 1, "body": body["body"]}
        self.comments.setdefault(int(number), []).append(comment)
        return 201, comment

    def _edit_comment(self, number: str, body: Any) -> tuple[int, Any]:
        (comment,) = (
            each for all_ in self.comments.values() for each in all_ if each["id"] == int(number)
        )
        comment["body"] = body["body"]
        return 200, comment

    def _label(self, _: str, body: Any) -> tuple[int, Any]:
        if body["name"] in self.labels:
            return 422, {"message": "Validation Failed"}
        self.labels[body["name"]] = body
        return 201, body

    def _edit_label(self, name: str, body: Any) -> tuple[int, Any]:
        if name not in self.labels:
            return 404, {"message": "Not Found"}
        self.labels[name] |= body
        return 200, self.labels[name]


class _Handler(QuietHandler):
    stub: GitHubStub

    def _do(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        headers = {name.lower(): value for name, value in self.headers.items()}
        status: int | str
        try:
            status, document, more = self.stub.answer(self.command, self.path, headers, body)
        except Exception as error:
            self.stub.wrong.append(f"{self.command} {self.path}: {error!r:.500}")
            status, document, more = 400, {"message": f"the stand-in: {error!r:.200}"}, {}
        if isinstance(status, str):
            self.close_connection = True
            return
        content = json.dumps(document).encode()
        self.send_response(status)
        for name, value in (more | {"Content-Length": str(len(content))}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def do_GET(self) -> None:
        self._do()

    def do_POST(self) -> None:
        self._do()

    def do_PATCH(self) -> None:
        self._do()


@contextlib.contextmanager
def github_repository() -> Iterator[GitHubStub]:
    """Run the stand-in; no request may have been wrong at the end."""
    stub = GitHubStub()
    handler = type("Handler", (_Handler,), {"stub": stub})
    with serving(local_server(handler)) as port:
        stub.url = f"http://127.0.0.1:{port}"
        yield stub
    assert stub.wrong == []
