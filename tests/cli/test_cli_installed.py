"""Benchmarks of installed distributions, through the command line in processes of their own."""

import json

import pytest

from fast_runs import command_line, hide_packages, python_path
from installed import ACME, ENTRY_POINTS, install


def answer(folder, site, *arguments):
    with command_line(folder, *arguments, PYTHONPATH=python_path(site)) as run:
        code = run.end()
        return code, run.output, run.errors


def test_list_marks_them_with_their_distribution(folder, tmp_path):
    site = install(tmp_path / "site")
    code, out, err = answer(folder, site, "list")
    assert (code, err) == (0, "")
    (row,) = [line for line in out.splitlines() if line.startswith("acme-squares ")]
    assert "Squares [acme-benchmarks 1.2]" in row
    assert "imported" not in out
    code, out, err = answer(folder, site, "list", "--json")
    owners = {row["name"]: row["distribution"] for row in json.loads(out)}
    assert owners["acme-squares"] == "acme-benchmarks 1.2"
    assert owners["overhead-noop"] is None


def test_a_broken_one_is_a_warning(folder, tmp_path):
    site = install(tmp_path / "site", entry_points=ENTRY_POINTS.replace(".catalog\n", ".gone\n"))
    code, out, err = answer(folder, site, "list", "--json")
    assert code == 0
    assert "overhead-noop" in {row["name"] for row in json.loads(out)}
    assert err == (
        "beambench: warning: acme-benchmarks 1.2: entry point 'acme' of beambench.catalogs: "
        "no package 'acme_benchmarks.gone': install the distribution again\n"
    )


def test_a_broken_definition_is_a_warning(folder, tmp_path):
    text = ACME["acme_benchmarks/catalog/squares.yaml"] + "tilte: x\n"
    site = install(tmp_path / "site", files={**ACME, "acme_benchmarks/catalog/squares.yaml": text})
    code, out, err = answer(folder, site, "list", "--json")
    assert code == 0
    assert "acme-squares" not in out
    assert err.startswith("beambench: warning: acme-benchmarks 1.2: ")
    assert err.endswith("squares.yaml: unknown key tilte (did you mean 'title'?)\n")


def test_a_name_that_is_taken_is_an_error(folder, tmp_path):
    text = ACME["acme_benchmarks/catalog/squares.yaml"].replace("acme-squares", "overhead-noop")
    site = install(tmp_path / "site", files={**ACME, "acme_benchmarks/catalog/squares.yaml": text})
    code, out, err = answer(folder, site, "list")
    assert (code, out) == (2, "")
    assert err.startswith("beambench: acme-benchmarks 1.2: entry point 'acme' ")
    assert "name 'overhead-noop' is taken by" in err
    assert err.count("\n") == 1


@pytest.mark.real
def test_workers_run_them(folder, tmp_path):
    site = install(tmp_path / "site")
    hidden = hide_packages(tmp_path / "hidden")
    arguments = ["run", "acme-squares", "--profile", "smoke", "--json", "--store", "sqlite:///r.db"]
    path = python_path(site)
    with command_line(folder, *arguments, PYTHONPATH=f"{hidden}:{path}") as run:
        assert run.end() == 0, run.errors
        record = json.loads(run.output.removeprefix("imported\nimported\n"))
    assert record["verification"]["passed"]
    assert record["verification"]["elements_out"] == 200
    assert record["environment"]["workload"] == "acme-benchmarks 1.2"
