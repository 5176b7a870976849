"""Reading YAML as data: no tags that build objects, no key twice, errors with file and line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from beambench.errors import UsageError

_SafeLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # C parser: ten times as fast
MAX_FILE_BYTES = 1 << 20
"""A definition is a page of text; more is some other file, or one made to exhaust memory."""


class _Loader(_SafeLoader):
    """Safe loader that refuses duplicate keys, aliases (no bombs) and keys that are not text."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.constructor.ConstructorError(
                None, None, "aliases (*name) are not supported", self.peek_event().start_mark
            )
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node)
            if not isinstance(key, str):
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {key!r} is not text: put it in quotes", key_node.start_mark
                )
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {key!r} stands twice", key_node.start_mark
                )
            seen.add(key)
        return dict(super().construct_mapping(node, deep=deep))


# Dates stay text: a timestamp object is in no schema of ours.
_Loader.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in _SafeLoader.yaml_implicit_resolvers.items()
}


def read_mapping(path: Path) -> dict[str, Any]:
    """Read a YAML file whose top level is a mapping.

    Raises:
        UsageError: the file is missing, unreadable, no YAML, or holds no mapping.
    """
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise UsageError(f"{path}: larger than 1 MiB, so it is no definition file")
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: not UTF-8 text ({error.reason} at byte {error.start})") from None
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}") from None
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
        return yaml.load(text, Loader=_Loader)  # noqa: S506 - a safe loader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f", line {mark.line + 1}" if mark else ""
        raise UsageError(f"{where}{line}: {error.problem or error.context}") from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise UsageError(f"{where}: not YAML: {str(error).splitlines()[0]}") from None


def _kind(value: Any) -> str:
    return "an empty file" if value is None else f"a {type(value).__name__}"
