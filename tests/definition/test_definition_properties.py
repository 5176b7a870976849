"""What holds for any definition: merging, overriding, and damaged files."""

import copy
import json
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from beambench.definition.library import CATALOG, Library, _apply, _merged
from beambench.definition.yaml_file import read_mapping
from beambench.errors import UsageError
from beambench.workloads.registry import check_workload
from property_checks import CHECKED

KEYS = st.sampled_from(["a", "b", "c"])
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-1000, 1000), st.text(alphabet="ab :#'\"{-é", max_size=5)
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.dictionaries(KEYS, inner, max_size=3) | st.lists(inner, max_size=2)
)
MAPPINGS = st.dictionaries(KEYS, VALUES, max_size=3)


def leaves(content, path=()):
    """Yield path and value of all that is no mapping, and of empty mappings."""
    for key, value in content.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, (*path, key))
        else:
            yield (*path, key), value


def refusal(call) -> str | None:
    """Return the message with which something is refused, or None if it is not."""
    try:
        call()
    except UsageError as error:
        return str(error)
    return None


def at(content, path):
    for key in path:
        content = content[key]
    return content


@CHECKED
@given(MAPPINGS, MAPPINGS)
def test_all_of_the_upper_mapping_is_in_a_merge(base, over):
    merged = _merged(base, over)
    for path, value in leaves(over):
        if value != {}:
            assert at(merged, path) == value


@CHECKED
@given(MAPPINGS, MAPPINGS)
def test_what_the_upper_mapping_does_not_name_stays(base, over):
    merged = _merged(base, over)
    named = [path for path, _ in leaves(over)]
    for path, value in leaves(base):
        touched = any(all(a == b for a, b in zip(path, other, strict=False)) for other in named)
        assert touched or at(merged, path) == value
    assert set(merged) == {*base, *over}


@CHECKED
@given(MAPPINGS)
def test_merging_with_nothing_or_with_itself_changes_nothing(base):
    assert _merged(base, {}) == _merged({}, base) == _merged(base, base) == base


@CHECKED
@given(MAPPINGS, MAPPINGS)
def test_merging_leaves_both_as_they_were_and_shares_nothing(base, over):
    before = copy.deepcopy((base, over))
    merged = _merged(base, over)
    for path, _ in list(leaves(merged)):
        at(merged, path[:-1])[path[-1]] = ["changed"]
    assert (base, over) == before


@CHECKED
@given(st.lists(KEYS, min_size=1, max_size=4), SCALARS)
def test_an_override_sets_its_path_and_nothing_else(keys, value):
    content = {"a": {"b": {"c": 1}}, "other": {"kept": [1]}}
    override = f"{'.'.join(keys)}={json.dumps(value, ensure_ascii=False)}"
    refused = refusal(lambda: _apply(content, override))
    if keys[:3] == ["a", "b", "c"] and len(keys) > 3:
        assert refused == f"--set {override!r}: a.b.c has no keys"
    else:
        assert refused is None
        assert at(content, keys) == value
    assert content["other"] == {"kept": [1]}


def paths_of(model) -> list[str]:
    return [".".join(path) for path, _ in leaves(model.model_dump(mode="json"))]


@pytest.mark.parametrize("name", Library().names())
def test_setting_any_key_to_its_own_value_changes_nothing(name):
    library = Library()
    definition = library.resolve_unprofiled(name)
    content = definition.model_dump(mode="json")
    overrides = [
        f"{path}={json.dumps(at(content, path.split('.')))}"
        for path in paths_of(definition)
        if path not in ("name", "parameters") and at(content, path.split(".")) is not None
    ]
    assert len(overrides) > 15
    chosen = library.resolve(name, profile="full", overrides=overrides)
    assert chosen.definition_hash == definition.digest()


SIGNS = [*"{}[]:-'\"#%|>?,.~é\t\n\x00", ": ", "- ", "\n  ", "&a ", "*a", "!!int ", "<<: ", "null"]
SIGNS += ["true", "-1", "0", "1.5", ".inf", "inherit: ", "variants: ", "name: ", "weights", "file"]


@settings(CHECKED, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(sorted(path.name for path in CATALOG.glob("[!_]*.yaml"))),
    st.lists(
        st.tuples(st.floats(0, 1), st.integers(0, 8), st.lists(st.sampled_from(SIGNS), max_size=3)),
        min_size=1,
        max_size=3,
    ),
)
def test_a_damaged_file_is_refused_in_one_line_or_means_something(tmp_path, file, damage):
    text = (CATALOG / file).read_text("utf-8")
    text = re.sub(r"^name: ", "name: my-", text, flags=re.MULTILINE)
    for where, length, signs in damage:
        start = int(where * len(text))
        text = text[:start] + "".join(signs) + text[start + length :]
    path = tmp_path / "damaged.yaml"
    path.write_text(text, "utf-8")
    assert "\n" not in (refusal(lambda: check_all(path)) or "")


def check_all(path):
    library = Library([path])
    name = read_mapping(path)["name"]
    for variant in library.variants(name):
        for profile in library.profiles(name, variant):
            check_workload(library.resolve(name, variant=variant, profile=profile).definition)
