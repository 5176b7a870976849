"""`run --runner dataflow --dry-run`: the template of a job, and what would be made for it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

DRY = ("--runner", "dataflow", "--dry-run", "--profile", "full")
PLACES = ("--", "--project=my-project", "--temp_location=gs://my-bucket/tmp")
MINE = """\
name: mine
title: Mine
workload: own_workload:Own
model: {{name: m, weights: none}}
input: {{type: {kind}, source: {source}}}
cluster: {{machine_type: n2-standard-4, workers: 7, disk_gb: 30}}
profiles:
  full: {{limit: 5, repeats: 1, timeout: 60, slot_seconds: 1}}
"""
WORKLOAD = """\
from beambench.workloads.base import Workload
from beside import label


class Own(Workload):
    input_types = ("numbers", "images")

    def model_handler(self):
        from beambench.workloads.noop_handler import NoopModelHandler

        return NoopModelHandler()

    def postprocess(self, prediction):
        return label(prediction)
"""


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def write(folder: Path, kind: str = "numbers", source: str = "synthetic") -> None:
    """Write a definition with a workload of its own, and what that imports."""
    (folder / "mine.yaml").write_text(MINE.format(kind=kind, source=source))
    (folder / "own_workload.py").write_text(WORKLOAD)
    (folder / "beside.py").write_text("def label(prediction):\n    return 0\n")


@pytest.mark.real
def test_a_job_of_ones_own_workload_is_written_and_said(beambench, folder, cache):
    write(folder)
    answer = beambench("run", "mine.yaml", *DRY, "--json", *PLACES)
    assert (answer.code, answer.err) == (0, "")
    job = answer.document["job"]
    assert job["template"].startswith(str(cache))
    told = json.loads(Path(job["template"]).read_text())
    assert told["environment"]["workerPools"][0]["machineType"] == "n2-standard-4"
    assert (job["job"]["workers"], job["job"]["disk_gb"]) == (7, 30)
    staged = {staged_file["name"].partition("-")[0] for staged_file in job["staged"]}
    assert staged >= {"beambench", "beambench_workload", "requirements.txt", "pipeline.pb"}
    assert all(
        Path(staged_file["place"]).stat().st_size == staged_file["bytes"]
        for staged_file in job["staged"]
    )
    assert job["uploads"] == ["gs://my-bucket/tmp/beambench/beambench-dry-run/ids.txt"]
    assert job["missing"] == []


@pytest.mark.real
def test_what_would_be_made_is_printed_for_people(beambench, folder, cache, monkeypatch):
    monkeypatch.setenv("COLUMNS", "400")
    template = folder / "t" / "mine.json"
    place = f"--template_location={template}"
    write(folder, "images", "packaged")
    answer = beambench("run", "mine.yaml", *DRY, *PLACES, place)
    assert answer.code == 0
    assert template.is_file()
    for words in (
        f"template: {template}",
        "created: 7 × n2-standard-4, autoscaling AUTOSCALING_ALGORITHM_NONE, 30 GB pd-standard",
        "job: JOB_TYPE_BATCH in us-central1 of project my-project",
        "flags: --region=us-central1 --machine_type=n2-standard-4",
        "staged: pipeline.pb, ",
        "before it can be submitted: input packaged: workers cannot read images",
    ):
        assert words in answer.out
    assert not any(cache.glob("**/template.json"))


@pytest.mark.real
def test_what_beam_refuses_is_one_line(beambench, folder, cache):
    write(folder)
    answer = beambench("run", "mine.yaml", *DRY, "--", "--project=Not-A-Project", PLACES[-1])
    assert answer.code == 2
    assert answer.err.count("\n") == 1
    assert "Beam refuses the options of the job: Invalid Project ID (Not-A-Project)" in answer.err
