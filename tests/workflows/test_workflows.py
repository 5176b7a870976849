"""The GitHub Action and workflow: what is written in them, and that their scripts work."""

from __future__ import annotations

import json
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from beambench.record.run_record import MetricValue, RunRecord
from beambench.store.run_store import RunStore
from github_stub import REPOSITORY, TOKEN, github_repository
from published_runs import run_record

ROOT = Path(__file__).parents[2]
ACTION = ROOT / ".github/actions/beambench"
WORKFLOW = ROOT / ".github/workflows/benchmarks.yml"
FILES = [WORKFLOW, ACTION / "action.yml"]
HOSTILE = "x $(touch stolen) `touch stolen`; touch stolen \"' && touch stolen"


def read(path):
    return yaml.safe_load(path.read_text("utf-8"))


def jobs():
    return read(WORKFLOW)["jobs"]


def all_steps():
    steps = [step for job in jobs().values() for step in job["steps"]]
    return steps + read(ACTION / "action.yml")["runs"]["steps"]


def script(name):
    (step,) = (step for step in all_steps() if step.get("name") == name)
    return step["run"]


def test_actionlint_finds_nothing():
    checker = Path(sys.executable).with_name("actionlint")
    if not checker.exists():
        pytest.skip("no actionlint: `make setup-actionlint` builds it")
    done = subprocess.run([checker, WORKFLOW], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_nothing_is_pasted_into_a_shell():
    scripts = [step["run"] for step in all_steps() if "run" in step]

    assert len(scripts) >= 6
    assert [text for text in scripts if "${{" in text] == []
    assert all(step.get("shell") == "bash" for step in all_steps() if "run" in step)


def test_actions_of_others_are_pinned_and_their_version_is_said():
    for path in FILES:
        for line in path.read_text("utf-8").splitlines():
            uses = re.search(r"uses: (.*)", line)
            if uses and not uses[1].startswith("./"):
                assert re.fullmatch(r"actions/[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", uses[1])


def test_jobs_have_the_least_permissions():
    written = {
        name: {key for key, value in job["permissions"].items() if value != "read"}
        for name, job in jobs().items()
    }

    assert read(WORKFLOW)["permissions"] == {}
    assert written == {"plan": set(), "run": set(), "report": {"issues", "pull-requests"}}
    for step in all_steps():
        if "actions/checkout" in step.get("uses", ""):
            assert step["with"]["persist-credentials"] is False


def test_the_workflow_gives_the_action_inputs_that_it_has():
    inputs = set(read(ACTION / "action.yml")["inputs"])
    used = [step for step in all_steps() if step.get("uses", "").endswith("actions/beambench")]

    assert len(used) == len(jobs())
    assert all(set(step.get("with", ())) <= inputs for step in used)
    text = (ACTION / "action.yml").read_text("utf-8")
    assert set(re.findall(r"inputs\.([\w-]+)", text)) == inputs


def test_every_run_is_by_hand_by_time_or_called():
    on = read(WORKFLOW)[True]  # YAML 1.1 takes the key `on` for a truth value

    assert set(on) == {"schedule", "workflow_dispatch", "workflow_call"}


@pytest.fixture
def bash(tmp_path, monkeypatch):
    """Run a script of a step in a folder with a `beambench` that writes down what it is told."""
    fake = tmp_path / "bin/beambench"
    fake.parent.mkdir()
    fake.write_text(
        f"#!{sys.executable}\nimport json, os, sys\n"
        "print(json.dumps(sys.argv[1:]), file=open('told', 'a'))\n"
        "print(os.environ.get('SAYS', ''))\nsys.exit(int(os.environ.get('CODE', 0)))\n"
    )
    fake.chmod(0o755)
    (tmp_path / "bin/python").symlink_to(sys.executable)
    (tmp_path / ".beambench").symlink_to(ROOT)
    monkeypatch.chdir(tmp_path)

    def run(name, **environment):
        path = f"{tmp_path}/bin:/usr/bin:/bin"
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script(name)],
            env={"PATH": path, "GITHUB_OUTPUT": "output", "TMPDIR": str(tmp_path), **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        told = Path("told")
        lines = told.read_text().splitlines() if told.exists() else []
        assert not Path("stolen").exists()
        return done, [json.loads(line) for line in lines]

    return run


def output():
    return dict(line.split("=", 1) for line in Path("output").read_text().splitlines())


def test_a_benchmark_runs_with_its_name_and_settings_as_they_are(bash):
    says = json.dumps({"run_id": "r1", "status": "failed", "benchmark": "b"})
    done, told = bash(
        "Run the benchmark",
        BENCHMARK=HOSTILE,
        PROFILE=HOSTILE,
        REPEATS="6",
        DEFINITIONS=HOSTILE,
        RECORDS="records $(touch stolen)",
        SAYS=says,
        CODE="3",
    )

    assert done.returncode == 3
    ((verb, name, *options),) = told
    assert (verb, name) == ("run", HOSTILE)
    assert {f"--profile={HOSTILE}", f"--definitions={HOSTILE}", "--repeats=6"} <= set(options)
    assert output() == {"run-id": "r1", "status": "failed"}
    record = json.loads(Path("records $(touch stolen)/r1.json").read_text())
    assert record == [json.loads(says)]


def test_a_benchmark_is_no_option(bash):
    done, told = bash("Run the benchmark", BENCHMARK="--help", PROFILE="local")

    assert (done.returncode, told) == (2, [])


@pytest.mark.parametrize(
    ("chosen", "matrix"),
    [("b a b", ["b", "a"]), ("all", ["a", "b"]), ("a nope", None), ("", None), (HOSTILE, None)],
)
def test_the_matrix_is_made_of_what_is_listed(bash, chosen, matrix):
    listed = json.dumps([{"name": "a"}, {"name": "b"}])
    done, told = bash("Choose benchmarks", CHOSEN=chosen, DEFINITIONS="d", SAYS=listed)

    assert told == [["list", "--json", "--definitions=d"]]
    assert (done.returncode == 0) == (matrix is not None)
    if matrix is not None:
        assert json.loads(output()["benchmarks"]) == matrix
    else:
        assert "::error::no benchmark" in done.stderr


@pytest.mark.parametrize("is_default", ["true", "false"])
def test_issues_are_kept_for_the_default_branch_alone(bash, is_default):
    done, told = bash(
        "Look for alarms", STORE="s", IS_DEFAULT=is_default, GITHUB_REPOSITORY="a/b", CODE="1"
    )

    assert done.returncode == 0
    assert told == [["alarms", "--store=s", *["--github=a/b"] * (is_default == "true")]]
    assert output() == {"code": "1"}
    done, _ = bash("Fail where an alarm is open", CODE="1")
    assert done.returncode == 1


def run_script(name):
    """Run a script of the action in this process; return its exit code."""
    try:
        runpy.run_path(str(ACTION / name), run_name="__main__")
    except SystemExit as end:
        return end.code
    return 0


@pytest.fixture
def arrived(tmp_path, monkeypatch, capsys):
    """Bring records into a store; return exit code, ids of new runs, and what was said."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STORE", "sqlite:///runs.db")
    monkeypatch.setenv("RECORDS", "records")
    monkeypatch.setenv("GITHUB_OUTPUT", "output")
    (tmp_path / "records").mkdir()

    def run(benchmarks, *records):
        monkeypatch.setenv("BENCHMARKS", json.dumps(benchmarks))
        Path("output").write_text("")
        for record in records:
            content = json.dumps([record.model_dump(mode="json")])
            Path("records", f"{record.run_id}.json").write_text(content)
        code = run_script("arrived.py")
        return code, output()["runs"].split(), capsys.readouterr().out

    return run


def test_new_runs_that_succeeded_have_arrived(arrived):
    first, second = run_record(1), run_record(2)

    assert arrived([first.benchmark], first)[:2] == (0, [first.run_id])
    assert arrived([first.benchmark], second)[:2] == (0, [second.run_id])
    with RunStore.open("sqlite:///runs.db") as runs:
        assert len(runs.history(first.benchmark)) == 2


def test_runs_that_are_missing_old_or_failed_are_told(arrived):
    run = run_record(1)

    assert arrived(["b"]) == (1, [], "::error::b: no new run arrived\n")
    arrived([run.benchmark], run)
    code, new, said = arrived([run.benchmark])
    assert (code, new) == (1, [])
    assert f"::error::{run.benchmark}: no new run arrived" in said
    failed = run_record(2).model_copy(update={"status": "timed_out"})
    code, new, said = arrived([run.benchmark], failed)
    assert (code, new) == (1, [failed.run_id])
    assert f"::error::{run.benchmark}: run {failed.run_id} timed out" in said


@pytest.fixture
def gate(tmp_path, monkeypatch, capsys):
    """Check a benchmark whose runs had these rates; return exit code, output and gate.md."""
    monkeypatch.chdir(tmp_path)
    runs: list[RunRecord] = []
    for name, value in {
        "STORE": "sqlite:///runs.db",
        "BASELINE": "main",
        "MAX_SLOWDOWN": "5%",
        "GITHUB_OUTPUT": "output",
        "BENCHMARKS": json.dumps(["overhead-noop"]),
    }.items():
        monkeypatch.setenv(name, value)

    def check(*rates, gate="fail", renew="false", **changes):
        monkeypatch.setenv("GATE", gate)
        monkeypatch.setenv("RENEW", renew)
        with RunStore.open("sqlite:///runs.db") as store:
            for rate in rates:
                metric = {"value": rate, "unit": "1/s", "direction": "higher", "n": 6}
                run = run_record(len(runs) + 1).model_copy(
                    update={
                        "benchmark": "overhead-noop",
                        "metrics": {"throughput_elements": MetricValue.model_validate(metric)},
                        **changes,
                    }
                )
                store.add(run)
                runs.append(run)
        monkeypatch.setenv("RUNS", " ".join(run.run_id for run in runs[-1:]))
        Path("output").write_text("")
        code = run_script("gate.py")
        said = Path("gate.md").read_text() if Path("gate.md").exists() else ""
        return code, dict(output()), said, capsys.readouterr()

    return check


def test_the_default_branch_makes_the_baseline_that_a_branch_is_checked_against(gate):
    code, out, said, _ = gate(100.0, 101.0, 99.5, 100.5, 100.2, renew="true")
    assert (code, out, said) == (0, {"code": "0"}, "- overhead-noop: no baseline yet\n")
    with RunStore.open("sqlite:///runs.db") as store:
        baseline = store.baselines.get("main-overhead-noop")
    assert baseline is not None
    assert len(baseline.run_ids) == 5

    code, out, said, _ = gate(100.1)
    assert (code, out["code"]) == (0, "0")
    assert "passed" in said
    code, out, said, _ = gate(70.0)
    assert (code, out["code"]) == (0, "1")
    assert "failed" in said
    assert gate(gate="report-only")[1]["code"] == "0"


def test_a_branch_leaves_the_baseline_as_it_is_and_too_few_runs_make_none(gate):
    gate(100.0, 101.0, renew="true")
    with RunStore.open("sqlite:///runs.db") as store:
        assert store.baselines.get("main-overhead-noop") is None
    gate(99.0, 100.0)
    with RunStore.open("sqlite:///runs.db") as store:
        assert store.baselines.get("main-overhead-noop") is None


def test_a_run_that_cannot_be_compared_fails_a_strict_gate_alone(gate):
    gate(100.0, 101.0, 99.5, 100.5, 100.2, renew="true")
    for mode, expected in (("report-only", "0"), ("fail", "0"), ("strict", "4")):
        code, out, said, _ = gate(50.0, gate=mode, profile="full")
        assert (code, out["code"]) == (0, expected)
        assert said.startswith("- overhead-noop: not compared: ")
        assert "profile" in said


def test_the_store_is_kept_once_it_has_its_baselines():
    names = [step.get("name", "") for step in jobs()["report"]["steps"]]
    assert names.index("Check against the baselines") < names.index(
        "Keep the store, with its baselines"
    )
    assert len([step for step in all_steps() if "cache/save" in step.get("uses", "")]) == 1


def test_a_gate_that_is_none_is_refused(gate):
    code, _, _, _ = gate(100.0, gate="often")
    assert code == "::error::gate 'often': write report-only, fail, strict"


@pytest.fixture
def comment(tmp_path, monkeypatch):
    """Comment on the pull request of a branch; return exit code and the stand-in for GitHub."""
    monkeypatch.chdir(tmp_path)
    with github_repository() as stub:
        for name, value in {
            "REPORT": "report.md",
            "ALARMS": "alarms.txt",
            "GITHUB_REPOSITORY": REPOSITORY,
            "GITHUB_REF_NAME": "faster",
            "GITHUB_TOKEN": TOKEN,
            "GITHUB_API_URL": stub.url,
        }.items():
            monkeypatch.setenv(name, value)
        Path("alarms.txt").write_text("an alarm\n```\n")

        def run(report):
            Path("report.md").write_text(report)
            return run_script("comment.py")

        yield run, stub


def test_a_pull_request_has_one_comment_that_is_written_anew(comment):
    run, stub = comment
    stub.file("a human's text")
    stub.pulls["faster"] = 1
    stub.comments[1] = [{"id": 1, "body": "a human's"}]

    assert run("| first |\n") == 0
    assert run("| second |\n") == 0

    human, ours = stub.comments[1]
    assert human["body"] == "a human's"
    assert "| second |" in ours["body"]
    assert "````text\nan alarm\n```\n````" in ours["body"]


def test_a_branch_without_a_pull_request_gets_no_comment(comment):
    run, stub = comment

    assert run("text") == 0
    assert stub.writes == []


def test_a_comment_is_not_too_long_and_a_refusal_is_a_line(comment):
    run, stub = comment
    stub.file("a human's text")
    stub.pulls["faster"] = 1

    assert run("x" * 100_000) == 0
    assert "is too long for a comment" in stub.comments[1][0]["body"]
    stub.faults["pulls"] = [403]
    assert str(run("text")).startswith("::error::acme/bench: ")


@pytest.mark.real
def test_the_steps_of_the_workflow_work_together(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".beambench").symlink_to(ROOT)
    Path("beambench-store").mkdir()

    def step(name, **environment):
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script(name)],
            env={
                "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
                "HOME": str(tmp_path),
                "TMPDIR": str(tmp_path),
                "GITHUB_OUTPUT": "output",
                "GITHUB_STEP_SUMMARY": "summary.md",
                "STORE": "sqlite:///beambench-store/runs.db",
                **environment,
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    with github_repository() as stub:
        token = {
            "GITHUB_API_URL": stub.url,
            "GITHUB_REPOSITORY": REPOSITORY,
            "GITHUB_TOKEN": TOKEN,
        }
        stub.file("a human's text")
        stub.pulls["faster"] = 1
        step("Choose benchmarks", CHOSEN="overhead-noop", DEFINITIONS="")
        run = {"BENCHMARK": "overhead-noop", "PROFILE": "smoke", "REPEATS": "1", "DEFINITIONS": ""}
        step("Run the benchmark", **run, RECORDS="beambench-records")
        chosen = output()["benchmarks"]
        step("See that new runs arrived", BENCHMARKS=chosen, RECORDS="beambench-records")
        runs = output()["runs"]
        step("Look for alarms", **token, IS_DEFAULT="true")
        files = {"RUNS": runs, "REPORT": "report.md", "ALARMS": "alarms.txt"}
        step("Report", **token, **files, GITHUB_REF_NAME="faster")

    assert runs == output()["run-id"]
    (ours,) = stub.comments[1]
    assert f"run {runs}" in ours["body"]
    assert "1 benchmark watched, 0 alarms" in ours["body"]
    assert "| throughput\\_elements |" in Path("summary.md").read_text()
