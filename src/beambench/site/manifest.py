"""What a site was written from, so that only what changed is written again."""

from __future__ import annotations

import functools
import hashlib
import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

import beambench
from beambench.errors import RunError, UsageError
from beambench.site.data.outlines import BenchmarkOutline

NAME = "site.json"


class Manifest(BaseModel):
    """What stands in a site.

    Attributes:
        made_by: digest of the code, templates and assets that wrote it.
        benchmarks: by name.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    made_by: str
    benchmarks: dict[str, BenchmarkOutline] = Field(default_factory=dict)


@functools.cache
def code_digest() -> str:
    """Return a digest of what writes a site: pages of another version are written again.

    That is all of beambench: how levels are told and runs are priced too.
    """
    digest = hashlib.sha256()
    folder = Path(beambench.__file__).parent
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix != ".pyc":
            digest.update(path.relative_to(folder).as_posix().encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def read_manifest(out: Path) -> Manifest:
    """Return what stands in a folder that a site is written to; nothing by other code counts.

    Raises UsageError for a folder that holds something and no site.
    """
    made_by = code_digest()
    path = out / NAME
    try:
        if out.exists() and not out.is_dir():
            raise UsageError(f"--out {out}: is not a folder: name one")
        if not path.exists():
            if out.exists() and any(out.iterdir()):
                raise UsageError(
                    f"--out {out}: is not empty and holds no site (no {NAME}): name a new folder"
                )
            return Manifest(made_by=made_by)
        manifest = Manifest.model_validate_json(path.read_bytes())
    except ValidationError:
        if not _is_ours(path):
            raise UsageError(
                f"--out {out}: its {NAME} is not of beambench: name a new folder"
            ) from None
        return Manifest(made_by=made_by)
    except OSError as error:
        raise RunError(f"--out {out}: {error.strerror or error}") from None
    return manifest if manifest.made_by == made_by else Manifest(made_by=made_by)


def _is_ours(path: Path) -> bool:
    """Tell whether a file that is no manifest of this version is one of another."""
    try:
        content = json.loads(path.read_bytes())
    except ValueError:
        return False
    return isinstance(content, dict) and {"made_by", "benchmarks"} <= content.keys()
