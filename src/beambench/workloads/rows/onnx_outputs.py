"""Which outputs of an ONNX model hold the class of a row, and running a model for these."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from beambench.errors import UsageError, nearest

FLOATS = ("tensor(float)", "tensor(double)", "tensor(float16)")
MAPS = "seq(map("
"""What converters call a ZipMap: for each row a map from a class to its score."""

SCORE_NAMES = ("prob", "softmax", "logit", "score")
LABEL_NAMES = ("label", "class", "pred")
"""Parts of names, the surest first, by which one of several outputs is chosen."""


class ModelOutput(NamedTuple):
    """An output or input as ONNX Runtime describes it; a size of `shape` not fixed is no int."""

    name: str
    type: str
    shape: Sequence[Any]

    @classmethod
    def all_of(cls, session: Any) -> list[ModelOutput]:
        return cls.described(session.get_outputs())

    @classmethod
    def described(cls, arguments: Sequence[Any]) -> list[ModelOutput]:
        return [
            cls(argument.name, argument.type, tuple(argument.shape or ())) for argument in arguments
        ]

    def __str__(self) -> str:
        sizes = ", ".join("?" if size is None else str(size) for size in self.shape)
        return f"{self.name!r}: {self.type}" + (f" of shape ({sizes})" if self.shape else "")

    @property
    def is_single(self) -> bool:
        """Whether a row has one value, as far as the shape tells."""
        return bool(self.shape) and all(size == 1 for size in self.shape[1:])

    @property
    def is_label(self) -> bool:
        """Whether it is a class itself: an integer or a text a row."""
        names = ("tensor(int", "tensor(uint", "tensor(string", "tensor(bool")
        return self.type.startswith(names) and (self.is_single or not self.shape)

    @property
    def is_scores(self) -> bool:
        """Whether it is one score a class."""
        return self.type.startswith(MAPS) or (self.type in FLOATS and not self.is_single)

    @property
    def is_number(self) -> bool:
        """Whether it is one number a row, which is no class: a regression or a single logit."""
        return self.type in FLOATS and self.is_single


class Chosen(NamedTuple):
    """Names of the outputs to run; `label` is None where the class is the greatest of `scores`."""

    label: str | None
    scores: str | None

    def __str__(self) -> str:
        if self.label is None:
            return f"the class is the greatest of {self.scores!r}"
        compared = f", raw outputs to compare are {self.scores!r}" if self.scores else ""
        return f"the class is {self.label!r}{compared}"


class RowPrediction(NamedTuple):
    """What a model gave for one row: its class, or its scores, or both."""

    label: Any
    scores: Any


def choose(outputs: Sequence[ModelOutput], wanted: str | None = None) -> Chosen:
    """Choose by name and type: a label, else the scores of which the greatest is the class.

    Args:
        outputs: of the model.
        wanted: name of the output that holds the class, if a definition says it.

    Raises:
        UsageError: no output holds a class, or several may, with the names of all.
    """
    every = "; ".join(map(str, outputs))
    candidates = list(outputs)
    if wanted is not None:
        candidates = [output for output in outputs if output.name == wanted]
        if not candidates:
            hint = nearest(wanted, [output.name for output in outputs])
            raise UsageError(f"parameters.output {wanted!r}: no such output{hint}: {every}")
    labels = [output for output in candidates if output.is_label]
    scores = [output for output in candidates if output.is_scores]
    if not labels and not scores:
        raise UsageError(
            f"no output holds a class, and this workload classifies ({every}): export the label, "
            "or one score for each class"
        )
    named = [
        output for output in labels if any(part in output.name.lower() for part in LABEL_NAMES)
    ]
    if scores and not named:  # an integer that is not called a label may count something else
        return Chosen(None, _only(scores, SCORE_NAMES, every))
    label = _only(named or labels, LABEL_NAMES, every)
    evidence = [output for output in outputs if output.is_scores] or [
        output for output in outputs if output.is_number
    ]
    likely = _likely(evidence, SCORE_NAMES)
    return Chosen(label, likely[0].name if len(likely) == 1 else None)


def _likely(outputs: Sequence[ModelOutput], parts: Sequence[str]) -> list[ModelOutput]:
    """Return the only output, or that whose name holds the surest part; all if none is sure."""
    for part in parts if len(outputs) > 1 else ():
        named = [output for output in outputs if part in output.name.lower()]
        if len(named) == 1:
            return named
    return list(outputs)


def _only(outputs: Sequence[ModelOutput], parts: Sequence[str], every: str) -> str:
    likely = _likely(outputs, parts)
    if len(likely) > 1:
        raise UsageError(f"which output holds the class? Say it with parameters.output ({every})")
    return likely[0].name


def check_inputs(inputs: Sequence[ModelOutput], columns: int) -> None:
    """Check that a model takes rows of float32 as its only input.

    Args:
        inputs: of the model, described as outputs are.
        columns: numbers of a row.

    Raises:
        UsageError: it takes something else; every row would fail.
    """
    every = "; ".join(map(str, inputs))
    if len(inputs) != 1 or inputs[0].type != FLOATS[0]:
        raise UsageError(
            f"takes {every}: rows are one input of float32 here: export the model so "
            "(a float tensor of shape (None, columns))"
        )
    sizes = inputs[0].shape[1:]
    if len(sizes) == 1 and isinstance(sizes[0], int) and sizes[0] != columns:
        raise UsageError(
            f"takes rows of {sizes[0]} numbers, parameters.columns is {columns}: make it {sizes[0]}"
        )


class ChosenOutputs:
    """Runs a batch as Beam's default does, for the chosen outputs instead of the first.

    They are chosen in the first batch, for all that follow, from what the session says.
    """

    def __init__(self, wanted: str | None = None) -> None:
        """Take the output that `choose` is to choose, if a definition names one."""
        self._wanted = wanted
        self._chosen: Chosen | None = None

    def __call__(
        self, session: Any, batch: Sequence[Any], inference_args: dict[str, Any] | None = None
    ) -> list[RowPrediction]:
        """Run rows, each of shape (columns,); Beam hands over arguments, of which there are none.

        Raises:
            UsageError: see `choose`.
        """
        import numpy

        if self._chosen is None:
            self._chosen = choose(ModelOutput.all_of(session), self._wanted)
        names = [name for name in self._chosen if name is not None]
        rows = {session.get_inputs()[0].name: numpy.stack(batch, axis=0)}
        outputs = dict(zip(names, session.run(names, rows), strict=True))
        nothing = [None] * len(batch)
        columns = [nothing if name is None else outputs[name] for name in self._chosen]
        return [RowPrediction(*row) for row in zip(*columns, strict=False)]


def class_of(prediction: RowPrediction) -> int | str:
    """Return the label, or the class whose score is the greatest.

    Raises:
        ValueError: there is one score only, which says nothing, or a table of scores.
    """
    label, scores = prediction
    if label is not None:
        value = label if isinstance(label, str) else label.item()
        return value if isinstance(value, str) else int(value)
    if isinstance(scores, dict):
        best: int | str = max(scores, key=scores.__getitem__)
        return best
    if max(scores.shape, default=1) != scores.size:
        raise ValueError(f"the model gives scores of shape {scores.shape} for a row, and no class")
    if scores.size < 2:
        raise ValueError(f"the model gives {scores.size} number for a row, and no class")
    return int(scores.argmax())


def scores_of(prediction: RowPrediction) -> list[float] | None:
    """Return the raw scores of a row, flat, in the order of the classes."""
    import numpy

    scores = prediction.scores
    if scores is None:
        return None
    if isinstance(scores, dict):
        return [float(score) for score in scores.values()]
    values: list[float] = numpy.ravel(scores).tolist()
    return values
