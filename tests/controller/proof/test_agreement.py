"""The judge: are the sampled elements those of the reference?"""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beambench.controller.proof.agreement import Agreement, agreement
from beambench.controller.proof.stock_agreement import stock_agreement
from beambench.record.observation import SampledPrediction
from property_checks import CHECKED

Sample = list[SampledPrediction]


def outputs(number: int, size: int = 8, base: float = 0.0) -> list[float]:
    source = random.Random(number)
    return [base + source.random() for _ in range(size)]


def predicted(number: int, label: Any = None, **fields: Any) -> SampledPrediction:
    label = number if label is None and not fields.get("error") else label
    return SampledPrediction(id=f"{number}.jpg", label=label, **fields)


def labelled(count: int = 32) -> Sample:
    """A sample whose labels tell all elements apart, without raw outputs."""
    return [predicted(number) for number in range(count)]


def vacuous(count: int = 32, base: float = 1000.0) -> Sample:
    """A sample of two labels, with raw outputs: of random weights (nearly parallel) or not."""
    return [predicted(n, label=n % 2, evidence=outputs(n, base=base)) for n in range(count)]


def changed(sample: Sample, index: int, **fields: Any) -> Sample:
    copy = list(sample)
    copy[index] = copy[index].model_copy(update=fields)
    return copy


def swapped(sample: Sample, a: int, b: int) -> Sample:
    """Swap what two elements got: labels and raw outputs."""
    fields = [sample[i].model_dump(include={"label", "evidence"}) for i in (a, b)]
    return changed(changed(sample, a, **fields[1]), b, **fields[0])


def agrees(ours: Sample, loop: Sample) -> Agreement:
    comparison = agreement(ours, loop)
    assert comparison.problems == []
    return comparison


def differs(ours: Sample, loop: Sample, count: int = 1) -> Agreement:
    comparison = agreement(ours, loop)
    compared = comparison.details["compared"]
    assert comparison.share is not None
    assert comparison.share == pytest.approx(1 - count / compared)
    assert len(comparison.details["differing"]) == count
    first = comparison.details["differing"][0]
    assert comparison.problems == [
        f"{count} of {compared} sampled elements differ from the reference loop, first {first!r}"
    ]
    return comparison


# --- labels


def test_equal_labels_agree_whatever_the_order():
    loop = labelled()
    comparison = agrees(loop[::-1], loop)
    assert comparison.share == 1.0
    assert comparison.details == {
        "sample": 32,
        "near_ties": 0,
        "distinct_labels": 32,
        "method": "labels",
        "compared": 32,
        "differing": [],
    }


def test_one_other_label_is_a_problem_that_names_the_element():
    comparison = differs(changed(labelled(), 5, label=99), labelled())
    assert comparison.details["differing"] == ["5.jpg"]
    assert comparison.share == 31 / 32


def test_two_swapped_labels_are_two_problems():
    differs(swapped(labelled(), 3, 4), labelled(), count=2)


def test_a_label_that_only_looks_the_same_is_another():
    differs(changed(labelled(), 5, label="5"), labelled())


def test_an_element_that_is_not_there_differs():
    differs(labelled()[1:], labelled())


def test_elements_that_were_not_sampled_say_nothing():
    assert agrees([*labelled(), predicted(77)], labelled()).details["compared"] == 32


@pytest.mark.parametrize("failed_in", ["run", "reference"])
def test_an_element_that_failed_on_one_side_only_differs(failed_in):
    failed = changed(labelled(), 5, label=None, error="ValueError: no")
    ours, loop = (failed, labelled()) if failed_in == "run" else (labelled(), failed)
    assert differs(ours, loop).details["differing"] == ["5.jpg"]


def test_an_element_that_failed_on_both_sides_agrees_whatever_the_words():
    ours = changed(labelled(), 5, label=None, error="ValueError: no")
    loop = changed(labelled(), 5, label=None, error="ValueError: other")
    assert agrees(ours, loop).share == 1.0


def test_an_element_listed_twice_must_agree_both_times():
    loop = labelled(8)
    assert agrees([*loop, loop[3]], loop).details["compared"] == 9
    differs([*loop, loop[3].model_copy(update={"label": 5})], loop)
    differs([loop[3].model_copy(update={"label": 5}), *loop], loop)


def test_labels_at_the_limit_are_enough_and_below_it_they_are_not():
    few = [predicted(number, label=min(number, 6)) for number in range(35)]
    assert agrees(few, few).details["method"] == "labels"  # 7 of 35
    few = [predicted(number, label=min(number, 6)) for number in range(36)]
    assert agrees(few, few).share is None  # 7 of 36


# --- near-ties


def tied(number: int, gap: float) -> SampledPrediction:
    evidence = outputs(number)
    evidence[0], evidence[1] = 2.0, 2.0 + gap
    return predicted(number, evidence=evidence)


