"""`run --pipeline` on the command line, and how an unverified run is shown."""

from pathlib import Path

import pytest

from beambench.store import RunStore

STORE = ("--store", "sqlite:///runs.db")


@pytest.fixture(autouse=True)
def _module(folder: Path) -> None:
    (folder / "own.py").write_text("raise SystemExit('imported')\n")


@pytest.fixture
def unverified(make_record):
    """The record of a pipeline that exists already."""
    rate = {"value": 250.5, "unit": "1/s", "direction": "higher", "n": 3}
    nothing = {"elements_in": None, "elements_out": None, "elements_failed": None}
    return make_record(
        benchmark="own-run",
        variant="existing",
        profile="existing",
        input={"kind": "unknown", "count": None, "digest": None},
        model={"name": "OwnHandler", "weights": "unknown"},
        metrics={"inference_throughput_elements": rate},
        verification={**nothing, "duplicates": None, "missing": None, "unverified": "no ids"},
    )


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


def test_the_elements_of_each_step_are_printed(beambench, monkeypatch, make_record, unverified):
    def printed(*counts: int | None) -> str:
        flow = {"elements_out": 62, "elements_failed": 38}
        repeats = [
            {
                "index": index,
                "arm": "pipeline",
                "status": "succeeded",
                "started_at": "",
                "finished_at": "",
                "element_flows": {"A/B": flow | {"elements_in": count}},
            }
            for index, count in enumerate(counts)
        ]
        content = unverified.model_dump(mode="json")
        record = make_record(**(content | {"repeats": repeats, "run_id": f"r{counts}"}))
        monkeypatch.setattr("beambench.experiments.existing.execute_existing", lambda *_: record)
        return str(beambench("run", "--pipeline", "own:run", *STORE).out)

    line = "RunInference A/B: 100 in, 62 out, 38 failed"
    assert f"{line}\n" in printed(100)
    assert f"{line} (each of 2 repeats)\n" in printed(100, 100)
    shown = printed(100, None)
    assert f"repeat 1: {line}\n" in shown
    assert "repeat 2: RunInference A/B: unknown in, 62 out, 38 failed\n" in shown


def test_a_run_is_printed_stored_and_listed_as_unverified(beambench, monkeypatch, unverified):
    monkeypatch.setattr("beambench.experiments.existing.execute_existing", lambda *_: unverified)
    answer = beambench("run", "--pipeline", "own:run", *STORE)
    assert answer.code == 0, answer.err
    assert "verification: unverified: no ids" in answer.out
    assert "input: unknown; model: OwnHandler (unknown weights)" in answer.out
    assert "inference_throughput_elements  250.5 1/s" in answer.out
    with RunStore.open(STORE[1]) as store:
        assert store.get(unverified.run_id) == unverified
    listed = beambench("history", "own-run", *STORE)
    assert "unverified" in listed.out
    assert "250.5 (inference)" in listed.out
    (row,) = beambench("history", "own-run", *STORE, "--json").document
    assert row["verification"] == {"passed": False, "unverified": "no ids"}


def test_what_went_wrong_is_named_once(beambench, monkeypatch):
    from beambench.errors import UsageError

    def wrong(*_: object) -> None:
        raise UsageError("own:run: no")

    monkeypatch.setattr("beambench.experiments.existing.execute_existing", wrong)
    answer = beambench("run", "--pipeline", "own:run", *STORE)
    assert (answer.code, answer.err) == (2, "beambench: own:run: no\n")
