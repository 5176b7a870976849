"""Which output of an ONNX model holds the class: by name and type, or an error that names all."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy
import pytest

from beambench.errors import UsageError
from beambench.workloads.rows.onnx_outputs import (
    Chosen,
    ChosenOutputs,
    ModelOutput,
    RowPrediction,
    check_inputs,
    choose,
    class_of,
    scores_of,
)

FLOAT, INT, TEXT = "tensor(float)", "tensor(int64)", "tensor(string)"
ZIPMAP = "seq(map(int64,tensor(float)))"


def outputs(*parts: tuple[str, str, list[Any]]) -> list[ModelOutput]:
    return [ModelOutput(*part) for part in parts]


@pytest.mark.parametrize(
    ("given", "chosen"),
    [
        # what skl2onnx exports: as it comes, without ZipMap, and cut to the scores
        ([("output_label", INT, [None]), ("output_probability", ZIPMAP, [])], (0, 1)),
        ([("label", INT, [None]), ("probabilities", FLOAT, [None, 10])], (0, 1)),
        ([("label", TEXT, [None]), ("probabilities", FLOAT, [None, "classes"])], (0, 1)),
        ([("probabilities", FLOAT, [None, 10])], (None, 0)),
        ([("probabilities", FLOAT, [None, 10]), ("label", INT, [None, 1])], (1, 0)),
        # an outlier detection has one score a row, which is no class but can be compared
        ([("label", INT, [None, 1]), ("scores", FLOAT, [None, 1])], (0, 1)),
        # networks
        ([("logits", FLOAT, ["batch", "classes"])], (None, 0)),
        ([("hidden", FLOAT, [None, 5, 8]), ("logits", FLOAT, [None, 10])], (None, 1)),
        ([("logits", FLOAT, [None, 10]), ("probs", FLOAT, [None, 10])], (None, 1)),
        ([("y", FLOAT, [None, 10]), ("steps", INT, [None])], (None, 0)),
        ([("y", FLOAT, [])], (None, 0)),  # a shape that nothing says
        ([("y", INT, [None])], (0, None)),
        ([("is_fraud", "tensor(bool)", [None])], (0, None)),
        ([("label", INT, [None]), ("a", FLOAT, [None, 3]), ("b", FLOAT, [None, 3])], (0, None)),
        ([("y", FLOAT, [None, 3]), ("variance", FLOAT, [None, 1])], (None, 0)),
    ],
)
def test_outputs_are_chosen_by_name_and_type(given, chosen):
    names = [None if place is None else given[place][0] for place in chosen]
    assert choose(outputs(*given)) == Chosen(*names)


@pytest.mark.parametrize(
    "given",
    [
        [("variable", FLOAT, [None, 1])],  # a regression as skl2onnx exports it
        [("variable", FLOAT, [None])],
        [("logit", "tensor(double)", [None, 1])],
        [("boxes", INT, [None, 4])],
        [("indices", "seq(tensor(float))", [])],
    ],
)
def test_a_model_without_a_class_is_refused_with_its_outputs(given):
    with pytest.raises(UsageError) as caught:
        choose(outputs(*given))
    assert "no output holds a class, and this workload classifies" in str(caught.value)
    assert repr(given[0][0]) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "given",
    [
        [("a", FLOAT, [None, 10]), ("b", FLOAT, [None, 3])],
        [("prob_a", FLOAT, [None, 10]), ("prob_b", FLOAT, [None, 3])],
        [("label_a", INT, [None]), ("label_b", INT, [None])],
    ],
)
def test_what_names_leave_open_is_asked_for_and_can_be_said(given):
    with pytest.raises(UsageError, match=r"which output holds the class\?.*parameters.output"):
        choose(outputs(*given))
    name = given[1][0]
    said = choose(outputs(*given), name)
    assert name in said
    assert said.label in (None, name)


def test_an_output_that_is_not_there_is_named_with_those_that_are():
    with pytest.raises(UsageError) as caught:
        choose(outputs(("label", INT, [None]), ("probabilities", FLOAT, [None, 2])), "labels")
    assert str(caught.value) == (
        "parameters.output 'labels': no such output (did you mean 'label'?): "
        "'label': tensor(int64) of shape (?); 'probabilities': tensor(float) of shape (?, 2)"
    )


def test_the_scores_may_be_asked_for_beside_a_label():
    named = outputs(("label", INT, [None]), ("probabilities", FLOAT, [None, 2]))
    assert choose(named, "probabilities") == Chosen(None, "probabilities")
    assert choose(named, "label") == Chosen("label", "probabilities")


class Session:
    """Answers as ONNX Runtime's does, with outputs that do not depend on the rows."""

    def __init__(self, given: list[ModelOutput], values: dict[str, Any]) -> None:
        self.get_outputs = lambda: given
        self.get_inputs = lambda: [SimpleNamespace(name="X")]
        self.values = values

    def run(self, names: list[str], rows: dict[str, Any]) -> list[Any]:
        assert rows["X"].shape == (2, 3)
        return [self.values[name] for name in names]


