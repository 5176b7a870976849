"""The definition hash: what it covers, what it does not, and that it stays what it was."""

import pytest

from beambench.definition.library import Library
from beambench.definition.schema import Definition

SMALL = {
    "name": "small",
    "title": "Small",
    "workload": "overhead",
    "model": {"name": "noop", "weights": "none"},
    "input": {"type": "numbers", "source": "synthetic"},
    "profiles": {"local": {"limit": 5, "repeats": 1, "timeout": 60, "slot_seconds": 1}},
}
RESNET = "pytorch-image-classification-resnet101"


def resolved(name: str = RESNET, **options):
    return Library().resolve(name, **options)


def test_the_hash_of_a_small_definition_stays_what_it_was():
    # A change here makes all runs kept so far incomparable with new ones: say so in the changelog.
    assert Definition.model_validate(SMALL).digest() == (
        "a19bfe1f875b629d92f097814fd27fb09419846eb855a441c25c0c189b4416e4"
    )


def test_all_profiles_have_the_same_hash():
    hashes = {resolved(profile=profile).definition_hash for profile in ("smoke", "local", "full")}
    assert len(hashes) == 1
    assert len({resolved(profile=p).definition.model.weights for p in ("smoke", "full")}) == 2


@pytest.mark.parametrize(
    "override",
    [
        "cluster.workers=30",
        "cluster.machine_type=n1-standard-4",
        "cluster.disk_gb=51",
        "cluster.accelerator.type=nvidia-tesla-t4",
        "model.name=resnet50",
        "model.size_mib=170.6",
        "model.weights=random",
        "model.device=gpu",
        "input.source=synthetic",
        "batching.max_batch_size=99",
        "parameters.resize=256",
        "parameters.mean=[0.485, 0.456, 0.407]",
        "threads=1",
        "max_failed=0.02",
        "profiles.full.limit=49999",
    ],
)
def test_an_override_changes_the_hash(override):
    assert resolved(overrides=[override]).definition_hash != resolved().definition_hash


@pytest.mark.parametrize(
    "override", ["title=Other", "description=Other", "publish.bigquery.table=other"]
)
def test_what_does_not_change_what_is_measured_does_not_change_the_hash(override):
    assert resolved(overrides=[override]).definition_hash == resolved().definition_hash


def test_an_override_with_the_same_value_does_not_change_the_hash():
    same = resolved(overrides=["cluster.workers=75", "model.size_mib=170.50"])
    assert same.definition_hash == resolved().definition_hash


def test_the_order_and_spelling_of_a_file_do_not_change_the_hash(tmp_path):
    hashes = []
    for number, text in enumerate(
        (
            "name: m\ntitle: T\nworkload: overhead\nmax_failed: 0.5\n",
            'max_failed: 5.0e-1\nworkload: "overhead"\ntitle: Other\nname: m\nscenario: batch\n',
        )
    ):
        path = tmp_path / f"{number}.yaml"
        path.write_text(
            text + "model: {name: n, weights: none}\ninput: {type: numbers, source: synthetic}\n"
            "profiles: {local: {limit: 5, repeats: 1, timeout: 60, slot_seconds: 1}}\n"
        )
        hashes.append(Library([path]).resolve("m").definition_hash)
    assert hashes[0] == hashes[1]


def test_where_a_value_comes_from_does_not_change_the_hash(tmp_path):
    path = tmp_path / "m.yaml"
    path.write_text(
        "inherit: overhead-noop\nname: m\nvariants: {v: {batching: {max_batch_size: 50}}}\n"
    )
    library = Library([path])
    by_variant = library.resolve("m", variant="v").definition_hash
    by_override = library.resolve("m", overrides=["batching.max_batch_size=50"]).definition_hash
    assert by_variant == by_override != library.resolve("m").definition_hash


def test_all_benchmarks_have_different_hashes():
    library = Library()
    hashes = {library.resolve(name).definition_hash for name in library.names()}
    assert len(hashes) == len(library.names())


def test_the_hash_without_a_profile_is_that_of_every_profile():
    library = Library()
    for name in library.names():
        assert (
            library.resolve_unprofiled(name).digest()
            == library.resolve(name, profile="smoke").definition_hash
        )
