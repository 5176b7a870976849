"""Definitions of the catalog's image benchmarks, as tests change them, and their weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from beambench.definition.library import Library
from beambench.definition.schema import Definition
from beambench.workloads.images.classification import ImageClassification

EFFICIENTNET = "pytorch-image-classification-efficientnet-lite0"
RESNET = "pytorch-image-classification-resnet{}"


def of_catalog(benchmark: str, **model: Any) -> Definition:
    """Return a definition of the catalog in its local profile, its model changed."""
    definition = Library().resolve(benchmark, profile="local").definition
    return definition.model_copy(update={"model": definition.model.model_copy(update=model)})


def resnet18(**model: Any) -> Definition:
    """Return the catalog's ResNet definition with a model that is made in a moment."""
    return of_catalog(RESNET.format(101), name="resnet18", size_mib=None, **model)


def fetched(seed: int, folder: Path, definition: Definition | None = None) -> Path:
    weights = ImageClassification.fetch_weights(
        definition or resnet18(weights="random"), seed, folder
    )
    assert weights.path is not None
    return weights.path
