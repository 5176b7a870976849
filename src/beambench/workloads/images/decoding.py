"""From the bytes of a file to an RGB picture of 8 bits, or an error that says what the bytes are.

Pillow's ``convert("RGB")`` scales the modes in `CONVERTED` and clips all others at 255: a picture
of 16-bit grey turns white (Pillow issue 3011). Those are scaled here if their file format fixes
what white is, and refused if it does not.
"""

from __future__ import annotations

import io
import re

from PIL import Image, ImageOps, UnidentifiedImageError

CONVERTED = frozenset(
    ("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "LAB", "HSV")
)
"""Modes of 8 bits or less a channel, for which ``convert("RGB")`` is right. Pillow itself reads
colour pictures of 16 bits a channel as the higher 8."""

FULL_RANGE = 65535
BITS_PER_SAMPLE, PHOTOMETRIC, WHITE_IS_ZERO = 258, 262, 0
"""Tags of TIFF 6.0, and the value of the second for negatives."""

LARGEST_PIXELS = 178_956_970
"""Pixels of a resized picture: above it Pillow refuses to open one (twice its MAX_IMAGE_PIXELS)."""

ENDS_EARLY = re.compile(r"truncated|not enough image data|only got \d+", re.IGNORECASE)
"""What Pillow says then."""

HEAD = 24
"""Bytes that are quoted of what is no picture."""

# What people have in place of a picture, by its first bytes; those of ISO media begin at byte 4.
SIGNATURES = (
    (rb"\s*<(!doctype html|html|head|body)", "a page of HTML"),
    (rb"\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)?(<!doctype svg|<svg)", "an SVG drawing"),
    (rb"\s*<\?xml", "XML"),
    (rb"\s*[{\[]\s*[\"{\[\]}]", "JSON"),
    (rb"version https://git-lfs", "a pointer of Git LFS: fetch the file with git lfs pull"),
    (rb"%PDF-", "a PDF document"),
    (rb"PK\x03\x04", "a ZIP archive"),
    (rb"\x1f\x8b", "a gzip archive"),
    (rb"\0\x05\x16[\0\x07]", "AppleDouble, what a Mac writes beside a file"),
    (rb"....ftyp(heic|heix|heim|heis|hevc|mif1|msf1)", "a HEIC picture: save it as JPEG"),
    (rb"....ftypavi[fs]", "an AVIF picture that is damaged, or Pillow is too old for it"),
    (rb"....ftyp", "a video"),
    (rb"\xff\x0a|\0\0\0\x0cJXL ", "a JPEG XL picture: save it as JPEG"),
    (rb"\xff\xd8\xff", "a JPEG header that ends too early or is damaged"),
    (rb"\x89PNG", "a PNG header that ends too early or is damaged"),
    (rb"GIF8", "a GIF header that ends too early or is damaged"),
    (rb"RIFF....WEBP", "a WebP picture that ends too early or is damaged"),
    (rb"II\*\0|MM\0\*", "a TIFF header, or a camera's raw file, that cannot be read"),
)
KINDS = [(re.compile(start, re.IGNORECASE | re.DOTALL), kind) for start, kind in SIGNATURES]


def decoded(raw: bytes, *, orient: bool = False) -> Image.Image:
    """Decode a file's bytes as an RGB picture.

    Args:
        raw: the whole file.
        orient: turn the picture as its EXIF orientation says; Pillow always does that with TIFF.

    Raises:
        UnidentifiedImageError: it is no picture that Pillow knows.
        OSError: it ends too early, or is damaged.
        ValueError: its mode says nothing of how bright a value is.
    """
    image: Image.Image | None = None
    try:
        image = Image.open(io.BytesIO(raw))
        image.load()
    except UnidentifiedImageError:
        raise UnidentifiedImageError(f"not a picture: {describe_bytes(raw)}") from None
    except (Image.DecompressionBombError, MemoryError):
        raise
    except Exception as error:  # each of Pillow's parsers raises its own
        raise OSError(_damage(error, image, raw)) from None
    upright = ImageOps.exif_transpose(image) if orient else image
    return upright.convert("RGB") if image.mode in CONVERTED else _scaled(upright, of=image)


def describe_bytes(raw: bytes) -> str:
    """Say what bytes are that are no picture."""
    if not raw:
        return "0 bytes"
    if not raw.strip(b"\0"):
        return f"{len(raw)} bytes, all of them 0"
    start = raw.removeprefix(b"\xef\xbb\xbf")
    quote = f"{len(raw)} bytes that begin with {start[:HEAD].decode('latin-1')!a}"
    kind = next((kind for pattern, kind in KINDS if pattern.match(start)), None)
    return f"{quote}: {kind}" if kind else quote


def _damage(error: Exception, image: Image.Image | None, raw: bytes) -> str:
    """Say what is wrong with a picture, and at which byte it ends where that is the fault."""
    of = f"{image.format} of {image.width} x {image.height} pixels" if image else "the picture"
    is_short = raw[:4] == b"RIFF" and len(raw) < 8 + int.from_bytes(raw[4:8], "little")
    if is_short or isinstance(error, EOFError) or ENDS_EARLY.search(str(error)):
        return f"{of} is truncated at byte {len(raw)}"
    return f"{of} is damaged: {error}"


def _scaled(image: Image.Image, *, of: Image.Image) -> Image.Image:
    """Scale grey of more than 8 bits linearly to 8: PNG's specification (W3C), 13.12.

    Args:
        image: what is scaled.
        of: what was opened; a turned picture knows nothing of its file.
    """
    import numpy as np

    white = white_of(of)
    if white is None:
        raise ValueError(
            f"mode {of.mode} of {of.format}: nothing says which value is white:"
            " save the picture with 8 bits a channel"
        )
    values = np.asarray(image).astype(np.int64)
    grey = (values.clip(0, white) * 255 + white // 2) // white
    if getattr(of, "tag_v2", {}).get(PHOTOMETRIC) == WHITE_IS_ZERO:
        grey = 255 - grey
    return Image.fromarray(grey.astype(np.uint8)).convert("RGB")


def white_of(image: Image.Image) -> int | None:
    """Return the value of white in a grey picture of more than 8 bits; None if it is not fixed."""
    if image.mode.startswith("I;16"):
        if image.format == "TIFF":  # Pillow leaves 12 bits as they are
            (bits,) = getattr(image, "tag_v2", {}).get(BITS_PER_SAMPLE, (16,))
            return (1 << int(bits)) - 1
        if image.format in ("PNG", "JPEG2000"):  # whose fewer bits Pillow scales to 16
            return FULL_RANGE
    if image.mode == "I" and image.format in ("PNG", "PPM"):  # older Pillow; Pillow scales to 16
        return FULL_RANGE
    return None


def check_resized(image: Image.Image, shorter: int) -> None:
    """Refuse a picture so long that it would fill the memory once its shorter side is `shorter`.

    Raises:
        ValueError: it has more than `LARGEST_PIXELS` pixels then.
    """
    least, most = sorted(image.size)
    if shorter * shorter * most // least > LARGEST_PIXELS:
        raise ValueError(
            f"{image.width} x {image.height} pixels: too narrow to be resized to a shorter side of"
            f" {shorter}"
        )
