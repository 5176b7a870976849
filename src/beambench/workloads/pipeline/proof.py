"""Proofs: how a pipeline shows that each element came out once, with which label."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import apache_beam as beam
from apache_beam.io.filesystems import FileSystems

from beambench.instrumentation.proof.combine import ProofOfWork

AddProof = Callable[[Any], object]
"""Adds to the outputs of a pipeline what proves them."""


class WriteFile(beam.DoFn):
    """Writes its one element to a path; again with the same content if the bundle is retried."""

    def __init__(self, path: str) -> None:
        self._path = path

    def process(self, text: str) -> None:
        with FileSystems.create(self._path) as file:
            file.write(text.encode())


def sum_of_outputs(path: str) -> AddProof:
    """Write one `Proof` over all outputs to a path, which takes a bounded source."""

    def prove(outputs: Any) -> object:
        return (
            outputs
            | "ProofOfWork" >> beam.CombineGlobally(ProofOfWork())
            | "WriteProof" >> beam.ParDo(WriteFile(path))
        )

    return prove
