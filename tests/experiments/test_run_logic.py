"""A whole run in milliseconds: what is done in which order, and what becomes of what goes wrong."""

from __future__ import annotations

import errno
import re
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from beambench.cancellation import Cancellation
from beambench.controller.processes.worker_process import OnProgress
from beambench.controller.session import Step, silent
from beambench.definition.library import Library
from beambench.definition.plan import decided_definition
from beambench.errors import RunError, UsageError
from beambench.experiments.benchmark import execute as execute_run
from beambench.experiments.benchmark import schedule
from beambench.experiments.experiment import execute_all
from beambench.experiments.records import new_run_id
from beambench.record.observation import Observation, SampledPrediction
from beambench.record.run_record import RunRecord
from beambench.request.benchmark import RunRequest, make_request
from beambench.runners.direct.runner import DIRECT
from beambench.workloads.registry import check_workload
from fake_workers import (
    BEST_BATCH_SIZE,
    COUNT,
    KILLED,
    SAMPLE,
    crashed,
    finished,
    gave_up,
    measured,
    prepared,
)

pytestmark = pytest.mark.usefixtures("workers", "scratch")

PREPARING = ["prepare", "reference"]


def request_of(**options: Any) -> RunRequest:
    return make_request(Library(), "overhead-noop", **({"profile": "smoke"} | options))


def execute(announce=silent, cancelled: Cancellation | None = None, **options: Any) -> RunRecord:
    return execute_run(request_of(**options), cancelled or Cancellation(), announce)


# Order


def test_pipeline_and_loops_take_turns_in_mirrored_blocks():
    pipeline, loop, ceiling = "pipeline", "loop", "ceiling"
    assert schedule(1, reference=False) == [pipeline]
    assert schedule(3, reference=False) == [pipeline] * 3
    assert schedule(1, reference=True) == [pipeline, loop, ceiling]
    assert schedule(3, reference=True) == [
        *(pipeline, loop, ceiling),
        *(pipeline, ceiling, loop),
        *(pipeline, loop, ceiling),
    ]


def test_a_run_prepares_samples_and_repeats(workers, scratch):
    before = time.monotonic()
    record = execute(repeats=2, timeout=50.0, seed=3, limit=7)
    assert workers.tasks == [*PREPARING, "pipeline", "pipeline"]
    assert record.status == "succeeded"
    assert record.error is None
    first, *others = workers.plans
    assert (first.source, first.limit, first.seed, first.slot_us) == ("synthetic", 7, 3, 50_000)
    assert (first.runs_here, first.beam_flags, first.labels) == (True, [], None)
    assert {plan.pipeline_function for plan in workers.plans[2:]} == {DIRECT.pipeline}
    assert {plan.preparation.count for plan in others} == {COUNT}
    assert workers.plans == sorted(workers.plans, key=lambda plan: plan.epoch_ns)
    deadlines = {options["deadline"] for options in workers.options}
    assert len(deadlines) == 1
    assert before + 50 <= deadlines.pop() <= time.monotonic() + 50
    assert [options["search_path"] for options in workers.options] == [[]] * 4
    assert list(scratch.iterdir()) == []


def test_all_tasks_work_in_one_folder_that_is_there_until_the_end(workers, scratch):
    seen = []

    def look(plan):
        seen.append((Path(plan.work_dir).is_dir(), Path(plan.work_dir).parent))
        return measured()

    workers.script("pipeline", look, look)
    execute(repeats=2)
    assert seen == [(True, scratch)] * 2
    assert len({plan.work_dir for plan in workers.plans}) == 1


