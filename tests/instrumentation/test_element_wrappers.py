"""What is measured once an element: reading, preprocessing, postprocessing."""

from __future__ import annotations

import enum
import json
import pickle
from array import array
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from apache_beam.ml.inference.base import PredictionResult

from beambench.inputs.elements import parsed
from beambench.instrumentation.elements import (
    InstrumentedPostprocess,
    InstrumentedPreprocess,
    counted,
    label_of,
)
from beambench.instrumentation.failures import ElementFailure
from beambench.instrumentation.proof.output_sums import add_up
from beambench.instrumentation.recorder import PlanClock, Progress
from beambench.record.observation import CPU_STRIDE

pytestmark = pytest.mark.real

CLOCK = PlanClock(epoch_ns=1_700_000_000_000_000_000, slot_us=1_000_000)


class Steps:
    """Steps of a workload that take their time, and raise where told."""

    def __init__(self, clock: Any, fail: str = "") -> None:
        self.clock = clock
        self.fail = fail
        self.read_paths: list[str] = []

    def _step(self, name: str, microseconds: int) -> None:
        self.clock.advance_us(microseconds)
        if self.fail == name:
            raise ValueError(f"{name} is broken")

    def read(self, path: str) -> bytes:
        self.read_paths.append(path)
        self._step("read", 30)
        return b"12345"

    def preprocess(self, raw: bytes) -> int:
        self._step("preprocess", 70)
        return len(raw)

    def postprocess(self, prediction: Any) -> int:
        self._step("postprocess", 11)
        return int(prediction.inference)

    def quantities(self, prediction: Any) -> dict[str, int]:
        self._step("quantities", 2)
        return {"tokens": int(prediction.inference)}

    def evidence(self, prediction: Any) -> list[float]:
        self._step("evidence", 5)
        return [0.5, 1.5]


def preprocessing(clock: Any, fail: str = "", root: str = "/data") -> InstrumentedPreprocess:
    steps = Steps(clock, fail)
    return InstrumentedPreprocess(steps.read, steps.preprocess, root, CLOCK)


def test_reading_and_preprocessing_are_timed_apart_and_bytes_are_counted(clock, metrics):
    run = preprocessing(clock)
    clock.advance_us(500)
    assert run("a.jpg") == ("a.jpg", 5)
    assert run("b.jpg") == ("b.jpg", 5)
    assert metrics.counters["read_ns"] == 60_000
    assert metrics.counters["preprocess_ns"] == 140_000
    assert metrics.counters["bytes_read"] == 10
    assert metrics.values["first_read_us"] == [500]
    assert metrics.counters["preprocessed_at_us"] == 600 + 700


