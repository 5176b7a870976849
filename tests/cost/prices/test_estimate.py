"""What usage costs: by hand for each machine of the suite, and what holds for any usage."""

import datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beambench.cost.prices.estimate import (
    AMOUNTS,
    SECONDS_PER_HOUR,
    Cost,
    cost_of_job,
    estimate,
    mode_of_job,
)
from beambench.cost.prices.sheet import Sheet, sheet_of
from beambench.definition.schema import Cluster
from beambench.record.run_record import Usage
from property_checks import CHECKED

SHEET = sheet_of("us-central1")
T4 = "nvidia-tesla-t4"
HOUR = 3600.0
ALMOST = Decimal("1e-20")
AMOUNT = st.none() | st.floats(0, 1e12, allow_nan=False)
USAGES = st.builds(
    Usage,
    source=st.just("service"),
    **dict.fromkeys([*AMOUNTS.values(), "worker_seconds"], AMOUNT),
)
MODES = st.sampled_from(["batch", "streaming", "spot"])
OWN = Sheet.model_validate(
    {
        "name": "basement",
        "service": "machines of our own",
        "region": "basement",
        "currency": "EUR",
        "source": "the invoice of 2026-05",
        "date": "2026-06-01",
        "machines": {"box": {"vcpus": 16, "memory_gb": 64, "per_hour": "0.4375"}},
    }
)
SHEETS = st.sampled_from([SHEET, OWN])


def used(hours: float, vcpus: int, memory: float, disk: float, gpus: int = 0) -> Usage:
    """Return the usage of so many hours of one machine, with no shuffle."""
    seconds = hours * HOUR
    return Usage(
        source="service",
        vcpu_seconds=seconds * vcpus,
        memory_gb_seconds=seconds * memory,
        disk_gb_seconds=seconds * disk,
        ssd_gb_seconds=0,
        gpu_seconds=seconds * gpus,
        shuffle_gb=0,
        streaming_gb=0,
        worker_seconds=seconds,
    )


def money(cost: Cost, resource: str) -> Decimal:
    (line,) = [line for line in cost.lines if line.resource == resource]
    assert line.money is not None
    return line.money


def test_by_hand_n1_standard_2():
    # 75 machines for 20 minutes are 25 machine hours. 2 vCPU, 7.5 GB, 50 GB of disk:
    #   vCPU    25 × 2    =    50   vCPU h × 0.056    = 2.800000
    #   memory  25 × 7.5  =   187.5 GB h   × 0.003557 = 0.6669375
    #   disk    25 × 50   = 1,250   GB h   × 0.000054 = 0.067500
    #   together                                        3.5344375
    cost = estimate(used(25, 2, 7.5, 50), SHEET, mode="batch")
    assert cost.complete
    assert cost.total == Decimal("3.5344375")
    assert round(cost.total, 2) == Decimal("3.53")


def test_by_hand_n1_standard_2_with_a_t4():
    # The same 25 machine hours with one T4 each:
    #   as above                                        3.5344375
    #   GPU     25 × 1    =    25   GPU h  × 0.42     = 10.500000
    #   together                                        14.0344375
    cost = estimate(used(25, 2, 7.5, 50, gpus=1), SHEET, mode="batch", gpu=T4)
    assert cost.complete
    assert money(cost, f"gpu {T4}") == Decimal("10.5")
    assert cost.total == Decimal("14.0344375")
    assert round(cost.total, 2) == Decimal("14.03")


def test_by_hand_n1_standard_8_with_a_t4():
    # 3 machines for half an hour are 1.5 machine hours. 8 vCPU, 30 GB, 200 GB of disk, a T4:
    #   vCPU    1.5 × 8   =    12   vCPU h × 0.056    = 0.672000
    #   memory  1.5 × 30  =    45   GB h   × 0.003557 = 0.160065
    #   disk    1.5 × 200 =   300   GB h   × 0.000054 = 0.016200
    #   GPU     1.5 × 1   =     1.5 GPU h  × 0.42     = 0.630000
    #   together                                        1.478265
    cost = estimate(used(1.5, 8, 30, 200, gpus=1), SHEET, mode="batch", gpu=T4)
    assert cost.complete
    assert cost.total == Decimal("1.478265")
    assert round(cost.total, 2) == Decimal("1.48")


def test_by_hand_a_streaming_job():
    # 20 n1-standard-2 for 30 minutes are 10 machine hours, 4 GB through the streaming engine:
    #   vCPU    10 × 2   =  20 vCPU h × 0.069     = 1.380000
    #   memory  10 × 7.5 =  75 GB h   × 0.0035557 = 0.2666775
    #   disk    10 × 50  = 500 GB h   × 0.000054  = 0.027000
    #   engine             4 GB       × 0.018     = 0.072000
    #   together                                    1.7456775
    usage = used(10, 2, 7.5, 50).model_copy(update={"streaming_gb": 4})
    cost = estimate(usage, SHEET, mode="streaming")
    assert cost.complete
    assert cost.total == Decimal("1.7456775")