@pytest.mark.parametrize(("gap", "left_out"), [(0.9e-4, True), (1.1e-4, False), (0.0, True)])
def test_near_ties_are_left_out_and_counted(gap, left_out):
    loop = [*labelled(31), tied(31, gap)]
    ours = changed(loop, 31, label=99)
    if left_out:
        comparison = agrees(ours, loop)
        assert (comparison.details["near_ties"], comparison.details["compared"]) == (1, 31)
        assert comparison.share == 1.0
    else:
        assert differs(ours, loop).details["near_ties"] == 0


def test_it_is_the_reference_that_says_what_a_near_tie_is():
    differs(
        [*labelled(31), tied(31, 0.0).model_copy(update={"label": 99})],
        [*labelled(31), predicted(31)],
    )


def test_if_all_are_near_ties_the_outputs_are_compared():
    loop = [tied(number, 0.0) for number in range(32)]
    relabelled = [element.model_copy(update={"label": 0}) for element in loop]
    comparison = agrees(relabelled, loop)
    assert (comparison.details["method"], comparison.details["near_ties"]) == ("outputs", 32)
    differs(swapped(loop, 3, 4), loop, count=2)


def test_a_few_that_are_clear_among_near_ties_are_too_few():
    loop = [*(tied(number, 0.0) for number in range(28)), *(predicted(n) for n in range(28, 32))]
    assert agrees(loop, loop).details["method"] == "outputs"


# --- raw outputs


def test_where_labels_are_vacuous_outputs_are_compared():
    comparison = agrees(vacuous(), vacuous())
    assert comparison.share == 1.0
    assert comparison.details == {
        "sample": 32,
        "near_ties": 0,
        "distinct_labels": 2,
        "method": "outputs",
        "compared": 32,
        "differing": [],
        "least_cosine": pytest.approx(1.0),
        "largest_difference": 0.0,
    }


@pytest.mark.parametrize("count", [2, 3, 5])
def test_one_label_for_several_elements_is_vacuous_however_few_they_are(count):
    loop = [predicted(n, label=1, evidence=outputs(n, base=1000.0)) for n in range(count)]
    assert agrees(loop, loop).details["method"] == "outputs"
    differs(swapped(loop, 0, 1), loop, count=2)


def test_the_noise_of_another_batch_size_agrees_and_is_stated():
    ours = vacuous()
    ours[7].evidence[2] += 2e-4  # type: ignore[index]
    comparison = agrees(ours, vacuous())
    assert comparison.details["largest_difference"] == pytest.approx(2e-4, rel=1e-6)
    assert comparison.details["least_cosine"] < 1.0


@pytest.mark.parametrize("base", [0.0, 1000.0])
@pytest.mark.parametrize("pair", [(2, 4), (2, 3)])
def test_swapped_outputs_differ_though_they_are_nearly_parallel(base, pair):
    loop = vacuous(base=base)
    differs(swapped(loop, *pair), loop, count=2)


@pytest.mark.parametrize("base", [0.0, 1000.0])
def test_the_output_of_an_element_that_was_not_sampled_differs(base):
    loop = vacuous(base=base)
    for stranger in range(100, 200):
        comparison = agreement(changed(loop, 4, evidence=outputs(stranger, base=base)), loop)
        assert comparison.details["differing"] == ["4.jpg"]


def test_outputs_of_another_direction_or_length_differ_even_for_one_element():
    loop = [predicted(0, evidence=[1.0, 1.0])]  # a near-tie: only its outputs can tell
    assert agrees([predicted(0, evidence=[1.0, 1.01])], loop).details["method"] == "outputs"
    differs([predicted(0, evidence=[1.0, 1.1])], loop)
    differs([predicted(0, evidence=[1.1, 1.1])], loop)
    differs([predicted(0, evidence=[-1.0, -1.0])], loop)
    differs([predicted(0, evidence=[0.0, 0.0])], loop)
    differs([predicted(0, evidence=[1.0, 1.0, 0.0])], loop)
    differs([predicted(0, evidence=None)], loop)
    differs([predicted(0, evidence=[])], loop)


def test_a_workload_may_say_what_a_near_tie_is():
    loop = [predicted(number, evidence=[1.0, 0.9]) for number in range(8)]
    ours = changed(loop, 0, label=99)
    assert agreement(ours, loop, near_tie=0.09).details["differing"] == ["0.jpg"]
    assert agreement(ours, loop, near_tie=0.11).details["near_ties"] == 8
    mixed = changed(loop, 0, evidence=[1.0, 0.95])
    comparison = agreement(ours, mixed, near_tie=0.09)
    assert (comparison.problems, comparison.details["compared"]) == ([], 7)


def test_the_limits_of_direction_and_length():
    loop = [predicted(n, label=0, evidence=[100.0, float(n) * 1e-9]) for n in range(2)]

    def first(*evidence: float) -> Agreement:
        return agreement([predicted(0, label=0, evidence=list(evidence)), loop[1]], loop)

    assert first(100.0, -4.4).problems == []  # cosine 0.99903
    assert first(100.0, -4.6).problems != []  # cosine 0.99894
    assert first(104.9, 0.0).problems == []
    assert first(105.1, 0.0).problems != []


