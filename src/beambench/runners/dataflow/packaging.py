"""What is shipped to workers: beambench and the user's workload as wheels, and pinned requirements.

A wheel is made from what is installed here, be that an editable install or one without sources.
Nothing is built or run, and the same files give the same bytes.
"""

from __future__ import annotations

import ast
import base64
import hashlib
import importlib.util
import re
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from importlib import metadata
from pathlib import Path

from beambench.errors import RunError, UsageError

OWN = "beambench-workload"
"""Name of the package with a user's own workload module."""

EPOCH = (1980, 1, 1, 0, 0, 0)
COMPILED = (".so", ".pyd")
WHEEL = "Wheel-Version: 1.0\nGenerator: beambench\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
_NAME = re.compile(r"[A-Za-z0-9._-]+")


def wheels_of(workload: str, distribution: str | None, folder: Path) -> list[Path]:
    """Write the wheels that a worker needs beside its requirements, in the order of installation.

    Args:
        workload: ``module:Class`` of a user's own module that can be found here, or another name.
        distribution: the installed distribution that brings the workload, if one does.
        folder: where they are written.

    Raises:
        RunError: a module cannot be shipped.
    """
    module, colon, _ = workload.partition(":")
    wheels = [installed_wheel("beambench", "beambench", folder)]
    if distribution is not None:
        wheels.append(installed_wheel(distribution, module, folder))
    elif colon:
        wheels.append(workload_wheel(module, folder))
    return wheels


def installed_wheel(distribution: str, module: str, folder: Path) -> Path:
    """Write a wheel of an installed distribution, with the package that a module is in.

    Raises:
        RunError: it is not installed, or has compiled parts.
    """
    try:
        installed = metadata.distribution(distribution)
    except metadata.PackageNotFoundError:
        raise RunError(
            f"{distribution} is not installed, so it cannot be sent to workers: install it, "
            "with `pip install -e` for instance"
        ) from None
    described = installed.read_text("METADATA") or installed.read_text("PKG-INFO")
    entries = installed.read_text("entry_points.txt")
    entries_file = {"entry_points.txt": entries} if entries else {}
    files = dict(_whole(*_place_of(module)))
    return _write(
        folder, distribution, installed.version, files, {"METADATA": str(described), **entries_file}
    )


