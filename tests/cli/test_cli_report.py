"""`beambench report` as a user types it."""

from __future__ import annotations


def test_a_site_is_written_of_a_store(beambench, folder, store):
    answer = beambench("report", "--out", "site", "--store", store)
    assert (answer.code, answer.err) == (0, "")
    assert answer.out == "site/index.html: 1 benchmarks, 40 runs, 0 comparisons, 45 written\n"
    assert (folder / "site" / "benchmarks" / "overhead-noop.html").exists()


def test_a_site_is_written_of_exported_records(beambench, folder, store):
    (folder / "exported").mkdir()
    beambench(
        "export", "--benchmark", "overhead-noop", "--output", "exported/r.json", "--store", store
    )
    answer = beambench("report", "--records", "exported", "--json")
    assert (answer.code, answer.document["runs"]) == (0, 40)
    assert (folder / "site" / "index.html").exists()


def test_a_folder_without_records_is_named(beambench, folder):
    answer = beambench("report", "--records", "nothing")
    assert answer.code == 2
    assert answer.err == (
        "beambench: --records nothing: no folder with *.json of `beambench export`\n"
    )