def test_outputs_that_are_zero_have_no_direction():
    loop = [predicted(0, label=0, evidence=[0.0, 0.0]), predicted(1, label=0, evidence=[1.0, 0.0])]
    assert agrees(loop, loop).details["least_cosine"] == 1.0
    differs(changed(loop, 0, evidence=[1e-9, 0.0]), loop)


def test_a_wrong_label_differs_though_its_output_is_right():
    assert differs(changed(vacuous(), 6, label=1), vacuous()).details["method"] == "outputs"


def test_a_near_tie_may_have_another_label_but_not_another_output():
    loop = vacuous()
    for index in (8, 9):
        evidence = outputs(index, base=1000.0)
        evidence[:2] = [1001.5, 1001.5]
        loop[index] = loop[index].model_copy(update={"evidence": evidence})
    assert agrees(changed(loop, 8, label=1), loop).details["near_ties"] == 2
    differs(swapped(loop, 8, 9), loop, count=2)


def test_a_regression_of_one_output_is_compared_by_its_value():
    loop = [predicted(n, label=0, evidence=[5.0 + n]) for n in range(8)]
    assert agrees(loop, loop).details["method"] == "outputs"
    differs(changed(loop, 3, evidence=[8.6]), loop)


def test_the_same_outputs_for_every_input_are_a_problem():
    same = [predicted(n, label=0, evidence=[1.0, 2.0]) for n in range(2)]
    comparison = agreement(same, same)
    assert comparison.share is None
    assert comparison.problems == [
        "the outputs are the same for every input: the model ignores its input"
    ]


def test_one_element_listed_twice_is_not_two_inputs():
    loop = [predicted(0, label=0, evidence=[1.0, 1.0])]
    assert agrees([*loop, *loop], loop).share == 1.0


@pytest.mark.parametrize("noise", [0.0, 1e-4])
def test_equal_content_under_two_names_is_no_swap(noise):
    loop = vacuous()
    loop[5] = predicted(5, label=0, evidence=loop[4].evidence)
    ours = [
        element.model_copy(update={"evidence": [value + noise for value in element.evidence or ()]})
        for element in loop
    ]
    agrees(ours, loop)
    agrees(swapped(loop, 4, 5), loop)


@pytest.mark.parametrize(("share", "is_own"), [(0.32, True), (0.35, False), (0.6, False)])
def test_an_output_must_be_clearly_nearer_to_its_own_reference(share, is_own):
    loop = [predicted(n, label=0, evidence=[1000.0, float(n)]) for n in range(2)]
    comparison = agreement(changed(loop, 0, evidence=[1000.0, share]), loop)
    assert (comparison.problems == []) is is_own


@pytest.mark.parametrize("failed_in", ["run", "reference", "both"])
def test_failures_count_where_outputs_are_compared_too(failed_in):
    failed = changed(vacuous(), 6, label=None, evidence=None, error="ValueError: no")
    ours = vacuous() if failed_in == "reference" else failed
    loop = vacuous() if failed_in == "run" else failed
    if failed_in == "both":
        assert agrees(ours, loop).share == 1.0
    else:
        assert differs(ours, loop).details["differing"] == ["6.jpg"]


NAN, INF = float("nan"), float("inf")


def masked(sample: Sample, value: float = -INF, places: tuple[int, ...] = (2, 5)) -> Sample:
    """Put a value that is not finite at the same places of every output."""
    return [
        element.model_copy(
            update={
                "evidence": [
                    value if place in places else number
                    for place, number in enumerate(element.evidence or ())
                ]
            }
        )
        for element in sample
    ]


@pytest.mark.parametrize("odd", [NAN, INF, -INF])
@pytest.mark.parametrize("base", [0.0, 1000.0])
def test_values_that_are_not_finite_alike_are_equal_and_their_share_is_stated(odd, base):
    loop = masked(vacuous(base=base), odd)
    comparison = agrees(loop, loop)
    assert (comparison.share, comparison.details["compared"], comparison.details["differing"]) == (
        1.0,
        32,
        [],
    )
    assert comparison.details["not_finite"] == 2 / 8
    assert comparison.details["least_cosine"] == pytest.approx(1.0)
    assert comparison.details["largest_difference"] == 0.0
    differs(swapped(loop, 3, 4), loop, count=2)  # the finite rest tells them apart


@pytest.mark.parametrize(("ours", "theirs"), [(NAN, INF), (INF, -INF), (-INF, NAN), (0.5, NAN)])
def test_values_that_are_not_finite_otherwise_differ(ours, theirs):
    loop = masked(vacuous(), theirs)
    for run, reference in ((masked(vacuous(), ours), loop), (loop, masked(vacuous(), ours))):
        comparison = differs(run, reference, count=32)
        json.dumps(comparison.details, allow_nan=False)
    differs(masked(vacuous(), theirs, places=(2, 6)), loop, count=32)


