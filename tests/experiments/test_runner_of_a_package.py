"""A runner that an installed distribution brings along: no file of beambench knows it."""

from __future__ import annotations

import json
import sys

import pytest

import beambench
from beambench.cli.main import execute
from beambench.definition.entry_points import entry_points
from beambench.definition.runners import find_runner, lookup, runner_names
from beambench.errors import UsageError
from beambench.store import RunStore, sqlite_url
from installed import forget, install

ENTRY_POINTS = """
[beambench.runners]
acme = acme_runners:ACME
acme-broken = acme_runners:NOTHING
acme-other = acme_runners:ACME
acme-pipelines = acme_runners:PIPELINES
acme-jobs = acme_runners:JOBS
"""
RUNNER = """
from beambench.definition.runners import Runner

ACME = Runner(
    name="acme",
    beam_name="AcmeRunner",
    run_task="acme_runners.tasks:run_task",
    request_check="acme_runners.tasks:check",
    dry_run="acme_runners.tasks:dry_run",
    doctor="acme_runners.tasks:doctor",
    profile="smoke",
    repeats=2,
)
PIPELINES = Runner(
    name="acme-pipelines",
    beam_name="AcmeRunner",
    run_task="acme_runners.tasks:run_task",
    existing="acme_runners.tasks:run_existing",
)
JOBS = Runner(
    name="acme-jobs",
    beam_name="AcmeRunner",
    run_task="acme_runners.tasks:run_task",
    repeat="acme_runners.tasks:run_job",
    repeat_label="job",
    failures=1,
)
"""
TASKS = """
import dataclasses

from beambench.controller.results import Trouble
from beambench.errors import UsageError
from beambench.record.run_record import Usage
from fake_workers import DEFAULTS, crashed, measured

RAN = {
    "executed": "acme",
    "implementation": "acme 7",
    "counters": "committed",
    "options": [],
    "site": "north",
}


def check(request):
    if request.seed == 13:
        raise UsageError("acme: no luck with seed 13")


def dry_run(request):
    return {"jobs": request.repeat_count}


def doctor():
    return False, "the site is closed"


def run_task(plan, **options):
    assert plan.task != "existing" or plan.function == "acme_runners.tasks:run_existing"
    if plan.task in ("pipeline", "existing"):
        return measured(task=plan.task, runner=RAN)
    return DEFAULTS[plan.task]()


def run_job(repeat):
    if repeat.plan.seed == 7:
        return Trouble("failed", "no job 7")
    if repeat.plan.seed == 8:
        return crashed(message="job 8 fell over")
    draft = repeat.draft(Trouble("failed", "not read back"))
    assert (draft.status, draft.error) == ("failed", "not read back")
    repeat.session.announce(repeat.step, 100)({"done": 50})
    return dataclasses.replace(
        measured(runner=RAN),
        duration=None,
        usage=Usage(source="service", vcpu_seconds=120.0),
        beam_metrics={"JobSeconds": {"namespace": "", "step": "", "value": 3.0}},
        warnings=[f"seen by {repeat.step.label}"],
    )
"""
FILES = {"acme_runners/__init__.py": RUNNER, "acme_runners/tasks.py": TASKS}


@pytest.fixture(autouse=True)
def _installed(tmp_path, monkeypatch):
    folder = install(tmp_path / "site", "acme-runners", ENTRY_POINTS, FILES)
    monkeypatch.syspath_prepend(str(folder))
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    entry_points.cache_clear()
    yield
    forget("acme_runners")


def test_the_command_line_runs_stores_and_prints_on_it(capsys):
    words = ["run", "overhead-noop", "--runner", "acme", "--store", "sqlite:///runs.db"]
    assert execute(words) == 0
    printed = capsys.readouterr()
    assert "variant stock, profile smoke, runner acme" in printed.out
    with RunStore.open("sqlite:///runs.db") as store:
        (record,) = store.history("overhead-noop")
    assert (record.runner.requested, record.runner.executed) == ("acme", "acme")
    assert [repeat.runner["site"] for repeat in record.repeats] == ["north", "north"]
    assert record.metrics["throughput_elements"].value == 10.0
    assert execute(["show", record.run_id, "--store", "sqlite:///runs.db"]) == 0
    assert "runner acme" in capsys.readouterr().out


def test_a_dry_run_says_what_the_runner_says(capsys):
    words = ["run", "overhead-noop", "--runner", "acme", "--dry-run", "--json"]
    assert execute(words) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["runner"], document["config"]["repeats"]) == ("acme", 2)
    assert document["job"] == {"jobs": 2}
    assert execute(words[:-1]) == 0
    assert capsys.readouterr().out.endswith("  beam flags: none\n  jobs: 2\n")


def test_python_runs_on_it(tmp_path):
    record = beambench.run("overhead-noop", runner="acme", store=sqlite_url(tmp_path / "runs.db"))
    assert record.runner.executed == "acme"
    assert (record.profile, len(record.repeats)) == ("smoke", 2)
    assert beambench.run("overhead-noop", runner="acme", profile="local").profile == "local"


