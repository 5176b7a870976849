"""What `run` was asked for, and all of it that can be checked before a worker starts."""

from __future__ import annotations

import contextlib
import math
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from beambench.credentials.masking import (
    masked,
    masked_values,
    names_secret,
    secret_values,
    secrets,
    without,
)
from beambench.definition.library import Library, Resolved, keys_of
from beambench.definition.options_file.syntax import read
from beambench.definition.options_file.translation import translate
from beambench.definition.publish import Publish
from beambench.definition.runners import DEFAULT, find_runner, load
from beambench.definition.schema import KEYWORD_SOURCES, Definition
from beambench.definition.yaml_file import as_value, parse
from beambench.errors import RunError, UsageError
from beambench.experiments.interpreter import find_interpreter
from beambench.inputs.files import check_address, is_address
from beambench.inputs.labels import read_labels
from beambench.inputs.manifest import check_source
from beambench.machine.devices import cuda_devices
from beambench.metrics.registry import check_metrics
from beambench.workloads.base import check_workload, load_class
from beambench.workloads.output import Target, check_file

MIN_SLOT_SECONDS = 1e-6
"""The grain of the clock that the time slots are counted with."""


@dataclass(frozen=True)
class RunRequest:
    """Options of `beambench run` for one benchmark; None: what the definition or profile says."""

    resolved: Resolved
    runner: str = DEFAULT
    repeats: int | None = None
    source: str | None = None
    labels_file: str | None = None
    limit: int | None = None
    reference: bool = False
    seed: int = 0
    timeout: float | None = None
    max_failed: float | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    beam_flags: Sequence[str] = ()
    command: Sequence[str] = ()
    stock: Definition | None = None
    """`stock` as it would run in place of a variant that computes otherwise on the same weights."""
    options_file: str | None = None
    dry_run: bool = False
    output: str | None = None
    overwrite: bool = False
    warnings: Sequence[str] = ()

    @property
    def name(self) -> str:
        return self.resolved.definition.name

    @property
    def publish(self) -> Publish:
        return self.resolved.definition.publish

    @property
    def shown_command(self) -> list[str]:
        """The command line as it may be shown and kept."""
        shown = {
            before + override: before + masked_override(override)
            for override in self.resolved.overrides
            for before in ("", "--set=")
        }
        return masked([shown.get(word, word) for word in self.command])

    def without_secrets(self, text: str) -> str:
        """Return a text with the secrets of flags and definition masked."""
        content = self.resolved.definition.model_dump(mode="json")
        return without([*secrets(self.beam_flags), *secret_values(content)], text)

    def identity(self) -> dict[str, str]:
        """Return what the record names the run by."""
        return {
            "benchmark": self.name,
            "variant": self.resolved.variant,
            "profile": self.resolved.profile_name,
            "definition_hash": self.resolved.definition_hash,
        }

    @property
    def repeat_count(self) -> int:
        """Whole executions; a job costs money, so there is one unless more are asked for."""
        own = find_runner(self.runner).repeats
        return self.repeats or own or self.resolved.profile.repeats

    @property
    def time_limit(self) -> float:
        """Seconds for the whole run."""
        return self.timeout or self.resolved.profile.timeout

    @property
    def failed_share(self) -> float:
        """Share of failed elements above which the run fails."""
        chosen = self.max_failed
        return self.resolved.definition.max_failed if chosen is None else chosen

    @property
    def effective_source(self) -> str:
        own = self.resolved.definition.input.source
        return self._located(own) if self.source is None else self.source

    @property
    def effective_labels(self) -> str | None:
        """Label file; that of the definition goes with the definition's own input only."""
        own = self.resolved.definition.input.labels
        if self.labels_file is not None or self.source is not None or own is None:
            return self.labels_file
        return self._located(own)

    def _located(self, path: str) -> str:
        """Return a definition's path: beside the definition if it is there, else as it stands."""
        beside = str(self.resolved.path.parent / path)
        if path in KEYWORD_SOURCES or not os.path.exists(beside):  # noqa: PTH110 - never raises
            return path
        return beside

    @property
    def effective_limit(self) -> int | None:
        """Elements at most; a profile's limit applies to the benchmark's own input only."""
        if self.limit is not None or self.source not in (None, *KEYWORD_SOURCES):
            return self.limit
        return self.resolved.profile.limit

    @property
    def placed_definition(self) -> Definition:
        """The definition with the path of its weights found beside it or from here."""
        return self.placed(self.resolved.definition)

    def placed(self, definition: Definition) -> Definition:
        if definition.model.path is None:
            return definition
        model = definition.model.model_copy(update={"path": self._located(definition.model.path)})
        return definition.model_copy(update={"model": model})

    @cached_property
    def interpreter(self) -> str:
        """Path of the Python that runs the workers; raises RunError if it cannot."""
        return find_interpreter(self.resolved.definition.interpreter, self.resolved.path)

    def configuration(self) -> dict[str, object]:
        """Return all that was resolved, for the record."""
        with importable(self.resolved):
            model_runs = load_class(self.resolved.definition.workload).model_runs
        return {
            **({"model_runs": model_runs} if model_runs != "in_worker" else {}),
            "definition": masked_values(self.resolved.definition.model_dump(mode="json")),
            "overrides": [masked_override(override) for override in self.resolved.overrides],
            "source": self.effective_source,
            "labels": self.effective_labels,
            "limit": self.effective_limit,
            "repeats": self.repeat_count,
            "reference": "loop" if self.reference else None,
            "seed": self.seed,
            "timeout": self.time_limit,
            "max_failed": self.failed_share,
            "beam_flags": masked(self.beam_flags),
            "options_file": self.options_file,
            "output": Target.of(self.output).document() if self.output is not None else None,
            "interpreter": self.interpreter,
        }


