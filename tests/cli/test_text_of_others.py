"""What elements, handlers and services say may hold anything: no part of it steers a terminal."""

import csv
import io
import json

import pytest

from beambench.cli.console.progress import ProgressReporter
from beambench.controller.processes.worker_process import Observation
from beambench.controller.session import Step
from beambench.definition.library import Library
from beambench.instrumentation.proof.label import as_label
from beambench.printable import json_text, printable, storable, storable_values
from beambench.publishers import outbox
from beambench.publishers.influxdb.points import line
from beambench.record.observation import Proof, SampledPrediction, WorkerError
from beambench.record.run_record import RunRecord
from beambench.request.benchmark import make_request
from beambench.store import RunStore
from beambench.worker.__main__ import _write
from beambench.workloads.output import row
from fake_workers import measured, prepared

STORE = "sqlite:///runs.db"
ODD = (
    "\x1b[2J\x1b]0;owned\x07 \x9b31m \u202egpj.exe\u202c a\u200bb \ufeff \u2028 \x85 \x7f \x00 "
    "[red]hot[/red] a|b `c` <script> \n\r\nrun 1: succeeded\t=1+1"
)
HALF = "half \udc80 of \ud800 a pair"
FORBIDDEN = tuple(sign for sign in set(ODD + HALF) if not sign.isprintable())
"""What no output may hold as it is, but for the line breaks between lines."""


def steers(text: str) -> set[str]:
    return {sign for sign in FORBIDDEN if sign in text} - {"\n"}


@pytest.fixture
def record(make_record) -> RunRecord:
    """A run that holds such text wherever others have a say."""
    text = storable(ODD + HALF)
    proven = make_record().verification.model_dump()
    failed = [{"id": text, "stage": "preprocess", "error": text}]
    name = "throughput_elements"
    metric = {"value": 1.0, "unit": "s", "direction": "lower", "n": 1}
    return make_record(
        status="failed",
        error=text,
        variant=text,
        warnings=[text],
        model={"name": text, "weights": "none"},
        input={"kind": text, "count": 1, "digest": None},
        runner={"requested": "direct", "executed": text, "implementation": text},
        verification={**proven, "passed": False, "problems": [text], "failed": failed},
        metrics={name: metric, text: metric},
        environment={"machine": {"cpu": text}},
        labels={"note": text},
    )


@pytest.fixture
def stored(folder, record) -> RunRecord:
    with RunStore.open(STORE) as store:
        store.add(record)
        assert store.get(record.run_id) == record
    return record


VERBS = (
    ["show"],
    ["show", "--json"],
    ["export"],
    ["export", "--format", "csv"],
    ["export", "--format", "markdown"],
    ["history"],
    ["history", "--json"],
)


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
@pytest.mark.parametrize("columns", ["40", "120"])
def test_nothing_steers_the_terminal(beambench, stored, monkeypatch, verb, columns):
    monkeypatch.setenv("COLUMNS", columns)
    what = stored.benchmark if verb[0] == "history" else stored.run_id
    answer = beambench(verb[0], what, *verb[1:], "--store", STORE)
    assert (answer.code, answer.err) == (0, "")
    assert steers(answer.out) == set()
    assert "owned" in answer.out


def test_an_id_makes_no_line_that_looks_like_ours(beambench, stored):
    answer = beambench("show", stored.run_id, "--store", STORE)
    assert not any(line.startswith("run 1:") for line in answer.out.splitlines())
    assert r"\n\r\nrun 1: succeeded\t=1+1" in " ".join(answer.out.split())


@pytest.mark.parametrize("verb", ["show", "export"])
def test_json_holds_what_was_said(beambench, stored, verb):
    document = beambench(verb, stored.run_id, "--json", "--store", STORE).document
    run = document if verb == "show" else document[0]
    assert RunRecord.model_validate_json(json.dumps(run)) == stored


def test_export_to_a_file_and_back(beambench, folder, stored):
    exported = beambench(
        "export", stored.run_id, "--json", "--output", "runs.json", "--store", STORE
    )
    assert exported.code == 0
    assert steers((folder / "runs.json").read_text("utf-8")) == set()
    answer = beambench("import", "runs.json", "--store", "sqlite:///other.db")
    assert (answer.code, answer.out) == (0, "1 run imported\n")
    with RunStore.open("sqlite:///other.db") as other:
        known = other.get(stored.run_id)
    assert known is not None
    assert known.error == stored.error


