"""`alarms --github` on a store."""

from __future__ import annotations

import sys

import pytest

from beambench.cli.main import execute
from fake_clock import FakeClock
from github_stub import REPOSITORY, TOKEN, github_repository


@pytest.fixture
def repository(monkeypatch):
    with github_repository() as stub:
        monkeypatch.setenv("GITHUB_TOKEN", TOKEN)
        monkeypatch.setenv("GITHUB_API_URL", stub.url)
        yield stub


def issues_of(beambench, store, *more):
    return beambench("alarms", "--store", store, "--github", REPOSITORY, *more)


def test_an_alarm_becomes_an_issue_that_says_what_happened(beambench, store, repository):
    first = issues_of(beambench, store, "--benchmark", "overhead-noop")
    second = issues_of(beambench, store, "--json")

    assert (first.code, second.code) == (1, 1)
    assert "issue opened: #1 https://github.example/acme/bench/issues/1 (overhead-noop" in first.out
    (change,) = [alarm for alarm in second.document if alarm["kind"] == "change"]
    assert (change["issue"]["action"], change["issue"]["number"]) == ("unchanged", 1)
    body = repository.issues[0]["body"]
    for words in (
        "**open**: `overhead-noop`: `throughput_elements`: worse",
        "**step down -",
        "since run `20260131T103000Z-0000001e`",
        "The newest 20 of 40 runs:",
        "beambench history overhead-noop --metric throughput_elements",
    ):
        assert words in body


def test_issues_that_are_not_taken_are_an_exit_code_after_the_alarms(beambench, store, repository):
    repository.faults["list"] = [401]

    answer = issues_of(beambench, store, "--json")

    assert answer.code == 5
    assert [alarm["issue"] for alarm in answer.document if alarm["kind"] == "change"] == [None]
    assert "the token in GITHUB_TOKEN is not accepted" in answer.err
    assert TOKEN not in answer.err


def test_the_issue_of_an_alarm_that_is_gone_is_in_the_document(beambench, store, repository):
    issues_of(beambench, store)
    gone = ("--metric", "throughput_elements", "--policy", "least_change=0.5", "--json")
    dry = issues_of(beambench, store, *gone, "--dry-run")
    answer = issues_of(beambench, store, *gone)

    for document in (dry.document, answer.document):
        states = {alarm["kind"]: (alarm["state"], alarm["issue"]["action"]) for alarm in document}
        assert states["change"] == ("gone", "closed")
    assert repository.issues[0]["state"] == "closed"


def test_options_of_issues_go_with_a_repository(beambench, store, repository):
    assert beambench("alarms", "--store", store, "--dry-run").code == 2
    repository.token = None
    assert repository.calls == []


def test_what_is_missing_is_named(beambench, store, repository, monkeypatch):
    monkeypatch.setitem(sys.modules, "requests", None)

    answer = issues_of(beambench, store)

    assert answer.code == 3
    assert "pip install 'beambench[github]'" in answer.err


def test_waiting_for_github_ends_when_it_is_interrupted(store, repository, capsys):
    repository.faults["list"] = [503]
    arguments = ["alarms", "--store", store, "--github", REPOSITORY, "--json"]

    assert execute(arguments, FakeClock(interrupted_at=0)) == 130

    out, err = capsys.readouterr()
    assert "interrupted: the next call carries on" in err
    assert '"issue": null' in out
