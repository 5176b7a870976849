"""All of a request that can be checked before a worker starts."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, get_args

from beambench.controller.session import OnStop
from beambench.definition.beam_flags import BeamFlags
from beambench.definition.entry_points import load
from beambench.definition.runners import Runner, find_runner
from beambench.definition.schema import FOLDERS, Definition
from beambench.definition.user_modules import importable
from beambench.errors import RunError, UsageError
from beambench.inputs.files import check_address, is_address
from beambench.inputs.folders import folder_listing
from beambench.inputs.labels.class_folders import class_folders
from beambench.inputs.labels.label_file import read_labels
from beambench.inputs.manifest import check_source
from beambench.workloads.output import Target, check_file
from beambench.workloads.registry import check_workload, load_class

if TYPE_CHECKING:
    from beambench.request.benchmark import RunRequest
    from beambench.workloads.base import Workload

MIN_SLOT_SECONDS = 1e-6
"""The grain of the clock that the time slots are counted with."""


def check(request: RunRequest) -> None:
    """Check all that needs no worker: runner, scenario, workload, input, labels, device."""
    definition = request.resolved.definition
    _check_numbers(request)
    check_folder()
    runner = find_runner(request.runner)
    if definition.scenario == "streaming":
        raise RunError(f"{definition.name}: the streaming scenario cannot be run yet")
    with importable(request.search_path):
        try:
            check_workload(definition)
        except UsageError as error:
            raise UsageError(f"{request.resolved.path}: {error}") from None
        cls = load_class(definition.workload)
    check_source(definition.input.type, request.effective_source)
    if request.reference and definition.batching.bucket_boundaries is not None:
        raise UsageError(
            f"{definition.name}: --reference loop: Beam's batching by length gives an order of its "
            "own, which the loop cannot replay: use a variant without batching.bucket_boundaries"
        )
    _check_weights(request.placed_definition.model.path, cls.weights_in_folder)
    check_flags(request.beam_flags)
    _check_processes(definition.runner.processes, request.beam_flags)
    _check_output(request)
    _check_labels(request, cls)
    _check_on_stop(request, runner)
    if runner.request_check is not None:
        load(runner.request_check)(request)
    _ = request.interpreter


def _check_on_stop(request: RunRequest, runner: Runner) -> None:
    if request.on_stop not in get_args(OnStop):
        raise UsageError(f"on_stop {request.on_stop!r}: choose {' or '.join(get_args(OnStop))}")
    if request.on_stop != "leave" and not runner.has_jobs:
        raise UsageError(f"on_stop {request.on_stop}: no job of runner {runner.name} goes on")


def _check_output(request: RunRequest) -> None:
    if request.output is None:
        if request.overwrite:
            raise UsageError("--overwrite goes with --output: name what may be replaced")
        return
    target = Target.of(request.output)
    if request.reference:
        raise UsageError(
            "--reference loop: the loop does not write, and an efficiency would compare unlike "
            "work: leave out --output or --reference"
        )
    read = (
        request.effective_source,
        request.effective_labels,
        request.placed_definition.model.path,
    )
    if any(path is not None and _is_same(target, path) for path in read):
        raise UsageError(f"output {target}: the run reads it: name another place")
    if target.is_here:
        check_file(target, overwrite=request.overwrite)
        return
    here = target.format == "bigquery" and find_runner(request.runner).is_local
    if here and "temp_location" not in BeamFlags(request.beam_flags):
        raise UsageError(
            f"output {request.output}: BigQuery loads files of a bucket: say where they may "
            "lie, with -- --temp_location=gs://BUCKET/FOLDER"
        )


def _is_same(target: Target, path: str) -> bool:
    """Tell whether a target is what a path or an address names."""
    if not target.is_here or is_address(path):
        return target.place == path
    return os.path.realpath(target.place) == os.path.realpath(path)


def _check_labels(request: RunRequest, cls: type[Workload]) -> None:
    definition, labels = request.resolved.definition, request.effective_labels
    if labels is None:
        return
    if not cls.has_class_labels:
        raise UsageError(
            f"{definition.name}: labels {labels}: the labels of workload {definition.workload} are "
            "no class indices"
        )
    if labels == FOLDERS:
        _check_class_folders(definition, request.effective_source, cls)
    elif is_address(labels):
        check_address(labels, "labels")
    else:
        read_labels(labels)


def _check_class_folders(definition: Definition, source: str, cls: type[Workload]) -> None:
    """Check the names of class folders on this machine."""
    if is_address(source):
        return
    if definition.input.type != "images" or not os.path.isdir(source):  # noqa: PTH112
        raise UsageError(
            f"{definition.name}: labels {FOLDERS}: input {source!r} is no directory with class "
            "folders in it: name one with --input"
        )
    class_folders(
        folder_listing(source).ids,
        source,
        definition.model,
        names=cls.class_names(definition),
        classes=cls.classes(definition),
    )


def _check_weights(path: str | None, in_folder: bool) -> None:
    if path is None:
        return
    if is_address(path):
        check_address(path, "model.path")
        if in_folder:
            raise UsageError(f"model.path {path}: expected a folder of this machine")
    elif in_folder and not os.path.isdir(path):  # noqa: PTH112 - never raises
        raise UsageError(f"model.path {path}: no such folder")
    elif not in_folder and not os.path.isfile(path):  # noqa: PTH113
        raise UsageError(f"model.path {path}: no such file")


def _check_numbers(request: RunRequest) -> None:
    """Check what the command line checks too, for those who call us from Python.

    Not a number and infinity are in no range: a comparison with the first is always false, and
    neither can stand in a record.
    """
    check_count("repeats", request.repeats)
    check_retries(request.retry_disturbed)
    check_count("limit", request.limit)
    check_seed(request.seed)
    check_failed_share(request.failed_share)
    check_timeout(request.timeout if request.timeout is not None else request.time_limit)
    slot = request.resolved.profile.slot_seconds
    if not MIN_SLOT_SECONDS <= slot < math.inf:
        raise UsageError(f"slot_seconds {slot:g}: must be at least {MIN_SLOT_SECONDS:g} s")


def check_count(name: str, value: int | None) -> None:
    if value is not None and value < 1:
        raise UsageError(f"{name} {value}: must be 1 or more")


def check_retries(count: int) -> None:
    if count < 0:
        raise UsageError(f"retry_disturbed {count}: must be 0 or more")


def check_failed_share(share: float) -> None:
    if not 0 <= share <= 1:
        raise UsageError(f"max_failed {share:g}: must be a share from 0 to 1")


def check_seed(seed: int) -> None:
    if seed < 0:
        raise UsageError(f"seed {seed}: must be 0 or more")


def check_timeout(seconds: float) -> None:
    if not 0 < seconds < math.inf:
        raise UsageError(f"timeout {seconds:g}: must be a number of seconds above 0")


def check_flags(flags: Sequence[str]) -> None:
    if "runner" in BeamFlags(flags):
        raise UsageError("--runner after --: choose the runner with beambench's own --runner")


def _check_processes(processes: int, flags: Sequence[str]) -> None:
    if processes == 1:
        return
    for flag in BeamFlags(flags):
        if flag.name in ("direct_num_workers", "direct_running_mode"):
            raise UsageError(
                f"runner.processes {processes} and {flag} say the same: give one of the two"
            )


def check_folder() -> None:
    """Check that there is a current folder, whose name a record can hold."""
    try:
        os.getcwd().encode()  # noqa: PTH109
    except UnicodeEncodeError:  # no record could hold it
        raise UsageError("the current folder's name is not UTF-8: change to another one") from None
    except OSError:
        raise RunError("the current folder was removed: change to another one") from None
