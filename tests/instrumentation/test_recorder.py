"""The objects that write our Beam metrics."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beambench.analysis.histogram import MAX_BUCKETS, bucket
from beambench.instrumentation import recorder
from beambench.instrumentation.recorder import (
    COMPUTED_SIZES,
    FOLDED,
    LATENCIES,
    MAX_SLOTS,
    REPLACED_SIZES,
    RETRY_CAUSE,
    SIZES,
    SLOT,
    BatchRecorder,
    ElementRecorder,
    Histogram,
    PlanClock,
    ProcessCpu,
    Progress,
)
from property_checks import CHECKED

pytestmark = pytest.mark.real

EPOCH = 1_700_000_000_000_000_000
CLOCK = PlanClock(epoch_ns=EPOCH, slot_us=1000)


def batch(writer: BatchRecorder, size: int, start_us: int, duration_us: int) -> None:
    writer.batch(size, start_us, duration_us * 1000)


def test_offsets_count_from_the_start_of_the_plan_in_whole_microseconds(clock):
    assert CLOCK.offset_us() == 0
    clock.elapsed += 1999
    assert CLOCK.offset_us() == 1
    clock.advance_us(24 * 3600 * 1_000_000)
    assert CLOCK.offset_us() == 86_400_000_001


@pytest.mark.parametrize(
    ("offset", "slot"),
    [(0, 0), (999, 0), (1000, 1), (238_999, 238), (239_000, 239), (10**12, 239), (-5, 0)],
)
def test_the_last_slot_takes_all_that_is_later(offset, slot):
    assert MAX_SLOTS == 240
    assert CLOCK.slot(offset) == slot


def test_a_histogram_has_one_counter_for_a_value(metrics):
    histogram = Histogram("sizes")
    for value in (10, 20, 10):
        histogram.add(value)
    assert metrics.histogram("sizes") == {10: 2, 20: 1}
    assert metrics.counters["sizes" + FOLDED] == 0


def test_values_beyond_128_buckets_go_to_the_nearest_and_are_counted_as_folded(metrics):
    assert MAX_BUCKETS == 128
    histogram = Histogram("sizes")
    for value in range(0, 1280, 10):
        histogram.add(value)
    assert len(metrics.histogram("sizes")) == 128
    assert metrics.counters["sizes" + FOLDED] == 0
    for value in (14, 16, 10_000, 20):
        histogram.add(value)
    counted = metrics.histogram("sizes")
    assert len(counted) == 128
    assert (counted[10], counted[20], counted[1270]) == (2, 3, 2)
    assert sum(counted.values()) == 132
    assert metrics.counters["sizes" + FOLDED] == 3


def test_cpu_time_is_that_between_laps_and_what_is_below_a_microsecond_is_not_lost(clock):
    cpu = ProcessCpu()
    clock.cpu = 5_000_000
    assert cpu.lap_us() == 0
    cpu.start()
    clock.cpu += 2_700
    assert cpu.lap_us() == 2
    clock.cpu += 300
    assert cpu.lap_us() == 1
    cpu.start()  # begun already
    clock.cpu += 1_000_000
    assert cpu.lap_us() == 1000


@CHECKED
@given(st.lists(st.integers(0, 10_000), max_size=30))
def test_all_cpu_laps_together_are_the_whole(times):
    class Fake:
        cpu = 0

        def process_time_ns(self) -> int:
            return self.cpu

    fake = Fake()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recorder, "time", fake)
        cpu, laps = ProcessCpu(), 0
        cpu.start()
        for nanoseconds in times:
            fake.cpu += nanoseconds
            laps += cpu.lap_us()
    assert laps == sum(times) // 1000


def test_cpu_time_is_counted_once_however_many_threads_take_laps(clock):
    cpu = ProcessCpu()
    cpu.start()
    clock.cpu += 7_000_000
    laps: list[int] = []
    threads = [threading.Thread(target=lambda: laps.append(cpu.lap_us())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(laps) == 7000


def test_cpu_of_the_batches_begins_with_the_first_read(clock, metrics):
    elements, batches = ElementRecorder(CLOCK), BatchRecorder(CLOCK)
    clock.cpu += 9_000_000  # imports and model load
    elements.reading()
    clock.cpu += 400_000
    elements.reading()
    batch(batches, 1, 0, 1)
    clock.cpu += 100_000
    batch(batches, 1, 0, 1)
    assert metrics.counters["cpu_us"] == 500


def test_only_the_first_read_of_an_instance_is_noted(clock, metrics):
    elements = ElementRecorder(CLOCK)
    clock.advance_us(40)
    elements.reading()
    clock.advance_us(40)
    elements.reading()
    assert metrics.values["first_read_us"] == [40]


def test_the_first_and_the_last_batch_are_in_no_slot(metrics, clock):
    writer = BatchRecorder(CLOCK)
    batch(writer, 10, start_us=0, duration_us=900)
    batch(writer, 20, start_us=1100, duration_us=800)
    batch(writer, 30, start_us=1950, duration_us=1000)
    batch(writer, 5, start_us=1960, duration_us=1030)
    [first] = [name for name in metrics.values if name.startswith("first_batch_end_us/")]
    assert metrics.values[first] == [900]
    assert metrics.histogram(SLOT) == {1: 20, 2: 30}  # the last one ends after its own start
    [start] = [name for name in metrics.values if name.startswith("batch_start_us/")]
    assert metrics.values[start] == [0, 1100, 1950, 1960]


def test_a_batch_without_a_latency_is_counted_apart(metrics, clock):
    writer = BatchRecorder(CLOCK)
    writer.batch(10, 0, 900_000, 800_000, computed=[])
    assert metrics.counters["batches_empty"] == 1
    assert metrics.histogram(LATENCIES) == {}
    assert metrics.values["batch_latency_ns"] == []
    assert metrics.values["batch_launch_latency_ns"] == []
    assert metrics.histogram(SIZES) == {10: 1}
    writer.batch(10, 0, 900_000, 800_000)
    assert metrics.counters["batches_empty"] == 1
    assert metrics.values["batch_latency_ns"] == [900_000]
    assert metrics.values["batch_launch_latency_ns"] == [800_000]


@pytest.mark.parametrize("computed", [[1, 1], []])
def test_the_latency_of_a_batch_that_failed_is_what_its_caller_waited(metrics, clock, computed):
    writer = BatchRecorder(CLOCK)
    writer.batch(2, 0, 900, computed=computed, retry_cause="no")
    assert metrics.counters["batches_retried"] == 1
    assert metrics.counters["batches_empty"] == 0
    assert metrics.values["batch_latency_ns"] == [900]
    assert metrics.histogram(LATENCIES) == {bucket(900): 1}


def test_the_wall_clock_is_seen_to_be_set_and_only_then(metrics, clock):
    wall_clock = recorder.WallClock()
    for step, moved in (
        (0, []),
        (900_000, []),
        (10**9, [10**6]),
        (10**9, [10**6]),
        (0, [10**6, 0]),
    ):
        clock.step = step
        clock.advance_us(10**6)
        wall_clock.look()
        assert metrics.values[recorder.CLOCK_MOVED] == moved


@pytest.mark.parametrize("look", [1, 2, 3])
@pytest.mark.parametrize("before", [True, False])
def test_a_machine_that_pauses_between_two_clocks_has_set_none(
    before, look, metrics, clock, monkeypatch
):
    wall_clock, real, readings = recorder.WallClock(), clock.time_ns, 0

    def paused() -> int:
        nonlocal readings
        readings += 1
        now: int = real()
        clock.advance_us(5_000 if readings == look else 0)
        return int(real()) if before else now

    monkeypatch.setattr(clock, "time_ns", paused)
    for _ in range(4):
        wall_clock.look()
    assert metrics.values[recorder.CLOCK_MOVED] == []


def test_what_was_computed_in_place_of_a_batch_is_counted_beside_it(metrics, clock):
    writer = BatchRecorder(CLOCK)
    writer.batch(10, 0, 1000)
    writer.batch(10, 0, 1000, computed=[7])
    writer.batch(12, 0, 1000, computed=[1] * 11, retry_cause="no")
    writer.batch(3, 0, 1000, computed=[])
    assert metrics.histogram(SIZES) == {10: 2, 12: 1, 3: 1}
    assert metrics.histogram(REPLACED_SIZES) == {10: 1, 12: 1, 3: 1}
    assert metrics.histogram(COMPUTED_SIZES) == {7: 1, 1: 11}


def test_a_cause_is_known_by_when_it_came_and_eight_of_them_are_told_apart(metrics, clock):
    writer = BatchRecorder(CLOCK)
    for number in range(20):
        cause = f"{number % 10}{'x' * 500}"
        writer.batch(2, 100 * number, 1000, computed=[1, 1], retry_cause=cause)
    causes = {name: times for name, times in metrics.values.items() if RETRY_CAUSE in name}
    assert len(causes) == 8
    assert causes[f"{RETRY_CAUSE}/3{'x' * 159}"] == [300, 1300]
    assert metrics.counters["batches_retried"] == 20


def test_batch_sizes_are_exact_up_to_128_of_them(metrics, clock):
    writer = BatchRecorder(CLOCK)
    for size in range(1, 129):
        batch(writer, size, 0, int(1000 * 1.05**size))
    assert metrics.histogram(SIZES) == dict.fromkeys(range(1, 129), 1)
    assert metrics.counters[SIZES + FOLDED] == 0
    assert metrics.counters[LATENCIES + FOLDED] == 0
    batch(writer, 200, 0, 1)
    assert metrics.histogram(SIZES)[128] == 2
    assert metrics.counters[SIZES + FOLDED] == 1
    assert metrics.counters[LATENCIES + FOLDED] == 1  # of these there are 128, too


def test_every_recorder_has_a_start_of_its_own(metrics, clock):
    for _ in range(3):
        batch(BatchRecorder(CLOCK), 1, 0, 1)
    starts = [name for name in metrics.values if name.startswith("batch_start_us/")]
    assert len(starts) == 3


def test_batches_done_are_counted_for_the_check_of_the_runner(metrics, clock):
    before = Progress.batches
    batch(BatchRecorder(CLOCK), 1, 0, 1)
    assert Progress.batches == before + 1


class FakeTree:
    """A tree that has used 40 µs more at each reading; `known`: it can be read."""

    def __init__(self, known: bool = True) -> None:
        self.used_us = 1000
        self.known = known
        self.is_due = False

    def read_us(self) -> int | None:
        self.used_us += 40
        return self.used_us if self.known else None


@pytest.fixture
def tree(monkeypatch) -> FakeTree:
    fake = FakeTree()
    monkeypatch.setattr(recorder, "TREE_CPU", fake)
    return fake


def test_where_other_processes_compute_the_whole_tree_is_noted_and_not_the_client(
    metrics, clock, tree
):
    ElementRecorder(CLOCK, counts_tree=True).reading()
    writer = BatchRecorder(CLOCK, "tree")
    for due in (False, False, True):
        clock.advance_us(100)
        tree.is_due = due
        batch(writer, 1, 0, 1)
    assert metrics.values[recorder.TREE_CPU_BEGIN] == [1040, 1080]
    assert metrics.values[recorder.TREE_CPU_END] == [1120, 1160]  # the first, and when it is due
    assert metrics.counters[recorder.SHARED_MODELS] == 1
    assert not metrics.counters["cpu_us"]


def test_a_tree_that_cannot_be_read_leaves_no_cpu_time_behind(metrics, clock, tree):
    tree.known = False
    ElementRecorder(CLOCK, counts_tree=True).reading()
    batch(BatchRecorder(CLOCK, "tree"), 1, 0, 1)
    assert metrics.counters[recorder.SHARED_MODELS] == 1
    assert not any(
        metrics.values[name] for name in (recorder.TREE_CPU_BEGIN, recorder.TREE_CPU_END)
    )
    assert not metrics.counters["cpu_us"]


def test_of_a_model_elsewhere_no_cpu_time_is_written(metrics, clock, tree):
    ElementRecorder(CLOCK).reading()
    clock.advance_us(100)
    batch(BatchRecorder(CLOCK, "unknown"), 1, 0, 1)
    assert metrics.counters[recorder.REMOTE_MODELS] == 1
    assert not metrics.counters["cpu_us"]
    assert tree.used_us == 1000