@pytest.mark.parametrize("odd", [NAN, INF, -INF])
@pytest.mark.parametrize("sides", ["run", "reference"])
def test_outputs_that_are_no_numbers_on_one_side_differ_and_leave_the_record_valid(odd, sides):
    bad = changed(vacuous(), 6, evidence=[odd] * 8)
    ours, loop = (vacuous(), bad) if sides == "reference" else (bad, vacuous())
    comparison = agreement(ours, loop)
    assert comparison.details["differing"] == ["6.jpg"]
    assert comparison.problems
    json.dumps(comparison.details, allow_nan=False)


@pytest.mark.parametrize("odd", [NAN, INF, -INF])
def test_an_output_without_any_number_alike_is_counted_and_not_compared(odd):
    loop = changed(vacuous(), 6, evidence=[odd] * 8)
    comparison = agrees(loop, loop)
    assert (comparison.share, comparison.details["compared"]) == (1.0, 31)
    assert comparison.details["not_finite"] == 1 / 32
    json.dumps(comparison.details, allow_nan=False)


@pytest.mark.parametrize("odd", [NAN, INF, -INF])
@pytest.mark.parametrize("labels", ["one", "all"])
@pytest.mark.parametrize("rounding", [False, True])
def test_a_model_that_gives_no_number_at_all_has_not_worked(odd, labels, rounding):
    loop = [predicted(n, label=0 if labels == "one" else n, evidence=[odd] * 8) for n in range(32)]
    comparison = agreement(loop, loop, rounded=rounding)
    assert comparison.share is None
    assert comparison.problems == [
        "32 of 32 sampled outputs hold no finite number (NaN or infinite throughout): the model "
        "has not worked"
    ]


def test_nor_has_one_that_gives_numbers_for_less_than_half():
    loop = [*vacuous()[:15], *(predicted(n, label=0, evidence=[NAN] * 8) for n in range(15, 32))]
    assert agreement(loop, loop).problems[0].startswith("17 of 32 sampled outputs hold no finite")
    loop = [predicted(n, evidence=outputs(n) if n < 15 else [NAN] * 8) for n in range(32)]
    assert agreement(loop, loop).problems[0].startswith("17 of 32 sampled outputs hold no finite")
    loop[15] = predicted(15, evidence=outputs(15))
    assert agreement(loop, loop).problems == []


def test_where_labels_are_compared_outputs_must_be_finite_at_the_same_places_all_the_same():
    loop = [predicted(number, evidence=outputs(number)) for number in range(32)]
    assert agrees(loop, loop).details["method"] == "labels"
    comparison = differs(changed(loop, 3, evidence=[NAN, *outputs(3)[1:]]), loop)
    assert (comparison.details["method"], comparison.details["differing"]) == ("labels", ["3.jpg"])
    masks = masked(loop)
    assert agrees(masks, masks).details["not_finite"] == 2 / 8


@pytest.mark.parametrize(
    ("evidence", "is_tie"),
    [
        ([NAN, 2.0, 2.0], True),
        ([2.0, NAN, 2.0], True),
        ([2.0, 2.0, NAN], True),
        ([NAN, 2.0, 1.0], False),
        ([1.0, NAN, 2.0], False),
        ([INF, INF, 1.0], True),
        ([INF, 1.0, 1.0], False),
        ([1.0, -INF, -INF], False),
        ([NAN, NAN, 1.0], False),
    ],
)
def test_a_near_tie_is_told_whatever_is_not_finite(evidence, is_tie):
    loop = [*labelled(31), predicted(31, evidence=evidence)]
    comparison = agreement(changed(loop, 31, label=99), loop)
    assert comparison.details["near_ties"] == is_tie
    assert comparison.details["differing"] == ([] if is_tie else ["31.jpg"])


def test_outputs_near_the_greatest_number_leave_the_record_valid():
    loop = [predicted(n, label=0, evidence=[1e200 + n * 1e198, -1e308]) for n in range(2)]
    assert agrees(loop, loop).share == 1.0
    far = agreement(changed(loop, 0, evidence=[1e200, 1.7e308]), loop)
    assert far.details["differing"] == ["0.jpg"]
    json.dumps(far.details, allow_nan=False)


# --- what could not be compared


@pytest.mark.parametrize("rounding", [False, True])
@pytest.mark.parametrize("failing", [1, 16, 32])
def test_an_evidence_that_fails_is_named_and_is_no_agreement(failing, rounding):
    broken = {"label": None, "evidence": None, "stage": "evidence", "error": "TypeError: no"}
    loop = [
        element.model_copy(update=broken if number < failing else {})
        for number, element in enumerate(vacuous())
    ]
    for ours, theirs in ((loop, loop), (vacuous(), loop), (loop, vacuous())):
        comparison = agreement(ours, theirs, rounded=rounding)
        assert comparison.problems[0] == (
            f"evidence() failed for {failing} of 32 sampled elements, which cannot be compared, "
            "first '0.jpg': TypeError: no"
        )


