"""From one machine to a cluster: by hand, and what holds for any numbers."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from beambench.analysis.intervals import prediction_interval
from beambench.cost.assumption import BOUNDS, Range
from beambench.cost.prices.sheet import Machine, machine_types
from beambench.cost.projection.factors import (
    default_efficiency,
    default_scale,
    default_stragglers,
)
from beambench.cost.projection.instructions import COMPILED, lacking
from beambench.cost.projection.model import (
    GB,
    Factors,
    Fleet,
    Measurement,
    fits_threads,
    fitting_processes,
    memory_gb,
    process_rate,
    project,
)
from property_checks import CHECKED

N1 = machine_types()["n1-standard-2"]
ONE_PROCESS = Measurement(throughputs=[4.0, 5.0, 6.0], startup=[10.0], peak_rss=1.5 * GB)
CLUSTER = Fleet(name="n1-standard-2", machine=N1, workers=75, processes=2, copies=2, disk_gb=50)
LOW, HIGH = 1.7983, 13.529
"""exp(mean ± t · s · √(1 + 1/3)) of the logarithms of 4, 5 and 6: s = 0.20307, t = 4.303."""

EXACT = Factors(
    scale=Range.exactly(0.5),
    parallel_efficiency=Range.exactly(0.8),
    stragglers=Range.exactly(1.25),
    worker_start=Range.exactly(100),
    shuffle_per_element=Range.exactly(0),
)


def numbers(values):
    return values.low, values.expected, values.high


def test_by_hand():
    # A process does 5 elements/s here (the next run 1.80 to 13.53, after three that lie so far
    # apart), 5 × 0.5 × 0.8 = 2 there (0.72 to 5.41).
    # 50,000 elements on 75 × 2 processes are 334 for the one that has most (333.3 rounded up):
    #   processing   334 ÷ 2 × 1.25            = 208.75 s
    #   set-up        10 ÷ (0.5 × 0.8)         =  25 s
    #   worker start                             100 s
    #   wall time                                333.75 s
    #   worker time  75 × 333.75               = 25,031.25 s
    #   throughput   50,000 ÷ 208.75           = 239.52 elements/s
    projected = project(ONE_PROCESS, CLUSTER, EXACT, 50_000)
    assert numbers(projected.process_throughput) == pytest.approx(
        (0.4 * LOW, 2.0, 0.4 * HIGH), abs=1e-4
    )
    assert projected.setup_seconds.expected == pytest.approx(25)
    assert projected.processing_seconds.expected == pytest.approx(208.75)
    assert projected.wall_seconds.expected == pytest.approx(333.75)
    assert projected.worker_seconds.expected == pytest.approx(25_031.25)
    assert projected.throughput_elements.expected == pytest.approx(50_000 / 208.75)
    # Slowest: 334 ÷ 0.72 × 1.25 + 125 = 705.42 s; fastest: 334 ÷ 5.41 × 1.25 + 125 = 202.15 s.
    assert projected.wall_seconds.high == pytest.approx(705.42, abs=0.1)
    assert projected.wall_seconds.low == pytest.approx(202.15, abs=0.1)
    usage = projected.usage["expected"]
    assert usage.source == "projection"
    assert usage.vcpu_seconds == pytest.approx(2 * 25_031.25)
    assert usage.memory_gb_seconds == pytest.approx(7.5 * 25_031.25)
    assert usage.disk_gb_seconds == pytest.approx(50 * 25_031.25)
    assert usage.worker_seconds == pytest.approx(25_031.25)
    assert (usage.ssd_gb_seconds, usage.gpu_seconds, usage.streaming_gb) == (0, 0, 0)


def test_by_hand_with_every_range():
    factors = Factors(
        scale=Range.of(0.25, 0.5, 0.8),
        parallel_efficiency=Range.of(0.5, 0.6, 0.75),
        stragglers=Range.of(1, 1.1, 1.25),
        worker_start=Range.of(60, 180, 420),
        shuffle_per_element=Range.of(0, 300, 2000),
    )
    # Worst: 334 ÷ (1.80 × 0.25 × 0.5) × 1.25 + 10 ÷ (0.25 × 0.5) + 420 = 2,357.4 s.
    # Best:  334 ÷ (13.53 × 0.8 × 0.75) × 1 + 10 ÷ (0.8 × 0.75) + 60 = 117.81 s.
    # Expected: 334 ÷ (5 × 0.5 × 0.6) × 1.1 + 10 ÷ 0.3 + 180 = 244.93 + 33.33 + 180 = 458.27 s.
    wall = project(ONE_PROCESS, CLUSTER, factors, 50_000).wall_seconds
    assert wall.expected == pytest.approx(458.267, abs=1e-3)
    assert (wall.low, wall.high) == pytest.approx((117.81, 2357.4), abs=0.5)
    shuffled = project(ONE_PROCESS, CLUSTER, factors, 50_000).usage["high"].shuffle_gb
    assert shuffled == pytest.approx(50_000 * 2000 / 2**30)


def test_processes_that_ran_together_share_what_was_measured():
    two = replace(ONE_PROCESS, throughputs=[9.0, 10.0], processes=2, peak_rss=3 * GB, copies=2)
    low, high = prediction_interval(two.throughputs)
    assert process_rate(two) == Range.of(low / 2, 4.75, high / 2)


def test_a_single_repeat_is_known_to_ten_percent_and_several_to_where_the_next_lies():
    lone = process_rate(replace(ONE_PROCESS, throughputs=[5.0]))
    assert numbers(lone) == pytest.approx((4.5, 5, 5.5))
    six = [4.0, 4.5, 5.0, 5.0, 5.5, 6.0]
    low, high = prediction_interval(six)
    assert process_rate(replace(ONE_PROCESS, throughputs=six)) == Range.of(low, 5, high)
    assert low < 4 < 6 < high


MEASURED = st.builds(
    Measurement,
    throughputs=st.lists(st.floats(0.01, 1e5), min_size=1, max_size=6),
    startup=st.lists(st.floats(0.01, 1e3), min_size=1, max_size=6),
    peak_rss=st.floats(1e6, 1e10),
    processes=st.integers(1, 8),
)
FLEETS = st.builds(
    Fleet,
    name=st.just("x"),
    machine=st.just(N1),
    workers=st.integers(1, 500),
    processes=st.integers(1, 96),
    copies=st.integers(1, 96),
    disk_gb=st.none() | st.floats(1, 1e4),
)
RANGES = st.lists(st.floats(0.05, 20), min_size=3, max_size=3).map(
    lambda ends: Range.of(*sorted(ends))
)
FACTORS = st.builds(
    Factors,
    scale=RANGES,
    parallel_efficiency=RANGES,
    stragglers=RANGES,
    worker_start=RANGES,
    shuffle_per_element=RANGES,
)


@CHECKED
@given(MEASURED, FLEETS, FACTORS, st.integers(1, 10**7))
def test_ranges_rise_and_usage_is_that_of_all_workers(measured, fleet, factors, elements):
    projected = project(
        measured, fleet, factors, elements
    )  # Range itself refuses what does not rise
    for bound in BOUNDS:
        usage = projected.usage[bound]
        seconds = getattr(projected.worker_seconds, bound)
        assert seconds == pytest.approx(fleet.workers * getattr(projected.wall_seconds, bound))
        assert usage.vcpu_seconds == pytest.approx(seconds * N1.vcpus)
        assert (usage.disk_gb_seconds is None) == (fleet.disk_gb is None)


@CHECKED
@given(MEASURED, FLEETS, FACTORS, st.integers(1, 10**6))
def test_more_work_never_takes_less_time(measured, fleet, factors, elements):
    once, twice = (project(measured, fleet, factors, n) for n in (elements, 2 * elements))
    for bound in BOUNDS:
        assert getattr(twice.wall_seconds, bound) >= getattr(once.wall_seconds, bound)


@CHECKED
@given(MEASURED, FLEETS, FACTORS, st.integers(1, 10**6))
def test_faster_machines_never_cost_more_time(measured, fleet, factors, elements):
    faster = replace(factors, scale=factors.scale.times(Range.exactly(2)))
    slow, fast = (project(measured, fleet, speeds, elements) for speeds in (factors, faster))
    assert fast.wall_seconds.expected <= slow.wall_seconds.expected


def test_memory_is_imports_and_activations_for_each_process_and_one_model_for_each_copy():
    # 1.5 GB with one copy of 0.5 GB: 1 GB of a process itself.
    run = replace(ONE_PROCESS, model_bytes=0.5 * GB)
    assert memory_gb(run, 2, 2) == pytest.approx(3.0)
    assert memory_gb(run, 4, 4) == pytest.approx(6.0)
    assert memory_gb(run, 4, 1) == pytest.approx(4.5)  # one copy for all: model.large
    # Two processes together measured 3 GB with two copies: the same.
    both = replace(run, processes=2, copies=2, peak_rss=3 * GB)
    assert memory_gb(both, 4, 4) == pytest.approx(6.0)


def test_a_plan_that_exceeds_the_memory_says_how_many_processes_fit():
    # n1-standard-2 has 7.5 GB, one of which is the system's.
    for peak, fitting in ((3.2, 2), (3.3, 1), (6.5, 1), (6.6, 0)):
        assert fitting_processes(replace(ONE_PROCESS, peak_rss=peak * GB), CLUSTER) == fitting
    # With a model of 3 GB that both share: 4 GB + 1 GB more for the second process.
    shared = replace(ONE_PROCESS, peak_rss=4 * GB, model_bytes=3 * GB)
    assert fitting_processes(shared, CLUSTER) == 1
    assert fitting_processes(shared, replace(CLUSTER, copies=1)) == 2


def test_every_thread_needs_a_vcpu():
    assert fits_threads(ONE_PROCESS, CLUSTER)
    assert not fits_threads(replace(ONE_PROCESS, threads=2), CLUSTER)
    assert fits_threads(replace(ONE_PROCESS, threads=2), replace(CLUSTER, processes=1, copies=1))


def test_instructions_that_a_speed_rests_on():
    zen, amx, n2 = {"avx512_bf16": True}, {"avx512_bf16": True, "amx_bf16": True}, ["avx512f"]
    c3 = machine_types()["c3-standard-4"].instructions
    assert lacking("float32", amx, N1.instructions) == []
    assert lacking("bfloat16", zen, N1.instructions) == ["avx512_bf16"]
    assert lacking("bfloat16", zen, n2) == ["avx512_bf16"]
    assert lacking("bfloat16", amx, c3) == []
    assert lacking("bfloat16", amx, ["avx512_bf16"]) == ["amx_bf16"]
    assert lacking("bfloat16", amx, None) == ["avx512_bf16", "amx_bf16"]  # unknown: not sure
    assert lacking("bfloat16", {}, N1.instructions) == ["avx512_bf16"]
    assert lacking("bfloat16", {"avx512_bf16": False}, N1.instructions) == []  # slow here too
    assert lacking("float16", {"avx512_fp16": True}, N1.instructions) == ["avx512_fp16"]
    e2 = machine_types()["e2-standard-2"].instructions
    assert lacking(COMPILED, {"avx2": True, "avx512f": True}, N1.instructions) == ["avx2"]
    assert lacking(COMPILED, {"avx2": True, "avx512f": True}, e2) == []
    assert lacking(COMPILED, {"asimd": True}, N1.instructions) == []


def test_the_assumed_scale_depends_on_how_wide_the_instructions_are():
    shapes = machine_types()
    narrower, _, why = default_scale("avx512f", N1)
    assert narrower == Range.of(0.25, 0.5, 0.8)
    assert "avx512f" in why
    assert default_scale("avx512f", shapes["n2-standard-2"])[0] == Range.of(0.5, 0.8, 1.2)
    assert default_scale("avx2", shapes["e2-standard-2"])[0] == Range.of(0.5, 0.8, 1.2)
    assert default_scale("avx2", N1)[0] == narrower
    assert default_scale(None, N1)[0] == Range.of(0.5, 1, 1.5)
    assert default_scale("avx2", Machine(vcpus=2, memory_gb=8))[0] == Range.of(0.5, 1, 1.5)


def test_the_assumed_efficiency_depends_on_who_shares_a_core():
    def efficiency(measured=ONE_PROCESS, processes=2, threads_per_core=2):
        shape = N1.model_copy(update={"threads_per_core": threads_per_core})
        fleet = replace(CLUSTER, machine=shape, processes=processes)
        speed, origin, _ = default_efficiency(measured, fleet)
        return speed.low, speed.expected, speed.high, origin

    assert efficiency() == (0.5, 0.6, 0.75, "assumed")  # two hyper-threads of one core
    assert efficiency(threads_per_core=1) == (0.75, 0.9, 1.0, "assumed")
    assert efficiency(threads_per_core=None) == (0.5, 0.8, 1.0, "assumed")
    assert efficiency(processes=1) == (1, 1, 1, "measured")
    assert efficiency(processes=1, threads_per_core=None) == (1, 1, 1, "measured")
    two = replace(ONE_PROCESS, processes=2)
    assert efficiency(two, threads_per_core=1) == (1, 1, 1, "measured")
    # Two processes had a core each here; whether they have one there is not known.
    assert efficiency(two, threads_per_core=None) == (0.5, 0.8, 1.0, "assumed")
    shared = replace(two, shared_cores=True)
    assert efficiency(shared, threads_per_core=None) == (1, 1, 1, "measured")
    assert efficiency(two) == (0.5, 0.6, 0.75, "assumed")  # here they had a core each
    assert efficiency(replace(two, shared_cores=True)) == (1, 1, 1, "measured")


def test_processes_that_share_a_copy_may_have_to_wait_for_it():
    fleet = replace(CLUSTER, machine=N1.model_copy(update={"vcpus": 8}), processes=4, copies=1)
    factor, origin, why = default_efficiency(ONE_PROCESS, fleet)
    assert (factor.low, factor.expected, factor.high, origin) == (0.25, 0.9, 1.0, "assumed")
    assert "at worst 1 compute at a time" in why
    # As many to a copy as ran here: that is in the measurement.
    alike = replace(ONE_PROCESS, processes=4, copies=1, shared_cores=True)
    assert default_efficiency(alike, fleet)[0] == Range.exactly(1)


def test_a_process_may_be_a_whole_batch_behind():
    measured = replace(ONE_PROCESS, largest_batch=100)
    assert default_stragglers(measured, 50)[0] == Range.of(1, 1.1, 3)
    assert default_stragglers(measured, 5000)[0] == Range.of(1, 1.1, 1.25)
    factor, _, why = default_stragglers(ONE_PROCESS, 50)
    assert (factor, "size is not known" in why) == (Range.of(1, 1.1, 1.25), True)


@pytest.mark.parametrize("ends", [(2, 1, 3), (-1, 0, 1), (0, 1, float("inf"))])
def test_a_range_rises_and_is_neither_negative_nor_endless(ends):
    with pytest.raises(ValidationError):
        Range.of(*ends)
