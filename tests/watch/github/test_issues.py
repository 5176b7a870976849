"""One issue for each alarm, whatever happens between calls."""

from __future__ import annotations

from dataclasses import replace

import pytest

from beambench.errors import UsageError
from beambench.watch.github.client import GitHub, GitHubError
from beambench.watch.github.issues import LABEL, AlarmText, synchronise
from beambench.watch.github.marker import AlarmKey, Marker, marker_of
from beambench.watch.github.place import Place, place_of
from fake_clock import FakeClock
from github_stub import REPOSITORY, TOKEN, github_repository

KEY = AlarmKey("mine", "change", "throughput_elements")
ALARM = AlarmText(
    KEY, "new", "2026-01-31T10:33:00.000Z", "mine is worse", "-20 %", "###", "Recovered.", "Again."
)


@pytest.fixture
def repository():
    with github_repository() as stub:
        yield stub


@pytest.fixture
def call(repository):
    """Bring the issues up to date in a call of its own; return what became of them."""

    def run(*alarms, watched=lambda key: True, clock=None, **more):
        github = GitHub(Place(REPOSITORY, repository.url, repository.token), clock or FakeClock())
        return [outcome.action for outcome in synchronise(github, alarms, watched, **more)]

    return run


def states(repository):
    return [issue["state"] for issue in repository.issues]


def test_the_first_call_opens_an_issue_and_the_second_changes_nothing(repository, call):
    assert call(ALARM) == ["opened"]
    (issue,) = repository.issues
    assert issue["labels"] == [{"name": LABEL}]
    assert issue["body"].startswith("<!-- beambench-alarm: mine/change/throughput_elements raised=")
    before = list(repository.writes)

    assert call(replace(ALARM, chart="####")) == ["unchanged"]
    assert repository.writes == before


def test_an_alarm_that_changed_updates_its_issue_and_no_other(repository, call):
    other = replace(ALARM, key=KEY._replace(metric="model_load_time"))
    call(ALARM, other)

    assert call(replace(ALARM, state="open", facts="-25 %"), other) == ["updated", "unchanged"]
    assert len(repository.issues) == 2
    assert ["-25 %" in issue["body"] for issue in repository.issues] == [True, False]


@pytest.mark.parametrize("now", [(replace(ALARM, state="recovered"),), ()])
def test_the_issue_of_an_alarm_that_recovered_or_is_gone_is_closed_with_a_comment(
    repository, call, now
):
    call(ALARM)

    assert call(*now) == ["closed"]
    assert states(repository) == ["closed"]
    assert len(repository.comments[1]) == 1
    assert call(*now) in (["unchanged"], [])
    assert len(repository.comments[1]) == 1


def test_an_alarm_that_nobody_watched_is_not_gone(repository, call):
    call(ALARM)

    assert call(watched=lambda key: key.benchmark != "mine") == []
    assert states(repository) == ["open"]


def test_an_alarm_that_recovered_before_it_was_told_opens_nothing(repository, call):
    assert call(replace(ALARM, state="recovered")) == []
    assert repository.issues == []


def test_what_a_human_closed_is_opened_again_only_by_a_newer_alarm(repository, call):
    call(ALARM)
    repository.issues[0]["state"] = "closed"

    assert call(replace(ALARM, state="open", facts="-25 %")) == ["left closed"]
    assert call(replace(ALARM, raised_at="2026-02-03T10:33:00.000Z")) == ["reopened"]
    assert states(repository) == ["open"]
    assert "Again." in repository.comments[1][0]["body"]


def test_what_beambench_closed_is_opened_again_when_the_alarm_is_back(repository, call):
    for _ in range(2):
        assert call(replace(ALARM, state="open")) in (["opened"], ["reopened"])
        assert call(replace(ALARM, state="recovered")) == ["closed"]

    assert len(repository.issues) == 1
    assert len(repository.comments[1]) == 3


def test_what_a_human_opened_again_after_it_recovered_stays_open(repository, call):
    call(ALARM)
    call(replace(ALARM, state="recovered"))
    repository.issues[0]["state"] = "open"

    assert call(replace(ALARM, state="recovered")) == ["left open"]
    assert call() == []


@pytest.mark.parametrize("fault", ["lost", "cut", 502])
def test_an_issue_whose_answer_is_lost_is_not_filed_twice(repository, call, fault):
    repository.faults["create"] = [fault]

    assert call(ALARM) == ["opened"]
    assert len(repository.issues) == 1


@pytest.mark.parametrize("kind", ["create", "comment"])
def test_a_call_that_is_cut_off_is_carried_on_by_the_next(repository, call, kind):
    if kind == "comment":
        call(ALARM)
    repository.faults[kind] = ["lost"]
    now = (ALARM,) if kind == "create" else ()

    with pytest.raises(KeyboardInterrupt):
        call(*now, clock=FakeClock(interrupted_at=0))
    call(*now)

    assert len(repository.issues) == 1
    assert len(repository.comments.get(1, [])) == (kind == "comment")
    assert states(repository) == ["open" if kind == "create" else "closed"]


def test_issues_are_found_on_later_pages_and_pull_requests_are_none(repository, call):
    repository.page_size = 2
    alarms = [replace(ALARM, key=KEY._replace(benchmark=f"b{n}")) for n in range(5)]
    call(*alarms)
    repository.file(ALARM.body, pull_request={"url": "x"})
    repository.file(None)
    repository.file("> " + ALARM.body)

    assert call(*alarms) == ["unchanged"] * 5