def test_the_reference_replays_batches_and_the_ceiling_has_its_own(workers):
    workers.script("pipeline", measured(sizes=(100,)), measured(sizes=(50, 50)))
    record = execute(repeats=2, reference=True)
    assert workers.tasks == [
        *PREPARING,
        "calibrate",
        *("pipeline", "loop", "loop"),
        *("pipeline", "loop", "loop"),
    ]
    sizes = [plan.batch_sizes for plan in workers.plans if plan.task == "loop"]
    assert sizes == [[100], [BEST_BATCH_SIZE], [BEST_BATCH_SIZE], [50, 50]]
    assert [reference.arm for reference in record.references] == [
        "loop",
        "ceiling",
        "ceiling",
        "loop",
    ]
    assert record.config["best_batch_size"] == BEST_BATCH_SIZE
    assert record.config["best_batch_size_margin"] == 0.25
    assert record.config["batch_size_rates"] == {"8": 40.0, "16": 50.0}
    assert record.metrics["pipeline_efficiency"].value == pytest.approx(0.5)
    assert record.metrics["ceiling_efficiency"].n == 2
    assert record.status == "succeeded"


# What a variant does to the outputs

BERT = "pytorch-language-modeling-bert-base"
RESNET = "pytorch-image-classification-resnet101"


def execute_variant(name: str, variant: str, *overrides: str, **options: Any) -> RunRecord:
    request = make_request(
        Library(), name, profile="smoke", variant=variant, overrides=overrides, **options
    )
    return execute_run(request, Cancellation())


@pytest.mark.parametrize(
    ("name", "variant", "overrides"),
    [
        (BERT, "tuned", ()),
        (BERT, "tuned-bf16", ()),
        (BERT, "tuned-mask-only", ()),
        (BERT, "tuned-bf16", ("model.large=true",)),
        (BERT, "tuned", ("parameters.sorted_batch_size=8",)),  # stock knows nothing of it
        (BERT, "tuned", ("parameters.max_length=64",)),
        (BERT, "tuned", ("batching.min_batch_size=128",)),  # stock takes one at a time
        (RESNET, "tuned-channels-last", ()),
        (RESNET, "tuned-decode", ("parameters.batched=true",)),
    ],
)
def test_a_variant_that_computes_otherwise_is_compared_with_stock(
    workers, name, variant, overrides
):
    record = execute_variant(name, variant, *overrides)
    assert workers.tasks == ["prepare", "reference", "reference", "pipeline"]
    _, reference, stock, pipeline = (plan.definition for plan in workers.plans)
    assert reference == pipeline
    assert stock.model.precision == "float32"
    # The same weights, and settings that stock's own workload takes.
    weights = {
        (definition.model.name, definition.model.weights) for definition in (stock, pipeline)
    }
    assert weights == {(stock.model.name, "random")}
    check_workload(stock)
    plain = Library().resolve(name, profile="smoke").definition.parameters
    known = {key: stock.parameters[key] for key in plain if key != "max_length"}
    assert known == {key: plain[key] for key in known}
    assert record.status == "succeeded"
    assert record.verification.stock["compared"] == 8
    assert record.metrics["stock_agreement"].value == 1.0
    assert record.metrics["stock_agreement"].n == 8


