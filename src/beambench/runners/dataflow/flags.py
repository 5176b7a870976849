"""What a job is told: the flags of its definition's cluster, and the user's.

The shape of the cluster is the definition's to say, because results are kept, compared and priced
under it; where the job's files lie, the user's flags say before it.

`beambench options NAME --runner dataflow` prints the same flags.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from beambench.definition.beam_flags import BeamFlags, NamedValue
from beambench.definition.options_file.flags import cluster_values
from beambench.definition.options_file.names import ACCELERATOR, ONE_PROCESS, REPEATABLE
from beambench.definition.schema import Cluster, Definition
from beambench.errors import UsageError

PROJECT = "GOOGLE_CLOUD_PROJECT"
"""Environment variable: the project of a job that neither flag nor definition names."""

ALIASES = {
    "worker_machine_type": "machine_type",
    "worker_disk_type": "disk_type",
    "experiment": "experiments",
    "dataflow_service_option": "dataflow_service_options",
    "label": "labels",
    "extra_packages": "extra_package",
    "worker_harness_container_image": "sdk_container_image",
}
OURS = {
    "job_name": "beambench names its jobs",
    "labels": "beambench labels its jobs; give yours with its own --label",
    "update": "a benchmark is a job of its own",
    "streaming": "the definition's scenario says so",
    "dataflow_job_file": "--dry-run writes the job's template",
    "dry_run": "use beambench's own --dry-run",
}
"""Flags that are no user's to give, and why."""

SHAPE = {
    "region": "region",
    "worker_region": "region",
    "machine_type": "machine_type",
    "num_workers": "workers",
    "max_num_workers": "max_workers",
    "disk_size_gb": "disk_gb",
    "disk_type": "disk_type",
    "autoscaling_algorithm": "autoscaling",
    "flexrs_goal": "spot",
    "sdk_container_image": "container_image",
}
"""Flags that say what a key of the definition's cluster says, and that key."""

ZONES = ("worker_zone", "zone")
"""Flags that name a zone; its region is said by its name."""

TEMPLATE = "template_location"
FOLDER = "beambench"
"""Folder below temp_location for all that jobs of beambench read and write."""

# Without a folder Beam asks the service for the bucket, and goes on asking where there is none.
_BUCKET = re.compile(r"gs://[a-z0-9][a-z0-9._-]{1,221}[a-z0-9]/[^/].*")


@dataclass(frozen=True)
class JobSettings:
    """A job, resolved.

    Attributes:
        temp_location: gs:// folder without a slash at the end.
        flags: all that Beam is told, the places among it, each as one word.
        template_location: where the user wants the template of a dry run.
    """

    project: str
    region: str
    temp_location: str
    flags: list[str]
    template_location: str | None = None

    @property
    def folder(self) -> str:
        return f"{self.temp_location}/{FOLDER}"

    def value(self, name: str) -> str | None:
        """Return the value of a flag that stands once."""
        return next((value for known, value in _named(self.flags) if known == name), None)


def job_settings(
    definition: Definition,
    beam_flags: Sequence[str],
    environment: Mapping[str, str] = os.environ,
) -> JobSettings:
    """Return the flags of a job: the cluster's, without those that the user gives otherwise.

    Raises:
        UsageError: what is missing, all of it, or cannot be asked of Dataflow.
    """
    name, cluster = definition.name, definition.cluster
    if cluster is None:
        raise UsageError(
            f"{name} has no cluster, which --runner dataflow needs: set cluster.machine_type, "
            "cluster.workers and cluster.disk_gb"
        )
    given = _named(beam_flags)
    for flag, reason in OURS.items():
        if any(known.name == flag for known in given):
            raise UsageError(f"--{flag} after --: {reason}")
    _check_shape(cluster, given)
    template = _last(given, TEMPLATE)
    flags = [*_own_flags(cluster, given), *(flag for flag in given if flag.name != TEMPLATE)]
    if not _last(flags, "project") and environment.get(PROJECT):
        flags.insert(0, NamedValue("project", environment[PROJECT]))
    missing = [key for key in ("project", "region", "temp_location") if not _last(flags, key)]
    if missing:
        needed = ", ".join(f"--{key}" for key in missing)
        hint = f" (or {PROJECT})" if "project" in missing else ""
        raise UsageError(
            f"{name}: a Dataflow job needs {needed}{hint}: give them after --, or set "
            + ", ".join(f"cluster.{key}" for key in missing)
        )
    for place in ("temp_location", "staging_location"):
        address = _last(flags, place)
        if address is not None and not _BUCKET.fullmatch(address):
            raise UsageError(
                f"--{place} {address!r}: expected gs://BUCKET/FOLDER, the bucket by its name of 3 "
                "to 63 small letters, digits, hyphens, underscores and dots"
            )
    _check(definition, cluster, flags)
    return JobSettings(
        project=str(_last(flags, "project")),
        region=str(_last(flags, "region")),
        temp_location=str(_last(flags, "temp_location")).rstrip("/"),
        flags=[str(flag) for flag in flags],
        template_location=template,
    )


