"""What a record never holds: values under the name of a secret, which the worker gets all the same.

A secret is known by its name only: one in a flag of another name is shown.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

SECRET = re.compile(
    r"passw(?:or)?d|passphrase|token(?!s|i[sz])|secret|credential|connection_?string|gbek"
    r"|(?:^|[^a-z]|api|access|account|private)keys?(?![a-z]|_coder)",
    re.IGNORECASE,
)
"""Names of secrets, hyphens written as underscores. Neither a tokenizer nor a number of tokens."""

MASK = "***"
SHORTEST_SECRET = 4
"""Characters; a shorter value is masked at its name only, for it would stand anywhere in a text."""

_PASSWORD = re.compile(r"(://[^:/]*:).*@", re.DOTALL)
"""Of an address, as a store has it: from the first colon of the user part to the last @."""


def names_secret(name: str) -> bool:
    return SECRET.search(name.replace("-", "_")) is not None


def masked(flags: Sequence[str]) -> list[str]:
    """Return flags, or a command line, without the values of flags that name a secret."""
    shown, hide = [], False
    for flag in flags:
        name, equals, _ = flag.partition("=")
        if flag.startswith("-"):
            hide = names_secret(name)
            shown.append(f"{name}={MASK}" if equals and hide else _without_password(flag))
        else:
            shown.append(MASK if hide else _without_password(flag))
    return shown


def _without_password(text: str) -> str:
    return _PASSWORD.sub(rf"\1{MASK}@", text)


def secrets(flags: Sequence[str]) -> list[str]:
    """Return the values that `masked` hides."""
    return [
        flag.removeprefix(shown.removesuffix(MASK))
        for flag, shown in zip(flags, masked(flags), strict=True)
        if shown.endswith(MASK) and flag != shown
    ]


def masked_values(content: Any, *, hide: bool = False) -> Any:
    """Return YAML or JSON content without the values, at any depth, of keys that name a secret."""
    if isinstance(content, dict):
        return {
            key: masked_values(value, hide=hide or names_secret(str(key)))
            for key, value in content.items()
        }
    if isinstance(content, list):
        return [masked_values(value, hide=hide) for value in content]
    return MASK if hide and content is not None and not isinstance(content, bool) else content


def secret_values(content: Any) -> list[str]:
    """Return the values that `masked_values` hides."""
    return list(_hidden(content, masked_values(content)))


def _hidden(content: Any, shown: Any) -> Iterator[str]:
    if isinstance(content, dict):
        for key, value in content.items():
            yield from _hidden(value, shown[key])
    elif isinstance(content, list):
        for value, other in zip(content, shown, strict=True):
            yield from _hidden(value, other)
    elif content != shown:
        yield str(content)


def without(secrets: Iterable[str], text: str) -> str:
    """Return a text with secrets masked wherever they stand in it."""
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= SHORTEST_SECRET:
            text = text.replace(secret, MASK)
    return text
