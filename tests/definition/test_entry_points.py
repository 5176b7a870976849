"""Catalogs and workloads that installed distributions bring along through entry points."""

import sys

import pytest

from beambench.definition.entry_points import CATALOGS, WORKLOADS, entry_points
from beambench.definition.library import Library
from beambench.errors import UsageError
from beambench.workloads.registry import load_class, workload_entry
from installed import ACME, DEFINITION, forget, install

CATALOG = "[beambench.catalogs]\nacme = {}\n"
WORKLOAD = "[beambench.workloads]\nacme-square = {}\n"
BROKEN = "acme-benchmarks 1.2: entry point 'acme' of beambench.catalogs: "


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder on the search path, empty."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    entry_points.cache_clear()
    yield folder
    forget("acme_benchmarks")


def only_problem(of: Library) -> str:
    (problem,) = of.problems
    assert "\n" not in problem
    assert "overhead-noop" in of.names()
    return problem


# --- catalogs


def test_without_any_there_is_the_catalog_only(site):
    assert entry_points(CATALOGS) == ((), ())
    assert Library().problems == []


def test_the_definitions_of_a_distribution_are_in_the_library(site):
    install(site)
    library = Library()
    assert library.problems == []
    assert library.distribution_of("acme-squares") == "acme-benchmarks 1.2"
    assert library.distribution_of("overhead-noop") is None
    assert library.path_of("acme-squares") == site / "acme_benchmarks" / "catalog" / "squares.yaml"
    assert library.resolve("acme-squares", profile="smoke").definition.title == "Squares"


def test_nothing_of_it_is_imported_to_list_it(site, capsys):
    install(site)
    assert "acme-squares" in {benchmark.name for benchmark in Library().unprofiled()}
    assert "acme_benchmarks" not in sys.modules
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ("acme_benchmarks", "acme_benchmarks/squares.yaml"),
        ("acme_benchmarks.workloads", "acme_benchmarks/squares.yaml"),
        ("acme_benchmarks.a.b", "acme_benchmarks/a/b/squares.yaml"),
        ("acme_module", "squares.yaml"),
    ],
)
def test_the_folder_of_a_package_or_module(site, value, place):
    files = {"acme_module.py": "", "acme_benchmarks/__init__.py": ""}
    files |= {"acme_benchmarks/workloads.py": "", place: DEFINITION}
    install(site, entry_points=CATALOG.format(value), files=files)
    assert Library().path_of("acme-squares") == site / place


def test_what_is_only_inherited_lies_beside_and_hides_nothing(site):
    files = {
        "acme_benchmarks/_resnet.yaml": DEFINITION.replace("name: acme-squares\n", ""),
        "acme_benchmarks/squares.yaml": "inherit: _resnet\nname: acme-squares\n",
    }
    install(site, entry_points=CATALOG.format("acme_benchmarks"), files=files)
    library = Library()
    assert library.resolve("acme-squares").definition.title == "Squares"
    resnet = library.resolve("pytorch-image-classification-resnet101").definition
    assert resnet.title == "Image classification, ResNet-101, CPU"


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("acme_gone", "no package 'acme_gone': install the distribution again"),
        ("acme_benchmarks.gone", "no package 'acme_benchmarks.gone': install the"),
        (
            "acme_benchmarks:CATALOG",
            "expected the name of a package, not 'acme_benchmarks:CATALOG'",
        ),
        ("../../etc", "expected the name of a package, not '../../etc'"),
        ("acme_benchmarks", "no definition in the folder of acme_benchmarks"),
        ("sys", "no package 'sys'"),
    ],
)
def test_a_broken_catalog_is_named_and_breaks_nothing_else(site, value, problem):
    install(site, entry_points=CATALOG.format(value))
    assert only_problem(Library()).startswith(BROKEN + problem)


def test_a_file_that_cannot_be_parsed_is_named_and_breaks_nothing_else(site):
    install(site, entry_points="[beambench.catalogs]\nthis is no entry point\n")
    install(site, "other", CATALOG.format("acme_benchmarks.catalog"))
    library = Library()
    assert only_problem(library).startswith("acme-benchmarks 1.2: entry_points.txt or METADATA ")
    assert library.distribution_of("acme-squares") == "other 1.2"


def test_a_file_of_a_distribution_that_is_none_of_ours_is_not_read(site):
    install(site, entry_points="[console_scripts]\nthis is no entry point\n")
    assert Library().problems == []