def _own_flags(cluster: Cluster, given: Sequence[NamedValue]) -> Iterator[NamedValue]:
    """Yield the cluster's flags that the user does not give."""
    names = {name for name, _ in given}
    has_accelerator = _names_accelerator(given)
    for name, value in cluster_values(cluster):
        if value is None or (name not in REPEATABLE and name in names):
            continue
        text = str(value)
        if not (_is_accelerator(text) and has_accelerator) and (name, text) not in given:
            yield NamedValue(name, text)


def _check_shape(cluster: Cluster, given: Sequence[NamedValue]) -> None:
    """Refuse a flag that makes the cluster another one than the definition's."""
    own = cluster_values(cluster)
    said = {**dict(own), "worker_region": cluster.region}
    for name, value in _parts(given):
        key = SHAPE.get(name)
        same = key is None or str(said.get(name)) == value
        if _is_accelerator(value):
            key, same = "accelerator", (name, value) in own
        elif (name, value) == ("experiments", ONE_PROCESS):
            key, same = "processes", cluster.processes == 1
        elif name in ZONES:
            key, same = "region", str(value).startswith(f"{cluster.region}-")
        if not same:
            raise UsageError(
                f"{NamedValue(name, value)} after --: the definition says cluster.{key}, and "
                f"results are kept under it: change it with --set cluster.{key}=…"
            )


def _parts(flags: Sequence[NamedValue]) -> Iterator[NamedValue]:
    """Yield flags one value each: Beam takes a comma between experiments for two of them."""
    for name, value in flags:
        if name in REPEATABLE and value is not None:
            yield from (NamedValue(name, part.strip()) for part in value.split(","))
        else:
            yield NamedValue(name, value)


def _names_accelerator(flags: Sequence[NamedValue]) -> bool:
    return any(_is_accelerator(value) for _, value in _parts(flags))


def _is_accelerator(value: str | None) -> bool:
    return value is not None and value.startswith(f"{ACCELERATOR}=")


def _named(words: Sequence[str]) -> list[NamedValue]:
    """Return the flags, each under the name that says the same in all of its forms."""
    flags = BeamFlags(words)
    stray = flags.stray_word()
    if stray is not None:
        raise UsageError(f"{stray!r} after --: expected --flag=value")
    return [NamedValue(ALIASES.get(name, name), value) for name, value in flags]


def _last(flags: Sequence[NamedValue], name: str) -> str | None:
    return next((value for known, value in reversed(flags) if known == name), None)


def _check(definition: Definition, cluster: Cluster, flags: Sequence[NamedValue]) -> None:
    """Check what Dataflow documents that it does not do."""
    name = definition.name
    if cluster.processes not in (None, 1):
        raise UsageError(
            f"{name}: cluster.processes {cluster.processes}: Dataflow starts one process for each "
            "vCPU (null) or one on each worker (1)"
        )
    has_accelerator = _names_accelerator(flags)
    if definition.model.device == "gpu" and not has_accelerator:
        raise UsageError(f"{name}: model.device gpu: the cluster has no accelerator")
    if not cluster.spot:
        return
    if has_accelerator or definition.scenario == "streaming":
        kind = "an accelerator" if has_accelerator else "a streaming job"
        raise UsageError(f"{name}: cluster.spot: Dataflow's FlexRS does not go with {kind}")
    if _last(flags, "autoscaling_algorithm") == "NONE":
        raise UsageError(
            f"{name}: cluster.spot: Dataflow's FlexRS is for jobs with autoscaling: set "
            "cluster.autoscaling=throughput_based and cluster.max_workers"
        )
