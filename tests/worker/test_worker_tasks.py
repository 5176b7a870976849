"""The parts of the worker's tasks: the sample, the list of ids, what is named."""

from __future__ import annotations

import itertools
import os
import sys
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beambench.controller.execution import Execution
from beambench.controller.run_warnings import warnings_of
from beambench.definition.plan import Preparation
from beambench.errors import RunError, UsageError
from beambench.instrumentation.weights import check_size, size_of
from beambench.record.observation import Observation
from beambench.runners.direct.beam import pipeline as direct
from beambench.worker import tasks
from beambench.worker.outputs import classes_of, named_differences, read_predictions
from beambench.worker.sample import sample_of
from beambench.worker.tasks import (
    _digest,
    calibrate,
    ids_of,
    prepare,
    read_elements,
    run_loop,
    run_pipeline,
    run_reference,
)
from property_checks import CHECKED
from tiny_workloads import Tiny, definition, make_plan, outputs_of, prepared

pytestmark = pytest.mark.real

IDS = [str(number) for number in range(200)]


@pytest.mark.parametrize(("fault", "grows"), [("leak", True), ("cache", False), ("none", False)])
def test_memory_that_grows_with_every_batch_is_said_in_one_line(tmp_path, fault, grows):
    ids = [str(number) for number in range(480)]  # in 60 batches
    observation = planned(tmp_path, run_pipeline, ids, parameters={"fault": fault})
    assert [reading[:3] for reading in observation.memory[:2]] == [(0, 0, 8), (1, 8, 8)]
    assert len(observation.memory) == 60
    said = [
        warning
        for warning in warnings_of(Execution(0.01, observations=[observation]), {})
        if "memory" in warning
    ]
    assert len(said) == grows
    if grows:
        assert said[0].startswith(
            "the worker's memory grew by 2.1 MB a batch over 44 batches, from "
        )
        assert said[0].endswith("in 1 of 1 repeats: a leak, or a cache that never filled")


