"""`beambench report` as a user types it."""

from __future__ import annotations

import urllib.request

import pytest

from beambench.cli.main import execute
from beambench.site.serving import EVERY_S
from beambench.store.run_store import RunStore
from fake_clock import START, FakeClock


def test_a_site_is_written_of_a_store(beambench, folder, store):
    answer = beambench("report", "--out", "site", "--store", store)
    assert (answer.code, answer.err) == (0, "")
    assert answer.out == "site/index.html: 1 benchmark, 40 runs, 0 comparisons, 45 files written\n"
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


def test_a_site_is_served_and_opened_until_ctrl_c(folder, store, monkeypatch, capsys):
    opened = []

    def look(address: str) -> None:
        with urllib.request.urlopen(address, timeout=5) as answer:
            opened.append(answer.read().decode())

    monkeypatch.setattr("webbrowser.open", look)
    clock = FakeClock(interrupted_at=START + 1)
    assert execute(["report", "--open", "--store", store], clock) == 0
    assert "overhead-noop" in opened[0]
    assert ": Ctrl-C ends it" in capsys.readouterr().err


def test_a_watched_site_gets_the_runs_that_come(folder, store, make_record, capsys):
    class Adding(FakeClock):
        def wait(self, seconds: float) -> bool:
            if not self.waits:
                with RunStore.open(store) as runs:
                    runs.add(make_record(50))
            return super().wait(seconds)

    clock = Adding(interrupted_at=START + 3 * EVERY_S)
    assert execute(["report", "--watch", "--store", store], clock) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(" runs")[0].rpartition(" ")[2] for line in lines] == ["40", "41"]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--port", "8000"], "--port goes with --open"),
        (["--watch", "--records", "r"], "--watch goes with a store, not with --records"),
        (["--out", "taken"], "--out taken: is not a folder: name one"),
        (["--since", "yesterday"], "'yesterday': not a date or time: write 2026-01-31"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(beambench, folder, store, arguments, problem):
    (folder / "taken").write_text("")
    answer = beambench("report", *arguments, "--store", store)
    assert (answer.code, answer.err) == (2, f"beambench: {problem}\n")


def test_charts_are_written_as_pictures(beambench, folder, store):
    answer = beambench("report", "--images", "pictures", "--json", "--store", store)
    files = [path for path in (folder / "pictures").rglob("*") if path.is_file()]
    assert (answer.code, answer.document["pictures"]) == (0, len(files))
    assert (folder / "pictures" / "README.md").read_text("utf-8").startswith("# Benchmarks")
    assert (folder / "pictures" / "overhead-noop" / "elements-rate-by-date.svg").exists()


def test_without_matplotlib_no_site_is_begun(beambench, folder, store, monkeypatch):
    monkeypatch.setattr("beambench.site.pictures.write.find_spec", lambda name: None)
    answer = beambench("report", "--images", "pictures", "--store", store)
    assert answer.code == 2
    assert answer.err == (
        "beambench: matplotlib is not installed: pip install 'beambench[pictures]' for --images\n"
    )
    assert not (folder / "site").exists()