def test_elements_that_failed_alike_are_counted_and_not_compared():
    failed = [predicted(n, error="ValueError: no") for n in range(31)]
    comparison = agrees([*failed, predicted(31)], [*failed, predicted(31)])
    assert (comparison.share, comparison.details["compared"], comparison.details["sample"]) == (
        1.0,
        1,
        32,
    )
    assert comparison.details["failed_alike"] == 31
    differs([*failed, predicted(31, label=5)], [*failed, predicted(31)])
    assert "failed_alike" not in agrees(labelled(), labelled()).details


def test_a_sample_of_which_most_has_no_outputs_is_unknown_and_counted():
    loop = [predicted(n, label=n % 2, evidence=outputs(n) if n < 15 else None) for n in range(32)]
    comparison = agrees(loop, loop)
    assert (comparison.share, comparison.details["compared"]) == (None, 15)
    assert comparison.details["without_outputs"] == 17
    assert "no raw outputs for most of the sample" in comparison.details["reason"]
    differs(changed(loop, 20, label=1), loop)


def test_one_label_for_all_that_have_no_outputs_is_a_problem():
    loop = [predicted(n, label=0, evidence=outputs(n) if n < 26 else None) for n in range(32)]
    assert "all sampled elements have the same label" in agreement(loop, loop).problems[0]
    loop = [predicted(n, label=0, evidence=outputs(n) if n < 27 else None) for n in range(32)]
    comparison = agrees(loop, loop)
    assert (comparison.share, comparison.details["compared"], comparison.details["sample"]) == (
        1.0,
        27,
        32,
    )


@pytest.mark.parametrize(("count", "is_problem"), [(5, False), (6, True)])
def test_near_ties_alone_are_no_agreement_where_nothing_else_is_compared(count, is_problem):
    loop = [predicted(n, evidence=[1.0, 1.0]) for n in range(count)]
    ours = [predicted(n, label=99) for n in range(count)]
    comparison = agreement(ours, loop, outputs=False)
    assert (comparison.share, comparison.details["compared"]) == (None, 0)
    expected = f"all {count} sampled elements are near ties: no label was compared"
    assert comparison.problems == ([expected] if is_problem else [])


# --- one label for many inputs


@pytest.mark.parametrize("rounding", [False, True])
@pytest.mark.parametrize(("count", "is_told"), [(5, False), (6, True), (32, True)])
def test_one_label_for_all_is_said_though_the_outputs_differ(count, is_told, rounding):
    loop = [element.model_copy(update={"label": "cat"}) for element in vacuous(count, base=0.0)]
    comparison = agreement(loop, loop, rounded=rounding)
    assert (comparison.share, comparison.problems) == (1.0, [])
    assert comparison.warnings == [
        f"all {count} sampled elements have the label 'cat', though the outputs of the model "
        "differ: right for random weights and one-sided inputs, else postprocess() may not read "
        "them"
        for _ in range(is_told)
    ]
    assert agreement(vacuous(count), vacuous(count)).warnings == []


def test_one_label_for_outputs_of_one_number_says_why():
    loop = [predicted(n, label=0, evidence=[5.0 + n]) for n in range(8)]
    (warning,) = agrees(loop, loop).warnings
    assert warning == (
        "all 8 sampled elements have the label '0', though the outputs of the model differ: each "
        "is one number, of which the greatest is always the first: label by its value"
    )


@pytest.mark.parametrize(("apart", "is_told"), [(1e-9, True), (1e-3, False)])
def test_outputs_that_are_almost_the_same_for_every_input_are_said_to_be(apart, is_told):
    loop = [predicted(n, label=n % 2, evidence=[1.0, n * apart]) for n in range(8)]
    comparison = agrees(loop, loop)
    assert bool(comparison.warnings) is is_told
    assert not is_told or "too near to tell one element's from another's" in comparison.warnings[0]


@pytest.mark.parametrize(("failing", "is_told"), [(16, False), (17, True)])
def test_a_sample_of_which_less_than_half_was_compared_is_said_to_be(failing, is_told):
    loop = [predicted(n, **({"error": "ValueError: no"} if n < failing else {})) for n in range(32)]
    expected = "only 15 of 32 sampled elements were compared with the reference loop"
    assert agrees(loop, loop).warnings == ([expected] if is_told else [])


# --- no raw outputs


@pytest.mark.parametrize("evidence", [None, []])
def test_without_outputs_few_labels_that_agree_prove_nothing(evidence):
    loop = [predicted(n, label=n % 2, evidence=evidence) for n in range(32)]
    comparison = agrees(loop, loop)
    assert comparison.share is None
    assert comparison.details["reason"] == (
        "labels are too few to prove anything and the workload gives no raw outputs"
    )


