"""How small a share of wrong labels a comparison with the reference would have shown."""

from __future__ import annotations

import math

CONFIDENCE = 0.95


def detectable_share(compared: int, population: int | None = None, differing: int = 0) -> float:
    """Return the share of wrong labels above which more would have differed, with `CONFIDENCE`.

    The compared elements are a random sample without replacement, so the number of wrong labels
    among them is hypergeometric; without a population it is binomial, and with none differing the
    share is 1 - 0.05**(1 / compared).

    Args:
        compared: elements whose labels were compared.
        population: elements that they were chosen from.
        differing: those of them that did differ.

    Returns:
        From 0 (every further wrong label would have been seen) to 1 (nothing would have been).

    Raises:
        ValueError: more were compared than there are, or more differ than were compared.
    """
    if not 0 <= differing <= compared or (population is not None and compared > population):
        raise ValueError(f"{differing} differing of {compared} compared of {population}")
    if differing == compared:
        return 1.0
    if population is None:
        return _binomial(compared, differing)
    low, high = differing, population  # wrong labels that may stay unseen, and that cannot
    while high - low > 1:
        middle = (low + high) // 2
        if _seen_at_most(differing, compared, middle, population) > 1 - CONFIDENCE:
            low = middle
        else:
            high = middle
    return low / population


def _binomial(compared: int, differing: int) -> float:
    if not differing:
        return float(1 - (1 - CONFIDENCE) ** (1 / compared))
    low, high = 0.0, 1.0
    for _ in range(60):
        share = (low + high) / 2
        unseen = sum(
            math.comb(compared, seen) * share**seen * (1 - share) ** (compared - seen)
            for seen in range(differing + 1)
        )
        low, high = (share, high) if unseen > 1 - CONFIDENCE else (low, share)
    return high


def _seen_at_most(most: int, compared: int, wrong: int, population: int) -> float:
    """Return the probability that so many wrong labels at most are among those compared."""
    first = max(0, compared - (population - wrong))
    ways = _log_choose(population, compared)
    return sum(
        math.exp(_log_choose(wrong, seen) + _log_choose(population - wrong, compared - seen) - ways)
        for seen in range(first, min(most, wrong, compared) + 1)
    )


def _log_choose(total: int, chosen: int) -> float:
    return math.lgamma(total + 1) - math.lgamma(chosen + 1) - math.lgamma(total - chosen + 1)
