"""Following a job through all that can happen to it."""

from __future__ import annotations

import pytest

from beambench.runners.dataflow.service.client import ServiceError
from beambench.runners.dataflow.service.follow import (
    CANCEL_SECONDS,
    OUTAGE_SECONDS,
    POLL_SECONDS,
    REASON_SECONDS,
    TERMINAL,
    Followed,
    between,
    cancel,
    follow,
)
from dataflow_stub import CREATED, CUT, ENDED, WORKERS_STARTED, WORKERS_STOPPED, failed, message

FOREVER = float("inf")


def test_a_job_is_followed_until_it_is_done(client, stub, clock):
    looks = []
    followed = follow(client, clock, FOREVER, looks.append)
    assert (followed.ending, followed.state, followed.is_over) == ("ended", "DONE", True)
    assert [state for _, state in followed.states] == ["PENDING", "RUNNING", "DONE"]
    assert clock.waits == [POLL_SECONDS] * 2
    assert (followed.created, followed.finished, followed.seconds) == (CREATED, ENDED, 600.0)
    assert followed.messages.workers_started == WORKERS_STARTED
    assert followed.messages.workers_stopped == WORKERS_STOPPED
    assert [look.state for look in looks] == ["PENDING", "RUNNING", "DONE"]
    assert looks[-1].elapsed == 600.0


@pytest.mark.parametrize(
    "state",
    [
        *("UNKNOWN", "STOPPED", "RUNNING", "PENDING", "QUEUED", "DRAINING", "CANCELLING"),
        *("PAUSING", "PAUSED", "RESOURCE_CLEANING_UP", "A_STATE_OF_NEXT_YEAR"),
    ],
)
def test_states_that_are_no_end(client, stub, clock, state):
    stub.states = [state]
    followed = follow(client, clock, clock.now() + 25)
    assert (followed.ending, followed.state) == ("timed_out", state)
    assert sum(clock.waits) == 25


@pytest.mark.parametrize("state", sorted(TERMINAL - {"FAILED"}))
def test_states_that_are_an_end(client, stub, clock, state):
    stub.states = [state]
    assert follow(client, clock, FOREVER).state == state
    assert clock.waits == []


def test_a_summary_without_a_state_is_a_state_not_known_yet(client, stub, clock):
    followed = Followed()
    followed.see({"name": "x"})
    assert (followed.state, followed.is_over, followed.seconds) == ("UNKNOWN", False, None)


def test_a_failed_job_is_asked_for_its_reason(client, stub, clock):
    stub.states = ["FAILED"]
    stub.messages = [(4, failed("Workflow failed. Causes: no quota"))]
    followed = follow(client, clock, FOREVER)
    assert followed.messages.error == "Workflow failed. Causes: no quota"
    assert followed.ending == "ended"


def test_a_failed_job_that_never_says_why(client, stub, clock):
    stub.states, stub.messages = ["FAILED"], []
    followed = follow(client, clock, FOREVER)
    assert followed.messages.error is None
    assert sum(clock.waits) == REASON_SECONDS


def test_bursts_of_errors_are_lived_through(client, stub, clock):
    stub.faults = {"job": [503, CUT, 500, 429], "messages": [502] * 8}
    followed = follow(client, clock, FOREVER)
    assert followed.state == "DONE"
    assert followed.messages.workers_started == WORKERS_STARTED


def test_a_service_out_of_reach_is_given_up_after_a_while(client, stub, clock):
    stub.states = ["RUNNING"]
    follow(client, clock, clock.now())
    stub.refused["job"] = CUT
    followed = follow(client, clock, FOREVER, followed=follow(client, clock, clock.now()))
    assert (followed.ending, followed.is_over) == ("lost", False)
    assert followed.lost
    assert OUTAGE_SECONDS <= sum(clock.waits) < OUTAGE_SECONDS + 200


def test_a_deadline_ends_an_outage_too(client, stub, clock):
    stub.refused["job"] = 503
    assert follow(client, clock, clock.now() + 20).ending == "timed_out"


