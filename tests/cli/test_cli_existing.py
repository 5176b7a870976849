"""`run --pipeline` on the command line, and how an unverified run is shown."""

from pathlib import Path

import pytest

from beambench.experiments.existing import UNVERIFIED
from beambench.store import RunStore
from fake_existing import existing, step
from fake_workers import gave_up

STORE = ("--store", "sqlite:///runs.db")


@pytest.fixture(autouse=True)
def _module(folder: Path) -> None:
    (folder / "own.py").write_text("raise SystemExit('imported')\n")


def test_a_dry_run_shows_what_would_be_run_without_secrets(beambench):
    words = ("run", "--pipeline", "own:run", "--repeats", "4", "--dry-run", "--json", "--seed", "2")
    answer = beambench(*words, "--", "--input", "x", "--api_key=hunter2")
    assert answer.code == 0, answer.err
    plan = answer.document
    assert (plan["benchmark"], plan["variant"], plan["runner"]) == ("own-run", "existing", "direct")
    assert plan["config"]["beam_flags"] == ["--input", "x", "--api_key=***"]
    assert (plan["config"]["repeats"], plan["config"]["seed"]) == (4, 2)
    shown = beambench(*words[:-3], "--", "--api_key", "hunter2").out
    assert "unverified" in shown
    assert "--api_key ***" in shown


@pytest.mark.parametrize(
    "option",
    [
        ("--profile", "smoke"),
        ("--variant", "tuned"),
        ("--set", "a.b=1"),
        ("--reference", "loop"),
        ("--input", "x"),
        ("--labels", "x"),
        ("--limit", "3"),
        ("--definitions", "."),
    ],
)
def test_options_of_benchmarks_are_refused(beambench, option):
    answer = beambench("run", "--pipeline", "own:run", "--dry-run", *option)
    assert answer.code == 2
    assert answer.err.startswith(f"beambench: {option[0]} goes with benchmarks, not with --pip")
    assert answer.err.count("\n") == 1


def test_settings_of_benchmarks_in_environment_and_project_file_say_nothing(
    beambench, folder, monkeypatch
):
    monkeypatch.setenv("BEAMBENCH_PROFILE", "full")
    (folder / "beambench.yaml").write_text("variant: tuned\nrepeats: 2\n")
    answer = beambench("run", "--pipeline", "own:run", "--dry-run", "--json")
    assert answer.code == 0, answer.err
    assert answer.document["profile"] == "existing"
    assert answer.document["config"]["repeats"] == 2


def test_a_runner_that_would_not_run_it_is_refused(beambench, folder, monkeypatch):
    words = ("run", "--pipeline", "own:run", "--dry-run")
    said = "beambench: runner 'dataflow': --pipeline runs on the direct runner only"
    answer = beambench(*words, "--runner", "dataflow")
    assert (answer.code, answer.err.startswith(said)) == (2, True)
    (folder / "beambench.yaml").write_text("runner: dataflow\n")
    answer = beambench(*words)
    assert (answer.code, answer.err.startswith(said)) == (2, True)
    monkeypatch.setenv("BEAMBENCH_RUNNER", "direct")
    assert beambench(*words).code == 0


RUN = ("run", "--pipeline", "own:run", *STORE)


def test_the_elements_of_each_step_are_printed(beambench, workers):
    def printed(*counts: int | None) -> str:
        flows = [step(elements_in=count, elements_out=62, elements_failed=38) for count in counts]
        workers.script("existing", *(existing(steps={"A/B": flow}) for flow in flows))
        words = ("--repeats", str(len(counts)), "--max-failed", "1")
        return str(beambench(*RUN, *words).out)

    line = "RunInference A/B: 100 in, 62 out, 38 failed"
    assert f"{line}\n" in printed(100)
    assert f"{line} (each of 2 repeats)\n" in printed(100, 100)
    shown = printed(100, None)
    assert f"repeat 1: {line}\n" in shown
    assert "repeat 2: RunInference A/B: unknown in, 62 out, 38 failed\n" in shown


def test_a_run_is_printed_stored_and_listed_as_unverified(beambench, workers):
    workers.script("existing", existing(steps={"A": step(handler="OwnHandler")}))
    answer = beambench(*RUN, "--repeats", "1")
    assert answer.code == 0, answer.err
    assert f"verification: unverified: {UNVERIFIED}" in " ".join(answer.out.split())
    assert "input: unknown; model: OwnHandler (unknown weights)" in answer.out
    assert "throughput_inferred 25 1/s" in " ".join(answer.out.split())
    with RunStore.open(STORE[1]) as store:
        (record,) = store.history("own-run")
    assert record.verification.unverified == UNVERIFIED
    assert answer.out.rstrip().endswith(f"run {record.run_id}: succeeded")
    listed = beambench("history", "own-run", *STORE)
    assert "unverified" in listed.out
    assert "25 (inference)" in listed.out
    (row,) = beambench("history", "own-run", *STORE, "--json").document
    assert row["verification"] == {"passed": False, "unverified": UNVERIFIED}


def test_what_went_wrong_is_named_once(beambench, workers):
    workers.script("existing", gave_up("existing", "usage", "own:run: no"))
    answer = beambench(*RUN)
    assert (answer.code, answer.messages) == (2, ["beambench: own:run: no"])