@pytest.mark.parametrize(
    ("name", "variant", "overrides"),
    [
        (BERT, "stock", ()),
        (BERT, "stock", ("model.precision=bfloat16",)),
        (BERT, "stock", ("model.large=true",)),
        (BERT, "tuned-sorted", ("parameters.mask_only=true",)),  # which stock cannot do
        ("sklearn-digits", "per-key", ()),  # two models, of which stock has one
        (BERT, "tuned-one-thread", ()),
        (RESNET, "tuned-fixed-batch", ()),
        (RESNET, "tuned-fixed-batch", ("model.large=true",)),
        (RESNET, "tuned-fixed-batch", ("model.copies=2",)),
    ],
)
def test_a_variant_that_computes_the_same_is_not_compared_with_stock(
    workers, name, variant, overrides
):
    record = execute_variant(name, variant, *overrides)
    assert workers.tasks == ["prepare", "reference", "pipeline"]
    assert record.verification.stock == {}
    assert "stock_agreement" not in record.metrics


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_what_the_definition_leaves_open_is_decided_once_and_recorded(workers, precision):
    choice = {"setting": "model.precision", "value": precision, "reason": "it is faster"}
    preparation = prepared().observation.prepared.preparation | {"choices": [choice]}
    workers.script("prepare", prepared(preparation=preparation))
    outputs = [[float(place == index) for place in range(8)] for index in range(8)]
    sample = [
        prediction.model_copy(update={"evidence": output})
        for prediction, output in zip(SAMPLE, outputs, strict=True)
    ]
    workers.script("reference", *[finished(Observation(task="reference", sample=sample))] * 2)
    workers.script("pipeline", *[measured(sample=sample)] * 2)
    record = execute_variant(BERT, "tuned", repeats=2)
    assert [choices.model_dump() for choices in record.choices] == [choice]
    # Definition and hash are what was asked for; every worker runs what that came to.
    assert record.config["definition"]["model"]["precision"] == "auto"
    assert decided_definition(record)["model"]["precision"] == precision
    _, reference, stock, *pipelines = (plan for plan in workers.plans)
    ran = [plan.decided_definition().model.precision for plan in (reference, *pipelines)]
    assert ran == [precision] * 3
    assert stock.decided_definition().model.precision == "float32"
    compared = "rounded outputs" if precision == "bfloat16" else "labels"
    assert record.verification.reference["method"] == compared


def test_the_sample_of_stock_is_a_step_of_its_own_before_the_loop_is_calibrated(workers):
    steps: list[Step] = []

    def announce(step: Step, elements: int | None) -> OnProgress:
        steps.append(step)
        return lambda _: None

    request = make_request(
        Library(), RESNET, profile="smoke", variant="tuned-channels-last", reference=True
    )
    execute_run(request, Cancellation(), announce)
    assert [step.label for step in steps] == [
        "prepare",
        "reference sample",
        "sample of stock",
        "calibrate the loop",
        *("pipeline repeat 1", "loop repeat 1", "ceiling repeat 1"),
    ]
    assert [step.index for step in steps] == [1, 2, 3, 4, 5, 6, 7]
    assert {step.total for step in steps} == {7}


def test_labels_that_a_variant_changes_are_counted(workers):
    stock = [prediction.model_copy(update={"label": 0}) for prediction in SAMPLE]
    sampled = [Observation(task="reference", sample=sample) for sample in (SAMPLE, stock)]
    workers.script("reference", *map(finished, sampled))
    record = execute_variant(RESNET, "tuned-channels-last")
    assert record.status == "succeeded"  # what a variant may do to labels is for its user to say
    assert (record.verification.stock["compared"], record.verification.stock["labels_equal"]) == (
        8,
        1,
    )
    assert record.metrics["stock_agreement"].value == 1 / 8


@pytest.mark.parametrize("status", ["failed", "timed_out", "cancelled"])
def test_a_run_ends_where_stock_cannot_be_sampled(workers, status):
    succeeded = finished(Observation(task="reference", sample=SAMPLE))
    workers.script("reference", succeeded, crashed(status))
    record = execute_variant(BERT, "tuned")
    assert workers.tasks == ["prepare", "reference", "reference"]
    assert record.status == status
    expected = KILLED if status == "failed" else f"{status.replace('_', ' ')} in sample of stock"
    assert record.error == expected


def test_outputs_that_a_model_rounds_are_judged_as_such(workers):
    pairs = {"1": [2.0, 1.0], "2": [1.0, 2.0], "3": [1.5, 1.0]}
    sample = [
        SampledPrediction(id=key, label="x", evidence=values) for key, values in pairs.items()
    ]
    workers.script("reference", finished(Observation(task="reference", sample=sample)))
    workers.script("pipeline", measured(sample=sample))
    record = execute_variant(BERT, "tuned-bf16")
    assert record.verification.reference["method"] == "rounded outputs"