@pytest.mark.parametrize(
    ("given", "values", "labels", "scores"),
    [
        (
            [("label", INT, [None]), ("p", ZIPMAP, [])],
            {"label": numpy.array([7, 3]), "p": [{3: 0.25, 7: 0.75}, {3: 0.75, 7: 0.25}]},
            [7, 3],
            [[0.25, 0.75], [0.75, 0.25]],
        ),
        (
            [("label", TEXT, [None])],
            {"label": numpy.array(["cat", "dog"], dtype=object)},
            ["cat", "dog"],
            [None, None],
        ),
        (
            [("label", INT, [None, 1]), ("scores", FLOAT, [None, 1])],
            {"label": numpy.array([[1], [-1]]), "scores": numpy.array([[0.5], [-0.5]])},
            [1, -1],
            [[0.5], [-0.5]],
        ),
        (
            [("p", FLOAT, [None, 2])],
            {"p": numpy.array([[0.25, 0.75], [1.0, 0.0]], numpy.float32)},
            [1, 0],
            [[0.25, 0.75], [1.0, 0.0]],
        ),
        (
            [("p", "seq(map(string,tensor(float)))", [])],
            {"p": [{"cat": 0.25, "dog": 0.75}, {"cat": 1.0, "dog": 0.0}]},
            ["dog", "cat"],
            [[0.25, 0.75], [1.0, 0.0]],
        ),
    ],
)
def test_each_row_gets_its_class_and_its_scores(given, values, labels, scores):
    session = Session(outputs(*given), values)
    predictions = ChosenOutputs()(session, [numpy.zeros(3, numpy.float32)] * 2)
    assert [class_of(prediction) for prediction in predictions] == labels
    assert all(type(class_of(prediction)) in (int, str) for prediction in predictions)
    assert [scores_of(prediction) for prediction in predictions] == scores


def test_one_score_whose_shape_nothing_told_is_no_class():
    with pytest.raises(ValueError, match="the model gives 1 number for a row, and no class"):
        class_of(RowPrediction(None, numpy.array([0.5])))


def test_a_table_of_scores_is_no_class():
    table = RowPrediction(None, numpy.arange(6.0).reshape(2, 3))
    with pytest.raises(ValueError, match=r"scores of shape \(2, 3\) for a row, and no class"):
        class_of(table)
    assert class_of(RowPrediction(None, numpy.array([[0.0, 2.0, 1.0]]))) == 1


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([("x", "tensor(double)", [None, 4])], "takes 'x': tensor(double) of shape (?, 4): rows"),
        ([("x", "tensor(float16)", [None, 4])], "takes 'x': tensor(float16) of shape (?, 4): rows"),
        (
            [("age", FLOAT, [None, 1]), ("fare", FLOAT, [None, 1])],
            "takes 'age': tensor(float) of shape (?, 1); 'fare': tensor(float) of shape (?, 1): ",
        ),
        ([("x", FLOAT, [None, 3])], "takes rows of 3 numbers, parameters.columns is 4: make it 3"),
    ],
)
def test_a_model_that_takes_no_such_rows_is_refused_before_all_fail(given, message):
    with pytest.raises(UsageError) as caught:
        check_inputs(outputs(*given), 4)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("shape", [[None, 4], ["batch", "columns"], [1, 4], [None, 1, 4], []])
def test_rows_of_float32_are_taken(shape):
    check_inputs(outputs(("x", FLOAT, shape)), 4)
