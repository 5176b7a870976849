"""The REST client: retries, refusals, addresses and credentials."""

from __future__ import annotations

import pytest

from beambench.errors import UsageError
from beambench.runners.dataflow.service.client import (
    ATTEMPTS,
    LONGEST_PAUSE,
    Endpoints,
    JobClient,
    JobPlace,
    ServiceError,
)
from dataflow_stub import CUT, JOB_ID, PROJECT, REGION, message


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504, CUT])
def test_what_may_pass_is_tried_again_with_growing_pauses(client, stub, clock, status):
    stub.faults["job"] = [status] * (ATTEMPTS - 1)
    assert client.state()["currentState"] == "JOB_STATE_PENDING"
    assert clock.waits == sorted(clock.waits)
    assert len(clock.waits) == ATTEMPTS - 1
    assert clock.waits[0] < clock.waits[-1] <= LONGEST_PAUSE


@pytest.mark.parametrize("status", [503, CUT])
def test_tries_have_an_end(client, stub, status):
    stub.refused["job"] = status
    with pytest.raises(ServiceError) as caught:
        client.state()
    assert stub.requests["job"] == ATTEMPTS
    assert caught.value.may_pass
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 302])
def test_a_refusal_is_final(client, stub, status):
    stub.refused["job"] = status
    with pytest.raises(ServiceError, match=f"answered {status}.*scripted {status}") as caught:
        client.state()
    assert stub.requests["job"] == 1
    assert not caught.value.may_pass
    assert caught.value.status == status


def test_an_interrupted_pause_ends_the_tries(client, stub, clock):
    clock.interrupted_at = 0
    stub.refused["job"] = 503
    with pytest.raises(ServiceError):
        client.state()
    assert stub.requests["job"] == 1


def test_a_job_that_there_is_not(client):
    place = JobPlace(PROJECT, REGION, "2020-01-01_00_00_00-1")
    with pytest.raises(ServiceError, match=r"job 2020-01-01_00_00_00-1: .* could not be found"):
        JobClient(place, client.endpoints).job()


def test_messages_come_in_pages(client, stub):
    stub.page_size, stub.looks = 2, 9
    stub.messages = [(0, message("", f"2026-01-31T09:00:0{n}Z", number=n)) for n in range(5)]
    pages = list(client.message_pages(None))
    assert [len(page["jobMessages"]) for page in pages] == [2, 2, 1]
    later = list(client.message_pages("2026-01-31T09:00:03Z"))
    assert [each["id"][-1] for each in later[0]["jobMessages"]] == ["3", "4"]


def test_nothing_is_authorised_over_plain_http(client, stub, monkeypatch, tmp_path):
    (tmp_path / ".netrc").write_text("machine localhost login me password secret\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    client.state()
    assert (stub.authorised, stub.requests["job"]) == (0, 1)


def test_without_credentials_one_line_says_what_to_do(monkeypatch):
    import google.auth
    import google.auth.exceptions

    def none(**_: object) -> None:
        raise google.auth.exceptions.DefaultCredentialsError("many\nlines")

    monkeypatch.setattr(google.auth, "default", none)
    with pytest.raises(UsageError, match="gcloud auth application-default login"):
        JobClient(JobPlace(PROJECT, REGION, JOB_ID), Endpoints()).state()


@pytest.mark.parametrize(
    ("project", "region", "job_id", "what"),
    [
        ("../x", REGION, JOB_ID, "project '../x'"),
        (PROJECT, "us central", JOB_ID, "region 'us central'"),
        (PROJECT, "global/x", JOB_ID, "region 'global/x'"),
        (PROJECT, REGION, "a/../b", "job id 'a/../b'"),
        (PROJECT, REGION, "", "job id ''"),
        (PROJECT, REGION, "x?view=1", "job id"),
        (PROJECT, REGION, f"{JOB_ID}\n", "job id"),
    ],
)
def test_names_that_cannot_be(project, region, job_id, what):
    with pytest.raises(UsageError) as caught:
        JobPlace(project, region, job_id)
    assert what in str(caught.value)


def test_endpoints_are_the_real_ones_unless_told():
    assert Endpoints.chosen({}) == Endpoints()
    named = {
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_DATAFLOW": "https://dataflow.example.com/",
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_MONITORING": "http://127.0.0.1:1",
    }
    chosen = Endpoints.chosen(named, ["--dataflow_endpoint=http://localhost:2/"])
    assert chosen.dataflow == "http://localhost:2"
    assert chosen.monitoring == "http://127.0.0.1:1"
    assert Endpoints.chosen(named).dataflow == "https://dataflow.example.com"
    assert Endpoints.chosen({}, ["--dataflow_endpoint", "df.example.com"]).dataflow == (
        "https://df.example.com"
    )


@pytest.mark.parametrize(
    "address",
    [
        "http://dataflow.example.com",
        "http://localhost.example.com",
        "http://localhost@example.com",
        "https://me:secret@example.com",
        "ftp://localhost",
        "https://",
    ],
)
def test_credentials_never_go_over_plain_http_elsewhere(address):
    with pytest.raises(UsageError, match="endpoint"):
        Endpoints.chosen({"CLOUDSDK_API_ENDPOINT_OVERRIDES_DATAFLOW": address})