def test_of_two_issues_of_one_alarm_the_oldest_that_is_open_is_meant(repository, call):
    for state in ("closed", "open", "open"):
        repository.file(ALARM.body, state=state)
    repository.labels[LABEL] = {}

    assert call(replace(ALARM, facts="-25 %")) == ["updated"]
    assert ["-25 %" in issue["body"] for issue in repository.issues] == [False, True, False]


def test_a_dry_run_says_what_would_be_done_and_writes_nothing(repository, call):
    assert call(ALARM, dry_run=True) == ["opened"]
    assert repository.issues == []
    call(ALARM)
    before = list(repository.writes)

    assert call(replace(ALARM, facts="-25 %"), dry_run=True) == ["updated"]
    assert call(dry_run=True) == ["closed"]
    assert repository.writes == before


def test_a_token_that_may_give_no_label_is_told_before_the_next_call_files_again(repository, call):
    repository.drops_labels = True

    with pytest.raises(GitHubError, match="acme/bench#1 was filed without its label"):
        call(ALARM)


@pytest.mark.parametrize(
    ("fault", "waited"),
    [
        (500, 1),
        ("cut", 1),
        ((429, {"Retry-After": "7"}), 7),
        ((403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1767225630"}), 30),
    ],
)
def test_what_may_pass_is_asked_again(repository, call, fault, waited):
    clock = FakeClock()
    repository.faults["list"] = [fault]

    assert call(ALARM, clock=clock) == ["opened"]
    assert clock.waits[0] == waited


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (401, "answered 401: the token in GITHUB_TOKEN is not accepted"),
        (403, "answered 403: the token may not do this"),
        (404, "answered 404: there is no such repository"),
        (410, "answered 410: this repository has no issues"),
        (422, "answered 422: what was sent is not accepted: scripted 422"),
        (301, "answered 301: the repository was renamed"),
        ((429, {"Retry-After": "3600"}), "too many requests: try again in 60 min"),
    ],
)
def test_a_refusal_is_final_and_one_line(repository, call, fault, message):
    repository.faults["create"] = [fault] * 9

    with pytest.raises(GitHubError, match=message) as caught:
        call(ALARM)

    assert caught.value.exit_code == 5
    assert "\n" not in str(caught.value)
    assert repository.writes == ["create"]


def test_what_does_not_come_back_is_given_up(repository, call):
    repository.faults["list"] = [503] * 9

    with pytest.raises(GitHubError, match="answered 503: scripted 503"):
        call(ALARM)
    assert len(repository.calls) == 5


def test_the_next_page_of_another_server_is_not_followed(repository, call):
    repository.page_size = 1
    repository.next_page = lambda address: "http://127.0.0.2:9/"
    repository.file(ALARM.body)
    repository.file(None)

    with pytest.raises(GitHubError, match="the next page is on another server"):
        call(ALARM)


def test_a_token_is_in_no_message(repository, call):
    repository.token = "ghp_Other0123456789"
    github = GitHub(Place(REPOSITORY, repository.url, TOKEN), FakeClock())

    assert TOKEN not in github._words(f"said {TOKEN} again")
    assert TOKEN not in repr(github)


@pytest.mark.parametrize("name", ["mine", "a/b c", "x --> <b>", "----", "ä\n@me #1"])
def test_a_marker_is_read_back_and_ends_where_it_should(name):
    marker = Marker(AlarmKey(name, "change", "m"), "2026-01-31T10:33:00+00:00", "new", "ab")

    assert marker_of(f"{marker.line}\r\nmore -->") == marker
    assert marker.line.count("--") == 2
    assert "\n" not in marker.line
    assert marker_of(f"text {marker.line}") is None


@pytest.mark.parametrize(
    ("repository_name", "url", "token", "message"),
    [
        ("acme", None, TOKEN, "--github 'acme': expected OWNER/REPO"),
        ("acme/..", None, TOKEN, "expected OWNER/REPO"),
        ("acme/bench/x", None, TOKEN, "expected OWNER/REPO"),
        ("acme/bench", "http://git.example", TOKEN, "http is for this machine only"),
        ("acme/bench", "ftp://git.example", TOKEN, "expected an address such as"),
        ("acme/bench", "https://u:Secret99@git.example", TOKEN, "expected an address such as"),
        ("acme/bench", "https://git.example:x", TOKEN, "is no address"),
        ("acme/bench", None, None, "GITHUB_TOKEN is not set"),
        ("acme/bench", None, "Secret99\n", "GITHUB_TOKEN: holds a space or a line break"),
    ],
)
def test_a_place_that_cannot_be_is_refused(monkeypatch, repository_name, url, token, message):
    monkeypatch.delenv("GITHUB_API_URL", raising=False)
    monkeypatch.delenv("GITHUB_TOKEN", raising=False)
    if token is not None:
        monkeypatch.setenv("GITHUB_TOKEN", token)

    with pytest.raises(UsageError, match=message) as caught:
        place_of(repository_name, url, needs_token=True)
    assert "Secret" not in str(caught.value)


def test_the_address_is_that_of_the_option_the_environment_or_github(monkeypatch):
    monkeypatch.delenv("GITHUB_API_URL", raising=False)
    assert place_of("a/b", None, needs_token=False).url == "https://api.github.com"
    monkeypatch.setenv("GITHUB_API_URL", "https://git.example/api/v3/")
    assert place_of("a/b", None, needs_token=False).url == "https://git.example/api/v3"
    assert place_of("a/b", "http://[::1]:80", needs_token=False).is_this_machine
