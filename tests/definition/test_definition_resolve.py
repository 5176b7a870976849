"""Variants, profiles and overrides: what is chosen, what wins, and what is refused."""

import pytest

from beambench.definition.library import Library
from beambench.errors import UsageError

MINE = """
name: mine
title: Mine
workload: overhead
model: {name: noop, weights: pretrained}
input: {type: numbers, source: synthetic}
batching: {min_batch_size: 2, max_batch_size: 8}
cluster: {machine_type: m, workers: 3, disk_gb: 10}
profiles:
  smoke: {limit: 5, repeats: 1, timeout: 60, slot_seconds: 0.5, weights: random}
  local: {limit: 50, repeats: 3, timeout: 600, slot_seconds: 1}
variants:
  tuned: {batching: {max_batch_size: 64}, model: {weights: random}}
"""


@pytest.fixture
def resolve(tmp_path):
    def run(text: str = MINE, **options):
        path = tmp_path / "mine.yaml"
        path.write_text(text)
        library = Library([path])
        return library.resolve("mine", **options)

    return run


@pytest.fixture
def refused(resolve):
    def run(*overrides: str, text: str = MINE, **options) -> str:
        with pytest.raises(UsageError) as caught:
            resolve(text, overrides=overrides, **options)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    return run


# --- variants -------------------------------------------------------------------------------------


def test_stock_is_the_definition_as_it_stands(resolve):
    assert resolve().variant == "stock"
    assert resolve().definition.batching.max_batch_size == 8


def test_a_variant_is_merged_over_the_definition(resolve):
    tuned = resolve(variant="tuned").definition
    assert (tuned.batching.min_batch_size, tuned.batching.max_batch_size) == (2, 64)
    assert tuned.model.weights == "random"


def test_an_override_goes_before_a_variant(resolve):
    chosen = resolve(variant="tuned", overrides=["batching.max_batch_size=16"])
    assert chosen.definition.batching.max_batch_size == 16


