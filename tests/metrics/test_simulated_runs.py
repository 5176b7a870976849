"""Every metric of simulated runs against what really happened, within its stated error.

The error of a time is that of its offsets, which are whole microseconds: below 1 µs at each end.
The end of a batch is its begin and its duration, each in whole microseconds: below 2 µs.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from beambench.analysis.histogram import RELATIVE_ERROR
from beambench.controller.metric_values import of_repeat
from beambench.record.run_record import Metrics
from simulated_run import SLOT_US, SimulatedElement, SimulatedWorker, Simulation, draw, simulate

RUNS = 5000 if os.environ.get("BEAMBENCH_TEST_TORTURE") == "full" else 300
US = 1e-6
NS = 1e-9
MS = 10**6

pytestmark = pytest.mark.real  # it needs Beam to be imported, and nothing else


def metrics_of(simulation: Simulation) -> Metrics:
    computed = of_repeat(
        simulation.observation(), run_time=None, peak_rss=None, rss_samples=0, stock={}
    )
    unknown = dict(computed.unknown)
    if simulation.observation().measured.clock_step:
        unknown.pop("throughput_elements", None)
    assert unknown == {}
    return computed.values


def near(measured: float, truth: float, error: float) -> bool:
    """Tell whether a value is within an absolute error, and the error of floating point."""
    return abs(measured - truth) <= error + 1e-9 * abs(truth)


def is_rate(measured: float, amount: float, seconds: float, error: float = US) -> bool:
    """Tell whether a rate is that of a time which is known within an error."""
    return amount / (seconds + error) * (1 - 1e-9) <= measured and (
        seconds <= error or measured <= amount / (seconds - error) * (1 + 1e-9)
    )


def window(run: Simulation) -> float:
    return (max(run.outputs) - min(run.reads)) * NS


def check_rates(run: Simulation, values: Metrics) -> None:
    if "throughput_elements" not in values:
        assert run.elements == 0 or window(run) <= US
        return
    assert is_rate(values["throughput_elements"].value, run.elements, window(run))
    read = sum(e.size for w in run.workers for b in w.batches for e in b if e.fails != "read")
    if read:
        assert is_rate(values["throughput_bytes"].value, read, window(run))


def check_steady(run: Simulation, values: Metrics) -> None:
    """One worker: exact. Several: within two time slots and one batch a worker, as stated."""
    own = [[b for b in run.batches if b.worker == index] for index in range(len(run.workers))]
    begin = max(batches[0].end for batches in own)
    if "throughput_steady" not in values:
        few = len(run.batches) < 4 or min(map(len, own)) < 3
        assert (
            few
            or min(batches[-2].end for batches in own) <= begin + 2000
            or max(batch.end for batch in run.batches) // (SLOT_US * 1000) >= 239
            or _nothing_ended(run, begin)
        )
        return
    end = min(batches[-2].end for batches in own)
    # The elements of a batch, spread over the time in which its worker did nothing but it.
    amount = sum(
        batch.size
        * max(0, min(batch.end, end) - max(batch.work_begin, begin))
        / max(1, batch.end - batch.work_begin)
        for batches in own
        for batch in batches
    )
    value, seconds = values["throughput_steady"].value, (end - begin) * NS
    if len(own) == 1:
        assert is_rate(value, amount, seconds, 2 * US)
        return
    slot = SLOT_US * 1000
    edges = (begin // slot, end // slot)
    in_slots = sum(
        b.size for b in run.batches if (b.end + 1000) // slot in edges or b.end // slot in edges
    )
    error = in_slots + sum(max(b.size for b in batches) for batches in own)
    low, high = value * max(0, seconds - 2 * US), value * (seconds + 2 * US)
    assert low - error <= amount <= high + error


def _nothing_ended(run: Simulation, begin: int) -> bool:
    return not any(batch.end >= begin for batch in run.batches)


def check_batches(run: Simulation, values: Metrics) -> None:
    timed = [batch for batch in run.batches if batch.computed or batch.retried]
    if not timed:
        assert "inference_batch_latency_mean" not in values
        return
    times = [batch.end - batch.begin for batch in timed]
    mean = values["inference_batch_latency_mean"]
    assert mean.n == len(times)
    assert near(mean.value, sum(times) / len(times) * NS, 0)
    for name, share in (("p50", 0.5), ("p90", 0.9), ("p95", 0.95)):
        if (value := values.get(f"inference_batch_latency_{name}")) is not None:
            truth = sorted(times)[-int(-len(times) * share // 1) - 1] * NS
            assert near(value.value, truth, RELATIVE_ERROR * truth)
    sizes = [size for batch in run.batches for size in batch.computed]
    if sizes:
        assert near(values["inference_batch_size_mean"].value, sum(sizes) / len(sizes), 0)
        if (median := values.get("inference_batch_size_p50")) is not None:
            assert median.value == sorted(sizes)[(len(sizes) + 1) // 2 - 1]


def check_stages(run: Simulation, values: Metrics) -> None:
    n = len(run.reads)
    every = [element for w in run.workers for batch in w.batches for element in batch]
    read = sum(each.read for each in every)
    prepared = sum(each.preprocess for each in every if each.fails != "read")
    finished = sum(each.postprocess for each in every if each.fails in (None, "postprocess"))
    inferred = sum(batch.end - batch.begin for batch in run.batches)
    waited = sum(run.inferred) - sum(run.prepared)
    for name, truth, error in (
        ("read", read, 1e-12),
        ("preprocess", prepared, 1e-12),
        ("inference", inferred, 1e-12),
        ("postprocess", finished, 1e-12),
        ("batch_wait", waited, US),
    ):
        if f"stage_time_{name}" in values:
            assert near(values[f"stage_time_{name}"].value, truth / n * NS, error), name
    if "element_latency_mean" in values:
        truth = (sum(run.outputs) - sum(run.reads)) / n * NS
        assert near(values["element_latency_mean"].value, truth, US)
    shares = {name: v.value for name, v in values.items() if name.startswith("stage_share_")}
    shares.pop("stage_share_batch_wait", None)
    if shares:
        assert sum(shares.values()) == pytest.approx(1)
        assert min(shares.values()) >= 0


def check_others(run: Simulation, values: Metrics) -> None:
    assert near(values["model_load_latency_mean"].value, sum(run.loads) / len(run.loads) * NS, US)
    assert values["model_loads"].value == len(run.loads)
    assert near(values["startup_time"].value, min(run.reads) * NS, US)
    if "cpu_time_per_element" in values:
        error = US * len(run.workers) / run.elements
        assert near(values["cpu_time_per_element"].value, run.cpu * NS / run.elements, error)
    assert values["elements_failed"].value == run.failed


CHECKS: tuple[Callable[[Simulation, Metrics], None], ...] = (
    check_rates,
    check_steady,
    check_batches,
    check_stages,
    check_others,
)


@pytest.mark.torture
@pytest.mark.parametrize("part", range(10))
def test_every_metric_is_what_really_happened(part):
    for seed in range(part, RUNS, 10):
        run = simulate(draw(seed))
        values = metrics_of(run)
        for check in CHECKS:
            try:
                check(run, values)
            except Exception as error:
                raise AssertionError(f"seed {seed}: {check.__name__}: {error}") from error


@pytest.mark.torture
@pytest.mark.parametrize("part", range(5))
def test_a_clock_that_was_set_bends_no_value_by_more_than_half_a_percent(part):
    affected = 0
    for seed in range(part, RUNS // 5, 5):
        run = simulate(draw(seed, steps=True))
        values = metrics_of(run)
        assert "stage_time_batch_wait" not in values or not run.observation().measured.clock_step
        if (rate := values.get("throughput_elements")) is None:
            affected += 1
            continue
        seconds = window(run)
        assert is_rate(rate.value, run.elements, seconds, 0.006 * seconds + US), seed
    assert affected


def test_a_clock_set_back_by_half_of_the_time_makes_the_rate_unknown():
    element = SimulatedElement(0, 0, 100 * MS, 0)
    batches = [[element] * 10 for _ in range(60)]
    steps = [(30, -30 * 10**9)]
    run = simulate([SimulatedWorker(start=2 * MS, load=MS, batches=batches, steps=steps)])
    computed = of_repeat(run.observation(), run_time=None, peak_rss=None, rss_samples=0, stock={})
    assert not {"throughput_elements", "throughput_steady"} & set(computed.values)
    assert computed.unknown == {
        "throughput_elements": "the wall clock was set by 30 s while 30 s were measured by it; "
        "rates and waiting times are unknown"
    }


def alike(sizes: list[int], preprocess: int, inference: int) -> SimulatedWorker:
    element = SimulatedElement(0, preprocess, inference, 0)
    return SimulatedWorker(start=2 * MS, load=MS, batches=[[element] * size for size in sizes])


@pytest.mark.parametrize(
    ("sizes", "preprocess", "inference", "rate"),
    [
        ([64] * 4, 10 * MS, 10 * MS, 50.0),
        ([64] * 4, 10 * MS, MS, 90.909),
        ([*range(1, 65, 9), 64, 73], 10 * MS, 10 * MS, 50.0),
    ],
)
def test_the_steady_rate_of_one_worker_is_that_of_its_elements(sizes, preprocess, inference, rate):
    values = metrics_of(simulate([alike(sizes, preprocess, inference)]))
    assert values["throughput_steady"].value == pytest.approx(rate, rel=1e-4)


def test_the_steady_rate_of_workers_is_the_sum_of_theirs():
    workers = [alike([8] * 40, 10 * MS, 10 * MS), alike([8] * 30, 20 * MS, 20 * MS)]
    values = metrics_of(simulate(workers))
    assert values["throughput_steady"].value == pytest.approx(75.0, rel=0.05)
