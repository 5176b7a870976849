"""Histories to try alarms on: log-normal noise, kind and unkind, with and without a step."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Histories = NDArray[np.float64]

RUNS = 60
STEP = 45


class Source:
    """Histories of 60 runs from a seed, as rows of logarithms; ``exp`` of them are the values."""

    def __init__(self, seed: int, count: int, runs: int = RUNS) -> None:
        self.chance = np.random.default_rng(seed)
        self.shape = count, runs

    def noise(self, variation: float) -> Histories:
        """Log-normal noise with a coefficient of variation."""
        return self.chance.normal(0, math.sqrt(math.log1p(variation**2)), self.shape)

    def step(self, variation: float, change: float, at: int = STEP) -> Histories:
        histories = self.noise(variation)
        histories[:, at:] += math.log1p(change)
        return histories

    def spikes(self, variation: float) -> Histories:
        """Of the values 5 % are 1.5 to 3 times as high."""
        spiked = self.chance.random(self.shape) < 0.05
        heights = np.log(self.chance.uniform(1.5, 3, self.shape))
        return self.noise(variation) + spiked * heights

    def correlated(self, variation: float, correlation: float = 0.5) -> Histories:
        """An autoregressive process of order 1."""
        histories = self.noise(variation)
        rest = math.sqrt(1 - correlation**2)
        for run in range(1, self.shape[1]):
            histories[:, run] = correlation * histories[:, run - 1] + rest * histories[:, run]
        return histories

    def drift(self, variation: float, each: float = 0.002) -> Histories:
        return self.noise(variation) + np.arange(self.shape[1]) * math.log1p(each)

    def machines(self, variation: float) -> tuple[Histories, NDArray[np.int64]]:
        """Five runs on each of three machines, of which two are 10 % faster and slower."""
        count, runs = self.shape
        drawn = self.chance.integers(0, 3, (count, -(-runs // 5)))
        machine = np.repeat(drawn, 5, axis=1)[:, :runs]
        return self.noise(variation) + np.log([0.9, 1.0, 1.1])[machine], machine