def test_a_distribution_without_a_name_is_named_by_its_place(site):
    install(site)
    metadata = site / "acme_benchmarks-1.2.dist-info" / "METADATA"
    metadata.write_text("Metadata-Version: 2.1\nVersion: 1.2\n")
    owner = Library().distribution_of("acme-squares")
    assert owner == f"a distribution without a name in {site}"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("name: [\n", "squares.yaml"),
        ("title: no name\n", "`name` is missing"),
        (DEFINITION + "tilte: x\n", "unknown key tilte (did you mean 'title'?)"),
        (DEFINITION.replace("title: Squares\n", ""), "key title is missing"),
    ],
)
def test_a_broken_definition_is_left_out_of_the_list(site, text, problem):
    install(site, files={**ACME, "acme_benchmarks/catalog/squares.yaml": text})
    library = Library()
    names = [benchmark.name for benchmark in library.unprofiled()]
    assert "acme-squares" not in names
    assert "overhead-noop" in names
    assert problem in only_problem(library)
    assert library.problems[0].startswith("acme-benchmarks 1.2")


def test_a_name_of_the_catalog_is_an_error_that_names_both(site):
    text = DEFINITION.replace("acme-squares", "overhead-noop")
    install(site, files={**ACME, "acme_benchmarks/catalog/squares.yaml": text})
    with pytest.raises(UsageError) as raised:
        Library()
    message = str(raised.value)
    assert message.startswith(BROKEN)
    assert "catalog/squares.yaml: name 'overhead-noop' is taken by " in message
    assert "definition/catalog/overhead-noop.yaml: choose another name" in message


def test_a_name_that_two_distributions_have_is_an_error_that_names_both(site):
    install(site)
    files = {"other/squares.yaml": DEFINITION}
    install(site, "other", CATALOG.format("other"), files)
    with pytest.raises(UsageError, match=r"^other 1\.2: .*\(acme-benchmarks 1\.2\)"):
        Library()


def test_a_name_of_a_distribution_that_the_user_takes(site, tmp_path):
    install(site)
    (tmp_path / "mine.yaml").write_text(DEFINITION)
    with pytest.raises(UsageError, match=r"mine\.yaml: name 'acme-squares' .*acme-benchmarks 1\.2"):
        Library([tmp_path / "mine.yaml"])


def test_a_distribution_that_stands_twice_is_the_first(site, tmp_path, monkeypatch):
    install(site)
    monkeypatch.syspath_prepend(install(tmp_path / "first"))
    assert Library().path_of("acme-squares").is_relative_to(tmp_path / "first")


# --- workloads


def test_a_workload_of_a_distribution_has_a_name(site):
    install(site)
    cls = load_class("acme-square")
    assert (cls.__module__, cls.__name__) == ("acme_benchmarks.workloads", "Square")
    entry = workload_entry("acme-square")
    assert entry is not None
    assert entry.distribution == "acme-benchmarks 1.2"
    assert workload_entry("overhead") is None


def test_a_misspelt_name_is_answered_with_the_nearest(site):
    install(site)
    with pytest.raises(UsageError, match=r"did you mean 'acme-square'\?"):
        load_class("acme-sqare")


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("acme_gone:Square", "no module 'acme_gone'"),
        ("acme_benchmarks.workloads:Sqare", "acme_benchmarks.workloads has no 'Sqare'"),
        ("acme_benchmarks.workloads", "expected module:Class, not 'acme_benchmarks.workloads'"),
        ("acme_benchmarks:__name__", "not a subclass of beambench's Workload"),
        ("acme_benchmarks.broken:Square", "cannot be imported: ZeroDivisionError"),
    ],
)
def test_a_broken_workload_names_its_distribution(site, value, problem):
    files = {**ACME, "acme_benchmarks/broken.py": "1 / 0\n"}
    install(site, entry_points=WORKLOAD.format(value), files=files)
    assert load_class("overhead").__name__ == "Overhead"
    with pytest.raises(UsageError) as raised:
        load_class("acme-square")
    assert str(raised.value).startswith(
        "workload 'acme-square' (acme-benchmarks 1.2: entry point 'acme-square' of "
        f"{WORKLOADS}): {problem}"
    )


def test_a_workload_that_two_have_is_an_error_that_names_both(site):
    install(site)
    install(site, "other", WORKLOAD.format("other:Square"), {})
    with pytest.raises(UsageError, match=r"in acme-benchmarks 1\.2 and in other 1\.2"):
        load_class("acme-square")


def test_a_workload_that_beambench_has_itself(site):
    install(site, entry_points="[beambench.workloads]\noverhead = acme_benchmarks.workloads:Square")
    with pytest.raises(UsageError, match=r"in beambench and in acme-benchmarks 1\.2"):
        load_class("overhead")
