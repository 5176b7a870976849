"""Bytes of every kind that people have as pictures, decoded with Pillow as it is."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from beambench.instrumentation.failures import failure
from beambench.workloads.images import decoding
from beambench.workloads.images.decoding import check_resized, decoded

FIELD = Path(__file__).parents[4] / "shared" / "data" / "field"

RAMP = np.arange(0, 65536, 257, dtype=np.uint16).reshape(16, 16)
"""Every value that stands for one of 8 bits: 0, 257, 514, …, 65535."""
GREYS = np.arange(256, dtype=np.uint8).reshape(16, 16)


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def photograph() -> Image.Image:
    """A picture whose quarters differ, so that each way to turn it shows."""
    rng = np.random.default_rng(0)
    smooth = Image.fromarray(rng.integers(0, 256, (4, 6, 3), dtype=np.uint8))
    return smooth.resize((60, 40), Image.Resampling.BICUBIC)


def pixels(raw: bytes, **options: bool) -> np.ndarray[Any, Any]:
    return np.asarray(decoded(raw, **options))


def message(raw: bytes, **options: bool) -> str:
    """Return what is said of an element, which has to be the same each time."""
    texts = set()
    for _ in range(2):
        with pytest.raises((OSError, ValueError)) as caught:
            decoded(raw, **options)
        texts.add(failure("preprocess", caught.value).error)
    (text,) = texts
    return text


# --- modes


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "LAB"])
def test_modes_of_8_bits_are_those_of_pillow_bit_for_bit(mode):
    source = photograph()
    image = source if mode == "RGB" else source.convert("L" if mode == "LA" else mode)
    if mode == "LA":
        image.putalpha(128)
    raw = encoded(image, "JPEG" if mode == "YCbCr" else "TIFF")
    opened = Image.open(io.BytesIO(raw))
    assert opened.mode == ("RGB" if mode == "YCbCr" else mode)
    assert pixels(raw).tobytes() == np.asarray(opened.convert("RGB")).tobytes()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "BMP", "AVIF", "PPM", "JPEG2000"])
def test_every_format_of_a_folder_is_that_of_pillow_bit_for_bit(kind):
    raw = encoded(photograph(), kind)
    expected = np.asarray(Image.open(io.BytesIO(raw)).convert("RGB"))
    assert pixels(raw).tobytes() == expected.tobytes()


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "JPEG2000"])
def test_grey_of_16_bits_is_scaled_to_the_same_grey_of_8(kind):
    options = {"irreversible": False} if kind == "JPEG2000" else {}
    raw = encoded(Image.fromarray(RAMP), kind, **options)
    assert Image.open(io.BytesIO(raw)).mode == "I;16"
    assert pixels(raw).tobytes() == np.repeat(GREYS[..., None], 3, axis=2).tobytes()


def test_grey_of_16_bits_is_rounded_as_pngs_specification_says():
    values = np.array([[0, 128, 129, 385, 386, 65406, 65407, 65535]], dtype=np.uint16)
    red = pixels(encoded(Image.fromarray(values), "PNG"))[0, :, 0]
    assert red.tolist() == [np.floor(value * 255 / 65535 + 0.5) for value in values[0].tolist()]
    assert red.tolist() == [0, 0, 1, 1, 2, 254, 255, 255]


def test_a_picture_of_16_bits_is_that_of_8_bits():
    for name in ("gray8.png", "gray16.png"):
        if not (FIELD / name).is_file():
            pytest.skip("no shared data here")
    eight, sixteen = (pixels((FIELD / name).read_bytes()) for name in ("gray8.png", "gray16.png"))
    assert eight.std() > 20
    assert eight.tobytes() == sixteen.tobytes()


def test_a_big_endian_tiff_and_a_negative_are_scaled_too():
    big = encoded(Image.frombytes("I;16B", (16, 16), RAMP.astype(">u2").tobytes()), "TIFF")
    assert Image.open(io.BytesIO(big)).mode == "I;16B"
    assert pixels(big)[..., 0].tolist() == GREYS.tolist()
    negative = encoded(Image.fromarray(RAMP), "TIFF", tiffinfo={262: 0})
    assert Image.open(io.BytesIO(negative)).tag_v2[262] == 0
    assert pixels(negative)[..., 0].tolist() == (255 - GREYS).tolist()


def test_12_bits_of_a_tiff_are_scaled_from_4095():
    values = [0, 16, 2048, 4095]  # two of them in three bytes
    packed = bytes.fromhex("000010800fff")
    raw = bytearray(encoded(Image.fromarray(np.zeros((1, 3), np.uint16)), "TIFF"))
    image = Image.open(io.BytesIO(bytes(raw)))
    offset = image.tag_v2[273][0]
    raw[offset : offset + 6] = packed

    def entry(tag: int, old: int, new: int) -> None:
        at = raw.index(tag.to_bytes(2, "little"), 8)
        while raw[at + 8 : at + 10] != old.to_bytes(2, "little"):
            at = raw.index(tag.to_bytes(2, "little"), at + 1)
        raw[at + 8 : at + 10] = new.to_bytes(2, "little")

    entry(258, 16, 12)
    entry(256, 3, 4)
    assert Image.open(io.BytesIO(bytes(raw))).tag_v2[258] == (12,)
    expected = [(value * 255 + 2047) // 4095 for value in values]
    assert pixels(bytes(raw))[0, :, 0].tolist() == expected


def test_a_pgm_of_any_depth_is_scaled_from_its_own_white():
    plain = b"P2 3 1 1000\n0 500 1000\n"
    assert pixels(plain)[0, :, 0].tolist() == [0, 128, 255]
    binary = b"P5 2 1 65535\n" + np.array([257, 65535], ">u2").tobytes()
    assert pixels(binary)[0, :, 0].tolist() == [1, 255]


@pytest.mark.parametrize(
    ("values", "mode"), [(np.int32([[0, 70_000]]), "I"), (np.float32([[0, 0.5]]), "F")]
)
def test_a_mode_without_a_white_is_an_error_and_never_converted(values, mode):
    assert message(encoded(Image.fromarray(values), "TIFF")) == (
        f"ValueError: mode {mode} of TIFF: nothing says which value is white: save the picture with"
        " 8 bits a channel"
    )


def test_a_mode_that_pillow_gets_later_is_an_error(monkeypatch):
    monkeypatch.setattr(decoding, "CONVERTED", frozenset({"L"}))
    assert message(encoded(photograph(), "PNG")).startswith("ValueError: mode RGB of PNG: nothing")


# --- orientation


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_orientation_is_ignored_unless_it_is_asked_for(kind, orientation):
    exif = Image.Exif()
    exif[274] = orientation
    raw = encoded(photograph(), kind, exif=exif)
    plain = np.asarray(Image.open(io.BytesIO(raw)).convert("RGB"))
    assert pixels(raw).tobytes() == plain.tobytes()
    rows_first = plain.transpose(1, 0, 2) if orientation > 4 else plain
    flips = {2: (1,), 3: (0, 1), 4: (0,), 6: (1,), 7: (0, 1), 8: (0,)}.get(orientation, ())
    assert pixels(raw, orient=True).tobytes() == np.flip(rows_first, flips).tobytes()


def test_grey_of_16_bits_is_turned_and_scaled():
    exif = Image.Exif()
    exif[274] = 3
    raw = encoded(Image.fromarray(RAMP), "PNG", exif=exif)
    assert pixels(raw)[..., 0].tolist() == GREYS.tolist()
    assert pixels(raw, orient=True)[..., 0].tolist() == GREYS[::-1, ::-1].tolist()


@pytest.mark.parametrize("orient", [False, True])
def test_a_tiff_is_turned_by_pillow_itself_and_not_twice(orient):
    exif = Image.Exif()
    exif[274] = 3
    raw = encoded(Image.fromarray(RAMP), "TIFF", exif=exif)
    assert pixels(raw, orient=orient)[..., 0].tolist() == GREYS[::-1, ::-1].tolist()


def test_exif_that_cannot_be_read_turns_nothing():
    raw = encoded(photograph(), "JPEG", exif=b"Exif\0\0broken")
    assert pixels(raw, orient=True).tobytes() == pixels(raw).tobytes()


# --- what is no picture


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"", "0 bytes"),
        (bytes(4096), "4096 bytes, all of them 0"),
        (b"not an image", "12 bytes that begin with 'not an image'"),
        (b"\xef\xbb\xbf\n<!DOCTYPE html><html>404", "a page of HTML"),
        (b"<HTML><head>", "12 bytes that begin with '<HTML><head>': a page of HTML"),
        (b'{"error": "not found"}', "JSON"),
        (b'<?xml version="1.0"?>\n<svg xmlns="x">', "an SVG drawing"),
        (b'<?xml version="1.0"?><Error>', "XML"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b"%PDF-1.7\n", "a PDF document"),
        (b"PK\x03\x04\x14\0", "a ZIP archive"),
        (b"\0\x05\x16\x07\0\x02\0\0Mac OS X", "AppleDouble, what a Mac writes beside a file"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1", "a HEIC picture: save it as JPEG"),
        (b"\0\0\0\x18ftypmp42\0\0\0\0", "a video"),
        (b"\x1b[31mred\x1b[0m", "12 bytes that begin with '\\x1b[31mred\\x1b[0m'"),
    ],
)
def test_what_is_no_picture_is_named_by_what_it_is(raw, text):
    told = message(raw)
    assert told.startswith("UnidentifiedImageError: not a picture: ")
    assert told.endswith(text)
    assert told.isascii()
    assert told.isprintable()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "PPM"])
def test_a_truncated_picture_names_the_byte(kind):
    raw = encoded(photograph(), kind)
    end = len(raw) * 2 // 3
    assert message(raw[:end]).endswith(f" is truncated at byte {end}")


def test_a_damaged_picture_says_what_pillow_says():
    raw = bytearray(encoded(photograph(), "PNG"))
    raw[raw.index(b"IDAT") + 4] ^= 0xFF
    assert message(bytes(raw)) == (
        "OSError: PNG of 60 x 40 pixels is damaged: broken data stream when reading image file"
    )


def test_a_decompression_bomb_is_pillows_own_error(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(Image.DecompressionBombError, match="exceeds limit of 200 pixels"):
        decoded(encoded(photograph(), "PNG"))


def test_a_picture_that_resizing_would_blow_up_is_refused():
    check_resized(Image.new("RGB", (1, 2000)), 256)
    with pytest.raises(ValueError, match="1 x 5000 pixels: too narrow to be resized to a shorter"):
        check_resized(Image.new("RGB", (1, 5000)), 256)
