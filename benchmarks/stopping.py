"""What looking at the interval costs: simulated comparisons that `--until` ends, with drift.

    .venv/bin/python benchmarks/stopping.py [--comparisons 300] [--seed 1]

Blocks of two pairs share a level that differs by 5 %. For each noise of a repeat, width and true
ratio: how many intervals hold the ratio, with the correction for every look and without it, wrong
verdicts, and the mean number of pairs.
"""

from __future__ import annotations

import argparse
import itertools
import math
import random

from beambench.analysis.comparison import ALPHA, Effect, compare_pairs, widened
from beambench.request.comparison import MOST_PAIRS, Budget

CVS = (0.005, 0.01, 0.02, 0.05)
WIDTHS = (0.01, 0.02, 0.05)
RATIOS = (1.0, 0.95)


def simulated(cv: float, width: float, ratio: float, chance: random.Random) -> tuple[Effect, int]:
    """Return a comparison as it was when it ended, its interval without the correction."""
    looks = Budget(MOST_PAIRS, width=width).looks()
    base, candidate, level = list[float](), list[float](), 0.0
    for number in range(MOST_PAIRS):
        if number % 2 == 0:
            level = chance.gauss(0, 0.05)
        base.append(math.exp(level + chance.gauss(0, cv)))
        candidate.append(ratio * math.exp(level + chance.gauss(0, cv)))
        if number + 1 not in looks:
            continue
        alpha = ALPHA / len(looks)
        effect = compare_pairs(base, candidate, higher_is_better=True, alpha=alpha)
        high = widened(effect, len(looks)).high
        if number + 1 == MOST_PAIRS or (high is not None and high / effect.ratio - 1 < width):
            break
    return effect, len(looks)


def holds(effect: Effect, ratio: float) -> bool:
    """Tell whether an interval holds the true ratio."""
    return effect.low is not None and effect.high is not None and effect.low <= ratio <= effect.high


def is_wrong(effect: Effect, ratio: float) -> bool:
    """Tell whether a verdict is wrong: of a difference or its direction, or that there is none."""
    wrong = ("faster", "slower") if ratio == 1 else ("faster", "same")
    return effect.verdict in wrong


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--comparisons", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    chance, n = random.Random(options.seed), options.comparisons
    totals = [0, 0, 0, 0]
    for cv, width, ratio in itertools.product(CVS, WIDTHS, RATIOS):
        ended = [simulated(cv, width, ratio, chance) for _ in range(n)]
        counts = [
            sum(holds(widened(effect, looks), ratio) for effect, looks in ended),
            sum(holds(effect, ratio) for effect, _ in ended),
            sum(is_wrong(effect, ratio) for effect, _ in ended),
            sum(effect.n for effect, _ in ended),
        ]
        totals = [total + count for total, count in zip(totals, counts, strict=True)]
        print(
            f"CV {cv:.1%}, ci<{width:.0%}, ratio {ratio}: hold {counts[0] / n:.1%}, without "
            f"correction {counts[1] / n:.1%}; wrong {counts[2] / n:.1%}; pairs {counts[3] / n:.1f}",
            flush=True,
        )
    every = n * len(CVS) * len(WIDTHS) * len(RATIOS)
    print(
        f"all {every}: hold {totals[0] / every:.1%}, without correction {totals[1] / every:.1%}; "
        f"wrong {totals[2] / every:.2%}"
    )


if __name__ == "__main__":
    main()
