"""Metrics that an installed distribution brings along: no file of beambench knows them."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import beambench
from beambench.cli.main import execute
from beambench.controller.execution import Execution
from beambench.controller.run_warnings import warnings_of
from beambench.definition.entry_points import entry_points
from beambench.errors import UsageError
from beambench.metrics import registry
from beambench.metrics.registry import check_metrics
from beambench.publishers import outbox
from beambench.record.observation import Distribution, RawMetrics
from beambench.record.run_record import RunRecord
from beambench.store import RunStore
from fake_workers import measured
from installed import forget, install

pytestmark = pytest.mark.usefixtures("workers", "scratch")

STORE = ("--store", "sqlite:///runs.db")
RUN = ("run", "overhead-noop", "--profile", "smoke", "--repeats", "2", *STORE)
HEAD = """
from beambench import Metric, Sample
from beambench.metrics.base import Pairing

def metric(name="acme_metric", of_repeat=lambda repeat: Sample(1.0, 1), **other):
    fields = dict(unit="1", direction="neither", formula="as it is", counts="words")
    return Metric(name=name, of_repeat=of_repeat, **(fields | other))
"""
SOUND = """
def rate(repeat):
    words = repeat.observation.counter("acme", "words")
    return Sample(None, 0) if words is None else Sample(words / repeat.run_time, words)

def longest(observations):
    words = [observation.distribution("acme", "word_length") for observation in observations]
    return Sample(max(word.max for word in words), sum(word.count for word in words))

RATE = metric("acme_words_rate", rate, unit="1/s", direction="higher", formula="words ÷ run_time")
LONGEST = metric("acme_longest_word", None, of_repeats=longest, shown=None)
SUM = metric("acme_words", lambda repeat: Sample(5, 5), aggregate="total")
"""
SOUND_ENTRIES = """
[beambench.metrics]
acme_words_rate = acme_metrics:RATE
acme_longest_word = acme_metrics:LONGEST
acme_words = acme_metrics:SUM
"""

Install = Callable[..., Path]


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Return a function that installs a distribution with a module of metrics."""
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    entry_points.cache_clear()

    def add(
        entries: str = "[beambench.metrics]\nacme_metric = acme_metrics:METRIC\n",
        code: str = "METRIC = metric()",
        name: str = "acme-metrics",
    ) -> Path:
        module = f"{name.replace('-', '_')}.py"
        folder = install(tmp_path / name, name, entries, {module: HEAD + code + "\n"})
        monkeypatch.syspath_prepend(str(folder))
        entry_points.cache_clear()
        return folder

    yield add
    for name in {name.partition(".")[0] for name in sys.modules if name.startswith("acme_")}:
        forget(name)
    entry_points.cache_clear()


def counted(words: int, longest: int):
    """Return the result of a worker whose handler counts words."""
    lengths = Distribution(count=words, sum=words * 2, min=1, max=longest)
    raw = RawMetrics(counters={"words": words}, distributions={"word_length": lengths})
    return measured(raw_metrics={"acme": raw})


def stored() -> RunRecord:
    with RunStore.open("sqlite:///runs.db") as store:
        (record,) = store.history("overhead-noop")
    return record


def rows(printed: str) -> list[list[str]]:
    return [line.split() for line in printed.splitlines() if "acme" in line]


