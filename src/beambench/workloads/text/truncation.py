"""Sentences that are cut to what a model takes, counted once and before anything is timed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from beambench.definition.text_encoding import problem_of

BATCH = 256
SPECIAL_TOKENS = 8
"""A tokenizer adds fewer to a sentence; without them a sentence has no more tokens than bytes."""


def truncation_warnings(
    lines: Sequence[bytes], limit: int, setting: str, load: Callable[[], Any]
) -> list[str]:
    """Count the sentences that are cut.

    Only those that are long enough are tokenized, so that an ordinary input costs nothing.

    Args:
        lines: all elements; one that is not UTF-8 fails, and is not cut.
        limit: tokens that the model takes, special ones included.
        setting: what sets the limit, for the message.
        load: returns the fast tokenizer, set not to cut or pad.
    """
    candidates = [line for line in lines if len(line) > limit - SPECIAL_TOKENS]
    texts = [line.decode() for line in candidates if problem_of(line) is None]
    if not texts:
        return []
    backend = load().backend_tokenizer
    lengths = [
        len(encoded.ids)
        for start in range(0, len(texts), BATCH)
        for encoded in backend.encode_batch(texts[start : start + BATCH])
    ]
    cut = [length for length in lengths if length > limit]
    if not cut:
        return []
    return [
        f"{len(cut):,} of {len(lines):,} sentences are cut at {setting} ({limit} tokens; the "
        f"longest has {max(cut):,}): the model never sees the rest, which throughput_bytes counts"
    ]
