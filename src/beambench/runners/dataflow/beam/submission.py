"""Google Cloud Dataflow: a job built, and submitted or written as a template, by Beam's own runner.

Nobody waits here: a job is followed from outside (`beambench.runners.dataflow.service`).
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import apache_beam as beam
from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import (
    GoogleCloudOptions,
    PipelineOptions,
    TestOptions,
)

from beambench.credentials.google import LOG_IN, VARIABLE, NoCredentialsError, application_default
from beambench.definition.options_file.names import FOLDER
from beambench.errors import RunError, UsageError
from beambench.inputs import files
from beambench.instrumentation.versions import version_flag
from beambench.runners.dataflow.flags import JobSettings
from beambench.runners.dataflow.plans import JobPlan, TemplatePlan
from beambench.runners.dataflow.service.client import JobPlace
from beambench.workloads.base import Workload
from beambench.workloads.pipeline.assembly import batch_parts, build
from beambench.workloads.pipeline.options import parse_flags
from beambench.workloads.pipeline.outputs import Outputs

LABEL = re.compile(r"[^a-z0-9_-]")
LONGEST_LABEL = 63


def options_of(
    plan: JobPlan, settings: JobSettings, wheels: Sequence[Path], requirements: Path | None
) -> PipelineOptions:
    """Return all that Beam is told of a job.

    The requirements are not downloaded here, as Beam would have it: each worker installs them.

    Raises:
        UsageError: a flag that Beam does not know, or that chooses a runner.
    """
    # All that is unpickled there can be imported there: no session is needed.
    flags = ["--no_save_main_session", *settings.flags, version_flag()]
    if settings.value("sdk_container_image") is None:
        flags += [f"--extra_package={wheel}" for wheel in wheels]
        if requirements is not None and settings.value("requirements_file") is None:
            flags += [f"--requirements_file={requirements}"]
            flags += [] if settings.value("requirements_cache") else ["--requirements_cache=skip"]
    flags += [f"--labels={label}" for label in labels_of(plan)]
    flags += [f"--{FOLDER}={plan.folder}", f"--job_name={plan.job_name}"]
    flags += ["--streaming"] if plan.definition.scenario == "streaming" else []
    return parse_flags(flags)


def labels_of(plan: JobPlan) -> list[str]:
    """Return what a run is named by as labels of its job: lower case, at most 63 characters."""
    known = {
        "benchmark": plan.definition.name,
        "variant": plan.variant,
        "profile": plan.profile,
    }
    return [
        f"beambench-{key}={LABEL.sub('-', str(known[key]).lower())[:LONGEST_LABEL]}"
        for key in ("benchmark", "variant", "profile")
        if known.get(key)
    ]


def built(workload: Workload, plan: JobPlan, options: PipelineOptions) -> tuple[beam.Pipeline, Any]:
    """Return the pipeline of a job and its runner.

    It is run with `test_runner_api=False`: a round trip would check and copy the options again.

    Raises:
        UsageError: Beam's part for Google Cloud is not installed, or an option cannot be right.
    """
    from apache_beam.runners.dataflow.dataflow_runner import DataflowRunner

    runner = DataflowRunner()
    try:
        pipeline = beam.Pipeline(runner=runner, options=options)
    except ValueError as error:  # all that Beam finds wrong with the options
        text = " ".join(str(error).removeprefix("Pipeline has validations errors:").split())
        raise UsageError(f"Beam refuses the options of the job: {text}") from None
    parts = batch_parts(plan, Outputs.within(plan.folder), plan.folder)
    build(pipeline, workload, plan, parts)
    return pipeline, runner


def submit(workload: Workload, plan: JobPlan, options: PipelineOptions) -> dict[str, Any]:
    """Submit a job; return its id and what it was given.

    Raises:
        RunError: the service refuses the job, or its files cannot be written, or nobody knows.
    """
    unsure = (
        f"it is not known whether there is a job {plan.job_name}: look at the console of Dataflow"
    )
    with refusals(f"Dataflow has no job {plan.job_name}", unsure):
        pipeline, runner = built(workload, plan, options)
        result = pipeline.run(test_runner_api=False)
        cloud = pipeline.options.view_as(GoogleCloudOptions)
        staged = staged_files(runner.proto_pipeline, cloud)
    place = JobPlace(cloud.project, cloud.region, result.job_id())
    return {"job_id": place.job_id, "console_url": place.console_url, "staged": staged}


def write_template(
    workload: Workload, plan: TemplatePlan, options: PipelineOptions
) -> dict[str, Any]:
    """Write a job's template as Beam does; return what it says and what would be staged.

    A template on this machine has its files beside it, and needs neither network nor credentials.

    Raises:
        RunError: a place in a bucket cannot be written.
    """
    template = plan.template_path
    here = not files.is_address(template)
    with refusals(f"no template {template}"):
        if here:
            Path(template).parent.mkdir(parents=True, exist_ok=True)
            options.view_as(GoogleCloudOptions).no_auth = True
            options.view_as(TestOptions).dry_run = True  # else Beam looks at the buckets
        pipeline, runner = built(workload, plan, options)
        cloud = pipeline.options.view_as(GoogleCloudOptions)
        if here:
            pipeline.options.view_as(TestOptions).dry_run = False  # else it writes nothing
            cloud.staging_location = str(Path(template).parent)
        cloud.template_location = template
        pipeline.run(test_runner_api=False)
        staged = staged_files(runner.proto_pipeline, cloud)
    return {"template": template, "job": read_template(template), "staged": staged}


def read_template(path: str) -> dict[str, Any]:
    """Return what a template creates: machines, disks, accelerators, region and flags."""
    job = json.loads(files.read_bytes(path))
    environment = job["environment"]
    (pool,) = environment["workerPools"]
    flags = environment["sdkPipelineOptions"]["options"]
    return {
        "name": job["name"],
        "type": job["type"],
        "labels": job.get("labels", {}),
        "project": flags["project"],
        "region": flags["region"],
        "machine_type": pool.get("machineType"),
        "workers": pool.get("numWorkers"),
        "max_workers": pool.get("autoscalingSettings", {}).get("maxNumWorkers"),
        "autoscaling": pool.get("autoscalingSettings", {}).get("algorithm"),
        "disk_gb": pool.get("diskSizeGb"),
        "disk_type": pool.get("diskType"),
        "container_image": pool.get("workerHarnessContainerImage"),
        "experiments": environment.get("experiments", []),
        "service_options": environment.get("serviceOptions", []),
        "flexrs": environment.get("flexResourceSchedulingGoal"),
        "temp_location": flags["temp_location"],
        "staging_location": flags["staging_location"],
    }


def staged_files(pipeline: Any, cloud: GoogleCloudOptions) -> list[dict[str, Any]]:
    """Return name, size in bytes and place of each file that the workers get."""
    from apache_beam.portability import common_urns
    from apache_beam.portability.api import beam_runner_api_pb2 as protos
    from apache_beam.runners.internal.names import STAGED_PIPELINE_FILENAME

    places: dict[str, str] = {}
    for environment in pipeline.components.environments.values():
        for dependency in environment.dependencies:
            role = protos.ArtifactStagingToRolePayload.FromString(dependency.role_payload)
            if dependency.type_urn == common_urns.artifact_types.URL.urn:
                place = protos.ArtifactUrlPayload.FromString(dependency.type_payload).url
            else:
                place = protos.ArtifactFilePayload.FromString(dependency.type_payload).path
            places[role.staged_name] = place
    places[STAGED_PIPELINE_FILENAME] = FileSystems.join(
        cloud.staging_location, STAGED_PIPELINE_FILENAME
    )
    return [{"name": name, "bytes": _size(place), "place": place} for name, place in places.items()]


def _size(path: str) -> int:
    if not files.is_address(path):
        return Path(path).stat().st_size
    return int(FileSystems.match([path])[0].metadata_list[0].size_in_bytes)


def check_cloud(*, credentials: bool) -> None:
    """Check that jobs can be built here, and that somebody is known to submit them.

    Raises:
        UsageError: Beam's part for Google Cloud is not installed.
        RunError: there are no credentials. Beam itself would look for them for a minute.
    """
    try:
        import google.auth
        import google.cloud.dataflow
        import google.cloud.storage  # noqa: F401 - to see that they are there
    except ImportError as error:
        raise UsageError(
            f"{error.name} is missing in {sys.executable}, which --runner dataflow needs: "
            "pip install 'beambench[gcp]' there"
        ) from None
    if not credentials:
        return
    try:
        application_default()
    except NoCredentialsError:
        raise RunError(
            f"no Google credentials: run `{LOG_IN}`, or set {VARIABLE} to a key file"
        ) from None


@contextlib.contextmanager
def refusals(failure: str, unsure: str | None = None) -> Iterator[None]:
    """Say in one line what the service or a bucket refused.

    Args:
        failure: what was not done.
        unsure: said in its place where no answer came, so that it may be done all the same.

    Raises:
        RunError: in place of what Beam and its clients raise.
    """
    from apache_beam.runners.dataflow.internal.apiclient import DataflowJobAlreadyExistsError
    from google.api_core.exceptions import GoogleAPICallError, RetryError
    from google.auth.exceptions import GoogleAuthError
    from google.cloud.storage.exceptions import InvalidResponse
    from requests import RequestException

    try:
        yield
    except GoogleAPICallError as error:
        status = f"{error.code.value} {error.code.name}" if error.code else type(error).__name__
        raise RunError(f"{failure}: {status}: {_line(error.message or error)}") from error
    except InvalidResponse as error:
        raise RunError(f"{failure}: the bucket answers {error.response.status_code}") from error
    except (DataflowJobAlreadyExistsError, GoogleAuthError) as error:
        raise RunError(f"{failure}: {_line(error)}") from error
    except (RequestException, RetryError) as error:  # the first is an OSError, but of no file
        raise RunError(f"{unsure or failure}: no answer: {_line(error)}") from error
    except OSError as error:
        where = f"{error.filename}: {error.strerror}" if error.strerror else _line(error)
        raise RunError(f"{failure}: {where}") from error


def _line(error: Exception | str) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]


def upload(source: Path, target: str, *, unless_there: bool = False) -> None:
    """Copy a file of this machine to an address.

    Args:
        source: the file.
        target: a path or an address.
        unless_there: do nothing if a file of the same size is there.
    """
    if unless_there and FileSystems.exists(target) and _size(target) == os.path.getsize(source):  # noqa: PTH202
        return
    with FileSystems.create(target, compression_type=CompressionTypes.UNCOMPRESSED) as written:
        for chunk in files.chunks(str(source)):
            written.write(chunk)


def write(target: str, content: bytes) -> None:
    """Write a small file to an address."""
    with FileSystems.create(target, compression_type=CompressionTypes.UNCOMPRESSED) as written:
        written.write(content)