def test_without_a_reference_there_is_no_best_batch_size(workers):
    assert "best_batch_size" not in execute().config
    workers.script("calibrate", crashed())
    assert execute(reference=True).config["best_batch_size"] is None


@pytest.mark.parametrize(
    ("reference", "labels"),
    [
        (False, ["prepare", "reference sample", "pipeline repeat 1", "pipeline repeat 2"]),
        (
            True,
            [
                "prepare",
                "reference sample",
                "calibrate the loop",
                *("pipeline repeat 1", "loop repeat 1", "ceiling repeat 1"),
                *("pipeline repeat 2", "ceiling repeat 2", "loop repeat 2"),
            ],
        ),
    ],
)
def test_every_step_is_announced_with_its_place_and_size(reference, labels):
    steps: list[tuple[Step, int | None]] = []
    progress: list[dict[str, Any]] = []

    def announce(step: Step, elements: int | None) -> OnProgress:
        steps.append((step, elements))
        return progress.append

    execute(announce, repeats=2, reference=reference)
    assert [step.label for step, _ in steps] == labels
    assert [step.index for step, _ in steps] == list(range(1, len(labels) + 1))
    assert {step.total for step, _ in steps} == {len(labels)}
    unsized = [step.label for step, elements in steps if elements is None]
    open_ended = ["prepare", "reference sample"]
    assert unsized == ([*open_ended, "calibrate the loop"] if reference else open_ended)
    assert {elements for step, elements in steps if "repeat" in step.label} == {COUNT}
    assert len(progress) == len(labels)


# Failing repeats


def test_a_crash_of_one_repeat_is_recorded_and_the_run_goes_on(workers):
    workers.script("pipeline", measured(10), crashed(), measured(30))
    record = execute(repeats=3)
    assert workers.tasks == [*PREPARING, *["pipeline"] * 3]
    assert [repeat.status for repeat in record.repeats] == ["succeeded", "failed", "succeeded"]
    assert [repeat.index for repeat in record.repeats] == [0, 1, 2]
    assert record.repeats[1].error["message"] == KILLED
    assert (record.status, record.error) == ("failed", f"pipeline repeat 2: {KILLED}")
    rate = record.metrics["throughput_elements"]
    assert (rate.value, rate.n) == (pytest.approx(20.0), 2)
    assert record.verification.passed


def test_two_crashes_in_a_row_end_the_run(workers):
    workers.script("pipeline", measured(), crashed(), crashed())
    record = execute(repeats=6)
    assert workers.tasks.count("pipeline") == 3
    assert (record.status, record.error) == ("failed", f"pipeline repeat 2: {KILLED}")
    assert record.metrics["throughput_elements"].n == 1


def test_crashes_apart_do_not_end_the_run(workers):
    workers.script("pipeline", crashed(), measured(), crashed(), measured())
    record = execute(repeats=4)
    assert len(record.repeats) == 4
    assert record.status == "failed"


def test_a_crash_of_the_reference_counts_as_well(workers):
    workers.script("loop", crashed(), crashed())
    record = execute(repeats=2, reference=True)
    assert workers.tasks == [*PREPARING, "calibrate", "pipeline", "loop", "loop"]
    assert (record.status, record.error) == ("failed", f"loop repeat 1: {KILLED}")
    assert [repeat.status for repeat in record.references] == ["failed", "failed"]
    assert "pipeline_efficiency" not in record.metrics


def test_the_loop_has_nothing_to_replay_if_the_first_pipeline_crashed(workers):
    workers.script("pipeline", crashed())
    record = execute(reference=True)
    assert workers.tasks == [*PREPARING, "calibrate", "pipeline"]
    assert (record.status, record.error) == ("failed", f"pipeline repeat 1: {KILLED}")


