"""Reading YAML as data: no tags that build objects, no key twice, errors with file and line."""

from __future__ import annotations

import copy
import functools
import math
from pathlib import Path
from typing import Any

import yaml

from beambench.definition.text_encoding import decoded
from beambench.errors import UsageError

_SafeLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # C parser: ten times as fast
MAX_FILE_BYTES = 1 << 20
"""A definition is a page of text; more is some other file, or one made to exhaust memory."""


MAX_DEPTH = 32
"""Levels of nesting; a definition has five."""
MAX_INT = 2**63 - 1


class _Loader(_SafeLoader):
    """Safe loader that refuses duplicate keys, keys that are not text, and odd numbers."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                raise _refused("merge keys (<<) are not supported: use inherit", key_node)
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                raise _refused(f"key {key!r} is not text: put it in quotes", key_node)
            if key in seen:
                raise _refused(f"key {key!r} stands twice: remove one of the two", key_node)
            seen.add(key)
        return dict(super().construct_mapping(node, deep=deep))

    def construct_number(self, node: Any) -> int | float:
        """Return a number that JSON can hold, and that is the same wherever it is read."""
        is_int = node.tag == "tag:yaml.org,2002:int"
        number = self.construct_yaml_int(node) if is_int else self.construct_yaml_float(node)
        if is_int and abs(number) > MAX_INT:
            raise _refused("a whole number must fit into 63 bits", node)
        if not math.isfinite(number):
            raise _refused(f"{node.value} is no number that can be counted with", node)
        return int(number) if is_int else float(number)


def _refused(problem: str, node: Any) -> yaml.constructor.ConstructorError:
    return yaml.constructor.ConstructorError(None, None, problem, node.start_mark)


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_number)
_Loader.add_constructor("tag:yaml.org,2002:float", _Loader.construct_number)
# Dates stay text: a timestamp object is in no schema of ours.
_Loader.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in _SafeLoader.yaml_implicit_resolvers.items()
}


def read_text(path: Path, kind: str, hint_for_folder: str = "") -> str:
    """Read a small text file that a user wrote; `kind` says in errors what it should be.

    Raises:
        UsageError: the file is missing, unreadable, too large or no text.
    """
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise UsageError(f"{path}: larger than 1 MiB, so it is no {kind}")
        return decoded(path.read_bytes(), str(path))
    except IsADirectoryError:
        article = "an" if kind[0] in "aeiou" else "a"
        raise UsageError(f"{path}: is a folder, not {article} {kind}{hint_for_folder}") from None
    except (OSError, ValueError) as error:  # ValueError: a null character in the path
        raise UsageError(f"{path}: {getattr(error, 'strerror', None) or error}") from None


def read_mapping(path: Path) -> dict[str, Any]:
    """Read a YAML file whose top level is a mapping.

    Raises:
        UsageError: the file is missing, unreadable, no YAML, or holds no mapping.
    """
    text = read_text(path, "definition file", ": name a folder with --definitions")
    content = parse(text, str(path))
    if not isinstance(content, dict):
        raise UsageError(f"{path}: expected `key: value` lines, found {_kind(content)}")
    return content


def parse(text: str, where: str) -> Any:
    """Parse one YAML document; `where` names it in errors.

    Raises:
        UsageError: no YAML, a duplicate key, an alias or a tag that would build an object.
    """
    try:
        return copy.deepcopy(_content(text))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        last = len(text.rstrip().splitlines())  # what is never closed is found missing after it
        line = f", line {min(mark.line + 1, last)}" if mark and last > 1 else ""
        raise UsageError(f"{where}{line}: {error.problem or error.context}") from None
    except (yaml.YAMLError, ValueError) as error:
        raise UsageError(f"{where}: not YAML: {str(error).splitlines()[0]}") from None


@functools.lru_cache(256)  # a base is read once for each definition that inherits it
def _content(text: str) -> Any:
    _check_events(text)
    return yaml.load(text, Loader=_Loader)  # noqa: S506 - a safe loader


def as_value(value: Any) -> str:
    """Return a value as one line of YAML, as `--set` takes it."""
    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=math.inf)
    return text.removesuffix("...\n").rstrip("\n")


def _check_events(text: str) -> None:
    """Refuse, before anything is built, what could build an object or exhaust memory or stack."""
    depth = 0
    for event in yaml.parse(text, Loader=_SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            raise _refused("aliases (*name) are not supported: use inherit", event)
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH:
            raise _refused(f"nested more than {MAX_DEPTH} levels deep", event)
        tag = getattr(event, "tag", None)
        if tag is not None:
            shown = tag.replace("tag:yaml.org,2002:", "!!")
            raise _refused(f"tags ({shown}) are not supported: remove it", event)


def _kind(value: Any) -> str:
    if value is None:
        return "an empty file"
    return "a list" if isinstance(value, list) else "a single value"
