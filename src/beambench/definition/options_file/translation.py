"""A file as changes to a definition."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from beambench.definition.options_file.names import (
    _CLUSTER_ONLY,
    ACCELERATOR,
    CLUSTER_FLAGS,
    DIRECT_FLAGS,
    DRIVER,
    EXPERIMENTS,
    LEFT_OUT,
    MODEL_FLAGS,
    REPEATABLE,
    SERVICE_OPTIONS,
    UNREAD,
)
from beambench.definition.options_file.syntax import Flag
from beambench.definition.runners import DEFAULT, find_runner
from beambench.definition.schema import KEYWORD_SOURCES, PLACES, Definition
from beambench.definition.yaml_file import as_value
from beambench.errors import nearest

_COUNT = re.compile(r"0*[1-9][0-9]{0,8}")


@dataclass
class Translation:
    """What a file means for one benchmark.

    Attributes:
        overrides: ``dotted.path=value`` settings, only those that change something.
        source: input in place of the benchmark's own.
        beam_flags: Beam's own flags, passed on.
        left_out: one line for each flag that has no effect, with file, line and reason.
    """

    overrides: list[str] = field(default_factory=list)
    source: str | None = None
    beam_flags: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


def translate(
    flags: Sequence[Flag],
    definition: Definition,
    *,
    chosen: Collection[str] = (),
    has_source: bool = False,
    runner: str = DEFAULT,
) -> Translation:
    """Say what flags mean for a benchmark.

    Args:
        flags: of a file, in its order; of a flag that stands twice the last counts.
        definition: the benchmark as it is without the file.
        chosen: dotted keys that the command line sets; they go before the file.
        has_source: whether the command line names an input.
        runner: where the benchmark will run: flags that only a cluster heeds need one.

    Raises:
        UsageError: a value that cannot be right, or another model or scenario than the benchmark's.
    """
    return _Translator(definition, chosen, has_source, runner).translate(flags)


class _Translator:
    def __init__(
        self, definition: Definition, chosen: Collection[str], has_source: bool, runner: str
    ) -> None:
        self.definition = definition
        self.chosen = chosen
        self.has_source = has_source
        self.on_cluster = find_runner(runner).has_cluster
        self.settings: dict[str, tuple[Any, Flag]] = {}
        self.known: list[str] = []
        self.result = Translation()

    def translate(self, flags: Sequence[Flag]) -> Translation:
        unused = self._unused
        take: dict[str, Callable[[Flag], None]] = {
            **dict.fromkeys(_SETTINGS, self._take_setting),
            **dict.fromkeys(MODEL_FLAGS, self._check_model),
            **dict.fromkeys(("mode", "streaming"), self._check_scenario),
            **dict.fromkeys(("input", "input_file"), self._take_input),
            **dict.fromkeys(EXPERIMENTS, self._take_experiments),
            **dict.fromkeys(SERVICE_OPTIONS, self._take_experiments),
            **dict.fromkeys(DIRECT_FLAGS, self._pass_on),
            **dict.fromkeys(CLUSTER_FLAGS, self._pass_on if self.on_cluster else unused),
            **dict.fromkeys(PLACES, self._take_setting if self.on_cluster else unused),
            "flexrs_goal": self._take_goal,
            "model_state_dict_path": self._take_weights,
            "influx_measurement": self._take_measurement,
            "publish_to_big_query": self._take_publishing,
        }
        self.known = sorted({*take, *LEFT_OUT})
        last = {flag.name: flag for flag in flags}
        for flag in flags:
            if flag.name in REPEATABLE or last[flag.name] is flag:
                take.get(flag.name, unused)(flag)
            else:
                shown = flag if take.get(flag.name, unused) != unused else flag.bare()
                self._leave_out(shown, f"{last[flag.name].where} sets it again")
        self._leave_out_unpublished()
        self._leave_out_incomplete()
        self._override()
        return self.result

    def _leave_out(self, flag: Flag, reason: str) -> None:
        self.result.left_out.append(f"{flag.where}: {flag} is left out: {reason}")

    def _unused(self, flag: Flag) -> None:
        """Leave out what is said elsewhere; refuse what would be thought to have an effect."""
        if flag.name in LEFT_OUT:
            self._leave_out(flag.bare(), LEFT_OUT[flag.name])
        elif flag.name in UNREAD:
            flag.bare().refuse(f"no benchmark reads it: {UNREAD[flag.name]}")
        else:
            hint = nearest(flag.name, self.known)
            flag.bare().refuse(
                f"nothing reads it, neither a definition nor the runner{hint}: remove the line"
            )

    def _pass_on(self, flag: Flag) -> None:
        self.result.beam_flags.append(str(flag))

    def _take_setting(self, flag: Flag) -> None:
        key, convert = _SETTINGS[flag.name]
        self._set(key, convert(flag), flag)

    def _set(self, key: str, value: Any, flag: Flag) -> None:
        """Set a key; of two flags for one key the later counts."""
        if key in self.settings:
            self._leave_out(self.settings[key][1], f"{flag.where} sets the same with --{flag.name}")
        self.settings[key] = (value, flag)

    def _is_chosen(self, *keys: str) -> bool:
        """Tell whether the command line sets one of the keys, or what one of them lies in."""
        return any(_touches(setting, key) for setting in self.chosen for key in keys)

    def _take_publishing(self, flag: Flag) -> None:
        if _choice_of("true", "false")(flag) == "false":
            self._set("publish.bigquery", None, flag)
            self._publish_not_to("bigquery", flag)

    def _publish_not_to(self, publisher: str, flag: Flag) -> None:
        """Take a publisher from those that every run goes to."""
        key = "publish.to"
        chosen, _ = self.settings.get(key, (list(self.definition.publish.to), flag))
        if publisher in chosen:
            self._set(key, [name for name in chosen if name != publisher], flag)

    def _take_measurement(self, flag: Flag) -> None:
        """Take the measurement; an empty one turns InfluxDB off, as in Beam's load tests."""
        if flag.value is None:
            flag.refuse("a value is missing")
        if flag.value:
            self._set("publish.influxdb.measurement", flag.value, flag)
        else:
            self._set("publish.influxdb", None, flag)
            self._publish_not_to("influxdb", flag)

    def _check_model(self, flag: Flag) -> None:
        """Keep the benchmark's model: results of another would stand under the wrong name."""
        name, model = self.definition.name, self.definition.model
        named, own = (_last_part(text) for text in (_text(flag), model.name))
        if model.weights == "none":
            self._leave_out(flag, f"{name} has no model")
        elif named != own and self._is_chosen("model.name"):
            self._leave_out(flag, "--set model.name goes before it")
        elif named != own:
            self._leave_out(flag, f"{name} is a benchmark of {model.name}, which is what runs")

    def _check_scenario(self, flag: Flag) -> None:
        if flag.name == "streaming" and flag.value is not None:
            flag.refuse("takes no value")
        own = self.definition.scenario
        named = "streaming" if flag.name == "streaming" else _choice_of("batch", "streaming")(flag)
        if named != own and self._is_chosen("scenario"):
            self._leave_out(flag, "--set scenario goes before it")
        elif named != own:
            flag.refuse(f"{self.definition.name} is a {own} benchmark: remove the line")

    def _take_input(self, flag: Flag) -> None:
        source, own = _text(flag), self.definition.input.source
        if source == own:
            return
        if self.has_source:
            self._leave_out(flag, "--input goes before it")
        elif self.result.source is not None:
            flag.refuse(f"the file names {self.result.source} as well: remove one of the two")
        elif source in KEYWORD_SOURCES or os.path.exists(source):  # noqa: PTH110 - never raises
            self.result.source = source
        else:
            where = "in a store" if "://" in source else "not found here"
            self._leave_out(flag, f"it is {where}: the input is {own}; name a file with --input")

    def _take_weights(self, flag: Flag) -> None:
        path, model = _text(flag), self.definition.model
        if model.weights == "none":
            self._leave_out(flag, f"{self.definition.name} has no weights")
        elif self._is_chosen("model.weights", "model.path"):
            self._leave_out(flag, "--set of model.weights or model.path goes before it")
        elif "://" in path and path != model.path:
            self._leave_out(
                flag, f"it is in a store: weights are {model.weights}; name it with --set"
            )
        else:
            self.settings["model.weights"] = ("file", flag)
            self.settings["model.path"] = (path, flag)

    def _take_experiments(self, flag: Flag) -> None:
        for part in _split(_text(flag)):
            if part.startswith(f"{ACCELERATOR}="):
                self._take_accelerator(part, flag)
            elif flag.name in SERVICE_OPTIONS and self.on_cluster:
                self.result.beam_flags.append(f"--dataflow_service_options={part}")
            elif flag.name in EXPERIMENTS:
                self.result.beam_flags.append(f"--experiments={part}")
            else:
                self._leave_out(Flag(flag.name, part, flag.where), _CLUSTER_ONLY)

    def _take_goal(self, flag: Flag) -> None:
        goal = _choice_of("cost_optimized", "speed_optimized")(flag)
        self._set("cluster.spot", goal == "cost_optimized", flag)

    def _take_accelerator(self, part: str, flag: Flag) -> None:
        """Take `worker_accelerator=type:TYPE;count:COUNT;…`."""
        entries = [entry.partition(":") for entry in part.partition("=")[2].split(";") if entry]
        known = {name: text for name, _, text in entries}
        count = known.pop("count", "1")
        if not known.get("type") or not _COUNT.fullmatch(count):
            flag.refuse(f"expected {ACCELERATOR}=type:TYPE;count:COUNT")
        driver = known.pop(DRIVER, False)  # a version, or nothing behind the name
        chosen = True if driver == "" else driver
        accelerator = {"type": known.pop("type"), "count": int(count), "driver": chosen}
        options = [f"{name}:{text}" for name, text in known.items()]
        if options:
            self._leave_out(Flag(flag.name, ";".join(options), flag.where), _CLUSTER_ONLY)
        self._set("cluster.accelerator", accelerator, flag)

    def _leave_out_unpublished(self) -> None:
        """Leave out a table if the file says that nothing goes there."""
        if "publish.bigquery" in self.settings:
            for key in ("publish.bigquery.dataset", "publish.bigquery.table"):
                if key in self.settings:
                    self._leave_out(self.settings.pop(key)[1], "--publish_to_big_query=false")

    def _leave_out_incomplete(self) -> None:
        """Leave out keys of a section that the benchmark lacks and the file does not fill."""
        for section, own, needed in (
            ("cluster", self.definition.cluster, ("machine_type", "workers", "disk_gb")),
            ("publish.bigquery", self.definition.publish.section("bigquery"), ("dataset", "table")),
        ):
            keys = [key for key in self.settings if key.startswith(f"{section}.")]
            missing = [name for name in needed if f"{section}.{name}" not in self.settings]
            if own is None and keys and missing:
                reason = f"{self.definition.name} has no {section}, and the file no "
                for key in keys:
                    self._leave_out(self.settings.pop(key)[1], reason + ", ".join(missing))

    def _override(self) -> None:
        """Turn the settings that change something into overrides."""
        content = self.definition.model_dump(mode="json")
        for key, (value, flag) in self.settings.items():
            if self._is_chosen(key):
                self._leave_out(flag, f"--set of {key} goes before it")
            elif _at(content, key) != value:
                self.result.overrides.append(f"{key}={as_value(value)}")


