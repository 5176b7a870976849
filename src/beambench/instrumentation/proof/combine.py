"""Proof of work in a pipeline: the sums of `output_sums` as a global combine."""

from __future__ import annotations

from collections.abc import Iterable

import apache_beam as beam

from beambench.instrumentation.elements import Output
from beambench.instrumentation.proof.output_sums import EMPTY, Accumulator, added, merged, proof_of


class ProofOfWork(beam.CombineFn):
    """Adds outputs up into a `Proof`."""

    def create_accumulator(self) -> Accumulator:
        return EMPTY

    def add_input(self, accumulator: Accumulator, output: Output) -> Accumulator:
        return added(accumulator, output)

    def merge_accumulators(self, accumulators: Iterable[Accumulator]) -> Accumulator:
        return merged(accumulators)

    def extract_output(self, accumulator: Accumulator) -> str:
        return proof_of(accumulator).model_dump_json()
