"""Files on this machine and objects in a store, read and written alike.

What has a scheme (``gs://…``) goes through Beam's file systems, which only a worker may import;
they are imported on first use. Whatever goes wrong there is an OSError, as for a file, except that
a store which does not answer is a RunError: nothing can be said of what lies in it.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import io
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from beambench.credentials.google import LOG_IN, application_default, check_google_key
from beambench.errors import RunError, UsageError

SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
OBJECT = re.compile(r"gs://[a-z0-9][a-z0-9._-]{1,220}[a-z0-9](/[^\r\n]*)?")
PATTERN = re.compile(r"[*?[]")
"""What Beam's file systems read as a pattern."""

INSTALL = "pip install 'beambench[gcp]'"
CHUNK_BYTES = 1 << 20
# Google's clients try again for two minutes a request, and Beam looks for credentials for 20 s.
ANSWER_SECONDS = 30.0
RETRY_SECONDS = 10.0


class Stored(NamedTuple):
    """What a store says of an object: its size in bytes, and when it was last changed, in s."""

    path: str
    size: int
    changed: float


def is_address(path: str) -> bool:
    """Tell an address with a scheme from a path on this machine."""
    return SCHEME.match(path) is not None


def check_address(address: str, meaning: str) -> None:
    """Check what can be told of an address without asking its store.

    Args:
        address: what has a scheme.
        meaning: what the address is, in front of the message.

    Raises:
        UsageError: it is not on Google Cloud Storage; the line shows no more than scheme and host,
            for what follows may hold a secret.
    """
    if not address.startswith("gs://"):
        scheme, _, rest = address.partition("://")
        host = re.split(r"[/?#]", rest, maxsplit=1)[0].rpartition("@")[2]
        raise UsageError(
            f"{meaning} {scheme}://{host}…: only gs:// addresses and paths on this machine are "
            "taken"
        )
    if not OBJECT.fullmatch(address):
        raise UsageError(f"{meaning} {address!r:.160}: expected gs://BUCKET/OBJECT")


def joined(folder: str, name: str) -> str:
    """Return the path or address of a file in a folder."""
    return f"{folder.rstrip('/')}/{name}" if is_address(folder) else str(Path(folder) / name)


def chunks(path: str) -> Iterator[bytes]:
    """Yield the content in pieces, byte for byte: Beam would unpack what is named .gz.

    Raises:
        OSError: it is not there or cannot be read.
    """
    if not is_address(path):
        with Path(path).open("rb") as local:
            while chunk := local.read(CHUNK_BYTES):
                yield chunk
        return
    from apache_beam.io.filesystem import CompressionTypes

    with _as_os_errors(path):
        remote = _systems(path).open(path, compression_type=CompressionTypes.UNCOMPRESSED)
    with remote:
        while True:
            with _as_os_errors(path):
                chunk = remote.read(CHUNK_BYTES)
            if not chunk:
                return
            yield chunk


def read_bytes(path: str) -> bytes:
    return b"".join(chunks(path))


def lines_of(path: str) -> Iterator[str]:
    """Yield the lines of a UTF-8 text without their ends; a line ends with a line feed only."""
    remote = io.BytesIO(read_bytes(path)) if is_address(path) else None
    with remote or Path(path).open("rb") as content:
        for line in io.TextIOWrapper(content, encoding="utf-8", newline="\n"):
            yield line.removesuffix("\n")


def stored(address: str) -> Stored:
    """Return what a store says of one object.

    Raises:
        OSError: it is not there or nothing may be known of it.
    """
    with _as_os_errors(address):
        metadata = _systems(address).get_filesystem(address).metadata(address)
    return Stored(address, metadata.size_in_bytes, metadata.last_updated_in_seconds)


def stored_in(folder: str, *, below: bool = False) -> list[Stored]:
    """Return the objects of a folder, whose address ends in a slash, by name.

    Args:
        folder: its address.
        below: those of the folders below it too.

    Raises:
        OSError: there is no such bucket, or it may not be listed.
    """
    pattern = PATTERN.sub(lambda match: f"[{match[0]}]", folder) + ("**" if below else "*")
    with _as_os_errors(folder):
        (result,) = _systems(folder).match([pattern])
    objects = [
        Stored(entry.path, entry.size_in_bytes, entry.last_updated_in_seconds)
        for entry in result.metadata_list
    ]
    return sorted(
        entry for entry in objects if entry.path != folder
    )  # some tools make an object of it


