"""Folders of Gemma-shaped models that vLLM serves: made here, or fetched from the model hub."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

from beambench.errors import RunError, UsageError
from beambench.inputs import lines

VERSION = 1
"""Part of a folder's name: raise it when the models made from a seed change."""

VOCABULARY = 4096
SHARPNESS = 16.0
"""Factor on the random weights' logits. The best two of 4,096 random ones lie near each other; so
far apart, and computed in float32, they do not change places with the size of a batch."""

PAD, EOS, BOS, UNKNOWN = "<pad>", "<eos>", "<bos>", "<unk>"
GAIN = 2.0
"""Spread of the random layers over that which keeps a vector's length: a next token then depends on
the whole prompt. With less, each token mostly predicts itself, as the embeddings are tied."""


class Shape(NamedTuple):
    """Sizes of a `GemmaForCausalLM` (version 1 of Gemma).

    Attributes:
        hub: the published model of this shape.
        weights: random weights are a file; else vLLM's own dummy weights are meant, which take a
            fraction of the time and no disk space: uniform in ±0.001, the same for every seed.
        server: arguments that the server needs for random weights of this shape.
    """

    vocabulary: int
    hidden: int
    layers: int
    intermediate: int
    heads: int
    head_dim: int
    hub: str | None
    weights: bool
    server: dict[str, str | None]


SHAPES = {
    "gemma-tiny": Shape(
        VOCABULARY, 128, 2, 512, 2, 64, None, True, {"dtype": "float32", "enforce-eager": None}
    ),
    "gemma-2b": Shape(
        256000, 2048, 18, 16384, 8, 256, "google/gemma-2b-it", False, {"load-format": "dummy"}
    ),
}


def random_model(name: str, seed: int, cache: Path) -> Path:
    """Make a model folder from the seed once and keep it, so that all repeats serve the same.

    Raises:
        UsageError: what makes tokenizers or weights is not installed.
        RunError: the folder cannot be written.
    """
    try:
        versions = [f"{package} {metadata.version(package)}" for package in ("tokenizers", "torch")]
    except metadata.PackageNotFoundError as error:
        raise UsageError(f"{error.name} missing, which makes the model: make setup-vllm") from None
    mark = hashlib.sha256(" ".join([*versions, str(VERSION)]).encode()).hexdigest()[:8]
    folder = cache / f"random-model-{name}-seed{seed}-{mark}"
    if folder.is_dir():
        return folder
    partial = cache / f"{folder.name}.{os.getpid()}.tmp"
    try:
        partial.mkdir(parents=True)
        _write(partial, SHAPES[name], seed)
        with contextlib.suppress(OSError):  # another process was faster, with the same content
            partial.rename(folder)
    except OSError as error:
        raise RunError(f"{cache}: cannot write a model there: {error.strerror or error}") from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return folder


def _write(folder: Path, shape: Shape, seed: int) -> None:
    _write_tokenizer(folder, seed)
    ids = {"pad_token_id": 0, "eos_token_id": 1, "bos_token_id": 2}
    _write_json(folder / "config.json", {**_config(shape), **ids})
    _write_json(folder / "generation_config.json", ids)
    if shape.weights:
        from safetensors.torch import save_file

        save_file(_weights(shape, seed), folder / "model.safetensors", metadata={"format": "pt"})


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", "utf-8")


def _config(shape: Shape) -> dict[str, Any]:
    return {
        "architectures": ["GemmaForCausalLM"],
        "model_type": "gemma",
        "vocab_size": shape.vocabulary,
        "hidden_size": shape.hidden,
        "num_hidden_layers": shape.layers,
        "intermediate_size": shape.intermediate,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": 1,
        "head_dim": shape.head_dim,
        "hidden_activation": "gelu_pytorch_tanh",
        "max_position_embeddings": 8192,
        "rms_norm_eps": 1e-6,
        "rope_theta": 10000.0,
        "tie_word_embeddings": True,
        "dtype": "bfloat16",
    }


def _write_tokenizer(folder: Path, seed: int) -> None:
    """Train a byte-level BPE on the packaged sentences: any text has tokens in it."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[PAD, EOS, BOS, UNKNOWN],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    sentences = [line.decode() for line in lines.packaged("sentences", None, seed)]
    tokenizer.train_from_iterator(sentences, trainer)
    tokenizer.save(str(folder / "tokenizer.json"))
    special = {"pad_token": PAD, "eos_token": EOS, "bos_token": BOS, "unk_token": UNKNOWN}
    _write_json(
        folder / "tokenizer_config.json",
        {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 8192, **special},
    )


def _weights(shape: Shape, seed: int) -> dict[str, Any]:
    """Return random weights by name."""
    import torch

    source = torch.Generator().manual_seed(seed)

    def matrix(rows: int, columns: int, gain: float = GAIN) -> Any:
        return torch.randn(rows, columns, generator=source) * gain * columns**-0.5

    hidden, inner, inside = shape.hidden, shape.intermediate, shape.heads * shape.head_dim
    norm = torch.zeros(hidden)  # Gemma multiplies by 1 + weight
    weights = {"model.embed_tokens.weight": matrix(shape.vocabulary, hidden, 1.0)}
    for layer in range(shape.layers):
        parts = {
            "self_attn.q_proj": matrix(inside, hidden),
            "self_attn.k_proj": matrix(shape.head_dim, hidden),
            "self_attn.v_proj": matrix(shape.head_dim, hidden),
            "self_attn.o_proj": matrix(hidden, inside),
            "mlp.gate_proj": matrix(inner, hidden),
            "mlp.up_proj": matrix(inner, hidden),
            "mlp.down_proj": matrix(hidden, inner),
            "input_layernorm": norm.clone(),
            "post_attention_layernorm": norm.clone(),
        }
        weights |= {f"model.layers.{layer}.{part}.weight": tensor for part, tensor in parts.items()}
    return {**weights, "model.norm.weight": norm + (SHARPNESS - 1)}


def published_model(name: str) -> Path:
    """Fetch a published model from the hub into its own cache, or find it there.

    Raises:
        UsageError: the hub's client is not installed.
        RunError: the hub cannot be reached, or does not give the model to this user.
    """
    hub = str(SHAPES[name].hub)
    try:
        from huggingface_hub import snapshot_download
    except ImportError:
        raise UsageError("huggingface-hub missing: make setup-vllm") from None
    try:
        return Path(snapshot_download(hub, allow_patterns=["*.json", "*.safetensors", "*.model"]))
    except Exception as error:  # its own errors, those of its HTTP client, and OSError
        reason = (str(error).strip().splitlines() or [""])[0][:120] or type(error).__name__
        raise RunError(
            f"{hub} cannot be fetched from the model hub ({reason}): set HF_TOKEN if it asks for a "
            "login, or use --set model.weights=file --set model.path=FOLDER"
        ) from None
