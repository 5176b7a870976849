"""The sums that prove that all elements came out, each once, each with its own label."""

from __future__ import annotations

import hashlib
import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beambench.instrumentation.elements import Output
from beambench.instrumentation.proof.combine import ProofOfWork
from beambench.instrumentation.proof.output_sums import (
    MODULUS,
    accounts_for,
    add_up,
    expected_of,
    hash_of,
    proof_of,
)
from beambench.record.observation import Proof
from property_checks import CHECKED

pytestmark = pytest.mark.real

LABELS = st.one_of(st.integers(), st.text())
FAILURES = st.sampled_from([None, None, None, ("inference", "ValueError: no")])
OUTPUTS = st.lists(
    st.builds(
        lambda element_id, label, error: (element_id, None if error else label, None, error),
        st.text(min_size=1),
        LABELS,
        FAILURES,
    ),
    max_size=20,
)
TEN: list[Output] = [(f"{number}.jpg", number % 3, None, None) for number in range(10)]
IDS = [output[0] for output in TEN]


def sums(proof: Proof) -> tuple[str, str, str]:
    return proof.ids, proof.failed_ids, proof.labels


@CHECKED
@given(OUTPUTS, st.randoms(use_true_random=False))
def test_order_changes_nothing(outputs, source):
    shuffled = list(outputs)
    source.shuffle(shuffled)
    assert add_up(shuffled) == add_up(outputs)


@CHECKED
@given(OUTPUTS, st.lists(st.integers(0, 20), max_size=4))
def test_it_does_not_matter_how_bundles_are_cut_and_merged(outputs, cuts):
    combine = ProofOfWork()
    edges = [0, *sorted(min(cut, len(outputs)) for cut in cuts), len(outputs)]
    parts = []
    for begin, end in itertools.pairwise(edges):
        accumulator = combine.create_accumulator()
        for output in outputs[begin:end]:
            accumulator = combine.add_input(accumulator, output)
        parts.append(accumulator)
    at_once = combine.merge_accumulators(parts)
    left = combine.create_accumulator()
    for part in parts:
        left = combine.merge_accumulators([left, part])
    right = combine.create_accumulator()
    for part in reversed(parts):
        right = combine.merge_accumulators([part, right])
    assert at_once == left == right
    assert proof_of(at_once) == add_up(outputs)
    assert Proof.model_validate_json(combine.extract_output(at_once)) == add_up(outputs)


@CHECKED
@given(OUTPUTS)
def test_what_came_out_accounts_for_its_own_ids(outputs):
    assert accounts_for(add_up(outputs), expected_of(output[0] for output in outputs))


def test_the_sums_are_those_of_the_documented_formula():
    def blake(text: str) -> int:
        return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=16).digest(), "big")

    outputs: list[Output] = [
        ("a", 1, None, None),
        ("b", "cat", [0.5], None),
        ("c", None, None, ("read", "gone")),
    ]
    proof = add_up(outputs)
    assert (proof.count, proof.failed) == (2, 1)
    assert int(proof.ids, 16) == (blake("a") + blake("b")) % 2**128
    assert int(proof.failed_ids, 16) == blake("c")
    assert int(proof.labels, 16) == (blake("a\0int\x001") + blake("b\0str\0cat")) % 2**128
    assert all(len(total) == 32 for total in sums(proof))


def test_sums_stay_below_2_to_the_128():
    many: list[Output] = [(f"{number}", number, None, None) for number in range(50)]
    assert all(int(total, 16) < MODULUS for total in sums(add_up(many)))
    combine = ProofOfWork()
    full = (1, MODULUS - 1, 1, MODULUS - 1, MODULUS - 1)
    twice = MODULUS - 2
    assert combine.merge_accumulators([full, full]) == (2, twice, 2, twice, twice)


def test_a_missing_element_is_noticed():
    proof = add_up(TEN[:-1])
    assert proof.ids != add_up(TEN).ids
    assert not accounts_for(proof, expected_of(IDS))


def test_a_doubled_element_is_noticed():
    proof = add_up([*TEN, TEN[3]])
    assert proof.ids != add_up(TEN).ids
    assert proof.labels != add_up(TEN).labels
    assert not accounts_for(proof, expected_of(IDS))


def test_one_doubled_and_one_missing_is_noticed_though_the_count_is_right():
    proof = add_up([*TEN[:-1], TEN[0]])
    assert proof.count == 10
    assert not accounts_for(proof, expected_of(IDS))


def test_a_replaced_id_is_noticed():
    proof = add_up([*TEN[:-1], ("other.jpg", TEN[-1][1], None, None)])
    assert proof.count == 10
    assert not accounts_for(proof, expected_of(IDS))


def test_two_swapped_labels_are_noticed_in_the_labels_alone():
    swapped = [("0.jpg", 1, None, None), ("1.jpg", 0, None, None), *TEN[2:]]
    proof, right = add_up(swapped), add_up(TEN)
    assert sorted(str(element[1]) for element in swapped) == sorted(
        str(element[1]) for element in TEN
    )
    assert proof.labels != right.labels
    assert (proof.ids, proof.count) == (right.ids, right.count)
    assert accounts_for(proof, expected_of(IDS))


def test_a_label_that_only_looks_the_same_is_another():
    assert add_up([("a", 1, None, None)]).labels != add_up([("a", "1", None, None)]).labels
    assert add_up([("a1", 2, None, None)]).labels != add_up([("a", 12, None, None)]).labels


def test_raw_outputs_are_in_no_sum():
    assert add_up([("a", 1, [0.1], None)]) == add_up([("a", 1, None, None)])


def test_a_failed_element_is_accounted_for_but_is_no_output():
    failed: list[Output] = [*TEN[:-1], ("9.jpg", None, None, ("inference", "no"))]
    proof = add_up(failed)
    assert (proof.count, proof.failed) == (9, 1)
    assert accounts_for(proof, expected_of(IDS))
    assert proof.labels == add_up(TEN[:-1]).labels


def test_an_element_that_both_fails_and_comes_out_is_noticed():
    proof = add_up([*TEN, ("9.jpg", None, None, ("inference", "no"))])
    assert not accounts_for(proof, expected_of(IDS))


def test_a_wrong_element_that_failed_is_noticed():
    proof = add_up([*TEN[:-1], ("other.jpg", None, None, ("inference", "no"))])
    assert proof.count + proof.failed == 10
    assert not accounts_for(proof, expected_of(IDS))


def test_an_id_that_is_listed_twice_must_come_out_twice():
    ids = [*IDS, IDS[0]]
    assert accounts_for(add_up([*TEN, TEN[0]]), expected_of(ids))
    assert not accounts_for(add_up(TEN), expected_of(ids))


def test_ids_of_any_text_have_a_hash():
    texts = ["a", "ä", "a,b", '"', " a", "a ", "\u2028", "\udcff", "日本"]
    assert len({hash_of(text) for text in texts}) == len(texts)
    assert len({hash_of("a", label) for label in (0, 1, "0", "")}) == 4


def test_hashes_are_the_same_in_every_process():
    # printf 'a.jpg\\0int\\x007' | b2sum -l 128
    assert f"{hash_of('a.jpg', 7):032x}" == "48edac269e0bfa859b17ae06d631bdb6"


def test_the_expected_sums_are_those_of_the_ids():
    ids = [f"{random.Random(1).random()}", "b"]
    expected = expected_of(ids)
    assert (expected.count, expected.failed) == (2, 0)
    assert int(expected.ids, 16) == sum(map(hash_of, ids)) % MODULUS
