"""The labels of an execution beside those of the first one of the run, element by element."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from beambench.instrumentation.proof.output_sums import hash_of
from beambench.record.run_record import LabelComparison

if TYPE_CHECKING:
    from beambench.record.observation import Measured
    from beambench.workloads.base import Workload

LOG = "first-labels.txt"
LISTED = 20
"""Differing elements that are named; all are counted."""


class LabelLog:
    """Writes the labels of the first execution of a run, and compares those of later ones.

    The file has the digest of all labels, then hash(id) and hash(id, label) of each element. An
    execution of the same digest has the same labels, so nothing else is read.

    Attributes:
        folder: that all workers of the run have.
        digest: Σ hash(id, label) over the outputs.
        complete: all elements are accounted for; else the labels are no measure for later ones.
    """

    def __init__(self, folder: Path, digest: str, *, complete: bool) -> None:
        self._file = folder / LOG
        self._written: TextIO | None = None
        self._first: dict[str, list[str]] | None = None
        self._same = False
        self._compared, self._differing = 0, list[str]()
        if self._file.is_file():
            self._read(digest)
        elif complete:
            self._written = self._unfinished.open("w", encoding="ascii")
            self._written.write(f"{digest}\n")

    @property
    def _unfinished(self) -> Path:
        return self._file.with_suffix(".new")

    def _read(self, digest: str) -> None:
        with self._file.open(encoding="ascii") as lines:
            self._same = next(lines).strip() == digest
            if self._same:
                return
            self._first = {}
            for line in lines:
                self._first.setdefault(line[:32], []).append(line[32:64])

    def note(self, element_id: str, label: Any) -> None:
        """Write or compare the label of an element that came out."""
        if self._same:
            self._compared += 1
            return
        if self._written is None and self._first is None:
            return
        key, label_hash = f"{hash_of(element_id):032x}", f"{hash_of(element_id, label):032x}"
        if self._written is not None:
            self._written.write(f"{key}{label_hash}\n")
        elif self._first is not None and (labels := self._first.get(key)):
            self._compared += 1  # an id that the input names twice has two labels, in no order
            if label_hash in labels:
                labels.remove(label_hash)
            else:
                self._differing.append(element_id)

    def close(self) -> LabelComparison | None:
        """Keep what was written; return what was compared, None of the first execution."""
        if self._written is not None:
            self._written.close()
            self._unfinished.rename(self._file)
        if not self._same and self._first is None:
            return None
        return LabelComparison(
            compared=self._compared,
            differing=len(self._differing),
            listed=self._differing[:LISTED],
        )


def labels_follow_batches(workload: Workload, measured: Measured) -> bool:
    """Tell whether the same batches give the same labels: on the CPU of one worker they do.

    A GPU adds in an order of its own, a server forms batches of its own, and several workers share
    the elements out by chance.
    """
    on_cpu = {device.device for device in measured.devices} == {"cpu"}
    return workload.model_runs == "in_worker" and measured.threads == 1 and on_cpu
