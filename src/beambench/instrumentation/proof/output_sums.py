"""Proof of work: sums over the output that no order, retry or lost counter can change.

Every element carries an id. Over the output of the pipeline a global combine gives the count,
Σ hash(id) and Σ hash(id, label) mod 2**128, to be compared with the sums over the input. Counters
would not do: retries double them and restarts drop them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from beambench.record.observation import Proof

if TYPE_CHECKING:
    from beambench.instrumentation.elements import Output

MODULUS = 1 << 128

Accumulator = tuple[int, int, int, int, int]
"""count, Σ hash(id), failed, Σ hash(id of failed), Σ hash(id, label)."""
EMPTY: Accumulator = (0, 0, 0, 0, 0)


def hash_of(element_id: str, label: Any = None) -> int:
    """BLAKE2b-128 of an id, or of an id and its label, as an integer."""
    text = element_id if label is None else f"{element_id}\0{type(label).__name__}\0{label}"
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
    return int.from_bytes(digest, "big")


def added(accumulator: Accumulator, output: Output) -> Accumulator:
    count, ids, failed, failed_ids, labels = accumulator
    element_id, label, _, error = output
    if error is not None:
        return count, ids, failed + 1, (failed_ids + hash_of(element_id)) % MODULUS, labels
    return (
        count + 1,
        (ids + hash_of(element_id)) % MODULUS,
        failed,
        failed_ids,
        (labels + hash_of(element_id, label)) % MODULUS,
    )


def merged(accumulators: Iterable[Accumulator]) -> Accumulator:
    count, ids, failed, failed_ids, labels = EMPTY
    for other in accumulators:
        count += other[0]
        ids = (ids + other[1]) % MODULUS
        failed += other[2]
        failed_ids = (failed_ids + other[3]) % MODULUS
        labels = (labels + other[4]) % MODULUS
    return count, ids, failed, failed_ids, labels


def proof_of(accumulator: Accumulator) -> Proof:
    count, ids, failed, failed_ids, labels = accumulator
    return Proof(
        count=count,
        failed=failed,
        ids=f"{ids:032x}",
        failed_ids=f"{failed_ids:032x}",
        labels=f"{labels:032x}",
    )


def add_up(outputs: Iterable[Output]) -> Proof:
    """Return the proof of outputs at hand, as the loop has them."""
    accumulator = EMPTY
    for output in outputs:
        accumulator = added(accumulator, output)
    return proof_of(accumulator)


def expected_of(ids: Iterable[str]) -> Proof:
    """Return what count and id sum must be if every input comes out or fails exactly once."""
    count = total = 0
    for element_id in ids:
        count += 1
        total = (total + hash_of(element_id)) % MODULUS
    return Proof(count=count, failed=0, ids=f"{total:032x}", failed_ids=f"{0:032x}", labels="")


def accounts_for(proof: Proof, expected: Proof) -> bool:
    """True if outputs and failures together are the inputs, each exactly once."""
    total = (int(proof.ids, 16) + int(proof.failed_ids, 16)) % MODULUS
    return proof.count + proof.failed == expected.count and total == int(expected.ids, 16)
