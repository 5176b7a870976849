"""Repeats that other work disturbed: what is repeated, what counts then, and when it ends."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from beambench.cancellation import Cancellation
from beambench.controller.results import TaskResult
from beambench.controller.session import Step, silent
from beambench.definition.library import Library
from beambench.experiments.benchmark import execute
from beambench.presentation.exports import as_markdown
from beambench.presentation.runs import print_history, print_record
from beambench.record.run_record import RunRecord
from beambench.request.benchmark import make_request
from beambench.store import RunSummary
from fake_clock import FakeClock
from fake_workers import crashed, measured

pytestmark = pytest.mark.usefixtures("workers", "scratch")

NOISE = {"disturbed": True, "reasons": ["other processes used 9.0% of the machine (limit 5%)"]}


def disturbed(rate: float = 5.0, **changes: Any) -> TaskResult:
    return dataclasses.replace(measured(rate, **changes), noise=NOISE)


def run(*, clock: FakeClock | None = None, announce: Any = silent, **options: Any) -> RunRecord:
    given = {"profile": "smoke", "repeats": 3, "retry_disturbed": 2} | options
    request = make_request(Library(), "overhead-noop", **given)
    return execute(request, Cancellation(), announce, clock)


def rate_of(record: RunRecord) -> tuple[float, int]:
    metric = record.metrics["throughput_elements"]
    return round(metric.value, 6), metric.n


def taking(clock: FakeClock, seconds: float, result: TaskResult) -> Callable[[Any], TaskResult]:
    """Return a worker that takes so long."""

    def respond(plan: Any) -> TaskResult:
        clock.time += seconds
        return result

    return respond


def test_a_disturbed_repeat_is_repeated_and_does_not_count_any_more(workers):
    workers.script("pipeline", measured(10.0), disturbed(5.0), measured(12.0), measured(14.0))
    record = run()
    assert workers.tasks.count("pipeline") == 4
    assert record.status == "succeeded"
    # The median of 10, 12 and 14; with the disturbed 5 it would be 11, of the scheduled three 10.
    assert rate_of(record) == (12.0, 3)
    assert [repeat.excluded for repeat in record.repeats] == [
        None,
        "repeat 4 counts in its place",
        None,
        None,
    ]
    assert record.noise.disturbed_repeats == [1]
    assert record.noise.excluded_repeats == [1]
    assert (record.noise.counted_repeats, record.noise.counted_disturbed) == (3, 0)
    assert (
        "pipeline repeat 2 was disturbed: other processes used 9.0% of the machine (limit 5%); "
        "repeat 4 counts in its place"
    ) in record.warnings


def test_nothing_is_repeated_unless_asked_for(workers):
    workers.script("pipeline", disturbed(), measured(), measured())
    record = run(retry_disturbed=0)
    assert workers.tasks.count("pipeline") == 3
    assert rate_of(record)[1] == 3
    assert (record.noise.counted_repeats, record.noise.counted_disturbed) == (3, 1)


def test_a_repeat_of_which_nothing_is_known_is_not_repeated(workers):
    unknown = dataclasses.replace(measured(), noise={"disturbed": None, "reasons": []})
    workers.script("pipeline", unknown, dataclasses.replace(measured(), noise={}))
    run()
    assert workers.tasks.count("pipeline") == 3


def test_a_new_repeat_that_is_disturbed_too_is_repeated_within_the_budget(workers):
    workers.script("pipeline", disturbed(1), measured(10), measured(12), disturbed(2), measured(20))
    record = run()
    assert rate_of(record) == (12.0, 3)
    assert [repeat.index for repeat in record.repeats if repeat.excluded is None] == [1, 2, 4]


def test_values_that_still_rest_on_disturbed_repeats_are_marked_in_the_table(workers, capsys):
    workers.script("pipeline", *[disturbed(rate) for rate in (1, 2, 3, 4)], measured(10))
    record = run()
    # 1 was replaced by 4, which was disturbed, and 2 by 10; left are 3, 4 and 10.
    assert rate_of(record) == (4.0, 3)
    assert (record.noise.counted_repeats, record.noise.counted_disturbed) == (3, 2)
    print_record(record)
    rows = {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if line}
    assert rows["metric"].split()[-1] == "disturbed"
    assert rows["throughput_elements"].endswith("2 of 3")
    assert not rows["elements_failed"].endswith("2 of 3")
    assert "disturbed" in record.model_dump_json()


def test_history_and_markdown_mark_the_runs_that_rest_on_disturbed_repeats(workers, capsys):
    workers.script("pipeline", *[disturbed(rate) for rate in (1, 2, 3, 4)], measured(10))
    records = [run(), run()]
    rows = [RunSummary.model_validate_json(record.model_dump_json()) for record in records]
    assert [row.model_dump()["noise"]["counted_disturbed"] for row in rows] == [2, 0]
    print_history("overhead-noop", rows)
    header, marked, calm = capsys.readouterr().out.splitlines()
    assert header.split()[-2:] == ["n", "disturbed"]
    assert marked.endswith("  3     2 of 3")
    assert calm.rstrip().endswith(" 3")
    print_history("overhead-noop", rows[1:])
    assert "disturbed" not in capsys.readouterr().out

    table = as_markdown(records[:1])
    assert "| metric | value | unit | 95 % interval | n | better | disturbed |" in table
    assert "| throughput\\_elements | 4 | 1/s |  | 3 | higher | 2 of 3 |" in table
    assert "disturbed" not in as_markdown(records[1:])


def test_the_mark_is_of_the_repeats_that_know_the_value(workers, capsys):
    known = measured(10.0)
    blind = measured(5.0).observation
    assert blind is not None
    assert blind.measured is not None
    blind = blind.model_copy(
        update={"measured": blind.measured.model_copy(update={"batch_size": None})}
    )
    workers.script(
        "pipeline", dataclasses.replace(known, observation=blind), known, disturbed(10.0)
    )
    print_record(run(retry_disturbed=0))
    rows = {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if line}
    assert rows["throughput_elements"].endswith("3     1 of 3")
    assert rows["inference_batch_size_mean"].endswith("2     1 of 2")


def test_an_undisturbed_run_has_no_such_column(workers, capsys):
    print_record(run())
    assert "disturbed" not in capsys.readouterr().out


@pytest.mark.parametrize("arm", ["pipeline", "loop", "ceiling"])
def test_a_round_is_repeated_whole_whatever_was_disturbed_in_it(workers, arm):
    order = ["pipeline", "loop", "ceiling", "pipeline", "ceiling", "loop"]
    at = order.index(arm, 3)  # in the second round
    results: dict[str, list[TaskResult]] = {"pipeline": [], "loop": []}
    for place, name in enumerate(order):
        task, rate = ("pipeline", 10.0) if name == "pipeline" else ("loop", 20.0)
        results[task].append((disturbed if place == at else measured)(rate))
    for task, responses in results.items():
        workers.script(task, *responses)
    record = run(repeats=2, reference=True, retry_disturbed=1)
    every = [*record.repeats, *record.references]
    assert [(repeat.arm, repeat.index) for repeat in every if repeat.excluded is not None] == [
        ("pipeline", 1),
        ("ceiling", 1),
        ("loop", 1),
    ]
    # The new round goes in the order of the one that it replaces.
    assert [reference.arm for reference in record.references[-2:]] == ["ceiling", "loop"]
    assert record.metrics["pipeline_efficiency"].n == 2
    assert record.metrics["pipeline_efficiency"].value == pytest.approx(0.5)
    assert record.noise.counted_disturbed == 0


def test_the_loop_of_a_new_round_replays_the_batches_of_its_own_pipeline(workers):
    workers.script("pipeline", disturbed(sizes=(100,)), measured(sizes=(50, 50)))
    run(repeats=1, reference=True, retry_disturbed=1)
    sizes = [plan.batch_sizes for plan in workers.plans if plan.task == "loop"]
    assert sizes[0] == [100]
    assert sizes[2] == [50, 50]


def test_an_efficiency_of_disturbed_loops_is_marked_the_pipelines_rate_is_not(workers, capsys):
    workers.script("loop", disturbed(20.0))
    print_record(run(repeats=2, reference=True, retry_disturbed=0))
    rows = {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if line}
    assert rows["pipeline_efficiency"].endswith("1 of 2")
    assert not rows["throughput_elements"].endswith("of 2")


# When it ends


def test_a_run_with_a_failed_repeat_is_not_repeated(workers):
    workers.script("pipeline", disturbed(), crashed(), measured())
    assert run().status == "failed"
    assert workers.tasks.count("pipeline") == 3


def test_a_new_repeat_that_fails_fails_the_run_and_replaces_nothing(workers):
    workers.script("pipeline", disturbed(), measured(), measured(), crashed())
    record = run()
    assert (record.status, len(record.repeats)) == ("failed", 4)
    assert record.error.startswith("pipeline repeat 4: ")
    assert record.noise.excluded_repeats == []


def test_nothing_is_repeated_for_which_the_time_limit_leaves_no_time(workers):
    clock = FakeClock()
    results = [disturbed(), measured(), measured()]
    workers.script("pipeline", *(taking(clock, 10.0, result) for result in results))
    record = run(clock=clock, timeout=39.0)
    assert workers.tasks.count("pipeline") == 3
    assert record.status == "succeeded"
    assert (
        "repeat 1 was disturbed, and the time limit leaves no time to repeat it"
    ) in record.warnings


def test_what_just_fits_into_the_time_limit_is_repeated(workers):
    clock = FakeClock()
    results = [disturbed(), measured(), measured(), measured()]
    workers.script("pipeline", *(taking(clock, 10.0, result) for result in results))
    assert run(clock=clock, timeout=40.0).noise.excluded_repeats == [0]


def test_a_new_repeat_that_the_time_limit_cuts_leaves_the_run_as_it_was(workers):
    workers.script("pipeline", disturbed(5), measured(10), measured(12), crashed("timed_out"))
    record = run()
    assert (record.status, len(record.repeats)) == ("succeeded", 3)
    assert rate_of(record) == (10.0, 3)
    cut = "timed out in pipeline repeat 4, in place of 1: repeat 1 still counts"
    assert cut in record.warnings


def test_a_round_that_the_time_limit_cuts_does_not_count(workers):
    workers.script("pipeline", disturbed(5.0), measured(50.0))
    workers.script("loop", measured(20.0), measured(20.0), crashed("timed_out"))
    record = run(repeats=1, reference=True)
    assert record.status == "succeeded"
    assert rate_of(record) == (5.0, 1)
    assert record.metrics["pipeline_efficiency"].n == 1
    cut = "timed out in loop repeat 2, in place of 1"
    assert [repeat.excluded for repeat in record.repeats] == [None, cut]


def test_ctrl_c_in_a_new_repeat_cancels_the_run(workers):
    workers.script("pipeline", disturbed(), measured(), measured(), crashed("cancelled"))
    record = run()
    assert record.status == "cancelled"
    assert record.error == "cancelled in pipeline repeat 4, in place of 1"
    assert record.noise.excluded_repeats == []
    assert rate_of(record)[1] == 3


def test_a_new_repeat_is_announced_as_what_it_is(workers):
    workers.script("pipeline", measured(), disturbed(), measured())
    steps: list[Step] = []

    def announce(step: Step, elements: int | None) -> Any:
        steps.append(step)
        return lambda _: None

    run(announce=announce)
    assert [(step.label, step.index, step.total) for step in steps[-2:]] == [
        ("pipeline repeat 3", 5, 5),
        ("pipeline repeat 4, in place of 2", 6, 6),
    ]
