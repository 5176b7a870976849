"""Where the time goes, as the summary of a run shows it."""

import pytest

from beambench.metrics import Sample
from beambench.presentation.runs import print_record
from beambench.presentation.values import summing_to_hundred
from published_runs import run_record
from raw_repeats import make_repeat, value_of

SHARES = ("read", "preprocess", "inference", "postprocess", "overhead")
# Each sums to one; their medians, 0.1 + 0.2 + 0.3 + 0.1 + 0.2, do not.
REPEATS = ((0.1, 0.5, 0.3, 0.0, 0.1), (0.1, 0.2, 0.2, 0.1, 0.4), (0.2, 0.1, 0.4, 0.1, 0.2))


def test_the_shares_of_a_run_are_means_of_repeats_and_sum_to_one(capsys):
    repeats = [
        make_repeat(
            metrics={
                f"stage_share_{stage}": value_of(f"stage_share_{stage}", Sample(share, 10))
                for stage, share in zip(SHARES, shares, strict=True)
            }
        )
        for shares in REPEATS
    ]
    print_record(run_record().model_copy(update={"repeats": repeats}))
    shown = " ".join(capsys.readouterr().out.split())
    assert (
        "where the time goes: read 13.3%, preprocess 26.7%, inference 30.0%, postprocess 6.7%, "
        "overhead 23.3%"
    ) in shown


@pytest.mark.parametrize(
    ("shares", "shown"),
    [
        ([1 / 3] * 3, ["33.4", "33.3", "33.3"]),
        ([0.0004, 0.0004, 0.9992], ["0.1", "0.0", "99.9"]),
        ([1.0], ["100.0"]),
        ([0.25, 0.75, 0.0], ["25.0", "75.0", "0.0"]),
    ],
)
def test_percentages_sum_to_a_hundred(shares, shown):
    assert summing_to_hundred(shares) == shown
    assert sum(round(10 * float(line)) for line in shown) == 1000
