"""What the outputs are worth."""

from __future__ import annotations

from beambench.metrics.base import UNKNOWN, Metric, RawRepeat, Sample, per


def _failed(repeat: RawRepeat) -> Sample:
    proof = repeat.observation.proof
    return UNKNOWN if proof is None else Sample(proof.failed, proof.count + proof.failed)


def _accuracy(repeat: RawRepeat) -> Sample:
    labelled = repeat.observation.labelled
    return Sample(per(repeat.observation.correct, labelled), labelled)


def _stock_agreement(repeat: RawRepeat) -> Sample:
    compared = repeat.stock.get("compared", 0)
    return Sample(per(repeat.stock.get("labels_equal"), compared), compared)


METRICS = (
    Metric(
        name="elements_failed",
        unit="1",
        direction="lower",
        formula="failed elements of all repeats",
        counts="elements",
        of_repeat=_failed,
        aggregate="total",
    ),
    Metric(
        name="accuracy_top1",
        unit="1",
        direction="higher",
        formula="elements whose label is the given one ÷ elements that have a label and came out",
        counts="elements",
        of_repeat=_accuracy,
        aggregate="elements",
    ),
    Metric(
        name="stock_agreement",
        unit="1",
        direction="higher",
        formula="sampled elements whose label is the one that `stock` gives on the same weights ÷ "
        "sampled elements; for variants whose model computes otherwise",
        counts="elements",
        of_repeat=_stock_agreement,
        aggregate="elements",
        shown=None,
    ),
)
