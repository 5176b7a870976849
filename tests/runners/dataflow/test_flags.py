"""The flags of a job: the cluster's, the user's before them, and all that is missing at once."""

from __future__ import annotations

from typing import Any

import pytest

from beambench.definition.library import Library
from beambench.definition.options_file.flags import flags_of
from beambench.definition.schema import Definition
from beambench.errors import UsageError
from beambench.runners.dataflow.flags import job_settings
from tiny_workloads import definition

CLUSTER: dict[str, Any] = {"machine_type": "n1-standard-2", "workers": 3, "disk_gb": 50}
PLACES = {"project": "my-project", "temp_location": "gs://my-bucket/tmp"}
DISK = "compute.googleapis.com/projects//zones//diskTypes/pd-standard"
T4 = "worker_accelerator=type:nvidia-tesla-t4;count:1;install-nvidia-driver"
ACCELERATOR = {"type": "nvidia-tesla-t4"}


def defined(**cluster: Any) -> Definition:
    return definition(cluster=CLUSTER | PLACES | cluster)


def flags(*given: str, **cluster: Any) -> list[str]:
    return job_settings(defined(**cluster), given, {}).flags


def refusal(*given: str, job: Definition | None = None) -> str:
    with pytest.raises(UsageError) as caught:
        job_settings(job or defined(), given, {})
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_definition_says_all():
    settings = job_settings(defined(), [], {})
    assert settings.flags == [
        "--project=my-project",
        "--region=us-central1",
        "--temp_location=gs://my-bucket/tmp",
        "--machine_type=n1-standard-2",
        "--num_workers=3",
        "--disk_size_gb=50",
        f"--disk_type={DISK}",
        "--autoscaling_algorithm=NONE",
    ]
    assert (settings.project, settings.region) == ("my-project", "us-central1")
    assert settings.folder == "gs://my-bucket/tmp/beambench"


@pytest.mark.parametrize(
    ("cluster", "flag"),
    [
        ({"max_workers": 9}, "--max_num_workers=9"),
        ({"accelerator": ACCELERATOR}, f"--dataflow_service_options={T4}"),
        (
            {"accelerator": ACCELERATOR | {"driver": "5xx"}},
            f"--dataflow_service_options={T4}:5xx",
        ),
        (
            {"accelerator": ACCELERATOR | {"driver": False, "count": 2}},
            "--dataflow_service_options=worker_accelerator=type:nvidia-tesla-t4;count:2",
        ),
        ({"processes": 1}, "--experiments=no_use_multiple_sdk_containers"),
        ({"spot": True, "autoscaling": "throughput_based"}, "--flexrs_goal=COST_OPTIMIZED"),
        ({"container_image": "r/i:1"}, "--sdk_container_image=r/i:1"),
        ({"container_image": "r/i:1"}, "--sdk_location=container"),
        ({"experiments": ["one=1,2"]}, "--experiments=one=1,2"),
        ({"service_options": ["two"]}, "--dataflow_service_options=two"),
        ({"staging_location": "gs://other-bucket/s"}, "--staging_location=gs://other-bucket/s"),
    ],
)
def test_a_key_of_the_cluster_is_a_flag(cluster, flag):
    assert flag in flags(**cluster)
    assert flag not in flags()


WITH_CLUSTER = [
    benchmark.name for benchmark in Library().unprofiled() if benchmark.cluster is not None
]


