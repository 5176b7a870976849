"""Runner, input and model of a record, from what workers reported."""

from __future__ import annotations

import pytest

from beambench.controller.record_parts import input_record, model_record, runner_record
from beambench.record.observation import Observation, Prepared
from task_results import execute


def test_the_runner_is_the_one_that_a_repeat_saw():
    repeats = execute(("pipeline", None), ("pipeline", 1)).repeats
    assert runner_record("direct", repeats).model_dump() == {
        "requested": "direct",
        "executed": "direct",
        "implementation": "FnApiRunner (in_memory)",
        "options": ["--x=1"],
        "counters": "committed",
    }
    assert runner_record("direct", repeats[:1]).model_dump() == {
        "requested": "direct",
        "executed": None,
        "implementation": None,
        "options": [],
        "counters": None,
    }


def prepared() -> Observation:
    return Observation(
        task="prepare",
        prepared=Prepared(
            preparation={"count": 24},
            input_kind="derived",
            input_digest="d1",
            input_bytes=4096,
            input_source="packaged",
            weights_digest="d2",
            weights_size=3 << 19,
            environment={},
        ),
    )


def test_input_and_model_are_what_the_preparation_found():
    assert input_record(prepared(), "packaged", "labels.tsv").model_dump() == {
        "kind": "derived",
        "count": 24,
        "digest": "d1",
        "bytes": 4096,
        "source": "packaged",
        "labels": "labels.tsv",
    }
    assert model_record(prepared(), "tiny", "random").model_dump() == {
        "name": "tiny",
        "weights": "random",
        "digest": "d2",
        "size_mib": 1.5,
    }


@pytest.mark.parametrize("observation", [None, Observation(task="prepare")])
def test_input_and_model_are_unknown_without_a_preparation(observation):
    assert input_record(observation, "photos", None).model_dump() == {
        "kind": "unknown",
        "count": 0,
        "digest": None,
        "bytes": None,
        "source": "photos",
        "labels": None,
    }
    model = model_record(observation, "tiny", "none")
    assert (model.name, model.weights, model.digest, model.size_mib) == ("tiny", "none", None, None)
