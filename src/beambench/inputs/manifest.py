"""Resolve an input, once and before the timed repeats, into the elements that a run reads."""

from __future__ import annotations

import os
import posixpath
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from beambench.errors import UsageError, nearest
from beambench.inputs import files, images, lines
from beambench.inputs.contents import (
    CHECK_ADDRESS,
    UNREADABLE,
    Content,
    content_at,
    described,
    digest_of,
    is_file,
    read_objects,
    unlisted,
)
from beambench.inputs.files import is_address
from beambench.inputs.folder_cache import cached_folder
from beambench.inputs.folders import Listing, folder_listing, object_listing
from beambench.inputs.text import quoted, read_lines

TYPES = ("images", "numbers", *lines.TYPES)
DEFAULT_IMAGES = 200
DEFAULT_NUMBERS = 1000
DEFAULT_LINES = 200
# Part of a folder's name: raise it when the images made from a seed change.
GENERATED_VERSION = 1

EXPECTED = "a list of images, one path on each line, or a directory of images"
LineContents = list[bytes]


@dataclass(frozen=True)
class Manifest:
    """An input, resolved: element ``i`` lies at ``root / ids[i]``, or is ``contents[i]``.

    ``kind`` is ``list``, ``directory``, ``file``, ``derived`` (made from packaged photographs or
    texts) or ``synthetic``. ``root`` is empty when the ids are complete. An id stands twice if a
    list names a file twice. ``digest`` is the SHA-256 over the SHA-256 of every element in order:
    two equal inputs have the same wherever they lie, unless a warning says that objects of a store
    were too much to be read for it. ``bytes`` is what reading every element once
    reads, without the unreadable ones. ``source`` is what the user named. ``beyond`` are the ids
    that a directory or a list names and the limit leaves out.
    """

    kind: str
    root: str
    ids: list[str]
    digest: str
    bytes: int | None
    source: str | None
    warnings: list[str] = field(default_factory=list)
    contents: LineContents | None = None
    beyond: list[str] = field(default_factory=list)

    def paths(self) -> list[str]:
        """Return the path or address of every element that lies somewhere."""
        return Listing(self.kind, self.root, self.ids, []).paths(None)


def check_source(type: str, source: str) -> None:  # noqa: A002
    """Raise UsageError for an input that cannot be right, reading no image and no store."""
    if type not in TYPES:
        raise UsageError(
            f"input type {quoted(type)} is unknown{nearest(type, list(TYPES))}:"
            f" known are {', '.join(TYPES)}"
        )
    if type == "numbers":
        if source != "synthetic":
            raise UsageError(f"input source {quoted(source)}: numbers can only be 'synthetic'")
    elif type in lines.TYPES:
        if source not in ("packaged", "synthetic"):
            _check_path(source, lines.EXPECTED, lines.read_file)
    elif source == "packaged":
        images.require_photographs()
    elif source == "synthetic":
        images.require_packages("PIL")
    else:
        _check_path(source, EXPECTED, _check_any_there)


def resolve_input(
    type: str,  # noqa: A002
    source: str,
    *,
    limit: int | None,
    seed: int,
    cache_dir: Path,
) -> Manifest:
    """Return the first ``limit`` elements of an input, all of them (or a default) if None.

    ``source`` is ``packaged``, ``synthetic`` or the path or address of a list or directory. Images
    that are made, from ``seed``, are kept below ``cache_dir``. Raises UsageError for an input that
    cannot be right, RunError if the cache cannot be written or a store does not answer.
    """
    check_source(type, source)
    if is_address(source):
        _connect(source, source)
    if type == "numbers":
        ids = [str(number) for number in range(DEFAULT_NUMBERS if limit is None else limit)]
        return Manifest("synthetic", "", ids, digest_of(ids), None, source)
    if type in lines.TYPES:
        return _lines(type, source, limit, seed)
    if source in ("packaged", "synthetic"):
        return _generated(source, DEFAULT_IMAGES if limit is None else limit, seed, cache_dir)
    return _read(source, _listing(source), limit)


