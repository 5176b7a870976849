"""Addresses and credentials of InfluxDB, as the environment gives them."""

from __future__ import annotations

import os
import re
from urllib.parse import SplitResult, parse_qsl, urlsplit

from beambench.credentials.masking import masked_address
from beambench.errors import UsageError

EXAMPLE = "write http://host:8086"
API_PATH = re.compile(r"/(?:write|query|ping|api/v2(?:/\w+)?)/?$")
"""Ends of addresses that are those of requests, which beambench adds itself."""

HARMLESS = ("bucket", "org", "orgid", "db", "rp", "precision")
"""Parameters whose values are no secrets."""


def setting(name: str, *, secret: bool = False, spaces: bool = False) -> str | None:
    """Return an environment variable, None if it is empty.

    Args:
        name: of the variable.
        secret: whether no message may quote it.
        spaces: whether it may begin or end with spaces.

    Raises:
        UsageError: it holds a line break or spaces that it cannot have been meant to have.
    """
    value = os.environ.get(name) or None
    if value is None:
        return None
    quoted = f"influxdb: {name}" + ("" if secret else f" {value!r:.200}")
    if re.search(r"[\x00-\x1f\x7f]", value):
        where = "holds"
        if not re.search(r"[\x00-\x1f\x7f]", value.rstrip()):
            where = "ends in"
        raise UsageError(f"{quoted}: {where} a line break: take it away")
    if not spaces and value != value.strip():
        raise UsageError(f"{quoted}: begins or ends with a space: take it away")
    return value


def checked(url: str, source: str) -> str:
    """Return the address of a server of InfluxDB, without a slash at its end.

    Args:
        url: what was given.
        source: where it was given, for messages.

    Raises:
        UsageError: it is none, or holds what does not belong there.
    """
    where = f"{source} {quoted(url)}"
    scheme, separator, rest = url.partition("://")
    if not separator:
        raise UsageError(f"{where}: has no http:// before it: write http://{_bare(url)}")
    if scheme.lower() not in ("http", "https"):
        raise UsageError(f"{where}: is of {scheme}, not of http or https: {EXAMPLE}")
    if "@" in rest:
        raise UsageError(
            f"{where}: holds a user: set INFLUXDB_USER and INFLUXDB_USER_PASSWORD instead"
        )
    if "?" in rest or "#" in rest:
        names = " and ".join(name for name, _ in parse_qsl(rest.partition("?")[2])) or "parameters"
        raise UsageError(
            f"{where}: holds {names}: set INFLUXDB_DATABASE, or INFLUXDB_BUCKET and INFLUXDB_ORG "
            "with a token, instead"
        )
    parts = _split(url, where)
    if API_PATH.search(parts.path):
        raise UsageError(f"{where}: is that of a request: leave out {parts.path}")
    return url.rstrip("/")


def _split(url: str, where: str) -> SplitResult:
    host = url.partition("://")[2].partition("/")[0]
    if host.count(":") > 1 and not host.startswith("["):
        raise UsageError(f"{where}: write an IPv6 address in brackets: http://[::1]:8086")
    try:
        parts = urlsplit(url)
    except ValueError:
        raise UsageError(f"{where}: is no address: {EXAMPLE}") from None
    try:
        port = parts.port
    except ValueError:
        port = 0
    if port == 0:
        given = host.rpartition(":")[2]
        raise UsageError(f"{where}: {given} is no port: one is from 1 to 65535")
    if not parts.hostname:
        raise UsageError(f"{where}: names no host: {EXAMPLE}")
    if re.search(r"[\s\\<>\"'{}|^`%*,;]", parts.hostname):
        raise UsageError(f"{where}: {parts.hostname!r} is no name of a host: {EXAMPLE}")
    return parts


def quoted(url: str) -> str:
    """Return an address as it was given, but for what may be a secret in it."""
    return f"{masked_address(url, HARMLESS)!r:.200}"


def _bare(url: str) -> str:
    """Return the host and what follows it, before parameters."""
    after = re.sub(r"^https?:?/*", "", url.rpartition("@")[2])
    return re.split(r"[?#]", after)[0].lstrip("/:") or "host:8086"


def place(url: str) -> str:
    """Return an address as it may be shown: without user, password and parameters."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "INFLUXDB_URL"
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{host}{port}{parts.path}"
