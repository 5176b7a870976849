"""Changes of histories as points: what is sent, and what replaces what."""

from __future__ import annotations

import json
import time

import pytest

from beambench.publishers.base import UnavailableError
from beambench.publishers.influxdb.changes import PublishedChange, replace_changes
from beambench.publishers.influxdb.server import InfluxServer

CHANGE = PublishedChange(
    benchmark="it's mine",
    metric="run_time",
    variant="stock",
    profile="local",
    runner="direct",
    verdict="worse",
    ratio=1.25,
    ratio_low=1.2,
    ratio_high=1.3,
    run_id="20260131T100000Z-00000001",
    started_at="2026-01-31T10:00:00Z",
    environment=["torch 2.12.0 -> 2.13.0"],
)
LINE = (
    "beambench_changes,benchmark=it's\\ mine,metric=run_time,profile=local,runner=direct,"
    "variant=stock,verdict=worse ratio=1.25,ratio_low=1.2,ratio_high=1.3,"
    'run_id="20260131T100000Z-00000001",title="run_time: +25.0 %",'
    'text="stock · local · direct\ntorch 2.12.0 -> 2.13.0" 1769853600000000000'
)


def replace(changes):
    replace_changes(InfluxServer.of({}), "it's mine", changes, time.monotonic() + 5)


def test_changes_replace_those_of_the_benchmark(server):
    replace([CHANGE])
    (deleted, nothing), (written, body) = server.requests
    assert deleted.startswith("/query?db=tests&q=DELETE+FROM+%22beambench_changes%22+WHERE+")
    assert deleted.endswith("%22benchmark%22+%3D+%27it%5C%27s+mine%27")
    assert nothing == ""
    assert written == "/write?db=tests&precision=ns"
    assert body == LINE


def test_a_server_of_version_2_is_asked_in_its_own_way(server, monkeypatch):
    monkeypatch.setenv("INFLUXDB_TOKEN", "sesame")
    monkeypatch.setenv("INFLUXDB_ORG", "us")
    replace([CHANGE])
    (deleted, body), (written, line) = server.requests
    assert deleted == "/api/v2/delete?org=us&bucket=tests"
    assert json.loads(body)["predicate"] == (
        '_measurement="beambench_changes" AND benchmark="it\'s mine"'
    )
    assert server.headers[0]["Content-Type"] == "application/json"
    assert written == "/api/v2/write?org=us&bucket=tests&precision=ns"
    assert line == LINE


def test_without_changes_the_earlier_ones_go(server):
    replace([])
    assert [path.partition("?")[0] for path, _ in server.requests] == ["/query"]


@pytest.mark.parametrize(
    "answer", [(401, '{"error": "wrong password"}'), (200, '{"results": [{"error": "no"}]}')]
)
def test_what_a_server_refuses_is_named(server, answer):
    server.answer = lambda path, body: answer
    with pytest.raises(UnavailableError, match=r"wrong password|no"):
        replace([CHANGE])
    assert len(server.requests) == 1