@pytest.mark.parametrize(
    ("status", "text"), [("timed_out", "timed out"), ("cancelled", "cancelled")]
)
def test_a_stopped_repeat_ends_the_run_with_its_status(workers, status, text):
    workers.script("pipeline", measured(), crashed(status, text))
    record = execute(repeats=4)
    assert [repeat.status for repeat in record.repeats] == ["succeeded", status]
    assert (record.status, record.error) == (status, f"{text} in pipeline repeat 2")
    assert record.metrics["throughput_elements"].n == 1


@pytest.mark.parametrize("status", ["timed_out", "cancelled"])
def test_a_stop_outweighs_an_earlier_failure(workers, status):
    workers.script("pipeline", crashed(), crashed(status, status))
    record = execute(repeats=3)
    text = status.replace("_", " ")
    assert (record.status, record.error) == (status, f"{text} in pipeline repeat 2")
    assert record.repeats[0].error["message"] == KILLED


def test_too_many_failed_elements_fail_the_run(workers):
    bad = measured(failed=2)
    workers.script("pipeline", bad)
    record = execute()
    assert record.status == "failed"
    assert record.error == "pipeline repeat 1: 2 of 100 elements failed, more than max_failed 0.01"
    assert record.metrics["elements_failed"].value == 2.0
    workers.script("pipeline", bad)
    assert execute(max_failed=0.02).status == "succeeded"


def test_the_run_has_the_verification_of_the_first_repeat_that_failed(workers):
    swapped = [SampledPrediction(id=str(n), label=n ^ 1) for n in range(8)]
    workers.script("pipeline", measured(), measured(sample=swapped), measured(missing_count=1))
    record = execute(repeats=3)
    assert [repeat.verification.passed for repeat in record.repeats] == [True, False, False]
    assert record.verification == record.repeats[1].verification
    assert record.verification.reference_agreement == 0.0
    assert record.status == "failed"


@pytest.mark.parametrize(("repeats", "status"), [(2, "succeeded"), (3, "failed"), (6, "failed")])
def test_a_pipeline_faster_than_the_loop_is_an_error_beyond_noise(workers, repeats, status):
    workers.script("pipeline", *[measured(rate=40.0) for _ in range(repeats)])
    record = execute(repeats=repeats, reference=True)
    assert record.metrics["pipeline_efficiency"].value == pytest.approx(2.0)
    assert any("pipeline_efficiency 2.000 is above" in warning for warning in record.warnings)
    assert record.status == status
    error = "pipeline_efficiency is above 1.02 beyond noise: measured wrongly"
    assert record.error == (None if status == "succeeded" else error)


# Failing preparations


def test_what_only_the_user_can_mend_is_no_run(workers, scratch):
    workers.script("prepare", gave_up("prepare", "usage", "labels.tsv: labels none"))
    with pytest.raises(UsageError, match=r"labels\.tsv: labels none"):
        execute()
    assert workers.tasks == ["prepare"]
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize(
    ("response", "status", "error"),
    [
        (gave_up("prepare", "run", "no room for weights"), "failed", "no room for weights"),
        (crashed(), "failed", KILLED),
        (crashed("timed_out", "timed out"), "timed_out", "timed out in prepare"),
        (crashed("cancelled", "cancelled"), "cancelled", "cancelled in prepare"),
        (finished(Observation(task="prepare")), "failed", "no result"),
    ],
)
def test_a_failed_preparation_gives_a_record(workers, response, status, error):
    workers.script("prepare", response)
    record = execute(reference=True)
    assert workers.tasks == ["prepare"]
    assert (record.status, record.error) == (status, error)
    assert (record.repeats, record.references, record.metrics) == ([], [], {})
    assert (record.input.kind, record.input.count, record.input.digest) == ("unknown", 0, None)
    assert (record.runner.requested, record.runner.executed) == ("direct", None)
    assert record.environment == {"found_in": str(Path.cwd())}
    assert record.warnings == []
    assert not record.verification.passed