def test_its_values_are_recorded_shown_exported_published_and_explained(installed, workers, capsys):
    folder = installed(SOUND_ENTRIES, SOUND)
    workers.script("pipeline", counted(100, 7), counted(150, 9))
    assert execute([*RUN]) == 0
    table = [
        ["acme_words_rate", "10", "1/s", "indicative", "2"],
        ["acme_words", "10", "10"],  # a sum has no interval
    ]
    assert rows(capsys.readouterr().out) == table
    record = stored()
    assert [
        {name: value.value for name, value in repeat.metrics.items() if name.startswith("acme")}
        for repeat in record.repeats
    ] == [
        {"acme_words_rate": 8.0, "acme_longest_word": 7.0, "acme_words": 5.0},
        {"acme_words_rate": 12.0, "acme_longest_word": 9.0, "acme_words": 5.0},
    ]
    assert record.metrics["acme_words_rate"].model_dump() == {
        "value": 10.0,
        "unit": "1/s",
        "direction": "higher",
        "n": 2,
        "ci_low": None,
        "ci_high": None,
    }
    longest = record.metrics["acme_longest_word"]
    assert (longest.value, longest.n) == (9.0, 250)
    assert [warning for warning in record.warnings if "acme" in warning] == []

    assert execute(["show", record.run_id, *STORE]) == 0
    assert rows(capsys.readouterr().out) == table

    assert execute(["export", record.run_id, "--format", "csv", *STORE]) == 0
    exported = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    (row,) = [row for row in exported if row["metric"] == "acme_words_rate"]
    assert (row["value"], row["unit"], row["direction"]) == ("10.0", "1/s", "higher")
    assert execute(["export", record.run_id, *STORE]) == 0
    (document,) = json.loads(capsys.readouterr().out)
    assert document["metrics"]["acme_words"]["value"] == 10.0

    for publisher in ("influxdb", "bigquery"):
        published = [row.content for row in outbox.rows_of(record, publisher)]
        assert "acme_words_rate" in json.dumps(published)

    page = subprocess.run(
        [sys.executable, "-m", "beambench.metrics"],
        env={"PYTHONPATH": str(folder)},
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    explained = (
        "| `acme_words_rate` (acme-metrics 1.2) | 1/s | higher | words | median | "
        "words ÷ run_time |  |"
    )
    assert explained in page.splitlines()
    assert "| `throughput_elements` | 1/s | higher |" in page


def test_a_record_shows_metrics_of_a_package_that_is_gone(installed, workers, capsys, monkeypatch):
    folder = installed(SOUND_ENTRIES, SOUND)
    workers.script("pipeline", counted(100, 7), counted(150, 9))
    assert execute([*RUN]) == 0
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path != str(folder)])
    entry_points.cache_clear()
    capsys.readouterr()
    assert execute(["show", stored().run_id, *STORE]) == 0
    shown = [row[0] for row in rows(capsys.readouterr().out)]
    assert shown == ["acme_words_rate", "acme_longest_word", "acme_words"]


def test_where_nothing_counts_it_it_is_absent(installed):
    installed("[beambench.metrics]\nacme_words_rate = acme_metrics:RATE\n", SOUND)
    record = beambench.run("overhead-noop", profile="smoke", repeats=1)
    assert "acme_words_rate" not in record.metrics
    assert [warning for warning in record.warnings if "acme" in warning] == []


def test_it_may_compare_the_pipeline_with_the_loop(installed, workers):
    installed(
        code="""
def ratio(pipeline, loop):
    return pipeline["run_time"].value / loop["run_time"].value

METRIC = metric(of_repeat=None, of_pairs=Pairing("loop", ratio))
"""
    )
    record = beambench.run("overhead-noop", profile="smoke", repeats=1, reference=True)
    assert (record.metrics["acme_metric"].value, record.metrics["acme_metric"].n) == (1.0, 1)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("lambda repeat: 1 / 0", "ZeroDivisionError: division by zero"),
        ("lambda repeat: sys.exit(5)", "SystemExit: 5"),
        ("lambda repeat: Sample(float('nan'), 3)", "ValueError: its value is nan"),
        ("lambda repeat: 3.0", "TypeError: it returned a float, not a Sample"),
        ("lambda repeat: Sample('many', 3)", "ValueError: could not convert string to float"),
        ("lambda repeat: Sample(None, 0, 'no\\nwords \\udc80')", r"no words \udc80"),
        ("lambda repeat: repeat.observation.counter('acme', 'x') + 1", "TypeError: unsupported"),
    ],
)
def test_what_it_does_wrong_is_a_warning_and_the_run_is_kept(installed, capsys, code, reason):
    installed(code=f"import sys\nMETRIC = metric(of_repeat={code})")
    assert execute([*RUN]) == 0
    record = stored()
    assert "acme_metric" not in record.metrics
    (warning,) = [warning for warning in record.warnings if "acme" in warning]
    start = "metric acme_metric (acme-metrics 1.2) is unknown in 2 of 2 repeats: "
    assert warning.startswith(start + reason)
    assert record.metrics["throughput_elements"].value == 10.0