def test_every_definition_has_the_stock_variant(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(MINE)
    assert Library([path]).variants("mine") == ["stock", "tuned"]


def test_an_unknown_variant(refused):
    assert refused(variant="tune") == (
        "mine: no variant 'tune' (did you mean 'tuned'?); there is: stock, tuned"
    )


BATCHING = {"min_batch_size": 2, "max_batch_duration_secs": None, "bucket_boundaries": None}


@pytest.mark.parametrize("variants", ["[a]", "{small: null}", "{small: 3}", "3"])
def test_variants_that_are_no_mappings(refused, variants):
    text = MINE.partition("variants:")[0] + f"variants: {variants}\n"
    assert refused(text=text).endswith("mine.yaml: variants: expected a mapping for each variant")


def test_a_variant_keeps_the_name(refused):
    message = refused(text=MINE + "  other: {name: another}\n")
    assert "mine.yaml: variants.other.name: a name cannot be changed" in message


def test_an_unknown_key_in_a_variant(refused):
    message = refused(text=MINE + "  other: {batchin: {}}\n", variant="other")
    assert message.endswith("mine.yaml: unknown key batchin (did you mean 'batching'?)")


# --- profiles -------------------------------------------------------------------------------------


def test_a_profile_is_what_it_says(resolve):
    profile = resolve(profile="smoke").profile
    assert (profile.limit, profile.repeats, profile.timeout, profile.slot_seconds) == (
        5,
        1,
        60,
        0.5,
    )


def test_the_weights_of_a_profile_replace_those_of_the_model(resolve):
    assert resolve(profile="smoke").definition.model.weights == "random"
    assert resolve(profile="local").definition.model.weights == "pretrained"


@pytest.mark.parametrize(
    "override",
    [
        "model.weights=pretrained",
        " model . weights = pretrained",
        "model={weights: pretrained, name: n}",
    ],
    ids=["plain", "spaces", "whole-section"],
)
def test_weights_of_the_command_line_go_before_those_of_the_profile(resolve, override):
    chosen = resolve(profile="smoke", overrides=[override])
    assert chosen.definition.model.weights == "pretrained"


def test_an_override_of_another_key_leaves_the_weights_of_the_profile(resolve):
    chosen = resolve(profile="smoke", overrides=["model.name=other"])
    assert chosen.definition.model.weights == "random"


PROFILE_MODEL = MINE.replace("weights: random}\n", "weights: random, model: small}\n", 1)


def test_the_model_of_a_profile_replaces_the_name(resolve):
    chosen = resolve(PROFILE_MODEL, profile="smoke")
    assert (chosen.definition.model.name, chosen.definition.model.weights) == ("small", "random")
    other = resolve(PROFILE_MODEL, profile="local")
    assert other.definition.model.name == "noop"
    assert other.definition_hash == chosen.definition_hash


@pytest.mark.parametrize("override", ["model.name=n", "model={name: n, weights: random}"])
def test_the_model_of_the_command_line_goes_before_that_of_the_profile(resolve, override):
    chosen = resolve(PROFILE_MODEL, profile="smoke", overrides=[override])
    assert (chosen.definition.model.name, chosen.definition.model.weights) == ("n", "random")


def test_a_file_of_weights_is_not_replaced_by_a_profile(resolve):
    text = MINE.replace("weights: pretrained}", "weights: file, path: mine.pth}")
    model = resolve(text, profile="smoke").definition.model
    assert (model.weights, model.path) == ("file", "mine.pth")


def test_an_unknown_profile(refused):
    assert refused(profile="smok") == (
        "mine: no profile 'smok' (did you mean 'smoke'?); there is: smoke, local"
    )


def test_a_definition_without_profiles(refused):
    text = MINE.partition("profiles:")[0]
    assert refused(text=text).endswith("mine.yaml: key profiles is missing")


def test_a_definition_with_an_empty_section_of_profiles(refused):
    assert "mine.yaml: profiles: " in refused(
        text=MINE.partition("profiles:")[0] + "profiles: {}\n"
    )


# --- overrides ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("override", "key", "value"),
    [
        ("batching.max_batch_size=32", "batching", {**BATCHING, "max_batch_size": 32}),
        ("batching.max_batch_size=", "batching", {**BATCHING, "max_batch_size": None}),
        ("cluster=", "cluster", None),
        ("title=a=b", "title", "a=b"),
        ("title='3'", "title", "3"),
        ("title=2026-01-31", "title", "2026-01-31"),
        ("parameters.resize=[1, 2]", "parameters", {"resize": [1, 2]}),
        ("parameters.a.b.c=1", "parameters", {"a": {"b": {"c": 1}}}),
        ("threads=2", "threads", 2),
        (
            "publish.influxdb.measurement=m",
            "publish",
            {
                "to": [],
                "bigquery": None,
                "influxdb": {"url": None, "database": None, "user": None, "measurement": "m"},
            },
        ),
    ],
)
def test_an_override_changes_its_key_and_no_other(resolve, override, key, value):
    chosen = resolve(overrides=[override])
    plain = resolve().definition.model_dump()
    assert plain[key] != value
    assert chosen.definition.model_dump() == {**plain, key: value}
    assert chosen.overrides == (override,)


def test_the_last_of_two_overrides_wins(resolve):
    chosen = resolve(overrides=["threads=2", "threads=3"])
    assert chosen.definition.threads == 3


@pytest.mark.parametrize("override", ["threads", "", "=3", ".threads=3", "batching.=3", "a..b=3"])
def test_what_is_no_setting(refused, override):
    assert refused(override) == f"--set {override!r}: expected key.subkey=value"


@pytest.mark.parametrize(
    ("override", "problem"),
    [
        ("batchin.max_batch_size=3", "unknown key batchin (did you mean 'batching'?)"),
        (
            "batching.max_batch_siz=3",
            "unknown key batching.max_batch_siz (did you mean 'max_batch_size'?)",
        ),
        ("profiles.smok.limit=3", "no profile 'smok' (did you mean 'smoke'?)"),
        ("profiles.smoke.limt=3", "unknown key profiles.smoke.limt (did you mean 'limit'?)"),
        (
            "cluster.accelerator.typ=t4",
            "unknown key cluster.accelerator.typ (did you mean 'type'?) (and 1 more)",
        ),
        (
            "publish.bigquery.tabel=t",
            "unknown key publish.bigquery.tabel (did you mean 'table'?)",
        ),
        ("variant=x", "unknown key variant (did you mean 'variants'?)"),
        ("title.text=3", "title has no keys"),
    ],
)
def test_an_unknown_path_names_the_nearest(refused, override, problem):
    assert refused(override) == f"--set {override!r}: {problem}"


