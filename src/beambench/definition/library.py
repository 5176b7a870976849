"""Finding definitions and resolving them: inheritance, variant, profile and overrides."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from beambench.definition.entry_points import CATALOGS, EntryPoint, catalog_folder, entry_points
from beambench.definition.schema import Definition, Profile
from beambench.definition.validation import describe, worst
from beambench.definition.yaml_file import parse, read_mapping
from beambench.errors import UsageError, nearest

CATALOG = Path(__file__).parent / "catalog"
MAX_INHERITANCE = 16
SUFFIXES = (".yaml", ".yml")
FIXED_NAME = "a name cannot be changed, results are kept under it: write a definition of its own"


@dataclass(frozen=True)
class Resolved:
    """A definition with nothing left to choose.

    Attributes:
        definition: with the variant, the overrides and the model and weights of the profile.
        definition_hash: of the definition before the profile chose those, so that all profiles of
            a benchmark share it.
    """

    definition: Definition
    definition_hash: str
    variant: str
    profile_name: str
    path: Path
    overrides: tuple[str, ...] = ()

    @property
    def profile(self) -> Profile:
        return self.definition.profiles[self.profile_name]


class Library:
    """The definitions of the catalog, of installed distributions and of the user, by name.

    Attributes:
        problems: a line for each catalog or definition of a distribution that is left out.
    """

    def __init__(self, extra: Iterable[Path] = ()) -> None:
        self._paths: dict[str, Path] = {}
        self._distributions: dict[str, str] = {}
        self.problems: list[str] = []
        for path in definition_files(CATALOG):
            self._paths[path.stem] = path
        self._add_installed()
        for place in extra:
            for path in _files_at(place):
                self._add(path)

    def _add_installed(self) -> None:
        """Add the definitions that installed distributions bring along."""
        entries, problems = entry_points(CATALOGS)
        self.problems += problems
        for entry in entries:
            try:
                files = definition_files(catalog_folder(entry))
                if not files:
                    raise UsageError(f"{entry}: no definition in the folder of {entry.value}")
            except UsageError as error:
                self.problems.append(str(error))
                continue
            for path in files:
                self._add_file_of(entry, path)

    def _add_file_of(self, entry: EntryPoint, path: Path) -> None:
        if path.stem.startswith("_"):
            return  # those that inherit it find it beside them
        try:
            name = _own_name(path)
        except UsageError as error:
            self.problems.append(f"{entry}: {error}")
            return
        try:
            self._claim(name, path)
        except UsageError as error:
            raise UsageError(f"{entry}: {error}, or uninstall the distribution") from None
        self._distributions[name] = entry.distribution

    def _add(self, path: Path) -> str:
        name = _own_name(path)
        self._claim(name, path)
        return name

    def _claim(self, name: str, path: Path) -> None:
        known = self._paths.get(name)
        if known is not None and known.resolve() != path.resolve():
            owner = f" ({self._distributions[name]})" if name in self._distributions else ""
            raise UsageError(
                f"{path}: name {name!r} is taken by {known}{owner}: choose another name"
            )
        self._paths[name] = path

    def distribution_of(self, name: str) -> str | None:
        """Return name and version of the distribution that a benchmark comes with, if one does."""
        return self._distributions.get(name)

    def names(self) -> list[str]:
        return sorted(name for name in self._paths if not name.startswith("_"))

    def path_of(self, name: str) -> Path:
        """Return the file of a benchmark.

        Raises:
            UsageError: there is none of that name; the message names the nearest.
        """
        if name.startswith("_") and name in self._paths:
            raise UsageError(
                f"{self._paths[name]}: a file whose name starts with _ is only inherited: "
                "name a definition that inherits it"
            )
        if name not in self._paths:
            known = self.names()
            raise UsageError(
                f"no benchmark {name!r}{nearest(name, known)}: `beambench list` shows all"
            )
        return self._paths[name]

    def add_if_file(self, name_or_path: str) -> str:
        """Take a definition file given in place of a name; return its name."""
        looks_like_path = name_or_path.endswith(SUFFIXES) or "/" in name_or_path
        return self._add(Path(name_or_path)) if looks_like_path else name_or_path

    def raw(self, name: str) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
        """Return the merged content of a definition without its variants, and the variants."""
        content = _inherited(self.path_of(name), self._paths)
        variants = content.pop("variants", None) or {}
        if not isinstance(variants, dict) or not all(
            isinstance(value, dict) for value in variants.values()
        ):
            raise UsageError(f"{self.path_of(name)}: variants: expected a mapping for each variant")
        for variant, settings in variants.items():
            if "name" in settings:
                raise UsageError(f"{self.path_of(name)}: variants.{variant}.name: {FIXED_NAME}")
        return content, {"stock": {}, **variants}

    def variants(self, name: str) -> list[str]:
        return list(self.raw(name)[1])

    def profiles(self, name: str, variant: str = "stock") -> list[str]:
        """Return the profiles of a benchmark, without checking them."""
        content, variants = self.raw(name)
        profiles = _merged(content, variants[variant]).get("profiles")
        if not isinstance(profiles, dict) or not profiles:
            raise UsageError(f"{self.path_of(name)}: key profiles is missing or no mapping")
        return list(profiles)

    def resolve_unprofiled(self, name: str) -> Definition:
        """Return a benchmark as it is defined, before a profile chooses model and weights."""
        return _validated(self.raw(name)[0], self.path_of(name), ())

    def unprofiled(self) -> list[Definition]:
        """Return all benchmarks as they are defined.

        A broken one of a distribution is left out and its error added to `problems`.
        """
        names = []
        for name in self.names():
            try:
                names.append(self.resolve_unprofiled(name))
            except UsageError as error:
                distribution = self.distribution_of(name)
                if distribution is None:
                    raise
                self.problems.append(f"{distribution}: {error}")
        return names

    def resolve(
        self,
        name: str,
        *,
        variant: str = "stock",
        profile: str = "local",
        overrides: Sequence[str] = (),
    ) -> Resolved:
        """Resolve a benchmark by name.

        Args:
            name: a name of the library.
            variant: a variant of the definition; its settings are merged over it.
            profile: a profile of the definition.
            overrides: ``dotted.path=value`` settings; values are YAML.

        Raises:
            UsageError: anything unknown or of the wrong type, with file, key and nearest name.
        """
        path = self.path_of(name)
        content, variants = self.raw(name)
        if variant not in variants:
            raise UsageError(
                f"{name}: no variant {variant!r}{nearest(variant, list(variants))}; "
                f"there is: {', '.join(variants)}"
            )
        content = _merged(content, variants[variant])
        for override in overrides:
            _apply(content, override)
        definition = _validated(content, path, overrides)
        definition_hash = definition.digest()
        if profile not in definition.profiles:
            known = list(definition.profiles)
            raise UsageError(
                f"{name}: no profile {profile!r}{nearest(profile, known)}; "
                f"there is: {', '.join(known)}"
            )
        # A profile spares the download of published weights; a file is at hand, and what the
        # command line or the variant says goes before.
        choices: dict[str, str | None] = {"weights": definition.profiles[profile].weights}
        choices["name"] = definition.profiles[profile].model
        for key, value in choices.items():
            chosen = any(keys_of(text) in (["model"], ["model", key]) for text in overrides)
            model = variants[variant].get("model")
            chosen = chosen or (isinstance(model, dict) and key in model)
            if value is not None and definition.model.weights != "file" and not chosen:
                content["model"][key] = value
        definition = _validated(content, path, overrides)
        return Resolved(definition, definition_hash, variant, profile, path, tuple(overrides))


def definition_files(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.suffix in SUFFIXES)
    except OSError as error:
        raise UsageError(f"{folder}: {error.strerror or error}") from None


def _files_at(place: Path) -> list[Path]:
    if os.path.isdir(place):  # noqa: PTH112 - never raises, however long the name
        files = definition_files(place)
        if not files:
            raise UsageError(f"{place}: no definition in this folder (files ending in .yaml)")
        return files
    if not os.path.exists(place):  # noqa: PTH110
        raise UsageError(f"{place}: no such definition file or folder")
    return [place]


def _own_name(path: Path) -> str:
    """Name that a file is known by: a base by its file name, a benchmark by its `name`."""
    if path.stem.startswith("_"):
        return path.stem
    content = read_mapping(path)
    name = content.get("name")
    if not isinstance(name, str) or not name:
        raise UsageError(f"{path}: `name` is missing: every definition needs a name of its own")
    return name


def _inherited(path: Path, library: Mapping[str, Path]) -> dict[str, Any]:
    """Return the content of a file merged over all that it inherits from."""
    chain: list[dict[str, Any]] = []
    current: Path | None = path
    seen: list[Path] = []
    while current is not None:
        if current in seen:
            raise UsageError(f"{path}: inherit: goes round in a circle at {current.name}")
        if len(seen) == MAX_INHERITANCE:
            raise UsageError(f"{path}: inherit: more than {MAX_INHERITANCE} levels")
        seen.append(current)
        content = read_mapping(current)
        parent = content.pop("inherit", None)
        chain.append(content)
        current = _parent(parent, current, library)
    merged: dict[str, Any] = {}
    for index, content in enumerate(reversed(chain)):
        if index < len(chain) - 1:
            content.pop("name", None)  # a name is never inherited
        merged = _merged(merged, content)
    return merged


def _parent(parent: Any, child: Path, library: Mapping[str, Path]) -> Path | None:
    if parent is None:
        return None
    if not isinstance(parent, str):
        raise UsageError(f"{child}: inherit: expected the name of a definition, not {parent!r}")
    beside = [child.parent / f"{parent}{suffix}" for suffix in ("", *SUFFIXES)]
    for candidate in beside:
        if os.path.isfile(candidate) and candidate != child:  # noqa: PTH113 - never raises
            return candidate
    if parent in library:
        return library[parent]
    raise UsageError(
        f"{child}: inherit: no definition {parent!r}{nearest(parent, sorted(library))}"
    )


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Merge mappings key by key; any other value of `over` replaces that of `base`."""
    merged = dict(copy.deepcopy(dict(base)))
    for key, value in over.items():
        old = merged.get(key)
        if isinstance(old, dict) and isinstance(value, dict):
            merged[key] = _merged(old, value)
        else:
            merged[key] = copy.deepcopy(value)
    return merged


