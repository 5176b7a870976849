"""Images that need no download: crops of packaged photographs, and synthetic ones.

Both are a function of the seed and the position alone: the first images of a longer input are
those of a shorter one.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from functools import cache
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from beambench.errors import RunError, UsageError

if TYPE_CHECKING:
    from PIL import Image

# The colour photographs that the two packages carry in their wheels: package, folder, file.
# Left out of scikit-image: brick, camera, cell, clock_motion, coins, grass, gravel, moon, page,
# text, microaneurysms (grey); chessboard, color, horse, logo, phantom (drawn); ihc (microscopy);
# motorcycle_right (the other half of a stereo pair: nearly the same picture as the left one).
PHOTOGRAPHS = (
    ("skimage", "data", "astronaut.png"),
    ("skimage", "data", "chelsea.png"),
    ("sklearn", "datasets/images", "china.jpg"),
    ("skimage", "data", "coffee.png"),
    ("sklearn", "datasets/images", "flower.jpg"),
    ("skimage", "data", "hubble_deep_field.jpg"),
    ("skimage", "data", "motorcycle_left.png"),
    ("skimage", "data", "retina.jpg"),
    ("skimage", "data", "rocket.jpg"),
)
DISTRIBUTIONS = {"PIL": "Pillow", "skimage": "scikit-image", "sklearn": "scikit-learn"}
INSTALL = "pip install 'beambench[samples]'"

JPEG_QUALITY = 90
# Pixels. Image classifiers take 224 px; hardly a photograph of ImageNet is larger than 640 px.
SHORTEST_SIDE = 224
LONGEST_SIDE = 640
# Standard deviation of the grey values (0-255) under which a crop shows nothing, such as the
# black corner of the retina.
FLAT_BELOW = 8.0
MOST_DRAWS = 200
SYNTHETIC_SIZE = (500, 375)
# So that a synthetic JPEG is about as large as a photograph of that size: some 100 kB.
SYNTHETIC_NOISE = 0.25


def require_packages(*modules: str) -> None:
    """Raise UsageError if a package that the images come from is missing; imports nothing."""
    missing = [DISTRIBUTIONS[name] for name in modules if importlib.util.find_spec(name) is None]
    if missing:
        raise UsageError(f"{', '.join(missing)} missing: {INSTALL}")


def require_photographs() -> list[Path]:
    """Return the paths of the packaged photographs, or raise UsageError."""
    require_packages("PIL", "skimage", "sklearn")
    # Found by path: importing scikit-learn takes a second.
    paths = [_package_folder(package) / sub / file for package, sub, file in PHOTOGRAPHS]
    for path in paths:
        if not path.is_file():
            raise UsageError(f"{path}: packaged photograph missing: {INSTALL}")
    return paths


def packaged_images(count: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """Yield name and JPEG of ``count`` different crops, taken from the photographs in turn."""
    paths = require_photographs()
    opened = cache(_opened)
    seen: set[bytes] = set()
    for index in range(count):
        path = paths[index % len(paths)]
        jpeg = _new_crop(opened(path), Random(f"packaged-{seed}-{index}"), seen)  # noqa: S311
        yield f"{index:06d}_{path.stem}.jpg", jpeg


def synthetic_images(count: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """Yield name and JPEG of ``count`` different images: a gradient of two colours under noise."""
    from PIL import Image

    gradient = Image.linear_gradient("L").resize(SYNTHETIC_SIZE)
    for index in range(count):
        rng = Random(f"synthetic-{seed}-{index}")  # noqa: S311
        here, there = (Image.new("RGB", SYNTHETIC_SIZE, tuple(rng.randbytes(3))) for _ in range(2))
        noise = Image.frombytes(
            "RGB", SYNTHETIC_SIZE, rng.randbytes(3 * SYNTHETIC_SIZE[0] * SYNTHETIC_SIZE[1])
        )
        smooth = Image.composite(here, there, gradient)
        yield f"{index:06d}_synthetic.jpg", _jpeg(Image.blend(smooth, noise, SYNTHETIC_NOISE))


def _package_folder(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    assert spec is not None, "presence was checked"
    assert spec.submodule_search_locations, "it is a package, not a module"
    return Path(spec.submodule_search_locations[0])


def _opened(path: Path) -> Image.Image:
    from PIL import Image

    try:
        return Image.open(path).convert("RGB")
    except OSError as error:
        raise UsageError(
            f"{path}: packaged photograph is damaged: {INSTALL} --force-reinstall"
        ) from error


def _new_crop(photograph: Image.Image, rng: Random, seen: set[bytes]) -> bytes:
    """Return a crop as JPEG that shows something and was not drawn before; note it in ``seen``."""
    from PIL import ImageStat

    for _ in range(MOST_DRAWS):
        crop = _crop(photograph, rng)
        if ImageStat.Stat(crop.convert("L")).stddev[0] >= FLAT_BELOW:
            jpeg = _jpeg(crop)
            digest = sha256(jpeg).digest()
            if digest not in seen:
                seen.add(digest)
                return jpeg
    raise RunError(f"packaged images: no new crop in {MOST_DRAWS} draws: ask for fewer elements")


def _crop(photograph: Image.Image, rng: Random) -> Image.Image:
    from PIL import Image

    width, height = (
        rng.randint(min(SHORTEST_SIDE, side), min(LONGEST_SIDE, side)) for side in photograph.size
    )
    left = rng.randint(0, photograph.width - width)
    top = rng.randint(0, photograph.height - height)
    crop = photograph.crop((left, top, left + width, top + height))
    flip = rng.random() < 0.5
    return crop.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if flip else crop


def _jpeg(image: Image.Image) -> bytes:
    buffer = BytesIO()
    image.save(buffer, "JPEG", quality=JPEG_QUALITY)
    return buffer.getvalue()