def make_request(library: Library, name: str, **options: object) -> RunRequest:
    """Resolve a name or definition file and check the request.

    Raises:
        UsageError: the request cannot be right.
        RunError: it is right, but not on this machine.
    """
    check_metrics()
    chosen = dict(options)
    runner = find_runner(str(chosen.get("runner", DEFAULT)))
    resolved = library.resolve(
        library.add_if_file(name),
        variant=str(chosen.pop("variant", "stock")),
        profile=str(chosen.pop("profile", None) or runner.profile or "local"),
        overrides=chosen.pop("overrides", ()),  # type: ignore[arg-type]
    )
    request = RunRequest(resolved, **chosen)  # type: ignore[arg-type]
    if request.options_file is not None:
        request = _with_options_file(request, library, Path(request.options_file))
    if request.output is not None:
        request = replace(request, warnings=[*request.warnings, written(request.output)])
    request = replace(request, stock=_stock_of(library, request.resolved))
    check(request)
    return request


def written(output: str) -> str:
    """Say what --output does to the numbers."""
    return (
        f"predictions are written to {output} by the measured pipeline: throughput_written and "
        "run_time have all of it, other metrics what happens before the last output"
    )


def masked_override(override: str) -> str:
    """Return a setting without the values of keys that name a secret."""
    path, _, text = override.partition("=")
    content = parse(text, override) if text.strip() else None
    shown = masked_values(content, hide=any(map(names_secret, keys_of(override))))
    return override if shown == content else f"{path}={as_value(shown)}"


def _stock_of(library: Library, resolved: Resolved) -> Definition | None:
    """Return what a variant's outputs are compared with; None if they are the same work."""
    if resolved.variant == "stock":
        return None
    name = resolved.definition.name
    of_variant = library.raw(name)[1][resolved.variant]
    overrides = [one for one in resolved.overrides if not _is_of_variant(keys_of(one), of_variant)]
    stock = library.resolve(name, profile=resolved.profile_name, overrides=overrides).definition
    with importable(resolved):
        try:
            check_workload(stock)
            chosen_by = load_class(stock.workload).weights_parameters
        except UsageError:
            return None  # what --set says goes with the variant only
    same_weights = _weights(stock, chosen_by) == _weights(resolved.definition, chosen_by)
    return stock if same_weights and _work(stock) != _work(resolved.definition) else None


def _is_of_variant(keys: Sequence[str], settings: Mapping[str, object]) -> bool:
    """Tell whether an override sets what the variant sets too, or what changes no output."""
    if keys[0] in ("batching", "threads"):
        return True
    found: object = settings
    for key in keys:
        if not isinstance(found, Mapping) or key not in found:
            return False
        found = found[key]
    return True


