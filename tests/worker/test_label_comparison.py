"""The labels of the first execution, and those of later ones beside them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from beambench.instrumentation.proof.output_sums import add_up
from beambench.record.observation import Measured
from beambench.record.run_record import LabelComparison, ModelDevice
from beambench.worker.label_comparison import LISTED, LabelLog, labels_follow_batches

Outputs = Sequence[tuple[str, Any, Any, Any]]
FAILED = ("inference", "ValueError: no")


def outputs(*labels: Any) -> Outputs:
    return [(f"{n}.jpg", label, None, None) for n, label in enumerate(labels)]


def compared(folder: Path, given: Outputs, *, complete: bool = True) -> LabelComparison | None:
    log = LabelLog(folder, add_up(given).labels, complete=complete)
    for element_id, label, _, error in given:
        if error is None:
            log.note(element_id, label)
    return log.close()


def test_the_first_has_nothing_to_be_compared_with(tmp_path):
    assert compared(tmp_path, outputs(1, 2, 3)) is None


def test_later_ones_are_compared_in_any_order(tmp_path):
    compared(tmp_path, outputs(1, 2, 3))
    same = compared(tmp_path, outputs(1, 2, 3)[::-1])
    assert same == LabelComparison(compared=3, differing=0, listed=[])
    swapped = compared(tmp_path, outputs(2, 1, 3))
    assert swapped == LabelComparison(compared=3, differing=2, listed=["0.jpg", "1.jpg"])
    text = compared(tmp_path, outputs(1, "2", 3))
    assert text == LabelComparison(compared=3, differing=1, listed=["1.jpg"])


def test_all_are_counted_and_some_are_named(tmp_path):
    compared(tmp_path, outputs(*range(100)))
    comparison = compared(tmp_path, outputs(*range(1, 101)))
    assert comparison is not None
    assert (comparison.compared, comparison.differing, len(comparison.listed)) == (100, 100, LISTED)


def test_only_what_came_out_of_both_is_compared(tmp_path):
    compared(tmp_path, [*outputs(1, 2), ("2.jpg", None, None, FAILED)])
    comparison = compared(tmp_path, [("0.jpg", None, None, FAILED), *outputs(1, 2, 3)[1:]])
    assert comparison == LabelComparison(compared=1, differing=0, listed=[])


def test_an_id_that_the_input_names_twice_has_two_labels_in_no_order(tmp_path):
    first = [("a", 1, None, None), ("a", 2, None, None)]
    compared(tmp_path, first)
    third = [("a", 2, None, None), ("a", 3, None, None)]
    assert compared(tmp_path, third) == LabelComparison(compared=2, differing=1, listed=["a"])


def test_an_execution_that_lost_elements_is_no_measure(tmp_path):
    assert compared(tmp_path, outputs(9, 9), complete=False) is None
    assert compared(tmp_path, outputs(1, 2, 3)) is None
    assert compared(tmp_path, outputs(1, 2), complete=False) == LabelComparison(
        compared=2, differing=0, listed=[]
    )


@pytest.mark.parametrize(
    ("runs", "threads", "devices", "follow"),
    [
        ("in_worker", 1, ["cpu"], True),
        ("in_worker", 1, ["cpu", "cpu"], True),
        ("in_worker", 1, ["cuda"], False),
        ("in_worker", 1, ["cpu", "cuda"], False),
        ("in_worker", 1, [None], False),
        ("in_worker", 1, [], False),
        ("in_worker", None, ["cpu"], False),
        ("server", 1, ["cpu"], False),
    ],
)
def test_the_same_batches_give_the_same_labels_on_the_cpu_of_one_worker(
    runs, threads, devices, follow
):
    measured = Measured(
        elements=1,
        batches=1,
        batch_sizes={1: 1},
        batch_size=None,
        batch_latency=None,
        latencies={},
        threads=threads,
        devices=[ModelDevice(device=device) for device in devices],
    )
    workload: Any = SimpleNamespace(model_runs=runs)
    assert labels_follow_batches(workload, measured) is follow