def workload_wheel(module: str, folder: Path) -> Path:
    """Write a wheel with a user's own module and what it imports from the folder that it lies in.

    A package goes whole, with all its files. Imports are read from the source, nothing is run.

    Raises:
        RunError: the module is not there, or has compiled parts.
    """
    place, name = _place_of(module)
    files: dict[str, Path] = {}
    waiting, seen = [name], {name}
    while waiting:
        own = dict(_whole(place, waiting.pop()))
        files |= own
        imported = {imported_name for path in own.values() for imported_name in _imports(path)}
        beside = {
            imported_name for imported_name in imported - seen if _lies_in(place, imported_name)
        }
        waiting += sorted(beside)
        seen |= beside
    digest = hashlib.sha256()
    for written, path in sorted(files.items()):
        digest.update(f"{written}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    version = f"0+{digest.hexdigest()[:12]}"
    described = f"Metadata-Version: 2.1\nName: {OWN}\nVersion: {version}\n"
    return _write(folder, OWN, version, files, {"METADATA": described})


def pinned(names: Iterable[str], versions: Iterable[str | None], where: str) -> Iterator[str]:
    """Yield the lines of a requirements file.

    A local build (`2.13.0+cpu`) is in no index, so the release it was built from is pinned, and a
    comment says so; what is not installed is named without a version.
    """
    for name, installed in zip(names, versions, strict=True):
        if installed is None:
            yield from (f"# {name} is not installed {where}, so no version is pinned", name)
            continue
        release, plus, _ = installed.partition("+")
        if plus:
            yield f"# {name} {installed} is installed {where}"
        yield f"{name}=={release}"


def installed_version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def staged_requirements(needed: Sequence[str]) -> list[str]:
    """Return the requirements of workers: what beambench and the workload need, as installed here.

    Neither beambench, which is a wheel, nor Beam, which is in the image.
    """
    own = [
        _NAME.match(match)
        for match in metadata.requires("beambench") or ()
        if "extra ==" not in match
    ]
    names = dict.fromkeys([*(match[0] for match in own if match), *needed])
    wanted = {name: name.partition("[")[0] for name in names}
    wanted = {name: bare for name, bare in wanted.items() if bare != "apache-beam"}
    return list(pinned(wanted, map(installed_version, wanted.values()), "here"))


def dockerfile(image: str, wheels: Sequence[Path], requirements: Path) -> str:
    """Return a Dockerfile: Beam's image, with all that a worker needs installed."""
    names = [requirements.name, *(wheel.name for wheel in wheels)]
    lines = [
        f"FROM {image}",
        f"COPY {' '.join(names)} /beambench/",
        f"RUN pip install --no-cache-dir -r /beambench/{requirements.name} "
        + " ".join(f"/beambench/{wheel.name}" for wheel in wheels)
        + " \\\n    && pip check && rm -r /beambench",
    ]
    return "".join(f"{line}\n" for line in lines)


def _place_of(module: str) -> tuple[Path, str]:
    """Return the folder that a module's package lies in, and the name of the package."""
    name = module.partition(".")[0]
    spec = importlib.util.find_spec(name)
    if spec is None:
        raise UsageError(f"no module {name!r} to send to workers: is its folder on PYTHONPATH?")
    if spec.submodule_search_locations:
        return Path(next(iter(spec.submodule_search_locations))).parent, name
    return Path(str(spec.origin)).parent, name


def _whole(place: Path, name: str) -> Iterator[tuple[str, Path]]:
    """Yield the files of a module, or of a package with all that is in it."""
    single, package = place / f"{name}.py", place / name
    if not package.is_dir():
        if not single.is_file():
            raise RunError(f"{place / name}: only modules with a source can be sent to workers")
        yield single.name, single
        return
    for path in sorted(package.rglob("*")):
        written = path.relative_to(place)
        if not path.is_file() or "__pycache__" in written.parts:
            continue
        if path.suffix in COMPILED:
            raise RunError(f"{path}: compiled parts cannot be sent to workers: use an image")
        yield written.as_posix(), path


def _lies_in(place: Path, name: str) -> bool:
    return (place / f"{name}.py").is_file() or (place / name / "__init__.py").is_file()


def _imports(path: Path) -> Iterator[str]:
    """Yield the top-level names that a module imports, anywhere in it."""
    if path.suffix != ".py":
        return
    try:
        tree = ast.parse(path.read_bytes(), path.name)
    except (SyntaxError, ValueError) as error:
        raise RunError(f"{path}: cannot be read: {error}") from None
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def _write(
    folder: Path, name: str, version: str, files: dict[str, Path], described: dict[str, str]
) -> Path:
    """Write a wheel: no time stamps, files in order."""
    stem = f"{re.sub('[-_.]+', '_', name)}-{version.replace('-', '_')}"
    own = {
        f"{stem}.dist-info/{file}": text for file, text in (*described.items(), ("WHEEL", WHEEL))
    }
    record: list[str] = []
    path = folder / f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:

        def add(written: str, content: bytes) -> None:
            info = zipfile.ZipInfo(written, EPOCH)
            info.compress_type, info.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            wheel.writestr(info, content)
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=")
            record.append(f"{written},sha256={digest.decode()},{len(content)}\n")

        for written, place in sorted(files.items()):
            add(written, place.read_bytes())
        for written, text in own.items():
            add(written, text.encode())
        listed = f"{stem}.dist-info/RECORD"
        info = zipfile.ZipInfo(listed, EPOCH)
        info.external_attr = 0o644 << 16
        wheel.writestr(info, "".join([*record, f"{listed},,\n"]))
    return path
