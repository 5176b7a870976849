"""Sides that are measured in turns: the order, the budget, and what becomes of what goes wrong."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from beambench.cancellation import Cancellation
from beambench.controller.results import TaskResult
from beambench.controller.session import Session, Step
from beambench.definition.library import Library
from beambench.errors import UsageError
from beambench.experiments.live_comparison.blocks import Block
from beambench.experiments.live_comparison.measure import Measurement, measure
from beambench.experiments.live_comparison.sides import LiveSide
from beambench.experiments.live_comparison.width import narrow_enough, reach_of
from beambench.record.run_record import RunRecord
from beambench.request.comparison import ComparisonRequest, make_comparison
from fake_clock import FakeClock
from fake_workers import KILLED, crashed, gave_up, measured
from fake_workers import prepared as prepared_task

pytestmark = pytest.mark.usefixtures("workers", "scratch")

NOISE = {"disturbed": True, "reasons": ["other processes used 9.0% of the machine (limit 5%)"]}
SLOW = "batching.max_batch_size=50"


def request_of(**options: Any) -> ComparisonRequest:
    given = {"profile": "smoke", "candidates": [SLOW]} | options
    return make_comparison(Library(), "overhead-noop", **given)


def run(
    request: ComparisonRequest | None = None,
    *,
    cancelled: Cancellation | None = None,
    clock: FakeClock | None = None,
    earlier: Sequence[Block] = (),
    seen: list[list[Block]] | None = None,
    announce: Any = None,
    **options: Any,
) -> Measurement:
    request = request or request_of(**options)

    def after_block(blocks: Sequence[Block], sides: Sequence[LiveSide]) -> None:
        if seen is not None:
            seen.append(list(blocks))

    return measure(
        request,
        cancelled or Cancellation(),
        after_block=after_block,
        is_enough=narrow_enough(request.budget),
        clock=clock or FakeClock(),
        earlier=earlier,
        **({"announce": announce} if announce else {}),
    )


def side_of(plan: Any) -> str:
    return "candidate" if plan.definition.batching.max_batch_size == 50 else "base"


def disturbed(rate: float = 5.0) -> TaskResult:
    return dataclasses.replace(measured(rate), noise=NOISE)


def taking(clock: FakeClock, seconds: float, *rates: float) -> list[Callable[[Any], TaskResult]]:
    """Return workers that take so long."""

    def worker(rate: float) -> Callable[[Any], TaskResult]:
        def respond(plan: Any) -> TaskResult:
            clock.time += seconds
            return measured(rate)

        return respond

    return [worker(rate) for rate in rates]


def rates(measurement: Measurement, side: str) -> list[float]:
    return [
        round(block.repeats[side].metrics["throughput_elements"].value, 6)
        for block in measurement.blocks
    ]


# Order


def test_sides_take_turns_in_mirrored_blocks_each_prepared_once(workers):
    measurement = run(pairs=4)
    assert workers.tasks == [*["prepare", "reference"] * 2, *["pipeline"] * 8]
    order = [side_of(plan) for plan in workers.plans if plan.task == "pipeline"]
    assert order == [
        *("base", "candidate"),
        *("candidate", "base"),
        *("base", "candidate"),
        *("candidate", "base"),
    ]
    assert [list(block.repeats) for block in measurement.blocks] == [
        order[at : at + 2] for at in (0, 2, 4, 6)
    ]
    assert measurement.trouble is None
    assert {plan.seed for plan in workers.plans} == {0}
    assert len({plan.work_dir for plan in workers.plans}) == 2


def test_three_sides_and_a_control(workers):
    measurement = run(pairs=2, control=True, candidates=[SLOW])
    assert [list(block.repeats) for block in measurement.blocks] == [
        ["base", "control", "candidate"],
        ["candidate", "control", "base"],
    ]
    several = run(pairs=2, candidates=[SLOW, "batching.max_batch_size=60"])
    assert [list(block.repeats) for block in several.blocks] == [
        ["base", "candidate1", "candidate2"],
        ["candidate2", "candidate1", "base"],
    ]


def in_duet(
    monkeypatch: pytest.MonkeyPatch, cores: int = 4
) -> list[tuple[str, str, frozenset[int]]]:
    """Let this machine have so many cores; return what is kept to which of them."""
    kept: list[tuple[str, str, frozenset[int]]] = []
    current = threading.local()

    @contextmanager
    def kept_to(cores: frozenset[int] | None) -> Iterator[None]:
        current.cores = cores
        yield

    def carried_out(self: Any, plan: Any, *rest: Any, **options: Any) -> TaskResult:
        kept.append((plan.task, side_of(plan), current.cores))
        return run_task(self, plan, *rest, **options)

    run_task = Session.run
    for module in ("request.comparison", "experiments.live_comparison.measure"):
        name = f"beambench.{module}.usable_cores"
        monkeypatch.setattr(name, lambda: frozenset(range(cores)))
    monkeypatch.setattr("beambench.experiments.live_comparison.sides.kept_to", kept_to)
    monkeypatch.setattr(Session, "run", carried_out)
    return kept


def test_the_sides_of_a_duet_run_at_once_on_halves_of_the_cores_that_they_swap(
    workers, monkeypatch
):
    kept = in_duet(monkeypatch)
    together = threading.Barrier(2, timeout=60)  # a side that waited for the other would break it

    def respond(plan: Any) -> TaskResult:
        together.wait()
        return measured(5.0 if side_of(plan) == "candidate" else 10.0)

    workers.script("pipeline", *[respond] * 4)
    measurement = run(pairs=2, schedule="duet")
    assert measurement.trouble is None
    assert rates(measurement, "base") == [10.0, 10.0]
    assert rates(measurement, "candidate") == [5.0, 5.0]
    assert [list(block.repeats) for block in measurement.blocks] == [
        ["base", "candidate"],
        ["candidate", "base"],
    ]
    assert all(cores == {0, 1} for task, _, cores in kept if task != "pipeline")
    pipelines = [(side, sorted(cores)) for task, side, cores in kept if task == "pipeline"]
    assert sorted(pipelines[:2]) == [("base", [0, 1]), ("candidate", [2, 3])]
    assert sorted(pipelines[2:]) == [("base", [2, 3]), ("candidate", [0, 1])]


def test_trouble_of_one_side_of_a_duet_leaves_the_other_out(workers, monkeypatch):
    in_duet(monkeypatch)
    workers.script(
        "pipeline", *[lambda plan: crashed() if side_of(plan) == "base" else measured()] * 2
    )
    measurement = run(pairs=2, schedule="duet")
    assert measurement.trouble is not None
    assert measurement.trouble.message.startswith("base: ")
    assert measurement.blocks == []
    (repeat,) = measurement.records["candidate"].repeats
    assert repeat.excluded is not None
    assert "its pair is missing: base" in repeat.excluded


@pytest.mark.parametrize(
    ("cores", "options", "message"),
    [
        (1, {}, "needs a core for each side, and 1 can be used"),
        (4, {"control": True}, "measures two sides at the same time, and there are 3"),
    ],
)
def test_a_duet_that_cannot_be(monkeypatch, cores, options, message):
    in_duet(monkeypatch, cores)
    with pytest.raises(UsageError, match=message):
        request_of(schedule="duet", **options)


@pytest.mark.parametrize(
    ("seconds", "overlap"), [((0, 10, 0, 10), 1.0), ((0, 10, 1, 5), 0.4), ((0, 4, 5, 9), 0)]
)
def test_the_time_that_both_sides_of_a_pair_ran(seconds, overlap):
    (block,) = run(pairs=1).blocks
    begin, end, other_begin, other_end = (f"2026-01-01T00:00:{second:02}Z" for second in seconds)
    base, candidate = block.repeats.values()
    base = base.model_copy(update={"started_at": begin, "finished_at": end})
    candidate = candidate.model_copy(update={"started_at": other_begin, "finished_at": other_end})
    assert Block(0, {"base": base, "candidate": candidate}).overlap == pytest.approx(overlap)


def test_each_side_is_a_whole_run(workers):
    workers.script("pipeline", *map(measured, (10.0, 5.0, 6.0, 12.0)))
    measurement = run(pairs=2, labels={"team": "a"})
    assert rates(measurement, "base") == [10.0, 12.0]
    assert rates(measurement, "candidate") == [5.0, 6.0]
    base, candidate = measurement.records.values()
    for record in (base, candidate):
        assert (record.status, record.error, len(record.repeats)) == ("succeeded", None, 2)
        assert record.config["repeats"] == 2
        assert record.labels == {"team": "a"}
        assert RunRecord.model_validate_json(record.model_dump_json()) == record
    assert base.metrics["throughput_elements"].value == pytest.approx(11.0)
    assert candidate.metrics["throughput_elements"].value == pytest.approx(5.5)
    assert candidate.config["overrides"] == [SLOW]


def test_every_step_is_announced_with_its_side_and_place():
    steps: list[Step] = []

    def announce(step: Step, elements: int | None) -> Any:
        steps.append(step)
        return lambda _: None

    run(pairs=1, announce=announce)
    assert [step.label for step in steps] == [
        "base: prepare",
        "base: reference sample",
        "candidate: prepare",
        "candidate: reference sample",
        "base: pipeline repeat 1",
        "candidate: pipeline repeat 1",
    ]
    assert [(step.index, step.total) for step in steps] == [(at, 6) for at in range(1, 7)]


def test_what_there_is_so_far_is_told_after_every_block():
    seen: list[list[Block]] = []
    measurement = run(pairs=3, seen=seen)
    assert [len(blocks) for blocks in seen] == [0, 1, 2, 3]
    assert seen[-1] == list(measurement.blocks)


def test_a_resumed_comparison_measures_what_is_missing_and_goes_on_with_the_order(workers):
    first = run(pairs=3)
    workers.plans.clear()
    measurement = run(pairs=5, earlier=first.blocks)
    order = [side_of(plan) for plan in workers.plans if plan.task == "pipeline"]
    assert order == ["candidate", "base", "base", "candidate"]
    assert [block.index for block in measurement.blocks] == [0, 1, 2, 3, 4]
    assert [len(record.repeats) for record in measurement.records.values()] == [2, 2]


# Budget


def test_pairs_that_other_work_disturbed_are_measured_again(workers):
    workers.script("pipeline", measured(1.0), disturbed(), *map(measured, [9.0] * 8))
    measurement = run(pairs=4, retry_disturbed=3)
    assert [block.disturbed for block in measurement.blocks] == [["candidate"], [], [], [], []]
    base, candidate = measurement.records.values()
    for record in (base, candidate):
        excluded = [repeat.excluded for repeat in record.repeats]
        assert excluded == ["other work disturbed its pair (candidate)", None, None, None, None]
        assert record.status == "succeeded"
    assert base.metrics["throughput_elements"].value == pytest.approx(9.0)


def test_they_are_not_beyond_the_budget_and_count_where_they_are_accepted(workers):
    workers.script("pipeline", *[disturbed()] * 20)
    measurement = run(pairs=4, retry_disturbed=2)
    assert len(measurement.blocks) == 6
    # Too few are left for a verdict, so that all give values.
    assert all(
        repeat.excluded is None for run in measurement.records.values() for repeat in run.repeats
    )
    workers.script("pipeline", *[disturbed()] * 20)
    accepted = run(pairs=4, retry_disturbed=2, accept_disturbed=True)
    assert len(accepted.blocks) == 4


def test_no_pair_begins_that_would_not_end_within_the_time(workers):
    clock = FakeClock()
    workers.script("pipeline", *taking(clock, 10.0, *[10.0] * 20))
    measurement = run(max_time="70s", clock=clock)
    assert (len(measurement.blocks), measurement.trouble) == (3, None)
    assert {record.status for record in measurement.records.values()} == {"succeeded"}


def test_a_pair_that_the_time_cuts_does_not_count(workers):
    clock = FakeClock()
    first = taking(clock, 10.0, *[10.0] * 3)
    workers.script("pipeline", *first, crashed("timed_out", "timed out"))
    measurement = run(max_time="50s", clock=clock)
    assert (len(measurement.blocks), measurement.trouble) == (1, None)
    assert measurement.warnings == [
        "base: timed out in pipeline repeat 2: the budget of time ended within a pair"
    ]
    base, candidate = measurement.records.values()
    assert [record.status for record in (base, candidate)] == ["succeeded", "succeeded"]
    assert [repeat.excluded is None for repeat in candidate.repeats] == [True, False]
    assert len(base.repeats) == 1


def test_it_ends_once_the_interval_is_narrow_and_looks_seldom(workers):
    budget = request_of(until="ci<2%").budget
    assert (budget.pairs, budget.looks()) == (60, [4, 6, 9, 14, 21, 32, 48, 60])
    noisy = [10.0, 10.0, 10.5, 10.0, 10.0, 10.5, 10.0, 10.0]
    workers.script("pipeline", *map(measured, [*noisy, *[10.0] * 112]))
    measurement = run(until="ci<2%")
    n = len(measurement.blocks)
    assert n in budget.looks()[1:-1]
    looks = len(budget.looks())
    reaches = [reach_of(measurement.blocks[:look], "candidate", looks) for look in budget.looks()]
    narrow = [reach is not None and reach < 0.02 for reach in reaches]
    assert budget.looks()[narrow.index(True)] == n


# What goes wrong


@pytest.mark.parametrize("side", ["base", "candidate"])
def test_a_repeat_that_fails_ends_the_comparison(workers, side):
    results = [measured(), measured(), measured()]
    results.insert(2 if side == "candidate" else 3, crashed())
    workers.script("pipeline", *results)
    measurement = run(pairs=4)
    assert len(measurement.blocks) == 1
    assert measurement.trouble is not None
    assert measurement.trouble.status == "failed"
    assert measurement.trouble.message == f"{side}: pipeline repeat 2: {KILLED}"
    failed = measurement.records[side]
    other = measurement.records["base" if side == "candidate" else "candidate"]
    assert (failed.status, failed.error) == ("failed", f"pipeline repeat 2: {KILLED}")
    assert other.status == "cancelled"
    assert other.error == f"the comparison ended: {side}: pipeline repeat 2: {KILLED}"


def test_ctrl_c_within_a_pair_keeps_the_pairs_before_it(workers):
    workers.script("pipeline", *[measured()] * 5, crashed("cancelled", "cancelled"))
    measurement = run(pairs=4)
    assert len(measurement.blocks) == 2
    assert measurement.trouble is not None
    assert measurement.trouble.status == "cancelled"
    assert measurement.trouble.message == "candidate: cancelled in pipeline repeat 3"
    base, candidate = measurement.records.values()
    assert [record.status for record in (base, candidate)] == ["cancelled", "cancelled"]
    reasons = [repeat.excluded for repeat in base.repeats]
    assert reasons[:2] == [None, None]
    assert reasons[2] == "its pair is missing: candidate: cancelled in pipeline repeat 3"


def test_ctrl_c_between_pairs(workers):
    cancelled = Cancellation()

    def interrupted(plan: Any) -> TaskResult:
        cancelled.set()
        return measured()

    workers.script("pipeline", measured(), interrupted)
    measurement = run(pairs=4, cancelled=cancelled)
    assert len(measurement.blocks) == 1
    assert measurement.trouble is not None
    assert measurement.trouble.message == "cancelled after 1 pairs"
    assert {record.status for record in measurement.records.values()} == {"cancelled"}


def test_the_time_limit_is_no_budget(workers):
    workers.script("pipeline", *[measured()] * 3, crashed("timed_out", "timed out"))
    measurement = run(pairs=4, timeout=100.0)
    assert measurement.trouble is not None
    assert measurement.trouble.status == "timed_out"
    statuses = [record.status for record in measurement.records.values()]
    assert sorted(statuses) == ["timed_out", "timed_out"]


def test_a_side_that_cannot_be_prepared(workers):
    workers.script("prepare", prepared_task(), crashed())
    measurement = run()
    assert workers.tasks == ["prepare", "reference", "prepare"]
    assert measurement.blocks == []
    statuses = {name: record.status for name, record in measurement.records.items()}
    assert statuses == {"base": "cancelled", "candidate": "failed"}
    assert measurement.records["candidate"].error == KILLED


def test_what_only_the_user_can_fix_is_no_comparison(workers):
    workers.script("prepare", gave_up("prepare", "usage", "no such input"))
    with pytest.raises(UsageError, match="no such input"):
        run()