def test_the_digest_and_size_of_a_folder_are_over_names_and_contents(tmp_path):
    def folder(name: str, **files: str) -> Path:
        for file, content in files.items():
            path = tmp_path / name / file.replace("_", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        return tmp_path / name

    first = folder("first", a="one", sub_b="two")
    assert _digest(first) == _digest(folder("moved", sub_b="two", a="one"))
    others = [
        folder("content", a="one", sub_b="three"),
        folder("name", a="one", sub_c="two"),
        folder("more", a="one", sub_b="two", c=""),
        folder("swapped", a="two", sub_b="one"),
    ]
    assert len({_digest(place) for place in [first, *others]}) == 5
    assert [size_of(str(place)) for place in (first, first / "a")] == [6, 3]
    check_size(str(first), 6 / (1 << 20))
    with pytest.raises(RunError, match="size_mib says 1 MiB"):
        check_size(str(first), 1)


# --- the sample

LISTS = st.lists(st.text(min_size=1, max_size=3), min_size=1, max_size=60)


@CHECKED
@given(LISTS, st.integers(0, 5))
def test_a_sample_is_at_most_32_distinct_elements_with_the_first_and_the_last(ids, seed):
    chosen = sample_of(ids, seed)
    assert len(chosen) == len(set(chosen)) == min(32, len(set(ids)))
    assert set(chosen) <= set(ids)
    assert {ids[0], ids[-1]} <= set(chosen)
    assert chosen == sample_of(ids, seed)
    # The first of the pipeline is not the first here: a handler that gives back its first output
    # cannot agree with itself.
    assert chosen[0] != ids[0] or len(chosen) == 1


def test_another_seed_is_another_sample_and_no_list_is_no_sample():
    samples = {tuple(sorted(sample_of(IDS, seed))) for seed in range(5)}
    assert len(samples) == 5
    assert sample_of([], 0) == []


def test_a_sample_is_in_another_order_than_the_pipelines():
    for size in (32, 200):
        chosen = sample_of(IDS[:size], 0)
        places = [IDS.index(element_id) for element_id in chosen]
        after = sum(1 for a, b in itertools.pairwise(places) if b == a + 1)
        assert after < len(chosen) / 4  # elements that follow the same one as in the pipeline


# --- preparation and ids


def test_what_is_prepared_is_what_the_others_read(tmp_path):
    plan = make_plan(tmp_path, "prepare", limit=50)
    ready = prepare(plan).prepared
    assert ready is not None
    preparation = Preparation.model_validate(ready.preparation)
    assert (preparation.count, preparation.root, preparation.weights_path) == (50, "", None)
    assert preparation.sample == sample_of(IDS[:50], 0)
    assert (ready.input_kind, ready.weights_digest, ready.weights_size) == ("synthetic", None, None)
    assert {"machine", "python"} & set(ready.environment)
    assert "torch" in ready.environment
    assert ids_of(read_elements(plan.model_copy(update={"preparation": preparation}))) == IDS[:50]


@pytest.mark.parametrize("here", [True, False])
def test_what_this_cpu_cannot_do_is_said_of_this_machine_only(tmp_path, monkeypatch, here):
    machine = {"instructions": {}, "cores": {"usable": 1}}
    monkeypatch.setattr(tasks, "fingerprint", lambda _: {"machine": machine})
    monkeypatch.setattr("beambench.machine.bytecode.warnings", lambda: ["no bytecode"])
    model = {"name": "tiny", "weights": "none", "precision": "bfloat16"}
    plan = make_plan(tmp_path, "prepare", runs_here=here, definition=definition(model=model))
    ready = prepare(plan).prepared
    assert ready is not None
    assert any("no bfloat16 instructions" in warning for warning in ready.warnings) == here
    assert ("no bytecode" in ready.warnings) == here


def test_a_flag_that_beam_does_not_know_ends_the_preparation(tmp_path):
    plan = make_plan(tmp_path, "prepare", beam_flags=["--no_such_flag=1"])
    with pytest.raises(UsageError, match="no flag --no_such_flag"):
        prepare(plan)
    assert not (tmp_path / "ids.txt").exists()


def test_labels_that_label_nothing_are_a_mistake(tmp_path):
    labels = tmp_path / "labels.csv"
    labels.write_text("cat\\a.jpg,1\n")
    words = r"none of the elements: line 1 has 'cat\\\\a.jpg', and the first element is '0': write"
    with pytest.raises(UsageError, match=words):
        prepare(make_plan(tmp_path, "prepare", labels=str(labels)))


AWKWARD = ["a,b", ' "q" ', "\u2028", "a\x85b", "\x0c", "ü", "a", "a", "\t", "\ufeffa"]


def test_ids_of_any_text_are_read_back_as_they_are(tmp_path):
    plan = make_plan(tmp_path, preparation=prepared(tmp_path, AWKWARD))
    assert ids_of(read_elements(plan)) == AWKWARD


@pytest.mark.parametrize("task", [run_pipeline, run_loop, calibrate])
@pytest.mark.parametrize("text", ["0\n1\n", "", "0\n1\n2\n3\n4\n"])
def test_a_list_that_has_changed_since_is_not_run(tmp_path, task, text):
    plan = make_plan(tmp_path, preparation=prepared(tmp_path, IDS[:4]))
    Path(plan.preparation.ids_file).write_text(text)
    with pytest.raises(RunError, match=f"has {len(text.split())} of 4 prepared elements"):
        task(plan)


# --- what is named


@pytest.mark.parametrize(
    ("ids", "seen", "missing", "double"),
    [
        (["a", "b", "c"], ["c", "b", "a"], [], []),
        (["a", "b", "c"], ["c"], ["a", "b"], []),
        (["a", "b"], ["a", "b", "b", "b"], [], ["b", "b"]),
        (["a", "b"], ["a", "a"], ["b"], ["a"]),
        (["a", "a"], ["a"], ["a"], []),
        (["a", "a"], ["a", "a"], [], []),
        (["a"], ["x"], ["a"], ["x"]),
    ],
)
def test_missing_and_doubled_elements_are_named(ids, seen, missing, double):
    assert named_differences(ids, seen) == (missing, double)


def test_predictions_are_read_back_line_by_line(tmp_path):
    path = tmp_path / "predictions.jsonl"
    path.write_text(
        '["a\\u2028",1,null,null]\n["b",null,null,["read","gone"]]\n["c","x",[0.5],null]\n'
    )
    assert list(read_predictions(str(path))) == [
        ("a\u2028", 1, None, None),
        ("b", None, None, ["read", "gone"]),
        ("c", "x", [0.5], None),
    ]


# --- the tasks


def planned(folder: Path, task: Any, ids: list[str], **changed: Any) -> Observation:
    parameters = changed.pop("parameters", {})
    fields = get_type_hints(task)["plan"].model_fields
    if "batch_sizes" not in fields:
        changed.pop("batch_sizes", None)
    plan = make_plan(
        folder,
        fields["task"].default,
        **{
            "definition": definition(parameters=parameters),
            "preparation": prepared(folder, ids, sample_of(ids, 0)),
            **changed,
        },
    )
    observation = task(plan)
    assert isinstance(observation, Observation)
    return observation


def test_pipeline_and_loop_report_the_same_proof(tmp_path):
    flags = ["--dataflow_kms_key=hunter2"]
    pipeline = planned(tmp_path, run_pipeline, IDS, beam_flags=flags)
    loop = planned(tmp_path, run_loop, IDS, batch_sizes=[10, 30])
    assert pipeline.proof == loop.proof
    assert pipeline.expected == loop.expected
    assert (pipeline.proof.count, pipeline.expected.count) == (200, 200)
    assert pipeline.runner == {
        "executed": "direct",
        "implementation": "FnApiRunner, in_memory",
        "counters": "committed",
        "options": ["--dataflow_kms_key=***"],
    }
    assert pipeline.beam_metrics["num_inferences"]["value"] == 200
    namespace = pipeline.beam_metrics["num_inferences"]["namespace"]
    assert pipeline.counter(namespace, "num_inferences") == 200
    assert loop.raw_metrics == {}
    assert loop.measured.batch_sizes == {10: 2, 30: 6}  # the last one is the rest
    assert {prediction.id: prediction.label for prediction in pipeline.sample} == {
        prediction.id: prediction.label for prediction in loop.sample
    }


def test_the_reference_gives_labels_and_raw_outputs_of_the_sample_in_its_order(tmp_path):
    observation = planned(tmp_path, run_reference, IDS)
    assert [prediction.id for prediction in observation.sample] == sample_of(IDS, 0)
    for sampled in observation.sample:
        outputs = outputs_of(int(sampled.id), "plain")
        assert sampled.evidence == outputs
        assert sampled.label == outputs.index(max(outputs))
        assert sampled.error is None


def test_the_reference_says_why_an_element_failed(tmp_path):
    observation = planned(
        tmp_path, run_reference, IDS, parameters={"fail_at": [0], "stage": "read"}
    )
    errors = {
        prediction.id: prediction.error
        for prediction in observation.sample
        if prediction.error is not None
    }
    assert errors == {"0": "ValueError: read of 0"}


def test_an_element_that_is_lost_is_named_and_one_that_fails_is_not(tmp_path):
    parameters = {"fault": "drop last", "fail_at": [2], "stage": "preprocess"}
    observation = planned(tmp_path, run_pipeline, IDS[:16], parameters=parameters)
    assert (observation.missing, observation.missing_count) == (["7", "15"], 2)
    assert (observation.duplicates, observation.duplicates_count) == ([], 0)
    assert [failure.id for failure in observation.failed] == ["2"]


def test_names_are_listed_up_to_twenty_and_all_are_counted(tmp_path):
    observation = planned(tmp_path, run_pipeline, IDS, parameters={"fault": "drop last"})
    assert (len(observation.missing), observation.missing_count) == (20, 25)
    observation = planned(
        tmp_path, run_pipeline, IDS, parameters={"fail_at": list(range(30)), "stage": "read"}
    )
    assert len(observation.failed) == 20
    assert observation.proof.failed == 30


@pytest.mark.parametrize("task", [run_pipeline, run_loop])
def test_accuracy_counts_labelled_elements_that_came_out(tmp_path, task):
    ids = IDS[:20]
    best = {element_id: outputs_of(int(element_id), "plain") for element_id in ids}
    right = {element_id: outputs.index(max(outputs)) for element_id, outputs in best.items()}
    rows = [
        f"{element_id},{right[element_id] if int(element_id) < 5 else right[element_id] + 1}"
        for element_id in ids[:8]
    ]
    labels = tmp_path / "labels.csv"
    labels.write_text("\n".join(rows))
    observation = planned(
        tmp_path,
        task,
        ids,
        labels=str(labels),
        batch_sizes=[5],
        parameters={"fail_at": [0], "stage": "inference"},
    )
    assert (observation.labelled, observation.correct) == (7, 4)


@pytest.mark.parametrize("task", [run_pipeline, run_loop, run_reference])
def test_a_handler_may_change_the_current_folder(tmp_path, monkeypatch, task):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Tiny, "set_up", lambda _: os.chdir(elsewhere))
    Path("labels.csv").write_text("\n".join(f"{element_id},1" for element_id in IDS[:8]))
    places = {"labels": "labels.csv", "output": "out.jsonl", "batch_sizes": [5]}
    observation = planned(tmp_path, task, IDS[:20], **places)
    assert Path.cwd() == elsewhere
    assert observation.labelled == (0 if task is run_reference else 8)
    if task is run_pipeline:
        assert (
            len((tmp_path / "out.jsonl").read_text().splitlines()) == observation.output_rows == 20
        )
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize("task", [run_pipeline, run_loop])
def test_labels_that_are_texts_have_no_accuracy_and_a_warning_says_so(tmp_path, task):
    labels = tmp_path / "labels.csv"
    labels.write_text("\n".join(f"{element_id},{element_id}" for element_id in IDS[:8]))
    observation = planned(
        tmp_path,
        task,
        IDS[:20],
        labels=str(labels),
        batch_sizes=[5],
        parameters={"labels": "number"},
    )
    assert (observation.labelled, observation.correct) == (0, 0)
    assert (
        f"{labels}: 8 labelled elements came out with a text as label, which no class index can "
        "equal: accuracy is without them"
    ) in observation.warnings