def test_without_outputs_few_labels_that_differ_are_wrong_all_the_same():
    loop = [predicted(n, label=n % 2) for n in range(32)]
    differs(changed(loop, 5, label=0), loop)
    differs(swapped(loop, 4, 5), loop, count=2)


@pytest.mark.parametrize(("count", "is_problem"), [(5, False), (6, True)])
def test_without_outputs_one_label_for_all_is_a_problem_unless_they_are_few(count, is_problem):
    loop = [predicted(n, label="cat") for n in range(count)]
    comparison = agreement(loop, loop)
    assert comparison.share is None
    assert bool(comparison.problems) is is_problem
    if is_problem:
        assert "evidence()" in comparison.problems[0]
        assert "all sampled elements have the same label" in comparison.problems[0]


def test_if_all_failed_nothing_is_known_and_that_is_no_agreement():
    loop = [predicted(n, error="ValueError: no") for n in range(32)]
    comparison = agreement(loop, loop)
    assert (comparison.share, comparison.details["distinct_labels"]) == (None, 0)
    assert comparison.problems == ["all 32 sampled elements failed, here and in the reference loop"]
    differs(changed(loop, 3, error=None, label=1), loop)


# --- small samples


def test_an_empty_sample_is_no_agreement():
    comparison = agreement([], [])
    assert (comparison.share, comparison.details["sample"]) == (None, 0)
    assert comparison.problems == ["the reference loop has no sample, so nothing could be compared"]


def test_one_element_has_one_label_and_it_is_compared():
    assert agrees([predicted(0)], [predicted(0)]).share == 1.0
    differs([predicted(0, label=5)], [predicted(0)])
    differs([], [predicted(0)])


@CHECKED
@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), min_size=1, max_size=20))
def test_a_sample_always_agrees_with_itself_or_says_why_not(elements):
    sample = [
        predicted(index, label=label, evidence=outputs(index) if has_outputs else None)
        for index, (label, has_outputs) in enumerate(elements)
    ]
    comparison = agreement(sample, sample)
    assert comparison.share in (1.0, None)
    assert all("same label" in problem for problem in comparison.problems)
    json.dumps(comparison.details, allow_nan=False)


# --- outputs of a model that rounds


def noisy(sample: Sample, relative: float = 0.004) -> Sample:
    """Round as 8 bits of mantissa do."""
    source = random.Random(0)
    return [
        element.model_copy(
            update={
                "evidence": [
                    value * (1 + source.uniform(-relative, relative))
                    for value in element.evidence or ()
                ]
            }
        )
        for element in sample
    ]


def spread(count: int = 32, own: float = 0.2) -> Sample:
    """A sample whose outputs are a common pattern and a little of their own: random weights."""
    pattern = outputs(1000, base=1.0)
    return [
        predicted(
            n, label=n % 2, evidence=[a + own * b for a, b in zip(pattern, outputs(n), strict=True)]
        )
        for n in range(count)
    ]


def rounded(ours: Sample, loop: Sample) -> Agreement:
    return agreement(ours, loop, rounded=True)


def test_rounded_outputs_that_are_near_agree_and_the_noise_is_stated():
    comparison = rounded(noisy(spread()), spread())
    assert (comparison.share, comparison.problems) == (1.0, [])
    assert comparison.details["method"] == "rounded outputs"
    assert (comparison.details["compared"], comparison.details["differing"]) == (32, [])
    assert comparison.details["labels_flipped"] == 0
    assert 0.999 < comparison.details["least_cosine"] < 1.0
    assert 0 < comparison.details["largest_difference"] < 0.01
    assert 0.95 < comparison.details["correlation"] < 1.0


def test_noise_of_rounding_is_more_than_a_model_in_float32_may_have():
    loop = spread(own=0.03)
    assert rounded(noisy(loop), loop).problems == []
    assert agreement(noisy(loop), loop).problems != []


def test_rounded_outputs_of_one_another_do_not_follow_their_references():
    shifted = [
        other.model_copy(update={"id": element.id, "label": element.label})
        for element, other in zip(spread(), [*spread()[1:], spread()[0]], strict=True)
    ]
    near = [shrunk(element) for element in shifted]
    comparison = rounded(near, [shrunk(element) for element in spread()])
    assert (
        comparison.details["differing"] == []
    )  # each is near enough: only together they are wrong
    assert comparison.problems == [
        "the outputs do not follow those of the reference loop "
        f"(correlation {comparison.details['correlation']:.2f})"
    ]


def shrunk(element: SampledPrediction) -> SampledPrediction:
    """Bring outputs so near to the common pattern that no single one can be told."""
    pattern = outputs(1000, base=1.0)
    return element.model_copy(
        update={
            "evidence": [
                common + 0.1 * (value - common)
                for common, value in zip(pattern, element.evidence or (), strict=True)
            ]
        }
    )