def keys_of(override: str) -> list[str]:
    """Return the keys on the path that an override sets."""
    return [key.strip() for key in override.partition("=")[0].split(".")]


def _apply(content: dict[str, Any], override: str) -> None:
    """Apply one ``dotted.path=value`` setting in place."""
    _, equals, text = override.partition("=")
    keys = keys_of(override)
    if not equals or not all(keys):
        raise UsageError(f"--set {override!r}: expected key.subkey=value")
    if keys[0] == "name":
        raise UsageError(f"--set {override!r}: {FIXED_NAME}")
    target = content
    profiles = list(content.get("profiles") or {})
    if keys[0] == "profiles" and len(keys) > 1 and keys[1] not in profiles:
        hint = nearest(keys[1], profiles)
        raise UsageError(f"--set {override!r}: no profile {keys[1]!r}{hint}")
    for depth, key in enumerate(keys[:-1]):
        if target.get(key) is None:
            target[key] = {}
        target = target[key]
        if not isinstance(target, dict):
            raise UsageError(f"--set {override!r}: {'.'.join(keys[: depth + 1])} has no keys")
    target[keys[-1]] = parse(text, f"--set {override!r}") if text.strip() else None


def _validated(content: dict[str, Any], path: Path, overrides: Sequence[str]) -> Definition:
    try:
        return Definition.model_validate(content)
    except ValidationError as error:
        where = _culprit(worst(error)["loc"], overrides) or str(path)
        raise UsageError(f"{where}: {describe(error, Definition)}") from None


def _culprit(location: Sequence[int | str], overrides: Sequence[str]) -> str | None:
    """Return the override that set what is wrong, if one did."""
    for override in overrides:
        if all(key == part for key, part in zip(keys_of(override), location, strict=False)):
            return f"--set {override!r}"
    return None
