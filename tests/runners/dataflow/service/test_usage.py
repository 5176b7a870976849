"""Usage from the service's metrics, and waiting for those that come late."""

from __future__ import annotations

import pytest

from beambench.runners.dataflow.service.client import ServiceError
from beambench.runners.dataflow.service.follow import follow
from beambench.runners.dataflow.service.throughput import points, read_throughput
from beambench.runners.dataflow.service.usage import (
    SETTLE_POLL_SECONDS,
    SETTLE_SECONDS,
    expected_metrics,
    inferences,
    service_metrics,
    settle,
    usage_of,
)
from dataflow_stub import all_service, service, user

EXPECTED = expected_metrics(has_accelerator=False)


def test_units_are_those_that_are_billed():
    used = usage_of(service_metrics(all_service()))
    assert used.model_dump() == {
        "source": "service",
        "vcpu_seconds": 1080.0,
        "memory_gb_seconds": 4050.0,  # 540 s of 7.5 GB, reported as 7680 MB
        "disk_gb_seconds": 27000.0,
        "ssd_gb_seconds": 0.0,
        "gpu_seconds": None,
        "shuffle_gb": 0.25,
        "streaming_gb": 0.0,
        "worker_seconds": None,
    }


def test_a_fleet_seen_in_the_wild_says_what_an_mb_is():
    vcpus, megabytes = 152, 1011712
    assert megabytes / 1024 / vcpus == 6.5  # GB for each vCPU of a high-memory machine


def test_what_the_service_does_not_say_is_unknown():
    used = usage_of({})
    assert set(used.model_dump(exclude={"source"}).values()) == {None}
    used = usage_of(service_metrics(all_service(TotalMemoryUsage=None)))
    assert used.memory_gb_seconds is None


def test_time_of_accelerators_is_counted():
    service_values = service_metrics(all_service(TotalGpuTime=540.0))
    assert usage_of(service_values).gpu_seconds == 540.0
    assert "TotalGpuTime" in expected_metrics(has_accelerator=True)


def test_committed_values_go_before_tentative_ones():
    committed = service("TotalVcpuTime", 5.0)
    tentative = service("TotalVcpuTime", 7.0, tentative="true")
    for updates in ([committed, tentative], [tentative, committed]):
        assert service_metrics(updates) == {"TotalVcpuTime": 5.0}
    assert service_metrics([tentative]) == {"TotalVcpuTime": 7.0}


def test_metrics_of_one_step_and_of_users_are_none_of_the_job():
    assert service_metrics([service("ElementCount", 3.0, step="s1"), user("n", 4)]) == {}


def test_inferences_are_the_larger_of_committed_and_tentative():
    steps = [user("num_inferences", 3, "s2"), user("num_inferences", 4, "s3")]
    again = user("num_inferences", 9, "s2", tentative="true")
    assert inferences([*steps, again]) == 9
    assert inferences(steps) == 7
    assert inferences([]) is None


def test_settled_are_two_equal_answers_in_a_row(client, stub, clock):
    stub.metrics = [
        all_service(TotalVcpuTime=500.0),
        all_service(TotalVcpuTime=900.0),
        all_service(),
        all_service(),
    ]
    settled = settle(client.metrics, clock, EXPECTED)
    assert (settled.settled, settled.missing) == (True, [])
    assert settled.seconds == 3 * SETTLE_POLL_SECONDS
    assert service_metrics(settled.updates)["TotalVcpuTime"] == 1080.0


def test_the_time_of_an_update_and_the_order_make_no_difference(client, stub, clock):
    later = [{**series, "updateTime": "2027-01-01T00:00:00Z"} for series in all_service()]
    stub.metrics = [all_service(), later[::-1]]
    assert settle(client.metrics, clock, EXPECTED).seconds == SETTLE_POLL_SECONDS


def test_late_metrics_are_waited_for(client, stub, clock):
    stub.metrics = [[]] * 5 + [all_service(TotalPdUsage=None)] * 4 + [all_service()]
    settled = settle(client.metrics, clock, EXPECTED)
    assert settled.settled
    assert settled.seconds == 10 * SETTLE_POLL_SECONDS


def test_metrics_that_never_come_are_named(client, stub, clock):
    stub.metrics = [all_service(TotalPdUsage=None)]
    settled = settle(client.metrics, clock, EXPECTED)
    assert (settled.settled, settled.missing, settled.seconds) == (
        False,
        ["TotalPdUsage"],
        SETTLE_SECONDS,
    )


def test_counts_that_lag_behind_the_proof_are_waited_for(client, stub, clock):
    stub.metrics = [[*all_service(), user("num_inferences", 90)]] * 4
    stub.metrics += [[*all_service(), user("num_inferences", 100)]]
    settled = settle(client.metrics, clock, EXPECTED, inferred=100)
    assert settled.settled
    assert inferences(settled.updates) == 100


def test_metrics_that_are_refused_end_the_waiting(client, stub, clock):
    stub.refused["metrics"] = 403
    settled = settle(client.metrics, clock, EXPECTED)
    assert (settled.updates, settled.settled, settled.missing) == ([], False, EXPECTED)
    assert "not allowed" in (settled.problem or "")
    assert settled.seconds == 0


def test_an_outage_while_waiting_is_lived_through(client, stub, clock):
    stub.faults["metrics"] = [503] * 9
    assert settle(client.metrics, clock, EXPECTED).settled


def test_an_interruption_ends_the_waiting(client, stub, clock):
    clock.interrupted_at = clock.now() + 1
    stub.metrics = [[]]
    assert settle(client.metrics, clock, EXPECTED).seconds == SETTLE_POLL_SECONDS


def test_throughput_is_beams_mean_of_running_totals(client, stub, clock):
    stub.series = {
        "element_count": [{"doubleValue": 10.0}, {"int64Value": "30"}],
        "estimated_byte_count": [{"distributionValue": {"mean": 8.0}}, {"stringValue": "?"}],
    }
    throughput = read_throughput(client, "ProcessOutput.out0", follow(client, clock, float("inf")))
    assert throughput == {"AvgThroughputElements": 20.0, "AvgThroughputBytes": 8.0}
    asked = [target for _, target, _ in stub.seen if "timeSeries" in target]
    assert len(asked) == 2
    assert all("ProcessOutput.out0" in target for target in asked)
    assert all("ALIGN_MEAN" in target and "alignmentPeriod=60s" in target for target in asked)


def test_without_the_times_of_the_workers_there_is_no_throughput(client, stub, clock):
    stub.messages = []
    assert read_throughput(client, "x", follow(client, clock, float("inf"))) == {}
    assert stub.requests["series"] == 0


def test_no_points_no_throughput(client, stub, clock):
    assert read_throughput(client, "x", follow(client, clock, float("inf"))) == {}
    assert points([{}]) == []


def test_refused_series_are_an_error(client, stub, clock):
    stub.refused["series"] = 403
    followed = follow(client, clock, float("inf"))
    with pytest.raises(ServiceError):
        read_throughput(client, "x", followed)