@pytest.mark.parametrize("wrong", [1, 2, 3])
def test_a_few_rounded_outputs_of_other_elements_differ_though_each_is_near(wrong):
    loop = spread(own=0.05)
    ours = noisy(loop)
    for place in range(wrong):
        ours[place] = ours[place].model_copy(update={"evidence": ours[place + 10].evidence})
    comparison = rounded(ours, loop)
    assert comparison.details["differing"] == [f"{place}.jpg" for place in range(wrong)]
    assert comparison.problems[0].startswith(f"{wrong} of 32 sampled elements differ")


def test_evidence_of_the_reference_alone_is_no_output_to_compare():
    loop = [predicted(n, label=n % 2, evidence=[5.0 + n, 1.0]) for n in range(32)]
    ours = [element.model_copy(update={"evidence": None}) for element in loop]
    comparison = agreement(ours, loop, outputs=False)
    assert comparison.problems == []
    assert comparison.details["method"] == "labels"
    wrong = changed(ours, 3, label=9)
    assert agreement(wrong, loop, outputs=False).details["differing"] == ["3.jpg"]


def test_rounded_outputs_that_are_far_apart_and_swapped_differ():
    loop = vacuous(base=0.0)
    comparison = rounded(swapped(loop, 2, 4), loop)
    assert comparison.details["differing"] == ["2.jpg", "4.jpg"]
    assert comparison.problems[0].startswith("2 of 32 sampled elements differ")


@pytest.mark.parametrize("constant", ["first", "mean"])
def test_the_same_rounded_output_for_all_does_not_follow_the_references(constant):
    loop = [shrunk(element) for element in spread()]
    columns = list(zip(*(element.evidence or () for element in loop), strict=True))
    same = {"first": loop[0].evidence, "mean": [sum(column) / 32 for column in columns]}[constant]
    cached = [element.model_copy(update={"evidence": same}) for element in loop]
    comparison = rounded(cached, loop)
    assert comparison.details["differing"] == []
    assert comparison.details["correlation"] == pytest.approx(0.0, abs=1e-9)
    assert "do not follow" in comparison.problems[0]


def test_references_that_are_all_the_same_prove_nothing_of_rounded_outputs_either():
    same = [predicted(n, label=0, evidence=[1.0, 2.0]) for n in range(8)]
    comparison = rounded(same, same)
    assert comparison.share is None
    assert comparison.problems == [
        "the outputs are the same for every input: the model ignores its input"
    ]


def of_two(number: int, gap: float, noise: float = 0.0, **fields: Any) -> SampledPrediction:
    """An element with outputs of its own, the two greatest so far apart."""
    rest = outputs(number)
    return predicted(number, label=0, evidence=[5.0 + gap, 5.0 + noise, *rest]).model_copy(
        update=fields
    )


def test_a_label_that_rounding_flips_agrees_and_is_counted():
    loop = [of_two(n, gap=0.01) for n in range(32)]
    comparison = rounded(
        changed(loop, 3, **of_two(3, 0.01, noise=0.02, label=1).model_dump()), loop
    )
    assert (comparison.share, comparison.problems) == (1.0, [])
    assert comparison.details["labels_flipped"] == 1


@pytest.mark.parametrize("noise", [0.0, 0.02])
def test_a_label_that_rounding_cannot_have_flipped_differs(noise):
    loop = [of_two(n, gap=0.1) for n in range(32)]
    comparison = rounded(
        changed(loop, 3, **of_two(3, 0.1, noise=noise, label=1).model_dump()), loop
    )
    assert comparison.details["differing"] == ["3.jpg"]
    assert comparison.details["labels_flipped"] == 1
    assert comparison.problems[0].startswith("1 of 32 sampled elements differ")


@pytest.mark.parametrize("sides", ["run", "reference"])
def test_one_rounded_output_that_is_no_number_differs_and_leaves_the_record_valid(sides):
    broken = [*outputs(6)[:-1], float("nan")]
    bad = changed(spread(), 6, evidence=broken)
    ours = spread() if sides == "reference" else bad
    loop = spread() if sides == "run" else bad
    comparison = rounded(ours, loop)
    assert comparison.details["differing"] == ["6.jpg"]
    assert comparison.problems
    json.dumps(comparison.details, allow_nan=False)


def test_rounded_outputs_that_are_masked_alike_agree_and_follow_their_references():
    loop = masked(spread())
    comparison = rounded(noisy(loop), loop)
    assert (comparison.share, comparison.problems) == (1.0, [])
    assert comparison.details["not_finite"] == 2 / 8
    assert 0.95 < comparison.details["correlation"] < 1.0
    some = [*loop[:16], *spread()[16:]]
    assert 0.95 < rounded(noisy(some), some).details["correlation"] < 1.0
    assert "16 of 32 sampled elements differ" in rounded(noisy(some), loop).problems[0]
    shifted = [
        other.model_copy(update={"id": element.id, "label": element.label})
        for element, other in zip(loop, [*loop[1:], loop[0]], strict=True)
    ]
    assert rounded(
        [shrunk(element) for element in shifted], [shrunk(element) for element in loop]
    ).problems


