"""The catalog's text benchmarks with models of two layers, whose weights are made in a moment."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from beambench.definition.library import Library
from beambench.definition.plan import with_choices
from beambench.definition.schema import Definition
from beambench.record.run_record import Choice
from beambench.workloads.base import Weights
from beambench.workloads.text.base import TextWorkload
from beambench.workloads.text.embedding import TextEmbedding
from beambench.workloads.text.language_modeling import LanguageModeling
from beambench.workloads.text.sentiment import Sentiment

if TYPE_CHECKING:
    import torch

BFLOAT16 = Choice(setting="model.precision", value="bfloat16", reason="the test says so")

BERT = "pytorch-language-modeling-bert-base"
SENTIMENT = "pytorch-sentiment-distilbert-batch"
MINILM = "pytorch-text-embedding-minilm"

LINES = [
    "The cat sat on the mat.",
    "Yes",
    "Good morning",
    "A sentence that is quite a bit longer than those before it, with a comma or two, and more.",
    "It says [MASK] in the middle of these words",
    "Beam runs pipelines; runners execute them.",
    "naïve café — déjà vu?",
    "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen",
]

# Weights further apart than a fresh BERT's, so that other inputs give other outputs.
SPREAD = 0.2


def tiny_bert_for_masked_lm() -> torch.nn.Module:
    from transformers import BertForMaskedLM

    return BertForMaskedLM(_tiny_bert())


def tiny_bert() -> torch.nn.Module:
    from transformers import BertModel

    return BertModel(_tiny_bert(), add_pooling_layer=False)


def _tiny_bert() -> Any:
    from transformers import BertConfig

    return BertConfig(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        initializer_range=SPREAD,
    )


def tiny_distilbert() -> torch.nn.Module:
    from transformers import DistilBertConfig, DistilBertForSequenceClassification

    return DistilBertForSequenceClassification(
        DistilBertConfig(
            dim=32, n_layers=2, n_heads=2, hidden_dim=64, num_labels=2, initializer_range=SPREAD
        )
    )


TINY: dict[str, tuple[type[TextWorkload], Callable[[], Any]]] = {
    BERT: (LanguageModeling, tiny_bert_for_masked_lm),
    SENTIMENT: (Sentiment, tiny_distilbert),
    MINILM: (TextEmbedding, tiny_bert),
}


def shrink(monkeypatch: Any) -> None:
    """Let the benchmarks use models of two layers under the names that they ask for."""
    for cls, build in TINY.values():
        monkeypatch.setattr(cls, "models", dict.fromkeys(cls.models, build))


def of_catalog(benchmark: str, variant: str = "stock", *overrides: str) -> Definition:
    """Return a definition of the catalog, with random weights of whatever size.

    What `tuned` leaves to the machine is decided: bfloat16, as on the newest CPUs.
    """
    resolved = Library().resolve(
        benchmark,
        variant=variant,
        profile="local",
        overrides=["model.weights=random", "model.size_mib=null", *overrides],
    )
    return with_choices(resolved.definition, [BFLOAT16])


def make(definition: Definition, cache: Path) -> TextWorkload:
    """Return the workload of a definition, set up, with weights of seed 0."""
    cls = next(cls for name, (cls, _) in TINY.items() if name == definition.name)
    made = cls(definition, cls.fetch_weights(definition, 0, cache))
    made.set_up()
    return made


def without_weights(definition: Definition) -> TextWorkload:
    cls = TINY[definition.name][0]
    made = cls(definition, Weights(None))
    made.set_up()
    return made


def predicted(made: TextWorkload, lines: Sequence[str], batch_size: int | None = None) -> list[Any]:
    """Return the handler's predictions, in batches of that size; None: all in one."""
    handler = made.model_handler()
    model = handler.load_model()
    examples = [made.preprocess(line.encode()) for line in lines]
    size = batch_size or len(examples)
    return [
        prediction
        for start in range(0, len(examples), size)
        for prediction in handler.run_inference(
            examples[start : start + size], model, made.inference_args()
        )
    ]
