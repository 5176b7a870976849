"""How often verdicts of comparisons are right: simulated pairs on a machine that drifts.

    .venv/bin/python benchmarks/simulated_comparisons.py [--comparisons 500] [--seed 1]

For each noise, number of pairs and true ratio so many comparisons are made, with steps of 5 %
between blocks of two pairs and a trend within them. Printed are how many intervals of 95 % hold the
true ratio, how many verdicts are wrong, and how often the change is found that was said to be
found with 80 %.
"""

from __future__ import annotations

import argparse
import itertools
import math
import sys
import time
from collections import Counter
from pathlib import Path

from beambench.analysis.comparison import ALPHA, MARGIN, detectable

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.paired_measurements import Days, Machine, covers, is_wrong

CVS = (0.01, 0.02, 0.05, 0.1, 0.2)
PAIRS = (4, 6, 10, 20)
RATIOS = (1.0, 1.01, 1 + MARGIN, 1 / (1 + MARGIN), 1.05, 0.95, 1.1, 0.9, 1.2)


def verdicts(count: int, seed: int, spikes: bool) -> None:
    print(f"\n{'with spikes' if spikes else 'log-normal noise'}: {count} comparisons a cell")
    covered, wrong, said = Counter(), Counter(), Counter()
    worst = {"covered": 1.0, "wrong": 0.0}
    for ratio, cv, pairs in itertools.product(RATIOS, CVS, PAIRS):
        effects = Machine(cv, pairs, spikes).compare(ratio, count, seed)
        held = sum(covers(effect, ratio) for effect in effects)
        false = sum(is_wrong(effect, ratio) for effect in effects)
        covered[ratio] += held
        wrong[ratio] += false
        said.update((ratio, effect.verdict) for effect in effects)
        worst["covered"] = min(worst["covered"], held / count)
        worst["wrong"] = max(worst["wrong"], false / count)
    cells = len(CVS) * len(PAIRS) * count
    for ratio in RATIOS:
        shares = ", ".join(
            f"{verdict} {said[ratio, verdict] / cells:.1%}"
            for verdict in ("same", "faster", "slower", "inconclusive")
        )
        print(
            f"  true ratio {ratio:.3f}: covered {covered[ratio] / cells:.1%}, "
            f"wrong {wrong[ratio] / cells:.2%} ({shares})"
        )
    total = cells * len(RATIOS)
    print(
        f"  all {total}: covered {covered.total() / total:.2%}, wrong {wrong.total() / total:.2%}; "
        f"of a cell at worst {worst['covered']:.1%} and {worst['wrong']:.1%}"
    )


def runs_apart(count: int, seed: int) -> None:
    print("\ntwo stored runs of the same, CV 1 % within: called different, intervals that cover")
    for between in (0.0, 0.02, 0.05):
        shares = []
        for other_runs in (0, 4, 8, 20):
            effects = Days(between, within=0.01).compare(other_runs, count, seed)
            wrong = sum(is_wrong(effect, 1.0) for effect in effects) / count
            held = sum(covers(effect, 1.0) for effect in effects) / count
            shares.append(f"{other_runs} other runs: {wrong:.1%}, {held:.1%}")
        print(f"  CV {between:.0%} between: {'; '.join(shares)}")


def changes_found(count: int, seed: int) -> None:
    print("\nfound of the changes that were said to be found with 80 %, by number of pairs")
    for cv in CVS:
        shares = []
        for pairs in PAIRS:
            machine = Machine(cv, pairs)
            change = detectable(math.sqrt(2) * machine.deviation, pairs)
            effects = machine.compare(1 + change, count, seed)
            found = sum(effect.p <= ALPHA and effect.ratio > 1 for effect in effects)
            shares.append(f"{pairs} pairs {change:.1%}: {found / count:.1%}")
        print(f"  CV {cv:.0%}: {'; '.join(shares)}")


def changes_found_by_own_noise(count: int, seed: int) -> None:
    print(
        "\nthe same, of the changes that each comparison said by the noise that it had seen itself"
    )
    for cv in CVS:
        shares = []
        for pairs in PAIRS:
            machine = Machine(cv, pairs)
            found = 0
            for number, before in enumerate(machine.compare(1.0, count, seed)):
                assert before.mde is not None
                (effect,) = machine.compare(1 + before.mde, 1, 1_000_000 * seed + number)
                found += effect.p <= ALPHA and effect.ratio > 1
            shares.append(f"{pairs} pairs: {found / count:.1%}")
        print(f"  CV {cv:.0%}: {'; '.join(shares)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--comparisons", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    began = time.perf_counter()
    for spikes in (False, True):
        verdicts(options.comparisons, options.seed, spikes)
    runs_apart(10 * options.comparisons, options.seed)
    changes_found(options.comparisons, options.seed)
    changes_found_by_own_noise(options.comparisons, options.seed)
    print(f"\n{time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
