"""The pipeline as Beam runs it: its names, its agreement with Beam, failures, awkward ids."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from beambench.controller.proof.cross_check import cross_check
from beambench.definition.plan import PipelinePlan
from beambench.errors import UsageError
from beambench.instrumentation.beam_metrics import measured, theirs
from beambench.instrumentation.proof.output_sums import accounts_for, add_up, expected_of
from beambench.instrumentation.recorder import PlanClock
from beambench.record.observation import Measured, Proof
from beambench.runners.direct.beam import pipeline as direct
from beambench.worker.outputs import read_predictions
from beambench.workloads.base import Weights
from beambench.workloads.pipeline.body import check_settings, instrumented
from beambench.workloads.pipeline.outputs import Outputs
from beambench.workloads.pipeline.sinks import format_prediction
from tiny_workloads import Echo, Tiny, definition, make_plan, outputs_of, prepared

pytestmark = pytest.mark.real

THIRTY = [str(number) for number in range(30)]


class Ran:
    """A finished pipeline and all that it left."""

    def __init__(self, plan: PipelinePlan) -> None:
        cls = Echo if plan.definition.workload.endswith("Echo") else Tiny
        self.workload = cls(plan.definition, Weights(None))
        files = Outputs.within(plan.work_dir)
        finished = direct.run(self.workload, plan, files)
        self.query = finished.query
        self.proof = Proof.model_validate_json(Path(files.proof).read_text())
        self.lines = Path(files.predictions).read_text("utf-8").splitlines()
        self.outputs = list(read_predictions(files.predictions))
        self.folder = Path(plan.work_dir)

    def measured(self) -> Measured:
        return measured(self.query, self.proof.count, 1_000_000, 1)

    def theirs(self) -> dict[str, Any]:
        return theirs(self.query, self.workload.model_handler().get_metrics_namespace())


def echo(folder: Path, ids: list[str], **changed: Any) -> Ran:
    whole = definition("tiny_workloads:Echo", **changed)
    return Ran(make_plan(folder, definition=whole, preparation=prepared(folder, ids)))


def tiny(folder: Path, ids: list[str], sample: list[str] | None = None, **parameters: Any) -> Ran:
    whole = definition(parameters=parameters)
    return Ran(make_plan(folder, definition=whole, preparation=prepared(folder, ids, sample)))


# --- settings


def settings(**changed: Any) -> Any:
    return definition("tiny_workloads:Tiny", **changed)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (
            {"batching": {"max_batch_duration_secs": 1}},
            "batching.max_batch_duration_secs: workload ",
        ),
        (
            {"model": {"name": "m", "weights": "none", "large": True}},
            "model.large: workload tiny_w",
        ),
        (
            {"model": {"name": "m", "weights": "none", "copies": 2}},
            "model.copies: workload tiny_wo",
        ),
    ],
)
def test_what_a_workloads_handler_does_not_read_is_refused(changed, words):
    whole = settings(**changed)
    with pytest.raises(UsageError, match=words):
        check_settings(whole, Tiny(whole, Weights(None)).model_handlers(), [])


def test_what_a_workloads_handler_reads_passes_and_what_beam_throws_away_is_refused():
    whole = settings(batching={"min_batch_size": 2, "max_batch_size": 4})
    handlers = Tiny(whole, Weights(None)).model_handlers()
    check_settings(whole, handlers, [])
    with pytest.raises(
        UsageError, match=r"Tiny: nothing reads TinyHandler\(inference_batch_size=…\)"
    ):
        check_settings(whole, handlers, ["TinyHandler(inference_batch_size=…)"])
    with pytest.raises(UsageError, match="Beam ignores it with models per key"):
        check_settings(whole, [*handlers, *handlers], [])


# --- names and agreement with Beam


def test_steps_have_the_names_of_the_stock_pipeline(tmp_path):
    ran = echo(tmp_path, THIRTY)
    steps = {
        entry.key.metric.name: entry.key.step
        for entry in ran.query["counters"] + ran.query["distributions"]
    }
    inference = "PyTorchRunInference/BeamML_RunInference"
    assert steps["num_inferences"] == inference
    assert steps["inference_batch_latency_micro_secs"] == inference
    assert steps["inference_request_batch_size"] == inference
    assert steps["load_model_latency_milli_secs"] == inference
    assert steps["batch_size"] == inference
    assert steps["read_ns"] == "PyTorchRunInference/BeamML_RunInference_Preprocess-0"
    assert steps["postprocess_ns"] == "PyTorchRunInference/BeamML_RunInference_Postprocess-0"


@pytest.mark.parametrize("batching", [{}, {"min_batch_size": 7, "max_batch_size": 7}])
def test_beams_own_counts_and_sizes_are_equal_to_ours(tmp_path, batching):
    ran = echo(tmp_path, [str(number) for number in range(500)], batching=batching)
    beams = ran.theirs()
    assert beams["num_inferences"]["value"] == 500
    size = beams["inference_request_batch_size"]
    assert size.pop("step") == "PyTorchRunInference/BeamML_RunInference"
    assert size.pop("namespace") == beams["num_inferences"]["namespace"]
    assert size == ran.measured().batch_size.model_dump()


def test_beams_own_counts_agree_though_elements_fail(tmp_path):
    ran = tiny(tmp_path, THIRTY, fail_at=[3, 17], stage="preprocess")
    size = ran.theirs()["inference_request_batch_size"]
    ours = ran.measured().batch_size.model_dump()
    assert ours == {key: size[key] for key in ours}
    assert ran.theirs()["num_inferences"]["value"] == 30
    ran = tiny(tmp_path, THIRTY, fail_at=[3, 17], stage="inference")
    values = ran.measured()
    assert (values.retried_batches, values.replaced_sizes) == (2, {8: 2})
    assert values.computed_sizes == {1: 14}
    assert values.retry_cause == "ValueError: inference of 3"
    checked = cross_check(ran.measured(), ran.theirs())
    assert (checked["agrees"], checked["differences"]) == (True, [])
    assert checked["latency_gap_us"] >= 0  # ours holds the second tries, as Beam's does


def test_the_handler_is_keyed_outside_and_measured_inside(tmp_path):
    plan = make_plan(tmp_path, preparation=prepared(tmp_path, THIRTY))
    outer = instrumented(Tiny(plan.definition, Weights(None)), plan, PlanClock(0, 1_000_000))
    assert type(outer).__name__ == "KeyedModelHandler"
    assert type(outer._unkeyed).__name__ == "InstrumentedModelHandler"
    assert type(outer._unkeyed._inner).__name__ == "TinyHandler"


def test_batches_keep_to_the_limits_of_the_definition(tmp_path):
    batching = {"min_batch_size": 10, "max_batch_size": 20}
    values = echo(tmp_path, [str(number) for number in range(300)], batching=batching).measured()
    assert sum(size * count for size, count in values.batch_sizes.items()) == 300
    assert max(values.batch_sizes) <= 20
    assert sum(count for size, count in values.batch_sizes.items() if size < 10) <= 1  # the rest


# --- outputs


def test_every_element_comes_out_once_with_its_own_label(tmp_path):
    ran = tiny(tmp_path, THIRTY, sample=["4", "21"])
    assert Counter(output[0] for output in ran.outputs) == Counter(THIRTY)
    for element_id, label, evidence, error in ran.outputs:
        outputs = outputs_of(int(element_id), "plain")
        assert label == outputs.index(max(outputs))
        assert evidence == (outputs if element_id in ("4", "21") else None)
        assert error is None
    assert add_up(ran.outputs) == ran.proof
    assert accounts_for(ran.proof, expected_of(THIRTY))


@pytest.mark.parametrize("stage", ["read", "preprocess", "inference", "postprocess"])
def test_an_element_that_fails_is_counted_and_named_with_its_stage_and_the_rest_comes_out(
    tmp_path, stage
):
    ran = tiny(tmp_path, THIRTY, fail_at=[3, 8, 29], stage=stage)
    assert (ran.proof.count, ran.proof.failed) == (27, 3)
    assert accounts_for(ran.proof, expected_of(THIRTY))
    failed = {output[0]: output for output in ran.outputs if output[3] is not None}
    assert set(failed) == {"3", "8", "29"}
    for element_id, (_, label, evidence, error) in failed.items():
        assert (label, evidence) == (None, None)
        assert error == [stage, f"ValueError: {stage} of {element_id}"]
    for element_id, label, _, error in ran.outputs:
        if error is None:
            outputs = outputs_of(int(element_id), "plain")
            assert label == outputs.index(max(outputs))


@pytest.mark.parametrize("stage", ["read", "preprocess", "inference", "postprocess"])
def test_all_elements_may_fail(tmp_path, stage):
    ran = tiny(tmp_path, THIRTY[:10], fail_at=list(range(10)), stage=stage)
    assert (ran.proof.count, ran.proof.failed) == (0, 10)
    assert accounts_for(ran.proof, expected_of(THIRTY[:10]))
    assert ran.measured().elements == 0


@pytest.mark.parametrize("evidence", ["none", "empty"])
def test_a_workload_may_give_no_raw_outputs(tmp_path, evidence):
    ran = tiny(tmp_path, THIRTY, evidence=evidence)
    assert {json.dumps(output[2]) for output in ran.outputs} == {
        "null" if evidence == "none" else "[]"
    }
    assert ran.proof.count == 30


AWKWARD = [
    "a,b.jpg",
    'quo"te.jpg',
    "single'quote.jpg",
    " leading and trailing ",
    "tab\there",
    "Ünïcödé.jpg",
    "日本語.jpg",
    "line\u2028separator",
    "next\x85line",
    "form\x0cfeed",
    "e\u0301 is not \u00e9",
    "back\\slash",
    "[star*]?.jpg",
    "null",
    "0",
    "-",
    "#hash",
    "%2e",
    "emoji 🙂",
    "a" * 3000,
    "\ufeffmark",
]


def test_ids_of_any_text_come_out_as_they_went_in(tmp_path):
    ran = echo(tmp_path, AWKWARD)
    assert {output[0]: output[1] for output in ran.outputs} == {
        element_id: f"label of {element_id}" for element_id in AWKWARD
    }
    assert len(ran.lines) == len(AWKWARD)
    assert accounts_for(ran.proof, expected_of(AWKWARD))


def test_an_id_listed_several_times_comes_out_as_often(tmp_path):
    ids = ["a", "b", "a", "c", "a"]
    ran = echo(tmp_path, ids)
    assert Counter(output[0] for output in ran.outputs) == {"a": 3, "b": 1, "c": 1}
    assert accounts_for(ran.proof, expected_of(ids))


def test_files_of_an_earlier_repeat_are_written_over(tmp_path):
    echo(tmp_path, THIRTY)
    ran = echo(tmp_path, THIRTY[:5])
    assert ran.proof.count == 5
    assert len(ran.lines) == 5


def test_a_prediction_is_one_line_of_ascii():
    line = format_prediction(("a\nb\u2028", "é", [0.5], None))
    assert line.isascii()
    assert "\n" not in line
    assert json.loads(line) == ["a\nb\u2028", "é", [0.5], None]