def test_what_was_measured_on_it_is_not_taken_for_what_it_is_not(capsys):
    words = ["run", "overhead-noop", "--runner", "acme", "--store", "sqlite:///runs.db"]
    assert execute(words) == 0
    with RunStore.open("sqlite:///runs.db") as store:
        (record,) = store.history("overhead-noop")
    capsys.readouterr()
    cluster = ["--region", "us-central1", "--machine-type", "n1-standard-2", "--workers", "2"]
    assert execute(["cost", record.run_id, *cluster, "--store", "sqlite:///runs.db"]) == 2
    assert "ran on acme, which does not say how many processes" in capsys.readouterr().err


def test_a_pipeline_runs_on_a_runner_that_runs_pipelines(tmp_path, capsys):
    (tmp_path / "here" / "mine.py").write_text("def run(argv, test_pipeline): pass\n")
    words = ["run", "--pipeline", "mine:run", "--runner", "acme-pipelines", "--repeats", "1"]
    assert execute([*words, "--store", "sqlite:///runs.db"]) == 0
    with RunStore.open("sqlite:///runs.db") as store:
        (record,) = store.history("mine-run")
    assert (record.runner.requested, record.runner.executed) == ("acme-pipelines", "acme")


def test_its_repeats_may_be_carried_out_in_a_way_of_its_own(capsys):
    words = ["run", "overhead-noop", "--runner", "acme-jobs", "--repeats", "2"]
    words += ["--profile", "smoke", "--store", "sqlite:///runs.db"]
    assert execute(words) == 0
    with RunStore.open("sqlite:///runs.db") as store:
        (record,) = store.history("overhead-noop")
    assert [repeat.usage.vcpu_seconds for repeat in record.repeats] == [120.0, 120.0]
    assert record.repeats[0].beam_metrics["JobSeconds"]["value"] == 3.0
    assert "run_time" not in record.metrics  # nobody says how long they took
    assert record.warnings[-2:] == ["seen by job 1", "seen by job 2"]
    assert "job 2" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("seed", "repeats", "error"),
    [("7", 0, "no job 7"), ("8", 1, "pipeline repeat 1: job 8 fell over")],
)
def test_its_repeats_may_fail(seed, repeats, error):
    words = ["run", "overhead-noop", "--runner", "acme-jobs", "--repeats", "2", "--seed", seed]
    words += ["--profile", "smoke", "--store", "sqlite:///runs.db"]
    assert execute(words) == 3
    with RunStore.open("sqlite:///runs.db") as store:
        (record,) = store.history("overhead-noop")
    assert (record.status, record.error, len(record.repeats)) == ("failed", error, repeats)


def test_doctor_asks_it(capsys):
    assert execute(["doctor", "--store", "sqlite:///runs.db", "--json"]) == 0
    checks = {record["name"]: record for record in json.loads(capsys.readouterr().out)}
    acme, other, broken = (checks[name] for name in ("acme", "acme-pipelines", "acme-broken"))
    assert (acme["kind"], acme["usable"], acme["detail"]) == ("runner", False, "the site is closed")
    assert (other["usable"], other["detail"]) == (True, "installed")
    assert not broken["usable"]
    assert "acme_runners:NOTHING cannot be imported" in broken["detail"]


def test_a_record_of_a_runner_that_cannot_be_had_any_more_is_passed_over():
    assert lookup("acme-broken") is None
    assert lookup("gone") is None
    assert lookup(None) is None


def test_its_flags_are_printed(capsys):
    assert execute(["options", "overhead-noop", "--runner", "acme"]) == 0
    assert capsys.readouterr().out.startswith("--runner=AcmeRunner\n")


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--seed", "13"], "acme: no luck with seed 13"),
        (["--on-stop", "cancel"], "--on-stop goes with --runner dataflow or --attach"),
    ],
)
def test_what_it_cannot_do_is_refused(words, line, capsys):
    assert execute(["run", "overhead-noop", "--runner", "acme", *words]) == 2
    assert line in capsys.readouterr().err


def test_a_pipeline_that_exists_does_not_run_on_it(tmp_path, capsys):
    (tmp_path / "here" / "mine.py").write_text("def run(argv, test_pipeline): pass\n")
    assert execute(["run", "--pipeline", "mine:run", "--runner", "acme"]) == 2
    assert "runner 'acme': --pipeline runs on the direct runner only" in capsys.readouterr().err


def test_names_are_listed_without_an_import():
    own = ["acme", "acme-broken", "acme-other", "acme-pipelines", "acme-jobs"]
    assert runner_names() == ["direct", "dataflow", *own]
    assert "acme_runners" not in sys.modules


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("acme-broken", "acme_runners:NOTHING cannot be imported: AttributeError"),
        ("acme-other", "acme_runners:ACME is no Runner named 'acme-other'"),
        ("acne", "no runner 'acne' (did you mean 'acme'?); there is: direct, dataflow, acme"),
    ],
)
def test_a_runner_that_cannot_be_had_is_named(name, words):
    with pytest.raises(UsageError) as caught:
        find_runner(name)
    assert words in str(caught.value)


def test_a_name_that_is_taken_is_refused(tmp_path, monkeypatch):
    entry = "[beambench.runners]\ndirect = acme_runners:ACME\n"
    folder = install(tmp_path / "more", "acme-direct", entry, {})
    monkeypatch.syspath_prepend(str(folder))
    entry_points.cache_clear()
    with pytest.raises(UsageError, match=r"'direct' is in beambench and in acme-direct 1\.2"):
        find_runner("direct")
