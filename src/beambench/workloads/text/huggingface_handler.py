"""Beam's handler for Hugging Face pipelines, importable where TensorFlow is not.

Beam 2.77's module imports tensorflow and transformers' TFAutoModel, which transformers 5 no longer
has. Both stand only where its TensorFlow handlers are, which are not used here. So while Beam's
module is imported, and no longer, names without content take their place. Nothing of the
handler's own code is replaced.
"""

from __future__ import annotations

import contextlib
import importlib.util
import sys
import types
from collections.abc import Iterator, Sequence
from typing import Any

from apache_beam.ml.inference import pytorch_inference  # noqa: F401
from transformers import AutoModel, Pipeline, pipeline  # noqa: F401

# All that Beam's module imports besides is imported above: nothing else meets a placeholder.


class Placeholder:
    """Stands where Beam's module names a class of TensorFlow in an annotation."""


def missing() -> list[str]:
    """Return what Beam's module imports and is not there."""
    absent = []
    if importlib.util.find_spec("tensorflow") is None:
        absent.append("tensorflow")
    if not hasattr(_transformers(), "TFAutoModel"):
        absent.append("transformers.TFAutoModel")
    return absent


def _transformers() -> Any:
    # Once its pipelines are imported, transformers 5 is another object than it was before.
    return sys.modules["transformers"]


@contextlib.contextmanager
def _placeholders() -> Iterator[None]:
    names = missing()
    if "tensorflow" in names:
        sys.modules["tensorflow"] = types.ModuleType("tensorflow")
        sys.modules["tensorflow"].Tensor = Placeholder  # type: ignore[attr-defined]
    if "transformers.TFAutoModel" in names:
        _transformers().TFAutoModel = Placeholder
    try:
        yield
    finally:
        if "tensorflow" in names:
            del sys.modules["tensorflow"]
        if "transformers.TFAutoModel" in names:
            del _transformers().TFAutoModel


def without_padding(batch: Sequence[str], model: Any, arguments: dict[str, Any]) -> list[Any]:
    """Run the pipeline, and cut from each output the tokens that only fill up its batch.

    A pipeline with a batch size gives every sentence as many tokens as the longest of its batch
    has, and does not say which are padding; a mean over all would be another embedding.
    """
    outputs = model(list(batch), **arguments)
    tokens = model.tokenizer(list(batch), truncation=True)["input_ids"]
    return [[output[0][: len(own)]] for output, own in zip(outputs, tokens, strict=True)]


with _placeholders():
    from apache_beam.ml.inference.huggingface_inference import HuggingFacePipelineModelHandler


class PipelineModelHandler(HuggingFacePipelineModelHandler):
    """Beam's handler under a name of this module: whoever unpickles it imports it first."""