def _text(flag: Flag) -> str:
    return flag.value or flag.refuse("a value is missing")


def _count(flag: Flag) -> int:
    if not _COUNT.fullmatch(_text(flag)):
        flag.refuse("expected a whole number from 1")
    return int(_text(flag))


def _choice_of(*choices: str) -> Callable[[Flag], str]:
    def convert(flag: Flag) -> str:
        chosen = _text(flag).lower()
        return chosen if chosen in choices else flag.refuse(f"expected {' or '.join(choices)}")

    return convert


def _disk_type(flag: Flag) -> str:
    return _choice_of("pd-standard", "pd-ssd")(Flag(flag.name, _last_part(_text(flag)), flag.where))


def _bucket(flag: Flag) -> str:
    return _text(flag) if _text(flag).startswith("gs://") else flag.refuse("expected gs://BUCKET/…")


_SETTINGS: Mapping[str, tuple[str, Callable[[Flag], Any]]] = {
    "autoscaling_algorithm": ("cluster.autoscaling", _choice_of("none", "throughput_based")),
    "device": ("model.device", _choice_of("cpu", "gpu")),
    "disk_size_gb": ("cluster.disk_gb", _count),
    "disk_type": ("cluster.disk_type", _disk_type),
    "machine_type": ("cluster.machine_type", _text),
    "max_num_workers": ("cluster.max_workers", _count),
    "metrics_dataset": ("publish.bigquery.dataset", _text),
    "metrics_table": ("publish.bigquery.table", _text),
    "num_workers": ("cluster.workers", _count),
    "project": ("cluster.project", _text),
    "region": ("cluster.region", _text),
    "sdk_container_image": ("cluster.container_image", _text),
    "staging_location": ("cluster.staging_location", _bucket),
    "temp_location": ("cluster.temp_location", _bucket),
    "worker_disk_type": ("cluster.disk_type", _disk_type),
    "worker_machine_type": ("cluster.machine_type", _text),
}
"""Flags that set one key of the definition."""


def _last_part(name: str) -> str:
    """Return the model's name in a path, an address or an `organisation/name`."""
    return name.rstrip("/").rpartition("/")[2]


def _split(value: str) -> list[str]:
    """Split a list at its commas as Beam does: from the first `key=` on it is one value."""
    parts: list[str] = []
    while value:
        part, _, rest = value.partition(",")
        if "=" in part:
            return [*parts, value]
        parts += [part] if part else []
        value = rest
    return parts


def _touches(left: str, other: str) -> bool:
    """Tell whether two dotted keys are the same, or one lies in the other."""
    return f"{left}.".startswith(f"{other}.") or f"{other}.".startswith(f"{left}.")


def _at(content: Any, key: str) -> Any:
    for part in key.split("."):
        content = content.get(part) if isinstance(content, dict) else None
    return content