@pytest.mark.parametrize("failed_in", ["run", "reference", "both"])
def test_rounded_outputs_that_failed_on_one_side_only_differ(failed_in):
    failed = changed(spread(), 6, label=None, evidence=None, error="ValueError: no")
    ours = spread() if failed_in == "reference" else failed
    loop = spread() if failed_in == "run" else failed
    comparison = rounded(ours, loop)
    if failed_in == "both":
        assert (comparison.share, comparison.problems) == (1.0, [])
    else:
        assert comparison.details["differing"] == ["6.jpg"]
        assert comparison.problems[0].startswith("1 of 32 sampled elements differ")


def test_a_rounded_output_that_is_not_there_differs_even_if_the_reference_failed():
    loop = changed(spread(), 6, label=None, evidence=None, error="ValueError: no")
    assert rounded([*spread()[:6], *spread()[7:]], loop).details["differing"] == ["6.jpg"]


def test_without_raw_outputs_rounded_labels_are_compared():
    assert rounded(labelled(), labelled()).details["method"] == "labels"
    comparison = rounded(changed(labelled(), 5, label=99), labelled())
    assert comparison.details["differing"] == ["5.jpg"]


def test_a_rounded_output_alone_has_no_correlation():
    comparison = rounded(noisy(spread(1)), spread(1))
    assert (comparison.share, comparison.problems, comparison.details["correlation"]) == (
        1.0,
        [],
        None,
    )


# --- agreement with stock


def test_what_a_variant_does_to_the_outputs_is_stated():
    stock = spread(4)
    ours = changed(
        changed(stock, 0, label=7), 1, evidence=[x + 0.5 for x in stock[1].evidence or ()]
    )
    comparison = stock_agreement(ours[::-1], stock)
    assert comparison.pop("least_cosine") < 1.0
    assert comparison == {
        "compared": 4,
        "labels_equal": 3,
        "largest_difference": pytest.approx(0.5),
    }


def test_stock_without_outputs_is_compared_by_labels_alone():
    assert stock_agreement(labelled(4), labelled(4)) == {
        "compared": 4,
        "labels_equal": 4,
        "least_cosine": None,
        "largest_difference": None,
    }


def test_elements_that_stock_failed_or_the_run_lacks_are_not_compared_with_stock():
    stock = changed(spread(4), 2, label=None, evidence=None, error="ValueError: no")
    assert stock_agreement(spread(3), stock)["compared"] == 2
    failed = changed(spread(4), 1, label=None, evidence=None, error="ValueError: no")
    comparison = stock_agreement(failed, spread(4))
    assert (comparison["compared"], comparison["labels_equal"]) == (4, 3)


def test_outputs_of_another_length_or_that_are_no_numbers_leave_the_agreement_with_stock_valid():
    stock = spread(3)
    ours = changed(changed(stock, 0, evidence=[float("nan")] * 8), 1, evidence=[1.0])
    comparison = stock_agreement(ours, stock)
    assert (comparison["least_cosine"], comparison["largest_difference"]) == (
        pytest.approx(1.0),
        0.0,
    )
    json.dumps(comparison, allow_nan=False)


# Further elements, of which labels alone are known


def further(count: int, *, wrong: int = 0, ties: int = 0) -> tuple[Any, Any]:
    reference = [
        SampledPrediction(id=f"f{n}", label=n, evidence=[1.0, 1.0 if n < ties else 0.0])
        for n in range(count)
    ]
    given = [
        SampledPrediction(id=prediction.id, label=-1 if n >= count - wrong else n)
        for n, prediction in enumerate(reference)
    ]
    return given, reference


def test_labels_of_further_elements_are_compared_with_those_of_the_sample():
    sample = [SampledPrediction(id=str(n), label=n, evidence=[0.0, 1.0]) for n in range(32)]
    comparison = agreement(sample, sample, further=further(168, ties=8))
    assert (comparison.share, comparison.details["sample"], comparison.details["compared"]) == (
        1.0,
        200,
        192,
    )
    assert (comparison.details["near_ties"], len(comparison.compared)) == (8, 192)
    assert comparison.detectable_share(10_000) == pytest.approx(1 - 0.05 ** (1 / 192), abs=3e-4)
    assert agreement(sample, sample, further=further(168, wrong=1)).problems == []
    wrong = agreement(sample, sample, further=further(168, wrong=3))
    assert wrong.problems == [
        "3 of 200 sampled elements differ from the reference loop, first 'f165'"
    ]


def test_further_labels_prove_nothing_where_outputs_are_compared():
    sample = [SampledPrediction(id=str(n), label=0, evidence=[float(n), 99.0]) for n in range(32)]
    comparison = agreement(sample, sample, further=further(100))
    assert (comparison.details["method"], comparison.details["compared"]) == ("outputs", 32)
