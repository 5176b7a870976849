"""Beam's own example pipelines as they ship, timed from outside.

``python -c "import beam_examples; beam_examples.images(…)"`` runs one on Beam's DirectRunner in a
process of its own and prints as JSON how many outputs there were, when the first element was read
and when the last output was made. The functions that note times live in this module, so that they
pickle by reference. Nothing else of the examples is changed but what cannot be had here: Pub/Sub
subscriptions and a BigQuery table, whose place a text file takes.
"""

from __future__ import annotations

import json
import sys
import time
import types
from collections.abc import Callable
from typing import Any

TIMES: dict[str, float] = {"count": 0}
ORIGINALS: dict[str, Any] = {}


# Without annotations: Beam would take them for those of the functions that they stand for.


def noting_first(*args, **kwargs):  # type: ignore[no-untyped-def]
    """Note when the example touches its first element."""
    TIMES.setdefault("first", time.time())
    return ORIGINALS["first"](*args, **kwargs)


def noting_last(*args, **kwargs):  # type: ignore[no-untyped-def]
    """Note when the example makes an output."""
    found = ORIGINALS["last"](*args, **kwargs)
    TIMES["last"] = time.time()
    TIMES["count"] += 1
    return found


def noting_last_of(*args, **kwargs):  # type: ignore[no-untyped-def]
    """Do the same for a generator."""
    yield from ORIGINALS["last"](*args, **kwargs)
    TIMES["last"] = time.time()
    TIMES["count"] += 1


def _report(result: Any) -> None:
    print(json.dumps({**TIMES, "runner": type(result).__module__}))


def images(ids: str, root: str, weights: str, model: str, output: str) -> None:
    import torch
    from apache_beam.examples.inference import pytorch_image_classification as example

    from beambench.workloads.images.classification import build_model

    ORIGINALS.update(first=example.read_image, last=torch.argmax)
    example.read_image, torch.argmax = noting_first, noting_last  # type: ignore[assignment]
    paths = ["--input", ids, "--output", output, "--images_dir", root]
    result = example.run(
        [*paths, "--model_state_dict_path", weights, "--runner", "DirectRunner"],
        model_class=build_model,
        model_params={"name": model},
        save_main_session=False,
    )
    _report(result)


def sentences(lines: str, tokenizer: str, weights: str, model: str, output: str) -> None:
    from apache_beam.examples.inference import pytorch_language_modeling as example
    from transformers import BertConfig, BertForMaskedLM

    from beambench.workloads.text.language_modeling import LanguageModeling

    config: BertConfig = LanguageModeling.models[model]().config  # type: ignore[assignment]
    ORIGINALS.update(first=example.add_mask_to_last_word, last=example.PostProcessor.process)
    example.add_mask_to_last_word = noting_first
    example.PostProcessor.process = noting_last_of
    result = example.run(
        [
            *("--input", lines, "--output", output, "--bert_tokenizer", tokenizer),
            *("--model_state_dict_path", weights, "--runner", "DirectRunner"),
        ],
        model_class=BertForMaskedLM,
        model_params={"config": config},
        save_main_session=False,
    )
    _report(result)


class _TextInPlaceOfBigQuery:
    """Stands in for WriteToBigQuery."""

    Method = types.SimpleNamespace(FILE_LOADS=None, STREAMING_INSERTS=None)

    def __new__(cls, table: str, **_: Any) -> Any:  # type: ignore[misc]
        return ORIGINALS["write"](table)


def sentiment(lines: str, tokenizer: str, weights: str, model: str, output: str) -> None:
    """Run the example in batch mode; its configuration is DistilBERT's own, as the model's is."""
    import apache_beam as beam
    from transformers import DistilBertConfig

    for name in ("google.cloud", "google.cloud.pubsub_v1"):
        sys.modules.setdefault(name, types.ModuleType(name))
    sys.modules["google.cloud"].pubsub_v1 = sys.modules["google.cloud.pubsub_v1"]  # type: ignore[attr-defined]
    from apache_beam.examples.inference import pytorch_sentiment as example
    from apache_beam.runners.runner import PipelineResult

    # The example cancels its job when it has finished; DirectRunner's results cannot be cancelled.
    PipelineResult.cancel = lambda _: None  # type: ignore[method-assign]
    DistilBertConfig.from_pretrained = lambda *_, **options: DistilBertConfig(**options)  # type: ignore[method-assign,assignment]
    beam.io.WriteToBigQuery = _TextInPlaceOfBigQuery
    beam.io.BigQueryDisposition = types.SimpleNamespace(WRITE_APPEND=0, CREATE_IF_NEEDED=0)
    example.ensure_pubsub_resources = example.cleanup_pubsub_resources = lambda **_: None
    ORIGINALS.update(
        first=example.TokenizeTextDoFn.process,
        last=example.SentimentPostProcessor.process,
        write=beam.io.WriteToText,
    )
    example.TokenizeTextDoFn.process = noting_first
    example.SentimentPostProcessor.process = noting_last_of
    result = example.run(
        [
            *("--input", lines, "--output_table", output, "--model_path", tokenizer),
            *("--model_state_dict_path", weights, "--mode", "batch", "--runner", "DirectRunner"),
        ],
        save_main_session=False,
    )
    _report(result)


EXAMPLES: dict[str, Callable[..., None]] = {
    "image_classification": images,
    "language_modeling": sentences,
    "sentiment": sentiment,
}
