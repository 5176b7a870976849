"""What `run` was asked for, and all of it that can be checked before a worker starts."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from beambench.controller.processes.interpreter import (
    find_interpreter,
    find_other_environment,
)
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
from beambench.definition.runners import DEFAULT, find_runner
from beambench.definition.schema import FOLDERS, KEYWORD_SOURCES, Definition
from beambench.definition.user_modules import importable, search_path
from beambench.definition.yaml_file import as_value, parse
from beambench.errors import UsageError
from beambench.metrics.registry import check_metrics
from beambench.request.checks import check
from beambench.workloads.output import Target
from beambench.workloads.registry import check_workload, load_class


@dataclass(frozen=True)
class RunRequest:
    """Options of `beambench run` for one benchmark; None: what the definition or profile says."""

    resolved: Resolved
    runner: str = DEFAULT
    repeats: int | None = None
    retry_disturbed: int = 0
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
    on_stop: Literal["leave", "cancel"] = "leave"
    python: str | None = None
    """Python of another environment that runs the workers in place of the definition's."""

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
        """Label file or `folders`; that of the definition goes with its own input only."""
        own = self.resolved.definition.input.labels
        if self.labels_file is not None or self.source is not None or own is None:
            return self.labels_file
        return self._located(own)

    def _located(self, path: str) -> str:
        """Return a definition's path: beside the definition if it is there, else as it stands."""
        beside = str(self.resolved.path.parent / path)
        if path in (*KEYWORD_SOURCES, FOLDERS) or not os.path.exists(beside):  # noqa: PTH110 - never raises
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

    @property
    def search_path(self) -> list[str]:
        """Folders in which a workload module of the user's own is looked for."""
        return search_path(self.resolved)

    def plan_fields(self) -> dict[str, Any]:
        """Return what every plan of the benchmark says, whoever carries it out."""
        return {
            "seed": self.seed,
            "slot_us": int(self.resolved.profile.slot_seconds * 1e6),
            "definition": self.placed_definition,
            "beam_flags": list(self.beam_flags),
            "source": self.effective_source,
            "limit": self.effective_limit,
            "labels": self.effective_labels,
            "output": self.output,
            "runs_here": find_runner(self.runner).is_local,
        }

    @cached_property
    def interpreter(self) -> str:
        """Path of the Python that runs the workers; raises RunError if it cannot."""
        if self.python is not None:
            return find_other_environment(self.python)
        return find_interpreter(self.resolved.definition.interpreter, self.resolved.path)

    def configuration(self) -> dict[str, object]:
        """Return all that was resolved, for the record."""
        with importable(self.search_path):
            model_runs = load_class(self.resolved.definition.workload).model_runs
        return {
            **({"model_runs": model_runs} if model_runs != "in_worker" else {}),
            "definition": masked_values(self.resolved.definition.model_dump(mode="json")),
            "overrides": [masked_override(override) for override in self.resolved.overrides],
            "source": self.effective_source,
            "labels": self.effective_labels,
            "limit": self.effective_limit,
            "repeats": self.repeat_count,
            "retry_disturbed": self.retry_disturbed,
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
    overrides = [
        override
        for override in resolved.overrides
        if not _is_of_variant(keys_of(override), of_variant)
    ]
    stock = library.resolve(name, profile=resolved.profile_name, overrides=overrides).definition
    with importable(search_path(resolved)):
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
    section: object = settings
    for key in keys:
        if not isinstance(section, Mapping) or key not in section:
            return False
        section = section[key]
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