def remove(path: str) -> None:
    """Remove a file or an object if it is there."""
    if not is_address(path):
        Path(path).unlink(missing_ok=True)
        return
    with _as_os_errors(path):
        _systems(path).delete([path])


def connect(address: str) -> None:
    """See that the store of an address answers, as no later call does in a bounded time.

    Raises:
        RunError: it does not.
        OSError: there is no such bucket.
    """
    bucket = address.removeprefix("gs://").partition("/")[0]
    with _as_os_errors(f"gs://{bucket}"):
        bucket_info = _in_time(f"gs://{bucket}", functools.partial(_bucket, address, bucket))
    if bucket_info is None:
        raise FileNotFoundError(errno.ENOENT, "no such bucket", f"gs://{bucket}")


def _bucket(address: str, bucket: str) -> object:
    """Return a bucket, None if there is none, or True if nothing may be known of it."""
    _systems(address)  # which says what to install, should all of this be missing
    from apache_beam.io.gcp.gcsio import GcsIO
    from google.api_core.exceptions import Forbidden, Unauthorized
    from google.cloud.storage.retry import DEFAULT_RETRY

    try:
        retry = DEFAULT_RETRY.with_timeout(RETRY_SECONDS)
        return GcsIO().client.lookup_bucket(bucket, timeout=RETRY_SECONDS, retry=retry)
    except (Forbidden, Unauthorized):  # its objects may be read all the same
        return True


def _in_time(address: str, call: Callable[[], object]) -> object:
    """Return what a call returns; raise RunError if it does not in `ANSWER_SECONDS`."""
    outcome: list[object] = []

    def run() -> None:
        try:
            outcome.append(call())
        except Exception as error:
            outcome.append(error)

    thread = threading.Thread(target=run, daemon=True)  # one that hangs must not keep us here
    thread.start()
    thread.join(ANSWER_SECONDS)
    if not outcome:
        raise RunError(f"{address}: no answer within {ANSWER_SECONDS:g} s: check the network")
    if isinstance(outcome[0], Exception):
        raise outcome[0]
    return outcome[0]


def _systems(address: str) -> Any:
    """Return Beam's file systems, once there are credentials or known to be none."""
    from apache_beam.io.filesystems import FileSystems

    try:
        FileSystems.get_filesystem(address)
    except ValueError:
        raise UsageError(f"{address}: Beam cannot read it here: {INSTALL}") from None
    has_credentials()
    return FileSystems


@functools.cache
def has_credentials() -> bool:
    """Tell whether there are Google credentials; without any, the store is asked as anyone may.

    Where there are none, Beam would look five times, for some 20 s in each process, and then ask
    as anyone may, too. Looking once is enough: it is told the answer.
    """
    from apache_beam.internal.gcp import auth

    try:
        application_default()
    except UsageError:
        auth._Credentials._credentials_init = True
        return False
    return True


def _why_none() -> str:
    try:
        check_google_key()
    except UsageError as error:
        return str(error)
    return f"no Google credentials were found: {LOG_IN}"


@contextlib.contextmanager
def _as_os_errors(address: str) -> Iterator[None]:
    try:
        yield
    except (RunError, UsageError):
        raise
    except Exception as error:
        _raise_os_error(address, error)


def _raise_os_error(address: str, error: Exception) -> NoReturn:
    """Raise what a file in the same state would raise: each store's client has its own errors."""
    from google.api_core.exceptions import RetryError
    from google.auth.exceptions import RefreshError, TransportError
    from requests import ConnectionError as NoConnection
    from requests import Timeout

    while (inner := _inner(error)) is not None:
        error = inner
    code = getattr(error, "code", None)
    if code == 404:
        missing = "bucket" if "bucket does not exist" in str(error) else "object"
        raise FileNotFoundError(errno.ENOENT, f"no such {missing}", address) from error
    if code in (401, 403):
        hint = "" if has_credentials() else f": {_why_none()}"
        raise PermissionError(errno.EACCES, f"access denied{hint}", address) from error
    if isinstance(error, RetryError | TransportError | NoConnection | Timeout):
        raise RunError(f"{address}: the store does not answer: check the network") from error
    if isinstance(error, RefreshError):
        raise RunError(f"{address}: the Google credentials are refused: {LOG_IN}") from error
    lines = str(error).strip().splitlines() or [type(error).__name__]
    raise OSError(errno.EIO, lines[0][:200], address) from error


def _inner(error: Exception) -> Exception | None:
    """Return the error of one path that Beam wrapped in its own for several."""
    details = getattr(error, "exception_details", None) or {}
    return next((cause for cause in details.values() if isinstance(cause, Exception)), None)
