"""What a job on Dataflow is refused for before anything is started, all of it at once."""

from __future__ import annotations

from typing import Any

import pytest

from beambench.definition.library import Library
from beambench.errors import UsageError
from beambench.request.benchmark import RunRequest, make_request
from beambench.runners.dataflow.request import job_problems

RESNET101 = "pytorch-image-classification-resnet101"
T4 = "pytorch-image-classification-resnet152-t4"
BERT = "pytorch-language-modeling-bert-base"
PLACES = ["--project=my-project", "--temp_location=gs://my-bucket/tmp"]


def ask(name: str = BERT, *flags: str, **options: Any) -> RunRequest:
    return make_request(Library(), name, runner="dataflow", beam_flags=[*PLACES, *flags], **options)


def refusal(name: str = BERT, *flags: str, **options: Any) -> str:
    with pytest.raises(UsageError) as caught:
        ask(name, *flags, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_text_goes_with_the_ids_so_workers_can_read_it():
    assert list(job_problems(ask())) == []


def test_a_gpu_is_the_clusters_not_this_machines():
    assert ask(T4, source="gs://my-bucket/list.txt").runner == "dataflow"


def test_images_of_this_machine_cannot_be_read_elsewhere(tmp_path):
    assert refusal(RESNET101).startswith(f"{RESNET101}: input packaged: workers cannot read images")
    here = tmp_path / "a.jpg"
    here.write_bytes(b"never read")
    (tmp_path / "list.txt").write_text(f"gs://my-bucket/b.jpg\n{here}\n")
    assert "list.txt: workers cannot" in refusal(RESNET101, source=str(tmp_path / "list.txt"))
    assert "workers cannot" in refusal(RESNET101, source=str(tmp_path))
    (tmp_path / "list.txt").write_text("gs://my-bucket/b.jpg\n")
    assert ask(RESNET101, source=str(tmp_path / "list.txt")).source is not None


def test_a_dry_run_says_what_is_missing_and_goes_on():
    request = ask(RESNET101, dry_run=True)
    (problem,) = job_problems(request)
    assert problem.startswith("input packaged: workers cannot read images of this machine")


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        (
            "huggingface-pipeline-minilm",
            {"overrides": ["cluster={machine_type: a, workers: 1, disk_gb: 9}"]},
            "workers cannot read a pipeline's folder",
        ),
        (
            "sklearn-digits",
            {
                "overrides": [
                    "cluster={machine_type: a, workers: 1, disk_gb: 9}",
                    "parameters.models=2",
                    "batching={min_batch_size: null, max_batch_size: null}",
                ]
            },
            "workers get one model from a bucket",
        ),
        (BERT, {"reference": True}, "--reference loop runs on this machine and a job on others"),
        (BERT, {"overrides": ["cluster.processes=2"]}, "cluster.processes 2"),
        (BERT, {"overrides": ["runner.processes=2"]}, "runner.processes is for the direct runner"),
        ("overhead-noop", {}, "overhead-noop has no cluster"),
    ],
)
def test_what_cannot_be_a_job_is_refused(name, options, words):
    assert words in refusal(name, **options)


def test_a_place_for_the_template_goes_with_a_dry_run():
    flag = "--template_location=t.json"
    assert "--template_location after --: it goes with --dry-run" in refusal(BERT, flag)
    assert ask(BERT, flag, dry_run=True).dry_run


def test_flags_of_a_file_that_only_a_cluster_heeds_reach_the_job(tmp_path):
    file = tmp_path / "mine.txt"
    file.write_text("--subnetwork=mine\n--num_workers=9\n--temp_location=gs://of-file/tmp\n")
    request = ask(BERT, options_file=str(file))
    assert request.beam_flags == ["--subnetwork=mine", *PLACES]
    cluster = request.resolved.definition.cluster
    assert cluster is not None
    assert (cluster.workers, cluster.temp_location) == (9, "gs://of-file/tmp")
    assert list(request.warnings) == []
