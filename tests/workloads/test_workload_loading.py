"""Which class a definition's `workload` is, and what is checked before any worker starts."""

from __future__ import annotations

import pickle
import sys
from typing import Any

import pytest

from beambench.errors import UsageError
from beambench.workloads.base import Weights, Workload
from beambench.workloads.images.classification import ImageClassification
from beambench.workloads.overhead import Overhead
from beambench.workloads.registry import BUILT_IN, check_workload, load_class
from tiny_workloads import Tiny, definition


@pytest.fixture
def module(tmp_path, monkeypatch) -> Any:
    """Return a function that writes an importable module and names it."""
    monkeypatch.syspath_prepend(tmp_path)
    written: list[str] = []

    def write(text: str) -> str:
        name = f"users_own_{len(written)}_{tmp_path.name}"
        (tmp_path / f"{name}.py").write_text(text)
        written.append(name)
        return name

    yield write
    for name in written:
        sys.modules.pop(name, None)


def refused(workload: str) -> str:
    with pytest.raises(UsageError) as raised:
        load_class(workload)
    message = str(raised.value)
    assert "\n" not in message
    assert repr(workload) in message
    return message


@pytest.mark.parametrize(
    ("name", "cls"), [("image_classification", ImageClassification), ("overhead", Overhead)]
)
def test_built_in_workloads_have_a_name(name, cls):
    assert load_class(name) is cls
    assert name in BUILT_IN


def test_a_workload_of_the_users_own_is_named_by_module_and_class():
    assert load_class("tiny_workloads:Tiny") is Tiny


def test_a_name_that_is_not_there_is_answered_with_the_nearest():
    assert "did you mean 'image_classification'?" in refused("image_clasification")
    assert "module:Class of your own" in refused("zzz")


def test_a_module_that_is_not_there():
    assert "no module 'no_such_module'" in refused("no_such_module:Class")


def test_a_module_that_needs_one_that_is_not_there(module):
    name = module("import no_such_dependency")
    assert "no module 'no_such_dependency'" in refused(f"{name}:Class")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("def broken(:\n    pass", "SyntaxError: invalid syntax"),
        ("raise ValueError('one\\ntwo')", "ValueError: one two"),
        ("import os; os.no_such_thing", "AttributeError: module 'os' has no attribute"),
        ("from os import no_such_thing", "ImportError: cannot import name 'no_such_thing'"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
    ],
)
def test_a_module_with_a_mistake_is_one_line(module, text, shown):
    name = module(text)
    assert f"cannot be imported: {shown}" in refused(f"{name}:Class")


@pytest.mark.parametrize("target", [":Class", ".relative:Class"])
def test_a_target_that_names_no_module(target):
    assert "cannot be imported" in refused(target)


def test_a_class_that_is_not_there():
    assert "tiny_workloads has no 'Tinny'" in refused("tiny_workloads:Tinny")


@pytest.mark.parametrize("name", ["outputs_of", "OUTPUTS", "TinyParameters"])
def test_what_is_no_workload(name):
    assert "not a subclass of beambench's Workload" in refused(f"tiny_workloads:{name}")


def test_a_class_that_lacks_a_method(module):
    name = module(
        "from beambench.workloads.base import Workload\n"
        "class Half(Workload):\n"
        "    def postprocess(self, prediction):\n"
        "        return 1\n"
    )
    assert "does not define model_handler" in refused(f"{name}:Half")


# --- a definition against its workload


def unchecked(**changed: Any) -> str:
    with pytest.raises(UsageError) as raised:
        check_workload(definition(**changed))
    message = str(raised.value)
    assert message.startswith("tiny: ")
    assert "\n" not in message
    return message


def test_parameters_are_those_of_the_workload():
    check_workload(definition(parameters={"labels": "two", "fail_at": [1, 2]}))
    message = unchecked(parameters={"lables": "two"})
    assert "parameters: " in message
    assert "lables" in message
    assert "labels" in unchecked(parameters={"labels": "three"})


def test_the_input_is_one_that_the_workload_reads():
    message = unchecked(input={"type": "images", "source": "packaged"})
    assert message == ("tiny: input.type 'images': workload tiny_workloads:Tiny reads numbers")


def image_definition(**changed: Any) -> dict[str, Any]:
    return {
        "workload": "image_classification",
        "model": {"name": "resnet18", "weights": "random"},
        "input": {"type": "images", "source": "packaged"},
        "parameters": {"resize": 224, "mean": [0, 0, 0], "std": [1, 1, 1]},
        **changed,
    }


def test_an_image_definition_is_checked_without_a_framework():
    check_workload(definition(**image_definition()))


@pytest.mark.parametrize(
    ("changed", "shown"),
    [
        (
            {"model": {"name": "resnet110", "weights": "random"}},
            "model.name 'resnet110' (did you mean 'resnet101'?): known are resnet18,",
        ),
        ({"model": {"name": "resnet18", "weights": "none"}}, "this workload needs weights"),
        ({"parameters": {"resize": 224}}, "mean"),
        (
            {"parameters": {"resize": "big", "mean": [0, 0, 0], "std": [1, 1, 1]}},
            "resize",
        ),
        (
            {"parameters": {"resize": 224, "mean": [0, 0], "std": [1, 1, 1]}},
            "mean",
        ),
        (
            {
                "parameters": {
                    "resize": 224,
                    "interpolation": "nearest",
                    "mean": [0, 0, 0],
                    "std": [1, 1, 1],
                }
            },
            "interpolation",
        ),
    ],
)
def test_what_an_image_definition_cannot_say(changed, shown):
    assert shown in unchecked(**image_definition(**changed))


# --- what a workload does unless it says otherwise


class Plain(Workload):
    def model_handler(self) -> Any:
        return None

    def postprocess(self, prediction: Any) -> int:
        return 0


class SettingUp(Plain):
    ready = False

    def set_up(self) -> None:
        self.ready = True


def test_a_workload_is_set_up_wherever_it_is_unpickled():
    made = SettingUp(definition(), Weights(None))
    assert not made.ready
    copy = pickle.loads(pickle.dumps(made))
    assert copy.ready
    assert copy.definition == made.definition


def test_defaults(tmp_path):
    plain = Plain(definition(), Weights(None))
    assert plain.read("/a") == "/a"
    assert plain.preprocess(b"x") == b"x"
    assert plain.evidence(object()) is None
    assert Plain.transform == "RunInference"
    assert Plain.fetch_weights(definition(), 0, tmp_path) == Weights(None)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.real
def test_the_overhead_workload_gives_every_number_back(tmp_path):
    overhead = Overhead(definition("overhead"), Weights(None))
    handler = overhead.model_handler()
    assert handler.batch_elements_kwargs() == {"min_batch_size": 8, "max_batch_size": 8}
    results = list(handler.run_inference(["1", "22"], handler.load_model()))
    assert [overhead.postprocess(result) for result in results] == ["1", "22"]
    assert handler.get_num_bytes(["1", "22"]) == 3


@pytest.mark.parametrize(
    ("workload", "name"),
    [
        ("image_classification", "PyTorchRunInference/BeamML_RunInference_Postprocess-0.out0"),
        ("language_modeling", "ProcessOutput.out0"),
        ("sentiment", "PostProcess.out0"),
    ],
)
def test_the_measured_pcollection_is_that_of_beams_suite(workload, name):
    assert load_class(workload).pcollection() == name