@pytest.mark.parametrize("key", ["inherit", "variants"])
def test_a_key_of_files_cannot_be_set_and_is_not_proposed(refused, key):
    message = refused(f"{key}=x")
    assert message.startswith(f"--set '{key}=x': unknown key {key}")
    assert f"did you mean '{key}'" not in message


def test_far_from_any_key_all_are_named(refused):
    assert refused("batching.zzz=3") == (
        "--set 'batching.zzz=3': unknown key batching.zzz: known are bucket_boundaries, "
        "max_batch_duration_secs, max_batch_size, min_batch_size"
    )


@pytest.mark.parametrize(
    ("override", "problem"),
    [
        ("batching.max_batch_size=many", "input should be a valid integer, not 'many'"),
        ("batching.max_batch_size=1.5", "input should be a valid integer, not 1.5"),
        ("batching.max_batch_size=true", "input should be a valid integer, not True"),
        ("batching.max_batch_size='8'", "input should be a valid integer, not '8'"),
        ("batching.max_batch_size=0", "input should be greater than or equal to 1, not 0"),
        ("max_failed=2", "input should be less than or equal to 1, not 2"),
        ("title=3", "input should be a valid string, not 3"),
        ("scenario=stream", "input should be 'batch' or 'streaming', not 'stream'"),
        ("cluster=3", "input should be a valid dictionary or instance of Cluster, not 3"),
    ],
)
def test_a_value_of_the_wrong_type(refused, override, problem):
    key = override.partition("=")[0]
    assert refused(override) == f"--set {override!r}: {key}: {problem}"


def test_a_wrong_override_among_right_ones_is_the_one_named(refused):
    message = refused("threads=2", "cluster.workers=0", "title=T")
    assert message.startswith("--set 'cluster.workers=0': cluster.workers: ")


def test_limits_that_contradict_each_other(refused):
    message = refused("batching.min_batch_size=9")
    assert message.endswith("batching: min_batch_size 9 is greater than max_batch_size 8")


def test_a_mistake_of_the_file_is_not_blamed_on_an_override(refused):
    message = refused("threads=2", text=MINE + "titel: T\n")
    assert message.endswith("mine.yaml: unknown key titel (did you mean 'title'?)")
    assert "--set" not in message


@pytest.mark.parametrize("override", ["name=other", " name =other"])
def test_a_name_cannot_be_overridden(refused, override):
    assert f"--set {override!r}: a name cannot be changed" in refused(override)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (MINE.replace("weights: pretrained", "weigths: x"), "unknown key model.weigths"),
        (MINE.replace("limit: 50, ", ""), "key profiles.local.limit is missing"),
        (MINE.replace("timeout: 600", "timeout: 0"), "profiles.local.timeout: input should be gr"),
        (MINE.replace("weights: pretrained", "weights: file"), "model: `path` is needed with"),
        (
            MINE.replace("weights: pretrained", "path: p, weights: random"),
            "model: `path` is needed",
        ),
        (MINE.replace("smoke:", "Smoke!:"), "profiles.Smoke!.[key]: string should match pattern"),
        (
            MINE.replace("workers: 3", "workers: 3.0"),
            "cluster.workers: input should be a valid int",
        ),
    ],
    ids=["misspelt", "missing", "zero", "no-path", "path", "profile-name", "float"],
)
def test_a_mistake_in_a_file(refused, text, problem):
    assert f"mine.yaml: {problem}" in refused(text=text)


def test_nothing_of_one_resolution_is_left_in_the_next(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(MINE)
    library = Library([path])
    before = library.resolve("mine")
    library.resolve("mine", variant="tuned", profile="smoke", overrides=["parameters.a=[1]"])
    assert library.resolve("mine") == before