@pytest.mark.parametrize("name", WITH_CLUSTER)
def test_options_prints_the_same(name):
    resolved = Library().resolve(name).definition
    given = [f"--{key}={value}" for key, value in PLACES.items()]
    own = [flag for flag in job_settings(resolved, given, {}).flags if flag not in given]
    printed = flags_of(resolved, "dataflow", None)
    assert [flag for flag in printed if flag in own] == own
    assert len(own) >= 5


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["--num_workers=7"], "--num_workers=7 after --: the definition says cluster.workers"),
        (["--num_workers", "7"], "--set cluster.workers=…"),
        (["--worker_machine_type=n2-standard-4"], "cluster.machine_type"),
        (["--region=europe-west4"], "cluster.region"),
        (["--max_num_workers=9"], "cluster.max_workers"),
        (["--disk_size_gb=99"], "cluster.disk_gb"),
        (["--disk_type=pd-ssd"], "cluster.disk_type"),
        (["--autoscaling_algorithm=THROUGHPUT_BASED"], "cluster.autoscaling"),
        (["--flexrs_goal=SPEED_OPTIMIZED"], "cluster.spot"),
        (["--sdk_container_image=mine"], "cluster.container_image"),
        (["--experiments=no_use_multiple_sdk_containers"], "cluster.processes"),
        (["--dataflow_service_options=worker_accelerator=type:nvidia-l4"], "cluster.accelerator"),
        (["--experiments=worker_accelerator=type:nvidia-l4;count:1"], "cluster.accelerator"),
        (["--experiments=one,no_use_multiple_sdk_containers"], "cluster.processes"),
        (["--dataflow_service_options=a, worker_accelerator=type:x"], "cluster.accelerator"),
        (["--worker_region=europe-west4"], "cluster.region"),
        (["--worker_zone=europe-west4-a"], "cluster.region"),
        (["--zone", "us-central2-b"], "cluster.region"),
        (["--worker_harness_container_image=mine"], "cluster.container_image"),
    ],
)
def test_a_flag_does_not_make_the_cluster_another_one(given, words):
    assert words in refusal(*given)


def test_a_flag_that_says_what_the_definition_says_is_no_matter():
    settings = flags("--num_workers=3", "--region=us-central1")
    assert [flag for flag in settings if "num_workers" in flag] == ["--num_workers=3"]


@pytest.mark.parametrize("flag", ["--worker_region=us-central1", "--worker_zone=us-central1-a"])
def test_a_place_within_the_definitions_region_can_be_chosen(flag):
    assert flag in flags(flag)


def test_experiments_add_up():
    settings = flags("--experiment=mine", experiments=["own"])
    assert {"--experiments=mine", "--experiments=own"} <= set(settings)


def test_the_project_of_the_environment_is_the_last_choice():
    bare = definition(cluster=CLUSTER | {"temp_location": "gs://my-bucket/tmp"})
    known = {"GOOGLE_CLOUD_PROJECT": "from-environment"}
    assert job_settings(bare, [], known).project == "from-environment"
    assert job_settings(bare, ["--project=mine"], known).project == "mine"
    assert job_settings(defined(), [], known).project == "my-project"


def test_all_that_is_missing_is_named_at_once():
    assert refusal(job=definition(cluster=CLUSTER)) == (
        "tiny: a Dataflow job needs --project, --temp_location (or GOOGLE_CLOUD_PROJECT): give "
        "them after --, or set cluster.project, cluster.temp_location"
    )


@pytest.mark.parametrize(
    ("job", "words"),
    [
        (definition(), "tiny has no cluster"),
        (defined(processes=4), "cluster.processes 4: Dataflow starts one process for each vCPU"),
        (defined(spot=True), "set cluster.autoscaling=throughput_based"),
        (defined(spot=True, accelerator=ACCELERATOR), "does not go with an accelerator"),
        (
            definition(cluster=CLUSTER | PLACES | {"spot": True}, scenario="streaming"),
            "does not go with a streaming job",
        ),
        (
            definition(
                cluster=CLUSTER | PLACES,
                model={"name": "tiny", "weights": "none", "device": "gpu"},
            ),
            "model.device gpu: the cluster has no accelerator",
        ),
    ],
)
def test_what_dataflow_does_not_do_is_refused(job, words):
    assert words in refusal(job=job)


@pytest.mark.parametrize(
    ("flag", "words"),
    [
        ("--job_name=mine", "--job_name after --: beambench names its jobs"),
        ("--labels=a=b", "--labels after --"),
        ("--streaming", "the definition's scenario says so"),
        ("--temp_location=/tmp/here", "'/tmp/here': expected gs://BUCKET/FOLDER"),
        ("--staging_location=bucket", "'bucket': expected gs://BUCKET/FOLDER"),
        ("--temp_location=gs://my-bucket", "expected gs://BUCKET/FOLDER"),
        ("--temp_location=gs://b/t", "3 to 63 small letters"),
        ("word", "'word' after --: expected --flag=value"),
    ],
)
def test_a_flag_that_is_no_users_or_wrong_is_refused(flag, words):
    assert words in refusal(flag)