def _weights(definition: Definition, parameters: Sequence[str]) -> tuple[object, ...]:
    model, chosen = definition.model, definition.parameters
    return (model.name, model.weights, model.path, *(chosen.get(name) for name in parameters))


def _work(definition: Definition) -> tuple[object, ...]:
    """Return what decides the outputs, apart from the weights."""
    return definition.workload, definition.parameters, definition.model.precision


def _with_options_file(request: RunRequest, library: Library, path: Path) -> RunRequest:
    """Return a request with what an options file says; the command line goes before it."""
    resolved = request.resolved
    own = translate(
        read(path),
        resolved.definition,
        chosen=[".".join(keys_of(override)) for override in resolved.overrides],
        has_source=request.source is not None,
        runner=request.runner,
    )
    return replace(
        request,
        resolved=library.resolve(
            resolved.definition.name,
            variant=resolved.variant,
            profile=resolved.profile_name,
            overrides=[*own.overrides, *resolved.overrides],
        ),
        source=own.source if request.source is None else request.source,
        beam_flags=[*own.beam_flags, *request.beam_flags],
        warnings=own.left_out,
    )


def check(request: RunRequest) -> None:
    """Check all that needs no worker: runner, scenario, workload, input, labels, device."""
    definition = request.resolved.definition
    _check_numbers(request)
    check_folder()
    runner = find_runner(request.runner)
    if definition.scenario == "streaming":
        raise RunError(f"{definition.name}: the streaming scenario cannot be run yet")
    with importable(request.resolved):
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
    if request.effective_labels is not None and not cls.has_class_labels:
        raise UsageError(
            f"{definition.name}: labels {request.effective_labels}: the labels of workload "
            f"{definition.workload} are no class indices"
        )
    if request.effective_labels is not None:
        _check_labels(request.effective_labels)
    if runner.request_check is not None:
        load(runner.request_check)(request)
    _ = request.interpreter


def check_device(request: RunRequest) -> None:
    """Check that this machine has the device that the model runs on."""
    if request.resolved.definition.model.device == "gpu":
        devices = cuda_devices()
        if not devices.count:
            raise RunError(f"{request.name} needs a GPU: {devices.reason}")


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
    if any(one is not None and _is_same(target, one) for one in read):
        raise UsageError(f"output {target}: the run reads it: name another place")
    if target.is_here:
        check_file(target, overwrite=request.overwrite)
    elif target.format == "bigquery" and find_runner(request.runner).is_local:
        words = [word for flag in request.beam_flags for word in flag.split("=", 1)]
        if "--temp_location" not in words:
            raise UsageError(
                f"output {request.output}: BigQuery loads files of a bucket: say where they may "
                "lie, with -- --temp_location=gs://BUCKET/FOLDER"
            )


def _is_same(target: Target, path: str) -> bool:
    """Tell whether a target is what a path or an address names."""
    if not target.is_here or is_address(path):
        return target.place == path
    return os.path.realpath(target.place) == os.path.realpath(path)


def _check_labels(path: str) -> None:
    if is_address(path):
        check_address(path, "labels")
    else:
        read_labels(path)


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
    if any(flag.partition("=")[0] == "--runner" for flag in flags):
        raise UsageError("--runner after --: choose the runner with beambench's own --runner")


def _check_processes(processes: int, flags: Sequence[str]) -> None:
    if processes == 1:
        return
    for flag in flags:
        if flag.partition("=")[0] in ("--direct_num_workers", "--direct_running_mode"):
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


def search_path(resolved: Resolved) -> list[str]:
    """Folders in which a workload module of the user's own is looked for."""
    if ":" not in resolved.definition.workload:  # built in, or installed
        return []
    return list(dict.fromkeys([str(resolved.path.parent.resolve()), os.getcwd()]))  # noqa: PTH109


@contextlib.contextmanager
def importable(resolved: Resolved) -> Iterator[None]:
    """Make a workload module of the user's own importable in this process."""
    folders = search_path(resolved)
    sys.path[:0] = folders
    try:
        yield
    finally:
        for folder in folders:
            sys.path.remove(folder)