def test_by_hand_spot_workers():
    # 25 machine hours of n1-standard-2 at the rates of FlexRS, 2 GB of shuffle:
    #   vCPU     50   × 0.0336    = 1.680000
    #   memory  187.5 × 0.0021342 = 0.4001625
    #   disk  1,250   × 0.000054  = 0.067500
    #   shuffle   2   × 0.011     = 0.022000
    #   together                    2.1696625
    usage = used(25, 2, 7.5, 50).model_copy(update={"shuffle_gb": 2})
    assert estimate(usage, SHEET, mode="spot").total == Decimal("2.1696625")


def test_batch_shuffle_is_priced_from_the_shuffle_and_not_from_the_streaming_engine():
    # Beam's suite takes the streaming metric for both.
    usage = used(0, 2, 7.5, 50).model_copy(update={"shuffle_gb": 10})
    assert estimate(usage, SHEET, mode="batch").total == Decimal("0.11")
    other = usage.model_copy(update={"shuffle_gb": 0, "streaming_gb": 10})
    cost = estimate(other, SHEET, mode="batch")
    assert (cost.total, cost.complete) == (0, False)
    assert cost.lines[-1].unknown == "sheet dataflow-us-central1 has no rate of streaming for batch"


def test_an_hour_of_ones_own_machine_pays_for_all_in_it():
    # 3 h × 0.4375 = 1.3125, disks and GPUs of the machine included.
    cost = estimate(used(3, 16, 64, 500, gpus=2), OWN, mode="batch", machine="box")
    assert (cost.total, cost.complete, cost.currency) == (Decimal("1.3125"), True, "EUR")
    assert [line.resource for line in cost.lines] == ["machine", "shuffle"]


def test_a_rate_beside_the_hour_is_added():
    content = OWN.model_dump(mode="json")
    content["rates"] = [
        {"resource": "disk", "unit": "GB h", "price": 0.0001, "modes": ["batch"], "sku": "san"}
    ]
    # 3 h × 0.4375 + 3 h × 500 GB × 0.0001 = 1.3125 + 0.15
    cost = estimate(
        used(3, 16, 64, 500), Sheet.model_validate(content), mode="batch", machine="box"
    )
    assert cost.total == Decimal("1.4625")


def test_an_own_machine_has_no_spot_price_unless_the_sheet_says_so():
    cost = estimate(used(3, 16, 64, 0), OWN, mode="spot", machine="box")
    assert (cost.total, cost.complete) == (0, False)
    assert cost.lines[0].unknown == "the sheet has no spot_per_hour for it"


@CHECKED
@given(USAGES, MODES, SHEETS)
def test_twice_the_usage_costs_twice(usage, mode, sheet):
    amounts = usage.model_dump(exclude={"source"})
    doubled = {name: None if value is None else 2 * value for name, value in amounts.items()}
    once, twice = (
        estimate(case, sheet, mode=mode, gpu=T4, machine="box")
        for case in (usage, Usage(source="service", **doubled))
    )
    assert abs(twice.total - 2 * once.total) <= ALMOST * twice.total
    assert twice.complete == once.complete


@CHECKED
@given(USAGES, MODES, SHEETS)
def test_nothing_is_negative_and_the_total_is_the_sum_of_its_lines(usage, mode, sheet):
    cost = estimate(usage, sheet, mode=mode, gpu=T4, machine="box")
    known = [line.money for line in cost.lines if line.money is not None]
    assert all(amount >= 0 for amount in known)
    assert cost.total == sum(known)
    assert all(line.amount is None or line.amount >= 0 for line in cost.lines)


@CHECKED
@given(USAGES, MODES)
def test_unknown_stays_unknown(usage, mode):
    cost = estimate(usage, SHEET, mode=mode, gpu=T4)
    lines = {line.resource.partition(" ")[0]: line for line in cost.lines}
    for resource, line in lines.items():
        amount = getattr(usage, AMOUNTS[resource])
        assert (line.amount is None) == (amount is None)
        assert (line.money is None) == (line.unknown is not None)
        if amount is None:
            assert line.unknown == "its usage is not known"
    billed = {"vcpu", "memory", "disk", "ssd", "gpu"}
    billed |= {"streaming"} if mode == "streaming" else {"shuffle"}
    assert billed <= set(lines)
    assert cost.complete == all(line.money is not None for line in cost.lines)


