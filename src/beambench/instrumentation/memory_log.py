"""Memory of this process before each batch, for the controller to see whether it grows."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from beambench.analysis.memory_growth import Reading

MAX_READINGS = 512
"""When there are as many, every second is dropped, and only every second is taken from then on."""

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class MemoryLog:
    """Readings of one execution; those of all handlers in the process go to the same one."""

    def __init__(self, statm: Path = Path("/proc/self/statm")) -> None:
        self._statm = statm
        self._lock = threading.Lock()
        self.clear()

    def clear(self) -> None:
        """Begin anew, before an execution."""
        self.readings: list[Reading] = []
        self._batches = self._elements = 0
        self._stride = 1

    def before_batch(self, size: int) -> None:
        """Note the memory; nothing of an earlier batch is held now but what stays."""
        with self._lock:
            if self._batches % self._stride == 0:
                self._read(size)
            self._batches += 1
            self._elements += size

    def _read(self, size: int) -> None:
        try:
            resident = int(self._statm.read_bytes().split()[1]) * PAGE_BYTES
        except (OSError, IndexError, ValueError):  # not on Linux
            return
        self.readings.append(Reading(self._batches, self._elements, size, resident))
        if len(self.readings) == MAX_READINGS:
            self.readings = self.readings[::2]
            self._stride *= 2


MEMORY_LOG = MemoryLog()
