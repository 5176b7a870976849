"""Definitions that start from others: files beside them, and those of the catalog."""

from pathlib import Path

import pytest

from beambench.definition.library import Library
from beambench.errors import UsageError

BASE = """
workload: overhead
model: {name: noop, weights: none}
input: {type: numbers, source: synthetic}
batching: {min_batch_size: 2, max_batch_size: 8}
profiles:
  local: {limit: 5, repeats: 1, timeout: 60, slot_seconds: 1}
"""


@pytest.fixture
def folder(tmp_path):
    """Write files; return a function that resolves one of them by its path."""

    def write(**files: str):
        for name, content in files.items():
            (tmp_path / f"{name}.yaml").write_text(content)

        def resolve(name: str, **options):
            path = tmp_path / f"{name}.yaml"
            library = Library()
            return library.resolve(library.add_if_file(str(path)), **options).definition

        return resolve

    return write


def refused(resolve, name: str) -> str:
    with pytest.raises(UsageError) as caught:
        resolve(name)
    return str(caught.value)


def test_a_chain_merges_key_by_key(folder):
    resolve = folder(
        _base=BASE,
        middle="inherit: _base\nname: middle\ntitle: M\nbatching: {max_batch_size: 16}\n",
        leaf="inherit: middle\nname: leaf\nmax_failed: 0.5\nbatching: {max_batch_size: 32}\n",
    )
    leaf = resolve("leaf")
    assert leaf.title == "M"
    assert leaf.max_failed == 0.5
    assert (leaf.batching.min_batch_size, leaf.batching.max_batch_size) == (2, 32)
    assert resolve("middle").batching.max_batch_size == 16


def test_what_is_no_mapping_is_replaced(folder):
    resolve = folder(
        _base=BASE + "parameters: {sizes: [1, 2, 3], keep: 1}\n",
        leaf="inherit: _base\nname: leaf\ntitle: L\nparameters: {sizes: [4]}\n",
    )
    assert resolve("leaf").parameters == {"sizes": [4], "keep": 1}


def test_null_takes_a_section_away(folder):
    resolve = folder(
        _base=BASE + "cluster: {machine_type: m, workers: 1, disk_gb: 1}\n",
        leaf="inherit: _base\nname: leaf\ntitle: L\ncluster: null\n",
    )
    assert resolve("leaf").cluster is None


def test_variants_are_inherited(folder):
    resolve = folder(
        _base=BASE + "variants: {small: {batching: {max_batch_size: 4}}}\n",
        leaf="inherit: _base\nname: leaf\ntitle: L\nvariants: {small: {max_failed: 0.2}}\n",
    )
    small = resolve("leaf", variant="small")
    assert (small.batching.max_batch_size, small.max_failed) == (4, 0.2)


def test_a_name_is_never_inherited(folder):
    resolve = folder(
        parent=BASE + "name: parent\ntitle: P\n",
        child="inherit: parent\ntitle: C\n",
    )
    message = refused(resolve, "child")
    assert "child.yaml: `name` is missing" in message


def test_a_child_keeps_its_own_name(folder):
    resolve = folder(
        parent=BASE + "name: parent\ntitle: P\n", child="inherit: parent\nname: child\n"
    )
    assert resolve("child").name == "child"


def test_a_file_beside_wins_over_the_catalog(folder):
    resolve = folder(
        _resnet=BASE,
        mine="inherit: _resnet\nname: mine\ntitle: T\n",
    )
    assert resolve("mine").workload == "overhead"


def test_the_catalog_is_looked_at_where_no_file_is_beside(folder):
    resolve = folder(mine="inherit: overhead-noop\nname: mine\n")
    assert resolve("mine").publish.bigquery.table == "overhead_noop"


def test_a_definition_of_the_same_file_name_as_its_parent(folder):
    resolve = folder(**{"overhead-noop": "inherit: overhead-noop\nname: mine\n"})
    assert resolve("overhead-noop").workload == "overhead"


def test_a_parent_can_be_named_with_its_suffix_or_from_a_folder(tmp_path, folder):
    (tmp_path / "sub").mkdir()
    resolve = folder(
        _base=BASE,
        one="inherit: _base.yaml\nname: one\ntitle: T\n",
        **{"sub/two": "inherit: ../_base\nname: two\ntitle: T\n"},
    )
    assert resolve("one").workload == resolve("sub/two").workload == "overhead"


def test_a_circle(folder):
    resolve = folder(
        a="inherit: b\nname: a\n", b="inherit: c\nname: b\n", c="inherit: b\nname: c\n"
    )
    message = refused(resolve, "a")
    assert message.endswith("a.yaml: inherit: goes round in a circle at b.yaml")