@CHECKED
@given(USAGES, st.sampled_from(SHEET.gpus()), st.floats(1, 1e6), st.floats(1, 1e6))
def test_gpu_and_shuffle_are_always_counted(usage, gpu, gpu_seconds, shuffle_gb):
    without = usage.model_copy(update={"gpu_seconds": 0.0, "shuffle_gb": 0.0})
    complete = usage.model_copy(update={"gpu_seconds": gpu_seconds, "shuffle_gb": shuffle_gb})
    less, cost = (estimate(case, SHEET, mode="batch", gpu=gpu) for case in (without, complete))
    rate = SHEET.rate("gpu", "batch", gpu)
    assert rate is not None
    expected = Decimal(gpu_seconds) / SECONDS_PER_HOUR * rate.price
    expected += Decimal(shuffle_gb) * Decimal("0.011")
    assert abs(cost.total - less.total - expected) <= ALMOST * cost.total


def test_gpu_time_of_an_unknown_type_is_unknown_and_not_free():
    cost = estimate(used(1, 2, 7.5, 50, gpus=1), SHEET, mode="batch")
    assert not cost.complete
    unknown = [line.unknown for line in cost.lines if line.unknown]
    assert unknown == ["the type of GPU is not known"]


def test_a_gpu_has_no_price_on_spot_workers():
    cost = estimate(used(1, 2, 7.5, 50, gpus=1), SHEET, mode="spot", gpu=T4)
    assert not cost.complete


@pytest.mark.parametrize("amount", [0.1 + 0.2, 1 / 3])
def test_money_is_rounded_only_where_it_is_shown(amount):
    cost = estimate(used(amount, 2, 7.5, 50), SHEET, mode="batch")
    assert cost.rounded().total == round(cost.total, 6)


def cluster(machine_type="n1-standard-2", **changed):
    return Cluster(machine_type=machine_type, workers=25, disk_gb=50, **changed)


def told(**amounts):
    """Return what the service tells of 25 machine hours: nothing of what the job did not have."""
    return used(25, 2, 7.5, 50).model_copy(
        update={"gpu_seconds": None, "ssd_gb_seconds": None, "worker_seconds": None} | amounts
    )


def test_what_a_job_did_not_have_is_filled_in_and_said():
    cost, filled_in = cost_of_job(told(), cluster(), "batch", SHEET)
    assert (cost.total, cost.complete) == (Decimal("3.5344375"), True)
    assert filled_in == {
        "gpu_seconds": "0: defined without",
        "ssd_gb_seconds": "0: defined without",
    }


@pytest.mark.parametrize(
    ("machines", "gpu"),
    [
        (cluster(accelerator={"type": T4, "count": 2}), T4),
        (cluster("g2-standard-4"), "nvidia-l4"),
        (cluster("z9-new-2"), None),
    ],
)
def test_gpu_time_is_not_filled_in_where_there_may_be_gpus(machines, gpu):
    cost, filled_in = cost_of_job(told(), machines, "batch", SHEET)
    assert "gpu_seconds" not in filled_in
    assert not cost.complete
    (line,) = [line for line in cost.lines if line.resource.startswith("gpu")]
    assert line.unknown == "its usage is not known"
    assert line.resource == ("gpu" if gpu is None else f"gpu {gpu}")


def test_the_gpu_of_a_job_is_that_of_its_cluster_unless_another_is_asked_for():
    single = cluster(accelerator={"type": T4, "count": 2})
    # 25 machine hours with two T4 each: 50 GPU h, as the service counts them.
    usage = told(gpu_seconds=50 * HOUR)
    assert money(cost_of_job(usage, single, "batch", SHEET)[0], f"gpu {T4}") == Decimal(21)
    other, _ = cost_of_job(usage, single, "batch", SHEET, "nvidia-l4")
    assert money(other, "gpu nvidia-l4") == Decimal("33.6")


def test_disks_of_the_other_kind_are_filled_in_and_no_others():
    usage = told(disk_gb_seconds=None)
    cost, filled_in = cost_of_job(usage, cluster(disk_type="pd-ssd"), "batch", SHEET)
    assert "disk_gb_seconds" in filled_in
    assert [line.resource for line in cost.lines if line.unknown] == ["ssd"]


def test_how_a_job_is_billed():
    assert mode_of_job("batch", spot=False) == "batch"
    assert mode_of_job("batch", spot=True) == "spot"
    assert mode_of_job("streaming", spot=True) == "streaming"


def test_a_shuffle_that_the_service_did_not_tell_is_unknown_on_own_machines_too():
    cost, _ = cost_of_job(told(shuffle_gb=None), cluster("box"), "batch", OWN)
    assert not cost.complete
    assert [line.resource for line in cost.lines if line.unknown] == ["shuffle"]


def test_money_beyond_all_measure_is_rounded_too():
    cost = estimate(used(1e290, 2, 7.5, 50), SHEET, mode="batch")
    assert cost.rounded().total > 10**280


def test_the_age_of_a_sheet():
    assert SHEET.age_days(datetime.date(2026, 10, 11)) == 10
