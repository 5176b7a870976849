"""What a pipeline leaves: the files that it writes, and how it ran."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from beambench.inputs import files


@dataclass(frozen=True)
class Outputs:
    """Files that the pipeline writes: paths, or addresses where its workers are elsewhere.

    Attributes:
        proof: the `Proof` of the output, as JSON.
        predictions: one JSON array [id, label, evidence, failure] a line, in no order.
    """

    proof: str
    predictions: str

    @classmethod
    def within(cls, folder: str) -> Outputs:
        return cls(files.joined(folder, "proof.json"), files.joined(folder, "predictions.jsonl"))


@dataclass(frozen=True)
class FinishedPipeline:
    """A pipeline that ran to its end.

    Attributes:
        query: answer of ``result.metrics().query()``.
        executed: name of the runner that ran it.
        implementation: class that ran it, and its running mode.
        threads: threads that worked on it, if only one could; else None.
        flags: Beam's, as it was given them.
    """

    query: dict[str, list[Any]]
    executed: str
    implementation: str
    threads: int | None
    flags: list[str]
