"""What pictures hold that a classifier does not see: frames, transparency, orientation.

Looked for in the headers of a bounded number of files before anything is timed, and said in one
line.
"""

from __future__ import annotations

import io
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import BinaryIO

from PIL import Image

from beambench.inputs import files
from beambench.workloads.images.decoding import CONVERTED, white_of

MOST_FILES = 5000
"""A header takes some 0.1 ms: half a second in all. Of more files every second, third … is read."""
MOST_OBJECTS = 200
"""Of a store, where each is a request, and its first MiB is what is looked at."""
READERS = 16

ORIENTATION = 274
"""The tag of EXIF; 1 and all that is not from 2 to 8 leaves a picture as it is."""

FRAMES = "with several frames or pages, of which the first is read"
ALPHA = "with an alpha channel, which is left out"
DEEP = "of 16-bit grey, scaled to 8 bits"
ORIENTED = (
    "with an EXIF orientation, which is ignored as in Beam's example"
    " (--set parameters.orient=true turns them)"
)
TRAITS = (FRAMES, ALPHA, DEEP, ORIENTED)


def survey(paths: Sequence[str], *, orient: bool) -> list[str]:
    """Return one line with the number of pictures that are more than what is read of them.

    Args:
        paths: of all elements; files that are no pictures are left to fail as elements.
        orient: the orientation is honoured, so there is nothing to say of it.
    """
    distinct = list(dict.fromkeys(paths))
    most = MOST_OBJECTS if any(map(files.is_address, distinct)) else MOST_FILES
    chosen = distinct[:: -(-len(distinct) // most) or 1]
    counts: Counter[str] = Counter()
    for content in _contents(chosen):
        counts.update(_traits(content))
    if orient:
        del counts[ORIENTED]
    if not counts:
        return []
    of = f"of {len(chosen)} pictures"
    if len(chosen) < len(distinct):
        of += f" that were looked at (there are {len(distinct)})"
    parts = [f"{counts[trait]} {trait}" for trait in TRAITS if counts[trait]]
    return [f"{of}: {'; '.join(parts)}"]


def _contents(paths: Sequence[str]) -> Iterator[BinaryIO]:
    """Yield the files that can be opened, and the beginnings of objects."""
    addresses = [path for path in paths if files.is_address(path)]
    with ThreadPoolExecutor(READERS) as pool:
        yield from (io.BytesIO(head) for head in pool.map(_head, addresses))
    for path in paths:
        if not files.is_address(path):
            try:
                with open(path, "rb") as file:  # noqa: PTH123 - 5,000 of them
                    yield file
            except OSError:
                continue


def _head(address: str) -> bytes:
    try:
        return next(files.chunks(address), b"")
    except OSError:
        return b""


def _traits(content: BinaryIO) -> list[str]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's, of pictures that are large
            image = Image.open(content)
            traits = {
                # The second picture of an MPO, a camera's JPEG, is a preview or the other eye's.
                FRAMES: getattr(image, "is_animated", False) and image.format != "MPO",
                ALPHA: image.has_transparency_data,
                DEEP: image.mode not in CONVERTED and white_of(image) is not None,
                ORIENTED: _orientation(image) in range(2, 9),
            }
    except Exception:  # whatever Pillow's parsers raise: the element will say it
        return []
    return [trait for trait, is_there in traits.items() if is_there]


def _orientation(image: Image.Image) -> object:
    if image.format == "TIFF":
        return None  # Pillow has it turned when it is decoded
    if image.format == "PNG" and "exif" not in image.info:
        return None  # Pillow would decode the picture to look behind it
    return image.getexif().get(ORIENTATION)