@pytest.mark.parametrize(
    ("rows", "warnings"),
    [
        ("0,1\n3,1\n77,1\n", ["labels 2 of 5 elements: accuracy is over those"]),
        ("0,1\n1,1\n2,1\n3,1\n4,1\n", []),
    ],
)
def test_elements_without_a_label_are_counted_in_a_warning(tmp_path, rows, warnings):
    labels = tmp_path / "labels.csv"
    labels.write_text(rows)
    plan = make_plan(tmp_path, "prepare", limit=5, labels=str(labels))
    ready = prepare(plan).prepared
    assert ready is not None
    assert ready.warnings == [f"{labels}: {text}" for text in warnings]


def test_a_class_that_no_score_stands_for_ends_the_reference_sample(tmp_path):
    labels = tmp_path / "labels.csv"
    labels.write_text("0,7\n1,8\n")
    with pytest.raises(UsageError) as raised:
        planned(tmp_path, run_reference, IDS[:4], labels=str(labels))
    assert str(raised.value) == (
        f"{labels}: line 2: '1' has class 8, but tiny has the classes 0 to 7: are they counted from"
        " 1?"
    )
    number = {"labels": "two"}  # no arg-max of the outputs: how many classes there are is unknown
    planned(tmp_path, run_reference, IDS[:4], labels=str(labels), parameters=number)