def test_a_definition_that_inherits_itself(folder):
    resolve = folder(mine="inherit: mine\nname: mine\n")
    assert "goes round in a circle at mine.yaml" in refused(resolve, "mine")


def test_a_long_chain_is_no_circle(folder):
    links = {f"n{n}": f"inherit: n{n + 1}\nname: n{n}\n" for n in range(20)}
    resolve = folder(**links, n20=BASE)
    assert refused(resolve, "n0").endswith("n0.yaml: inherit: more than 16 levels")


def test_a_missing_parent_names_the_nearest(folder):
    resolve = folder(mine="inherit: _resnett\nname: mine\n")
    message = refused(resolve, "mine")
    assert message.endswith(
        "mine.yaml: inherit: no definition '_resnett' (did you mean '_resnet'?)"
    )


@pytest.mark.parametrize("parent", ["[a]", "3", "{a: 1}", "true"])
def test_a_parent_that_is_no_name(folder, parent):
    resolve = folder(mine=f"inherit: {parent}\nname: mine\n")
    assert "mine.yaml: inherit: expected the name of a definition" in refused(resolve, "mine")


def test_a_broken_parent_is_the_one_that_is_named(folder):
    resolve = folder(_base="a: 1\na: 2\n", mine="inherit: _base\nname: mine\n")
    assert "_base.yaml, line 2: key 'a' stands twice" in refused(resolve, "mine")


def test_a_base_cannot_be_run(folder):
    resolve = folder(_base=BASE)
    message = refused(resolve, "_base")
    assert message.endswith("is only inherited: name a definition that inherits it")


# --- the library ----------------------------------------------------------------------------------


def test_a_folder_of_definitions_of_ones_own(tmp_path):
    (tmp_path / "one.yaml").write_text(f"name: one\ntitle: T\n{BASE}")
    (tmp_path / "two.yml").write_text("name: two\ntitle: T\ninherit: one\n")
    (tmp_path / "_base.yaml").write_text(BASE)
    (tmp_path / "notes.txt").write_text("no definition")
    library = Library([tmp_path])
    assert set(library.names()) - set(Library().names()) == {"one", "two"}
    assert library.path_of("two") == tmp_path / "two.yml"


def test_a_name_that_is_taken(tmp_path):
    mine = tmp_path / "mine.yaml"
    mine.write_text(f"name: overhead-noop\ntitle: T\n{BASE}")
    with pytest.raises(UsageError, match=r"mine\.yaml: name 'overhead-noop' is taken by .*catalog"):
        Library([mine])


def test_the_same_file_twice_is_no_conflict(tmp_path):
    mine = tmp_path / "mine.yaml"
    mine.write_text(f"name: mine\ntitle: T\n{BASE}")
    library = Library([mine, tmp_path])
    assert library.add_if_file(str(mine)) == "mine"


@pytest.mark.parametrize("name", ["[a]", "3", "null", "''"])
def test_a_name_that_is_no_text(tmp_path, name):
    mine = tmp_path / "mine.yaml"
    mine.write_text(f"name: {name}\n")
    with pytest.raises(UsageError, match="`name` is missing"):
        Library([mine])


def test_a_name_that_could_not_stand_in_a_path(tmp_path):
    mine = tmp_path / "mine.yaml"
    mine.write_text(f"name: ../Mine\ntitle: T\n{BASE}")
    library = Library([mine])
    with pytest.raises(UsageError, match=r"mine\.yaml: name: .*pattern"):
        library.resolve("../Mine")


def test_an_empty_folder(tmp_path):
    with pytest.raises(UsageError, match=r"no definition in this folder \(files ending in \.yaml"):
        Library([tmp_path])


@pytest.mark.parametrize("place", ["nowhere", "nowhere" * 50])
def test_a_place_that_is_not_there(place):
    with pytest.raises(UsageError, match=r"nowhere: no such definition file or folder"):
        Library([Path(place)])


def test_a_parent_whose_name_no_file_can_have(tmp_path):
    mine = tmp_path / "mine.yaml"
    mine.write_text(f"name: mine\ninherit: {'a' * 300}\n")
    library = Library([mine])
    with pytest.raises(UsageError, match=r"inherit: .*a{300}"):
        library.resolve("mine")


def test_an_unknown_name_names_the_nearest():
    with pytest.raises(UsageError, match=r"did you mean 'overhead-noop'\?\): `beambench list`"):
        Library().path_of("overhead-nop")
