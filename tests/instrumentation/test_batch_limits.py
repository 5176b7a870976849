"""Batch sizes that were asked for, beside those that were seen."""

import pytest

from beambench.instrumentation.batch_limits import outside, outside_flags


@pytest.mark.parametrize(
    ("asked", "sizes", "said"),
    [
        ({}, {3: 1}, []),
        ({"min_batch_size": 8}, {}, []),
        ({"min_batch_size": 8, "max_batch_size": 8}, {8: 3, 2: 1}, []),
        (
            {"min_batch_size": 8},
            {7: 3, 2: 1},
            ["min_batch_size 8 was reached by no batch: batches had 2 to 7 elements"],
        ),
        (
            {"max_batch_size": 4},
            {7: 3, 4: 1},
            ["max_batch_size 4 was exceeded by 3 batches: batches had 4 to 7 elements"],
        ),
    ],
)
def test_limits(asked, sizes, said):
    assert outside(asked, sizes) == said


@pytest.mark.parametrize(
    ("argv", "asked", "said"),
    [
        (["--inference_batch_size", "64"], {}, "--inference_batch_size 64"),
        (["--batch-size=64"], {}, "--batch-size 64"),
        (["--max_batch_size=3"], {}, "--max_batch_size 3"),
        (["--min_batch_size=11"], {}, "--min_batch_size 11"),
        (["--inference_batch_size", "64"], {"A.max_batch_size": 64}, None),
        (["--batch_size=10"], {}, None),
        (["--max_batch_size=10"], {}, None),
        (["--min_batch_size=10"], {}, None),
        (["--batch_size", "many"], {}, None),
        (["--batch_size"], {}, None),
        ([], {}, None),
        (["--batch_size_file=64", "x", "--batches=64"], {}, None),
    ],
)
def test_flags(argv, asked, said):
    expected = [f"{said}: batches had 4 to 10 elements"] if said else []
    assert outside_flags(argv, asked, {4: 2, 10: 1}) == expected
    assert outside_flags(argv, asked, {}) == []
