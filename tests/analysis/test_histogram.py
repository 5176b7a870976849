import random
import subprocess
import sys
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beambench.analysis.histogram import (
    BUCKETS,
    EXACT_UP_TO,
    MAX_VALUE,
    RELATIVE_ERROR,
    bounds,
    bucket,
    merge,
    quantile,
    representative,
    total,
)
from property_checks import CHECKED

values = st.integers(0, MAX_VALUE)
# The last digit of a representative is rounded, which the exact ratio leaves no room for.
ERROR = RELATIVE_ERROR * (1 + 1e-12)


def _holds(value: int) -> None:
    index = bucket(value)
    low, high = bounds(index)
    assert low <= value <= high
    assert abs(representative(index) - value) <= ERROR * value


def test_every_integer_up_to_100_000():
    indexes = [bucket(value) for value in range(100_001)]
    for value in range(100_001):
        _holds(value)
    # Monotonic, and no index is left out.
    assert {b - a for a, b in pairwise(indexes)} == {0, 1}


def test_random_integers_up_to_a_trillion():
    dice = random.Random(1)
    for _ in range(20_000):
        _holds(int(10 ** dice.uniform(0, 12)))


@CHECKED
@given(values, values)
def test_any_two_values(a, b):
    _holds(a)
    if a <= b:
        assert bucket(a) <= bucket(b)


def test_zero_and_small_values_are_exact():
    assert [bucket(value) for value in range(EXACT_UP_TO + 1)] == list(range(EXACT_UP_TO + 1))
    assert [representative(i) for i in range(EXACT_UP_TO + 1)] == list(range(EXACT_UP_TO + 1))
    assert bounds(0) == (0, 0)
    assert bounds(EXACT_UP_TO + 1) == (25, 26)


def test_the_buckets_never_change():
    # Histograms of old runs are read with these: another mapping needs another name.
    known = {25: 25, 100: 52, 1000: 106, 5000: 146, 10**6: 279, 10**9: 451, 10**12: 624}
    assert {value: bucket(value) for value in known} == known
    assert BUCKETS == 1026


def test_the_buckets_have_no_gaps_and_do_not_overlap():
    for index in range(BUCKETS - 1):
        assert bounds(index)[1] + 1 == bounds(index + 1)[0]
    assert bounds(BUCKETS - 1)[1] == MAX_VALUE
    assert bucket(MAX_VALUE) == BUCKETS - 1


def test_values_and_indexes_out_of_range_are_refused():
    for value in (-1, MAX_VALUE + 1):
        with pytest.raises(ValueError, match="a histogram holds 0 to"):
            bucket(value)
    for index in (-1, BUCKETS):
        with pytest.raises(ValueError, match="must be between 0 and"):
            representative(index)


def test_merge_is_the_histogram_of_all_values():
    first, second = [5, 100, 100], [100, 7, 10**6]
    merged = merge([Counter(map(bucket, first)), {}, Counter(map(bucket, second))])
    assert merged == Counter(map(bucket, first + second))
    assert list(merged) == sorted(merged)
    assert total(merged) == 6
    assert merge([]) == {}


@CHECKED
@given(st.lists(values, min_size=1, max_size=60), st.integers(0, 100))
def test_a_quantile_is_that_of_the_values(sample, percent):
    exact = sorted(sample)[max(1, -(-percent * len(sample) // 100)) - 1]
    estimate = quantile(Counter(map(bucket, sample)), percent / 100)
    assert abs(estimate - exact) <= ERROR * exact


def test_quantiles_of_small_integers_are_exact():
    histogram = dict.fromkeys(range(1, 21), 1)
    assert quantile(histogram, 0) == 1
    assert quantile(histogram, 0.5) == 10
    assert quantile(histogram, 0.51) == 11
    assert quantile(histogram, 0.95) == 19
    assert quantile(histogram, 1) == 20
    # In floating point 0.07 · 100 and 0.29 · 100 are not 7 and 29.
    hundred = {1: 7, 2: 22, 3: 71}
    assert [quantile(hundred, p) for p in (0.07, 0.071, 0.29, 0.291)] == [1, 2, 2, 3]


def test_the_order_and_the_empty_buckets_of_a_histogram_do_not_matter():
    assert quantile({9: 1, 3: 0, 1: 1, 20: 0}, 1) == 9
    assert quantile({9: 1, 3: 0, 1: 1, 0: 0}, 0) == 1


def test_a_quantile_of_nothing_is_refused():
    for histogram in ({}, {3: 0}):
        with pytest.raises(ValueError, match="no values"):
            quantile(histogram, 0.5)
    for p in (-0.1, 1.1, 50, float("nan")):
        with pytest.raises(ValueError, match="quantile"):
            quantile({1: 1}, p)


@pytest.mark.parametrize("value", [0, 1, 123_456, 10**9, 2**60])
def test_a_value_takes_about_a_microsecond(value):
    # Instructions of Python, some 100 a microsecond: time may be any on a busy machine.
    instructions = 0

    def count(frame, event, _argument):
        nonlocal instructions
        frame.f_trace_opcodes = True
        instructions += event == "opcode"
        return count

    before = sys.gettrace()
    sys.settrace(count)
    try:
        bucket(value)
    finally:
        sys.settrace(before)
    assert 0 < instructions < 60


def test_importing_is_light():
    code = "import sys; from beambench.analysis import histogram, intervals; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    ).stdout.split()
    assert not {"numpy", "scipy", "pandas", "torch", "apache_beam", "pydantic"} & set(loaded)
