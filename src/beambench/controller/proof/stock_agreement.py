"""What a variant does to the outputs of `stock`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from beambench.controller.proof.sample_pairs import paired
from beambench.record.observation import SampledPrediction


def stock_agreement(
    ours: Sequence[SampledPrediction], stock: Sequence[SampledPrediction]
) -> dict[str, Any]:
    """Say how far a variant's sampled outputs are from those of `stock` on the same weights."""
    pairs = [
        pair
        for pair in paired(ours, stock)
        if pair.ours is not None and pair.reference.error is None
    ]
    outputs = [
        (pair.output, pair.expected)
        for pair in pairs
        if pair.expected.has_finite and pair.output.is_comparable(pair.expected)
    ]
    return {
        "compared": len(pairs),
        "labels_equal": sum(not pair.label_differs(near_tie=0.0) for pair in pairs),
        "least_cosine": min((output.cosine(other) for output, other in outputs), default=None),
        "largest_difference": max(
            (output.largest_difference(other) for output, other in outputs), default=None
        ),
    }