def test_csv_has_a_row_a_metric_and_markdown_a_line(beambench, stored):
    text = beambench("export", stored.run_id, "--format", "csv", "--store", STORE).out
    assert len(text.splitlines()) == 1 + len(stored.metrics)
    assert len(list(csv.DictReader(io.StringIO(text)))) == len(stored.metrics)
    text = beambench("export", stored.run_id, "--format", "markdown", "--store", STORE).out
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert len(table) == 2 + len(stored.metrics)
    assert r"a\|b \`c\` &lt;script>" in text


def test_rows_for_servers(stored):
    for publisher in ("influxdb", "bigquery"):
        rows = outbox.rows_of(stored, publisher)
        assert rows
        for exported in rows:
            json.dumps(exported.content, ensure_ascii=False).encode()  # half a pair cannot be
            if publisher == "influxdb":
                line(exported).encode()


def test_a_run_that_says_such_things_is_stored(beambench, workers):
    text = storable(ODD + HALF)
    runner = {"executed": text, "implementation": text, "counters": "committed", "options": []}
    problem = WorkerError(kind="run", message=text, detail=text)
    workers.script("prepare", prepared(warnings=[text], environment={"machine": {"cpu": text}}))
    workers.script("pipeline", measured(runner=runner, warnings=[text], error=problem))
    words = ["run", "overhead-noop", "--repeats", "1", "--label", f"note={text.strip()}"]
    answer = beambench(*words, "--store", STORE)
    assert answer.code == 3
    assert steers(answer.out + answer.err) == set()
    assert "owned" in answer.out
    (message,) = answer.messages
    assert "owned" in message
    with RunStore.open(STORE) as store:
        (record,) = store.history("overhead-noop")
    assert record.error == f"pipeline repeat 1: {text}"
    assert text in record.warnings
    assert record.runner.implementation == text


def test_a_worker_writes_what_no_json_holds_as_text(tmp_path):
    observation = Observation(
        task="pipeline",
        error=WorkerError(kind="run", message=HALF, detail=ODD),
        warnings=[HALF],
        sample=[SampledPrediction(id=HALF, label=HALF)],
        proof=Proof(count=1, failed=0, ids="0", failed_ids="0", labels="0"),
    )
    _write(tmp_path / "result.json", observation)
    read = Observation.model_validate_json((tmp_path / "result.json").read_text("utf-8"))
    shown = r"half \udc80 of \ud800 a pair"
    assert read.error is not None
    assert (read.error.message, read.error.detail) == (shown, ODD)
    assert (read.warnings, read.sample[0].label) == ([shown], shown)


def test_a_label_is_text_that_beam_can_encode():
    assert as_label(HALF) == r"half \udc80 of \ud800 a pair"
    assert as_label(ODD) == ODD


@pytest.mark.parametrize("text", [True, False], ids=["column", "line"])
def test_a_prediction_is_written_as_text(text):
    shown = r"half \udc80 of \ud800 a pair"
    assert row((HALF, HALF, None, None), text=text) == {"id": shown, "label": shown, "error": None}
    failed = row(("a", None, None, ("infer", HALF)), text=text)
    assert failed == {"id": "a", "label": None, "error": f"infer: {shown}"}


def test_progress(capsys):
    request = make_request(Library(), "overhead-noop")
    report = ProgressReporter().begin(request)(Step(ODD, 1, 1), 4)
    report({"line": ODD + HALF})
    report({"text": ODD + HALF, "done": 1})
    assert steers(capsys.readouterr().err) == set()


def test_text_that_is_printable_stays():
    for text in ("naïve — 日本語 [x] \\n", "emoji 🙂", ""):
        assert printable(text) == storable(text) == text
        assert json.loads(json_text(text)) == text
    assert json_text("é🙂") == '"é🙂"'


def test_json_escapes_what_is_not_printable():
    hidden = "\u202e\x7f\U000e0001"
    content = {"a\x9b": [hidden, HALF, 1, None, True]}
    text = json_text(content)
    assert steers(text) == set()
    assert json.loads(text) == content
    assert storable_values(content) == {
        "a\x9b": ["\u202e\x7f\U000e0001", storable(HALF), 1, None, True]
    }