@pytest.mark.parametrize(
    ("outputs", "classes"),
    [
        ([("a", 1, [0.0, 1.0, 0.5], None), ("b", None, None, ("read", "x"))], 3),
        ([("a", 1, [0.0, 1.0], None), ("b", 1, [0.0, 1.0, 0.5], None)], None),
        ([("a", 2, [0.0, 1.0, 0.5], None)], None),
        ([("a", -1, [0.0, 1.0], None)], None),
        ([("a", 9, [0.0, 1.0], None)], None),
        ([("a", "cat", [0.0, 1.0], None)], None),
        ([("a", 0, [0.5], None)], None),
        ([("a", 1, None, None)], None),
        ([], None),
    ],
)
def test_the_number_of_classes_is_that_of_scores_whose_greatest_is_the_label(outputs, classes):
    assert classes_of(outputs) == classes


def test_threads_need_torch(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(UsageError, match="threads: sets those of torch, which is not installed"):
        prepare(make_plan(tmp_path, "prepare", definition=definition(threads=1)))
    prepare(make_plan(tmp_path, "prepare"))  # without threads nobody misses it


def test_what_an_earlier_repeat_left_proves_nothing(tmp_path, monkeypatch):
    planned(tmp_path, run_pipeline, IDS)
    monkeypatch.setattr(direct, "run", lambda *_: None)  # a runner that does nothing
    with pytest.raises(FileNotFoundError):
        planned(tmp_path, run_pipeline, IDS)


def test_the_thread_setting_is_applied(tmp_path):
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    try:
        planned(tmp_path, run_reference, IDS[:2], definition=definition(threads=1))
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


def test_the_reference_takes_further_elements_and_the_pipeline_gives_their_labels(tmp_path):
    sample, element_id = IDS[:4], IDS[4:20]
    preparation = prepared(tmp_path, IDS[:40], sample).model_copy(
        update={"further_sample": element_id}
    )
    given = {"definition": definition(parameters={}), "preparation": preparation}
    reference = run_reference(make_plan(tmp_path, "reference", repeats=10_000, **given))
    assert [prediction.id for prediction in reference.sample] == sample
    assert [prediction.id for prediction in reference.further] == element_id
    assert {len(prediction.evidence or ()) for prediction in reference.further} == {2}
    assert run_reference(make_plan(tmp_path, "reference", **given)).further == []
    pipeline = run_pipeline(make_plan(tmp_path, "pipeline", **given))
    labels = {prediction.id: prediction.label for prediction in reference.further}
    assert {prediction.id: prediction.label for prediction in pipeline.further} == labels
    assert {prediction.evidence for prediction in pipeline.further} == {None}