@pytest.mark.parametrize("task", ["reference", "calibrate"])
@pytest.mark.parametrize(
    ("status", "message"),
    [("failed", KILLED), ("timed_out", "timed out"), ("cancelled", "cancelled")],
)
def test_a_failed_reference_gives_a_record(workers, task, status, message):
    workers.script(task, crashed(status, message))
    record = execute(reference=True)
    label = {"reference": "reference sample", "calibrate": "calibrate the loop"}[task]
    assert workers.tasks[-1] == task
    expected = message if status == "failed" else f"{message} in {label}"
    assert (record.status, record.error, record.repeats) == (status, expected, [])
    assert record.input.count == COUNT
    assert record.environment == {"machine": {"cores": 2}}
    assert record.warnings == ["left out 1 file"]


def test_a_reference_that_gave_up_says_why(workers):
    workers.script("reference", gave_up("reference", "run", "the model is another"))
    record = execute()
    assert (record.status, record.error) == ("failed", "the model is another")


# Machines that give way


@pytest.mark.parametrize(
    ("trouble", "error"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device"),
        (RunError("cannot start the worker: Cannot allocate memory"), "cannot start the worker"),
    ],
)
def test_what_was_measured_is_kept_when_a_later_worker_cannot_be_started(
    workers, scratch, trouble, error
):
    workers.script("pipeline", measured(10), trouble)
    record = execute(repeats=3)
    assert record.status == "failed"
    assert error in record.error
    assert [repeat.status for repeat in record.repeats] == ["succeeded"]
    assert record.metrics["throughput_elements"].value == pytest.approx(10.0)
    assert list(scratch.iterdir()) == []


def test_no_room_for_temporary_files_is_one_line(workers, scratch):
    scratch.rmdir()
    with pytest.raises(RunError, match=r"no folder for temporary files .*No such file"):
        execute()
    assert workers.tasks == []


