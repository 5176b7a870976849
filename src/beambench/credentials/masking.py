"""Masking: what keeps secrets out of records, messages and all else that is kept or shown.

In flags and definitions a secret is known by its name only: one in a flag of another name is shown.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any
from urllib.parse import quote

from beambench.printable import printable

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


def without_any_form(secrets: Iterable[str], text: str) -> str:
    """Return a text with secrets masked, also as JSON, an address or a header writes them.

    A server may repeat what it was told, in the form in which it was told.
    """
    return without([form for secret in secrets for form in _forms(secret)], text)


def _forms(secret: str) -> list[str]:
    encoded = secret.encode("utf-8", "surrogateescape")
    base64 = b64encode(encoded).decode()
    return [secret, json.dumps(secret)[1:-1], quote(encoded, safe=""), base64, base64.rstrip("=")]


def masked_url(url: str) -> str:
    """Return the address of a database as it may be shown: one line, no password.

    Works on the text and not on the parsed URL, so that it also holds for what cannot be parsed:
    all from the first colon of the user part to the last @ goes, as do options called password.
    """
    password = password_of(url)
    shown = url.replace(f":{password}@", f":{MASK}@") if password else url
    return printable(re.sub(r"(?i)(pass\w*=)[^&]*", rf"\1{MASK}", shown))


def password_of(url: str) -> str | None:
    """Return the password in the address of a database, as it is written there."""
    start = r"^[^/]*://[^:/]*:" if "://" in url else r"^[^:]*:"
    match = re.search(start + r"(.*)@", url, flags=re.DOTALL)
    return match[1] if match else None


def masked_address(url: str, harmless: Collection[str]) -> str:
    """Return the address of a server that should hold no secret, without what may be one.

    Args:
        url: as it was given; it need not be one that can be parsed.
        harmless: lower-case names of parameters whose values are no secrets.
    """
    head, tail = url, ""
    if "@" in url:
        scheme = re.match(r"[a-zA-Z][\w+.-]*://", url)
        head, tail = scheme[0] if scheme else "", f"{MASK}@" + url.rpartition("@")[2]
        if "?" in url or "#" in url:
            tail = MASK

    def value(match: re.Match[str]) -> str:
        return match[0] if match[2].lower() in harmless else f"{match[1]}{match[2]}={MASK}"

    return re.sub(r"([?&#])([^=&]*)=[^&]*", value, head + tail)
