"""A definition as flags."""

from __future__ import annotations

from beambench.definition.options_file.names import (
    ACCELERATOR,
    DISK_TYPE,
    DRIVER,
    ONE_PROCESS,
)
from beambench.definition.runners import find_runner
from beambench.definition.schema import KEYWORD_SOURCES, Accelerator, Cluster, Definition
from beambench.errors import UsageError


def flags_of(definition: Definition, runner: str, model_flag: str | None) -> list[str]:
    """Return a definition as flags, unquoted.

    Args:
        definition: a resolved definition.
        runner: name of the runner, which says whether the shape of the cluster applies.
        model_flag: name of the flag by which Beam's pipeline is told the model, if there is one.

    Raises:
        UsageError: a value that no line of a file can hold.
    """
    chosen = find_runner(runner)
    values: list[tuple[str, str | int | None]] = [("runner", chosen.beam_name)]
    if chosen.has_cluster and definition.cluster is not None:
        values += cluster_values(definition.cluster)
    table, points = (definition.publish.section(section) for section in ("bigquery", "influxdb"))
    values.append(("publish_to_big_query", "false" if table is None else "true"))
    if table is not None:
        values += [("metrics_dataset", table["dataset"]), ("metrics_table", table["table"])]
    values.append(("influx_measurement", (points or {}).get("measurement") or ""))
    values.append(("input_options", "{}"))  # without it Beam's load tests do not start
    if definition.input.source not in KEYWORD_SOURCES:
        values.append(("input_file", definition.input.source))
    values.append(("device", definition.model.device.upper()))
    if model_flag is not None:
        values.append((model_flag, definition.model.name))
    values.append(("model_state_dict_path", definition.model.path))
    flags = [f"--{name}={value}" for name, value in values if value is not None]
    if definition.scenario == "streaming":
        flags.append("--streaming")
    for flag in flags:
        if set(flag) & set("\n\r\0"):
            raise UsageError(f"{definition.name}: {flag!r} cannot stand in one line of a file")
    return flags


def cluster_values(cluster: Cluster) -> list[tuple[str, str | int | None]]:
    """Return a cluster as names and values of Beam's flags; None: not said."""
    values: list[tuple[str, str | int | None]] = [
        ("project", cluster.project),
        ("region", cluster.region),
        ("temp_location", cluster.temp_location),
        ("staging_location", cluster.staging_location),
        ("machine_type", cluster.machine_type),
        ("num_workers", cluster.workers),
        ("max_num_workers", cluster.max_workers),
        ("disk_size_gb", cluster.disk_gb),
        ("disk_type", DISK_TYPE + cluster.disk_type),
        ("autoscaling_algorithm", cluster.autoscaling.upper()),
        ("flexrs_goal", "COST_OPTIMIZED" if cluster.spot else None),
        ("sdk_container_image", cluster.container_image),
        # The image holds all that a worker needs: nothing of Beam's is to be staged over it.
        ("sdk_location", "container" if cluster.container_image else None),
        *(("experiments", value) for value in cluster.experiments),
        ("experiments", ONE_PROCESS if cluster.processes == 1 else None),
        *(("dataflow_service_options", value) for value in cluster.service_options),
    ]
    if cluster.accelerator is not None:
        values.append(("dataflow_service_options", _accelerator(cluster.accelerator)))
    return values


def _accelerator(wanted: Accelerator) -> str:
    driver = "" if wanted.driver is False else f";{DRIVER}"
    version = f":{wanted.driver}" if isinstance(wanted.driver, str) else ""
    return f"{ACCELERATOR}=type:{wanted.type};count:{wanted.count}{driver}{version}"