def test_the_folder_is_removed_when_we_are_interrupted(workers, scratch):
    workers.script("pipeline", lambda plan: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        execute()
    assert list(scratch.iterdir()) == []


# The record


def test_the_record_says_what_was_asked_for_and_what_ran(workers):
    command = ["beambench", "run", "\udcff.yaml"]
    record = execute(
        labels={"team": "a"}, command=command, beam_flags=["--direct_num_workers=1"], seed=4
    )
    assert record.benchmark == "overhead-noop"
    assert (record.variant, record.profile) == ("stock", "smoke")
    assert record.definition_hash == Library().resolve("overhead-noop").definition_hash
    assert (record.runner.executed, record.runner.counters) == ("direct", "committed")
    assert record.input.model_dump() == {
        "kind": "synthetic",
        "count": 100,
        "digest": "d" * 64,
        "bytes": None,
        "source": "synthetic",
        "labels": None,
    }
    assert (record.model.name, record.model.weights) == ("noop", "none")
    assert record.labels == {"team": "a"}
    assert record.command == ["beambench", "run", "\\udcff.yaml"]
    assert record.environment == {"machine": {"cores": 2}}
    assert record.warnings == ["left out 1 file"]
    assert record.noise.repeats == 1
    assert record.started_at <= record.finished_at
    assert {key: record.config[key] for key in sorted(set(record.config) - {"definition"})} == {
        "beam_flags": ["--direct_num_workers=1"],
        "interpreter": sys.executable,
        "labels": None,
        "limit": 1000,
        "max_failed": 0.01,
        "options_file": None,
        "output": None,
        "overrides": [],
        "reference": None,
        "repeats": 1,
        "retry_disturbed": 0,
        "seed": 4,
        "source": "synthetic",
        "timeout": 120.0,
    }
    assert record.config["definition"]["name"] == "overhead-noop"
    assert record.config["definition"]["batching"] == {
        "min_batch_size": 10,
        "max_batch_size": 100,
        "max_batch_duration_secs": None,
        "bucket_boundaries": None,
    }
    assert workers.plans[0].beam_flags == ["--direct_num_workers=1"]


def test_warnings_of_the_preparation_go_first(workers):
    workers.script("prepare", prepared(warnings=["of the input"]))
    workers.script("pipeline", measured(warnings=["of the worker"]))
    assert execute().warnings == ["of the input", "of the worker"]


def test_what_an_options_file_said_in_vain_stands_in_the_record(workers, tmp_path):
    path = tmp_path / "beam.txt"
    path.write_text("--metrics_table=mine\n--temp_location=gs://secret\n--direct_num_workers=1\n")
    record = execute(options_file=str(path))
    assert record.config["options_file"] == str(path)
    assert record.config["overrides"] == ["publish.bigquery.table=mine"]
    assert record.config["beam_flags"] == workers.plans[0].beam_flags == ["--direct_num_workers=1"]
    assert record.warnings[0].startswith(f"{path}:2: --temp_location is left out: only a cluster")
    assert "secret" not in record.model_dump_json()


def test_run_ids_sort_by_time_and_differ():
    ids = [new_run_id(f"2026-01-31T10:00:{n:02d}.250Z") for n in range(50)]
    assert ids[7].startswith("20260131T100007Z-")
    ids += [new_run_id("2026-01-31T10:00:49.999Z") for _ in range(50)]
    assert all(re.fullmatch(r"\d{8}T\d{6}Z-[0-9a-f]{8}", element_id) for element_id in ids)
    assert len(set(ids)) == 100
    seconds = [element_id.partition("-")[0] for element_id in ids]
    assert seconds == sorted(seconds)


# Several runs


def test_an_error_of_one_benchmark_does_not_keep_the_others_from_running(workers):
    workers.script("prepare", gave_up("prepare", "usage", "bad labels"), prepared())
    requests = [request_of(seed=1), request_of(seed=2)]
    results = list(execute_all(requests, Cancellation(), lambda request: silent, execute_run))
    assert [request.seed for request, _ in results] == [1, 2]
    assert isinstance(results[0][1], UsageError)
    assert results[1][1].status == "succeeded"


def test_cancelling_one_run_cancels_those_after_it(workers):
    cancelled = Cancellation()

    def cancel(plan):
        cancelled.set()
        return crashed("cancelled", "cancelled")

    workers.script("pipeline", cancel)
    results = list(execute_all([request_of()] * 3, cancelled, lambda request: silent, execute_run))
    assert [record.status for _, record in results] == ["cancelled"]


# Secrets


def test_a_record_holds_no_secret_and_the_worker_gets_them_all(workers, tmp_path):
    setting, other = "parameters.note.HF_TOKEN=hunter2", "parameters.note={private_key: hunter4}"
    workers.script("pipeline", gave_up("pipeline", "run", "no hunter2 and no hunter3"))
    flags = ["--api_key", "hunter3", "--direct_num_workers=1"]
    command = ["beambench", "run", "x", "--set", other, f"--set={setting}", "--", *flags]
    resolved = Library().resolve("overhead-noop", profile="smoke", overrides=[other, setting])
    request = RunRequest(resolved, repeats=1, beam_flags=flags, command=command)
    record = execute_run(request, Cancellation())
    assert "hunter" not in record.model_dump_json()
    assert record.config["overrides"] == [
        "parameters.note={private_key: '***'}",
        "parameters.note.HF_TOKEN='***'",
    ]
    assert record.config["beam_flags"] == ["--api_key", "***", "--direct_num_workers=1"]
    assert record.command[-3:] == record.config["beam_flags"]
    assert record.config["definition"]["parameters"]["note"] == dict.fromkeys(
        ("private_key", "HF_TOKEN"), "***"
    )
    assert record.error == "pipeline repeat 1: no *** and no ***"
    for plan in workers.plans:
        assert plan.beam_flags == flags
        assert plan.definition.parameters["note"] == {
            "private_key": "hunter4",
            "HF_TOKEN": "hunter2",
        }