def test_a_refused_first_look_is_an_error(client, stub, clock):
    stub.refused["job"] = 403
    with pytest.raises(ServiceError, match="not allowed"):
        follow(client, clock, FOREVER)


def test_a_later_refusal_loses_the_job(client, stub, clock):
    followed = follow(client, clock, clock.now())
    stub.refused["job"] = 403
    assert follow(client, clock, FOREVER, followed=followed).ending == "lost"
    assert followed.state == "PENDING"


def test_an_interruption_leaves_the_job(client, stub, clock):
    stub.states = ["RUNNING"]
    clock.interrupted_at = clock.now() + POLL_SECONDS
    followed = follow(client, clock, FOREVER)
    assert (followed.ending, followed.state) == ("interrupted", "RUNNING")
    assert stub.requests["cancel"] == 0


def test_cancelling_waits_for_the_end(client, stub, clock):
    stub.states, stub.cancelled_after = ["RUNNING"], 3
    followed = follow(client, clock, clock.now())
    cancel(client, clock, followed)
    assert (followed.state, followed.ending, followed.cancelled_by_us) == (
        "CANCELLED",
        "timed_out",
        True,
    )
    asked = [body for method, _, body in stub.seen if method == "PUT"]
    assert asked == [{"requestedState": "JOB_STATE_CANCELLED"}]


def test_cancelling_has_a_limit(client, stub, clock):
    stub.states, stub.cancelled_after = ["RUNNING"], None
    followed = follow(client, clock, clock.now())
    cancel(client, clock, followed)
    assert (followed.state, followed.is_over) == ("CANCELLING", False)
    assert sum(clock.waits) == CANCEL_SECONDS


def test_a_job_that_is_over_is_not_cancelled(client, stub, clock):
    stub.states = ["DONE"]
    cancel(client, clock, follow(client, clock, FOREVER))
    assert stub.requests["cancel"] == 0


def test_messages_count_once(client, stub, clock):
    stub.states = ["RUNNING"] * 5 + ["FAILED"]
    stub.messages = [(n, failed("bad", "2026-01-31T09:10:00Z", n)) for n in range(3)]
    assert follow(client, clock, FOREVER).messages.error_count == 3


def test_workers_are_counted_from_the_scaling_events(client, stub, clock):
    stub.scalings = [
        {"time": "2026-01-31T09:03:00Z", "currentNumWorkers": "7"},
        {"time": "2026-01-31T09:05:00.1Z", "currentNumWorkers": "4"},
        {"time": "2026-01-31T09:05:00Z", "currentNumWorkers": "5"},
        {"time": "2026-01-31T09:06:00Z", "targetNumWorkers": "9"},
    ]
    looks = []
    followed = follow(client, clock, FOREVER, looks.append)
    assert (followed.messages.workers, followed.messages.most_workers) == (4, 7)
    assert looks[-1].workers == 4


def test_of_several_pools_the_first_start_and_the_last_stop_count(client, stub, clock):
    started = stub.messages[0][1]["messageText"]
    stub.messages = [
        (0, message(started, "2026-01-31T09:05:00Z")),
        (0, message(started, "2026-01-31T09:04:00.123456789Z")),
        (0, message("Stopping worker pool...", "2026-01-31T09:11:00Z")),
        (0, message("Stopping worker pool...", "2026-01-31T09:10:00Z")),
    ]
    messages = follow(client, clock, FOREVER).messages
    assert messages.workers_started == "2026-01-31T09:04:00.123456789Z"
    assert messages.workers_stopped == "2026-01-31T09:11:00Z"


@pytest.mark.parametrize(
    ("begin", "end", "seconds"),
    [
        (CREATED, ENDED, 600.0),
        ("2026-01-31T09:00:00Z", "2026-01-31T09:00:00.123456789Z", 0.123456),
        (None, ENDED, None),
        (CREATED, "", None),
    ],
)
def test_seconds_between_two_times(begin, end, seconds):
    assert between(begin, end) == seconds