def _lines(type: str, source: str, limit: int | None, seed: int) -> Manifest:  # noqa: A002
    """Return a manifest whose elements are lines of text."""
    kind, warnings = "file", list[str]()
    if source == "packaged":
        kind, contents = "derived", lines.packaged(type, limit, seed)
    elif source == "synthetic":
        count = DEFAULT_LINES if limit is None else limit
        kind, contents = "synthetic", lines.synthetic(type, count, seed)
    else:
        elements = lines.read_file(source)
        if limit is not None and limit > len(elements):
            warnings.append(_too_few(source, len(elements), limit))
        warnings += lines.warnings_of(source, elements[:limit], type)
        ids, contents = (list(part) for part in zip(*elements[:limit], strict=True))
    if kind != "file":
        ids = [str(number) for number in range(1, len(contents) + 1)]
    return Manifest(
        kind=kind,
        root="",
        ids=ids,
        digest=lines.digest(contents),
        bytes=sum(map(len, contents)),
        source=source,
        warnings=warnings,
        contents=contents,
    )


def _connect(source: str, address: str) -> None:
    try:
        files.connect(address)
    except OSError as error:
        raise UsageError(
            f"{source}: {error.strerror} ({error.filename}): {CHECK_ADDRESS}"
        ) from None


def _check_any_there(source: str) -> None:
    paths = _listing(source).paths(None)
    if not any(is_address(path) or is_file(path) for path in paths):
        raise _all_unreadable(source, paths)


def _check_path(source: str, expected: str, check_content: Callable[[str], object]) -> None:
    """Check an address by its looks, and a path on this machine by what it holds."""
    if is_address(source):
        files.check_address(source, "input source")
        if files.PATTERN.search(source):
            raise UsageError(
                f"input source {quoted(source)}: patterns are not taken: name a folder, with a / at"
                " its end, or a list"
            )
        return
    try:
        mode = os.stat(source).st_mode  # noqa: PTH116 - for pathlib "" is "."
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        hint = nearest(source, ["packaged", "synthetic"])
        raise UsageError(
            f"input source {quoted(source)}: {reason}{hint}:"
            f" name 'packaged', 'synthetic', {expected}"
        ) from error
    # Opening anything else, a pipe for instance, could wait for ever.
    if not (stat.S_ISDIR(mode) or stat.S_ISREG(mode)):
        raise UsageError(f"{source}: is neither file nor directory: expected {expected}")
    if not os.access(source, os.R_OK | (os.X_OK if stat.S_ISDIR(mode) else 0)):
        raise UsageError(f"{source}: cannot be read: allow it with chmod, or name another input")
    check_content(source)


def _generated(source: str, count: int, seed: int, cache_dir: Path) -> Manifest:
    kind, make = {
        "packaged": ("derived", images.packaged_images),
        "synthetic": ("synthetic", images.synthetic_images),
    }[source]
    folder = cache_dir.resolve() / f"{source}-images-v{GENERATED_VERSION}-seed{seed}-n{count}"
    files = cached_folder(folder, count, partial(make, count, seed))
    return Manifest(
        kind=kind,
        root=str(folder),
        ids=[file.name for file in files],
        digest=digest_of(file.sha256 for file in files),
        bytes=sum(file.bytes for file in files),
        source=source,
    )


def _listing(source: str) -> Listing:
    if is_address(source):
        return _remote_listing(source)
    return folder_listing(source) if Path(source).is_dir() else _list(source)


def _remote_listing(source: str) -> Listing:
    """List an object with one path a line, or else a folder."""
    folder = f"{source.rstrip('/')}/"
    if not source.endswith("/") and source.count("/") > 2:
        try:
            files.stored(source)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise unlisted(source, error) from None
        else:
            return _list(source)
    try:
        objects = files.stored_in(folder, below=True)
    except OSError as error:
        raise unlisted(source, error) from None
    if not objects and source != folder:
        raise UsageError(f"{source}: no such object or folder: {CHECK_ADDRESS}")
    paths = [entry.path.removeprefix(folder) for entry in objects]
    return object_listing(source, folder.rstrip("/"), paths)