def test_what_is_wrong_over_all_repeats_only_is_said_of_the_run(installed):
    installed(
        code="METRIC = metric(of_repeat=None, of_repeats=lambda all: Sample(1 / (2 - len(all)), 1))"
    )
    record = beambench.run("overhead-noop", profile="smoke", repeats=2)
    assert "acme_metric" not in record.metrics
    assert [repeat.metrics["acme_metric"].value for repeat in record.repeats] == [1.0, 1.0]
    (warning,) = [warning for warning in record.warnings if "acme" in warning]
    assert warning == (
        "metric acme_metric (acme-metrics 1.2) is unknown in the run: "
        "ZeroDivisionError: division by zero"
    )


START = "acme-metrics 1.2: entry point 'acme_metric' of beambench.metrics: "


@pytest.mark.parametrize(
    ("code", "line"),
    [
        ("metric(unit='ms')", "unit 'ms': give it in 's'; it is shown scaled"),
        ("metric(unit='')", "unit '': expected a unit symbol, and '1' for a ratio or a count"),
        ("metric(unit=1)", "unit 1: expected a unit symbol, and '1' for a ratio or a count"),
        (
            "metric(direction='up')",
            "direction 'up': expected one of 'higher', 'lower', 'neither'",
        ),
        (
            "metric(aggregate='mean')",
            "aggregate 'mean': expected one of 'median', 'elements', 'total'",
        ),
        ("metric(shown=True)", "shown True: expected one of 'table', 'shares', None"),
        (
            "metric(of_repeat=None)",
            "expected a function for one of of_repeat, of_repeats and of_pairs",
        ),
        (
            "metric(of_repeats=len)",
            "expected a function for one of of_repeat, of_repeats and of_pairs",
        ),
        (
            "metric(of_repeat=3)",
            "expected a function for one of of_repeat, of_repeats and of_pairs",
        ),
        ("metric('other')", "acme_metrics:METRIC is no Metric named 'acme_metric'"),
        ("7", "acme_metrics:METRIC is no Metric named 'acme_metric'"),
        ("metric(size=3)", "acme_metrics:METRIC cannot be imported: TypeError: "),
    ],
)
def test_what_is_no_metric_is_refused_before_anything_runs(installed, workers, capsys, code, line):
    installed(code=f"METRIC = {code}")
    assert execute([*RUN]) == 2
    printed = capsys.readouterr()
    assert (printed.out, len(printed.err.splitlines())) == ("", 1)
    assert START + line in printed.err
    assert workers.plans == []


def test_a_pipeline_of_the_users_own_is_refused_too(installed, tmp_path, capsys):
    installed(code="METRIC = 7")
    (tmp_path / "here" / "mine.py").write_text("def run(argv, test_pipeline): pass\n")
    assert execute(["run", "--pipeline", "mine:run", *STORE]) == 2
    assert START in capsys.readouterr().err


@pytest.mark.parametrize("name", ["throughput_elements", "beam_average_bytes"])
def test_a_name_of_beambench_is_taken(installed, name):
    installed(f"[beambench.metrics]\n{name} = acme_metrics:METRIC\n", f"METRIC = metric({name!r})")
    message = rf"^metric '{name}' is in beambench and in acme-metrics 1\.2: uninstall one$"
    with pytest.raises(UsageError, match=message):
        check_metrics()


def test_a_name_of_another_package_is_taken(installed):
    installed()
    other = "[beambench.metrics]\nacme_metric = acme_others:METRIC\n"
    installed(other, name="acme-others")
    message = r"^metric 'acme_metric' is in acme-metrics 1\.2 and in acme-others 1\.2"
    with pytest.raises(UsageError, match=message):
        check_metrics()
    assert registry.metrics() == registry.BUILT_IN


def test_a_name_is_text_that_columns_and_queries_can_hold(installed):
    code = "METRIC = metric('acme metric')"
    installed("[beambench.metrics]\nacme metric = acme_metrics:METRIC\n", code)
    with pytest.raises(UsageError, match=r"name 'acme metric': expected letters, digits"):
        check_metrics()


def test_a_run_that_is_there_already_is_kept_without_what_is_no_metric(installed):
    installed(code="METRIC = metric(unit='ms')")
    execution = Execution(0.0)
    execution.add("pipeline", measured())
    assert execution.metrics()["throughput_elements"].value == 10.0
    assert warnings_of(execution, {}) == [
        f"{START}unit 'ms': give it in 's'; it is shown scaled: left out"
    ]


def test_nothing_of_it_is_imported_where_no_metric_is_needed(installed, capsys):
    installed()
    assert execute(["list"]) == 0
    assert "acme_metrics" not in sys.modules