def test_cpu_time_is_that_of_every_13th_element(clock, metrics):
    before, after = preprocessing(clock), postprocessing(clock)
    for number in range(CPU_STRIDE // 2 - 1):  # those that warm up
        before(f"{number}.jpg")
        after((f"{number}.jpg", PredictionResult(None, 3)))
    assert metrics.counters["preprocess_cpu_elements"] == 0
    for number in range(CPU_STRIDE + 1):
        before(f"{number}.jpg")
        after((f"{number}.jpg", PredictionResult(None, 3)))
    assert metrics.counters["preprocess_cpu_elements"] == 2
    assert metrics.counters["read_cpu_ns"] == 2 * 15_000  # half of the time is of the CPU
    assert metrics.counters["preprocess_cpu_ns"] == 2 * 35_000
    assert metrics.counters["postprocess_cpu_elements"] == 2
    assert metrics.counters["postprocess_cpu_ns"] == 2 * 6_500


def test_cpu_time_of_an_element_that_could_not_be_read_is_all_of_reading(clock, metrics):
    run = preprocessing(clock, "read")
    for number in range(CPU_STRIDE):
        run(f"{number}.jpg")
    assert metrics.counters["read_cpu_ns"] == 15_000
    assert metrics.counters["preprocess_cpu_ns"] == 0


@pytest.mark.parametrize(
    ("stage", "read_ns", "preprocess_ns", "size"),
    [("read", 30_000, 0, 0), ("preprocess", 30_000, 70_000, 5)],
)
def test_an_element_that_fails_goes_on_in_its_place_and_says_where(
    clock, metrics, stage, read_ns, preprocess_ns, size
):
    element_id, example = preprocessing(clock, stage)("a.jpg")
    assert element_id == "a.jpg"
    assert example == ElementFailure(stage, f"ValueError: {stage} is broken")
    assert type(example) is ElementFailure
    assert metrics.counters["read_ns"] == read_ns
    assert metrics.counters["preprocess_ns"] == preprocess_ns
    assert metrics.counters["bytes_read"] == size
    assert metrics.counters["preprocessed_at_us"] > 0


def test_a_read_that_takes_no_time_is_still_done_when_preprocessing_fails(clock, metrics):
    def refuse(raw: Any) -> None:
        raise ValueError("no")

    run = InstrumentedPreprocess(lambda _: b"", refuse, "", CLOCK)
    assert run("a")[1].stage == "preprocess"


def test_what_is_not_bytes_has_no_size(clock, metrics):
    run = InstrumentedPreprocess(lambda _: "12345", lambda raw: raw, "", CLOCK)
    run("a")
    assert "bytes_read" not in metrics.counters


@pytest.mark.parametrize(
    ("root", "element_id", "path"),
    [("/data", "a.jpg", "/data/a.jpg"), ("", "gs://b/a.jpg", "gs://b/a.jpg"), ("", "/a", "/a")],
)
def test_the_path_is_below_the_root_if_there_is_one(clock, metrics, root, element_id, path):
    assert parsed(element_id, root) == (element_id, path)
    steps = Steps(clock)
    InstrumentedPreprocess(steps.read, steps.preprocess, root, CLOCK)(element_id)
    assert steps.read_paths == [path]


def postprocessing(clock: Any, fail: str = "") -> InstrumentedPostprocess:
    steps = Steps(clock, fail)
    return InstrumentedPostprocess(
        steps.postprocess, steps.evidence, steps.quantities, frozenset({"b"}), CLOCK
    )


def test_raw_outputs_are_kept_of_sampled_elements_only(clock, metrics):
    run, done = postprocessing(clock), Progress.done
    clock.advance_us(100)
    assert run(("a", PredictionResult(None, 3))) == ("a", 3, None, None)
    assert run(("b", PredictionResult(None, 4))) == ("b", 4, [0.5, 1.5], None)
    assert metrics.counters["postprocess_ns"] == 13_000 + 18_000
    assert metrics.values["output_us"] == [113, 131]
    assert metrics.counters["quantity/tokens"] == 7
    assert Progress.done == done + 2


def test_an_earlier_failure_is_passed_on_and_not_postprocessed(clock, metrics):
    run = postprocessing(clock, "postprocess")
    lost = PredictionResult(None, ElementFailure("read", "OSError: gone"))
    assert run(("b", lost)) == ("b", None, None, ("read", "OSError: gone"))
    assert metrics.counters["postprocess_ns"] == 0
    assert metrics.counters["quantity/tokens"] == 0  # what did not come out is not counted


@pytest.mark.parametrize("fail", ["postprocess", "evidence", "quantities"])
def test_an_element_that_fails_in_postprocessing_says_so(clock, metrics, fail):
    output = postprocessing(clock, fail)(("b", PredictionResult(None, 4)))
    stage = "evidence" if fail == "evidence" else "postprocess"
    assert output == ("b", None, None, (stage, f"ValueError: {fail} is broken"))


@pytest.mark.parametrize("wrong", [None, {"tokens": "many"}])
def test_quantities_that_are_no_counts_fail_the_element(wrong):
    output, quantities = counted(("a", 1, None, None), PredictionResult(None, 1), lambda _: wrong)
    assert (output[1], output[3][0], quantities) == (None, "postprocess", {})


@pytest.mark.parametrize(
    ("wrong", "shown"),
    [
        (None, "NoneType"),
        (3.0, "float (3.0)"),
        (b"cat", "bytes (b'cat')"),
        (array("d", [1.0]), "array"),
        (np.float64(3.0), "float64 (np.float64(3.0))"),
        (np.float32(0.5), "float32 (0.5)"),
        (np.array(3.0), "ndarray (3.0)"),
        (np.array([3]), "ndarray of shape (1,)"),
        (torch.tensor(3.0), "Tensor (3.0)"),
        (torch.tensor([3]), "Tensor of shape (1,)"),  # which has an __index__ all the same
        ([3], "list"),
    ],
)
def test_a_label_of_another_type_is_a_failure_that_says_so(wrong, shown):
    output = label_of("a", PredictionResult(None, 1), lambda _: wrong, None)
    text = f"TypeError: a label is an int or a str, not {shown}"
    assert output == ("a", None, None, ("postprocess", text))


class Index:
    def __index__(self) -> int:
        return 3


class Fish(enum.IntEnum):
    TENCH = 3


class Colour(str, enum.Enum):
    RED = "red"


@pytest.mark.parametrize(
    ("given", "label"),
    [
        (np.array([1, 5, 9, 2]).argmax(), 2),
        (np.uint8(3), 3),
        (np.array(3), 3),
        (torch.tensor([1, 5, 9, 2]).argmax(), 2),
        (torch.tensor(3, dtype=torch.int32), 3),
        pytest.param(Index(), 3, id="index"),
        (Fish.TENCH, 3),
        (np.str_("cat"), "cat"),
        (np.array("cat"), "cat"),
        (Colour.RED, "red"),
        (True, True),
        (np.True_, True),
        (1 << 80, 1 << 80),
    ],
    ids=repr,
)
def test_integers_and_texts_of_other_kinds_are_labels_as_plain_ones(given, label):
    output = label_of("a", PredictionResult(None, 1), lambda _: given, None)
    assert output == ("a", label, None, None)
    assert type(output[1]) is type(label)
    assert json.loads(json.dumps(output))[1] == label
    assert add_up([output]) == add_up([("a", label, None, None)])


@pytest.mark.parametrize(
    ("raw", "plain"),
    [
        (array("f", [0.5, 2.0]), [0.5, 2.0]),
        ((1, 2), [1.0, 2.0]),
        ([], []),
        (None, None),
    ],
)
def test_raw_outputs_become_plain_numbers_that_json_can_hold(raw, plain):
    output = label_of("a", PredictionResult(None, 1), lambda _: 1, lambda _: raw)
    assert output == ("a", 1, plain, None)
    assert json.loads(json.dumps(output)) == ["a", 1, plain, None]
    assert all(type(value) is float for value in output[2] or [])


@pytest.mark.parametrize(
    "raw", [{0: 0.1, 1: 0.9}, {"cat": 0.9}, {0.1, 0.9}, "19"], ids=lambda raw: type(raw).__name__
)
def test_raw_outputs_that_are_names_or_without_order_fail_the_element(raw):
    output = label_of("a", PredictionResult(None, 1), lambda _: 1, lambda _: raw)
    text = f"TypeError: evidence() gives numbers in a fixed order, not {type(raw).__name__}"
    assert output == ("a", None, None, ("evidence", text))


@pytest.mark.parametrize(
    ("given", "label"),
    [
        ("\ud83d!", "\\ud83d!"),
        ("caf\u00e9 \U0001f600", "caf\u00e9 \U0001f600"),
        (np.str_("\udcff"), "\\udcff"),
    ],
    ids=ascii,
)
def test_half_of_a_surrogate_pair_in_a_label_is_escaped(given, label):
    output = label_of("a", PredictionResult(None, 1), lambda _: given, None)
    assert output == ("a", label, None, None)
    output[1].encode("utf-8")


@pytest.mark.parametrize("sign", [1, -1])
def test_an_integer_that_cannot_be_written_is_no_label(sign):
    output = label_of("a", PredictionResult(None, 1), lambda _: sign * 10**5000, None)
    text = "ValueError: a label has at most 1024 bits, not 16610"
    assert output == ("a", None, None, ("postprocess", text))


def test_a_prediction_need_not_be_beams():
    assert label_of("a", 7, lambda prediction: prediction + 1, None) == ("a", 8, None, None)
    assert (
        label_of("a", SimpleNamespace(inference=1), lambda result: result.inference, None)[1] == 1
    )


def test_both_pickle_after_use_without_what_they_counted(clock, metrics):
    from beambench.workloads.base import Weights
    from tiny_workloads import Tiny, definition

    tiny = Tiny(definition(), Weights(None))
    before = InstrumentedPreprocess(tiny.read, tiny.preprocess, "", CLOCK)
    after = InstrumentedPostprocess(
        tiny.postprocess, tiny.evidence, tiny.quantities, frozenset({"3"}), CLOCK
    )
    before("3")
    after(("3", PredictionResult(3, [0.0] * 8)))
    for used in (before, after):
        assert used._recorder is not None
        assert pickle.loads(pickle.dumps(used))._recorder is None
    assert pickle.loads(pickle.dumps(before))("12") == ("12", 12)