def _list(source: str) -> Listing:
    lines = list(read_lines(source, EXPECTED))
    if not lines:
        raise UsageError(f"{source}: names no image: put one path on each line")
    for number, line in lines:
        if is_address(line):
            files.check_address(line, f"{source}: line {number}:")
    if is_address(source):
        paths = [_beside(source, number, line) for number, line in lines]
    else:
        paths = _absolute([line for _, line in lines], Path(source).parent.resolve())
    if any(is_address(path) for path in paths):
        return Listing("list", "", paths, [])
    # Over the whole list, so that an id is the same whatever the limit.
    root = os.path.commonpath([path.rpartition("/")[0] or "/" for path in paths])
    ids = [path.removeprefix(root).lstrip("/") for path in paths]
    return Listing("list", root, ids, [])


def _beside(source: str, number: int, line: str) -> str:
    """Return the complete path of a line of a list in a store."""
    if is_address(line) or line.startswith("/"):
        return line
    bucket, _, name = source.removeprefix("gs://").partition("/")
    path = posixpath.normpath(posixpath.join(posixpath.dirname(name), line))
    if path.startswith(".."):
        raise UsageError(f"{source}: line {number}: {quoted(line)} leads out of the bucket")
    return f"gs://{bucket}/{path}"


def _absolute(lines: list[str], folder: Path) -> list[str]:
    """Return the complete path of every line; an address stays as it is.

    A relative path is looked for in the list's folder, then in the current one. One that is
    nowhere goes where the others were found, so that a missing file changes no other id.
    """
    here = Path.cwd()
    absolute = {
        line: next((base for base in (folder, here) if is_file(str(base / line))), None)
        for line in dict.fromkeys(lines)
        if not line.startswith("/") and not is_address(line)
    }
    usual = next((base for base in absolute.values() if base), here)
    # pathlib drops "." and doubled slashes, and keeps ".." for the sake of symbolic links.
    return [
        line if is_address(line) else "/" + str((absolute.get(line) or usual) / line).lstrip("/")
        for line in lines
    ]


def _read(source: str, listing: Listing, limit: int | None) -> Manifest:
    """Read the first ``limit`` elements and return the manifest."""
    ids, paths, warnings = listing.ids[:limit], listing.paths(limit), listing.warnings
    if limit is not None and limit > len(ids):
        warnings.append(_too_few(source, len(ids), limit))
    distinct = list(dict.fromkeys(paths))
    contents = {path: content_at(path) for path in distinct if not is_address(path)}
    addresses = [path for path in distinct if is_address(path)]
    if addresses:
        for bucket in sorted({"/".join(address.split("/")[:3]) for address in addresses}):
            _connect(source, bucket)
        remote = read_objects(addresses)
        if remote is None:
            remote = described(addresses)
            warnings.append(
                f"{source}: {len(addresses)} of {len(distinct)} elements are too much to be read"
                " from their store for the digest: it covers address, size and time of the last"
                " change of each, and not what they contain"
            )
        contents |= remote
    _check_readable(source, paths, contents, warnings)
    sizes = [content.size for path in paths if (content := contents[path])]
    return Manifest(
        kind=listing.kind,
        root=listing.root,
        ids=ids,
        digest=digest_of(
            content.digest if (content := contents[path]) else UNREADABLE for path in paths
        ),
        bytes=sum(sizes),
        source=source,
        warnings=warnings,
        beyond=[] if limit is None else listing.ids[limit:],
    )


def _too_few(source: str, count: int, limit: int) -> str:
    return f"{source}: has {count} of the {limit} elements asked for: using all"


def _check_readable(
    source: str, paths: list[str], contents: dict[str, Content | None], warnings: list[str]
) -> None:
    """Warn of files that cannot be read; if that is all of them, raise UsageError."""
    unreadable = [path for path in paths if contents[path] is None]
    if not unreadable:
        return
    if len(unreadable) == len(paths):
        raise _all_unreadable(source, paths)
    warnings.append(
        f"{source}: {len(unreadable)} of {len(paths)} files missing or unreadable, the first is"
        f" {quoted(unreadable[0])}: they will be failed elements"
    )


def _all_unreadable(source: str, paths: list[str]) -> UsageError:
    hint = "relative paths start at the list's folder or at the current one"
    if is_address(paths[0]):
        try:
            files.stored(paths[0])
        except OSError as error:
            hint = f"{error.strerror}: {CHECK_ADDRESS}"
    return UsageError(
        f"{source}: {len(paths)} of {len(paths)} files missing or unreadable, the first is"
        f" {quoted(paths[0])}: {hint}"
    )
