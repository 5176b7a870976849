"""What is said of pictures that hold more than a classifier sees."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from beambench.workloads.images import survey as survey_module
from beambench.workloads.images.survey import survey

RGB = Image.new("RGB", (8, 8), "red")
GREY16 = Image.fromarray(np.zeros((8, 8), np.uint16))


def exif(orientation: int) -> Image.Exif:
    made = Image.Exif()
    made[274] = orientation
    return made


def saved(folder: Path, name: str, image: Image.Image = RGB, **options: Any) -> str:
    path = folder / name
    image.save(path, **options)
    return str(path)


def frames() -> dict[str, Any]:
    return {"save_all": True, "append_images": [Image.new("RGB", (8, 8), "blue")]}


def test_plain_pictures_need_no_line(tmp_path):
    paths = [saved(tmp_path, f"{name}") for name in ("a.jpg", "b.png", "c.webp", "d.gif", "e.tif")]
    paths.append(saved(tmp_path, "upright.jpg", exif=exif(1)))
    assert survey(paths, orient=False) == []
    assert survey([], orient=False) == []


def test_one_line_counts_what_is_not_seen(tmp_path):
    paths = [
        saved(tmp_path, "plain.jpg"),
        saved(tmp_path, "frames.gif", **frames()),
        saved(tmp_path, "frames.webp", **frames()),
        saved(tmp_path, "pages.tif", **frames()),
        saved(tmp_path, "alpha.png", Image.new("RGBA", (8, 8))),
        saved(tmp_path, "palette.png", RGB.convert("P"), transparency=0),
        saved(tmp_path, "deep.png", GREY16),
        saved(tmp_path, "turned.jpg", exif=exif(6)),
        saved(tmp_path, "turned.png", exif=exif(3)),
        saved(tmp_path, "turned.tif", exif=exif(6)),  # Pillow turns it
        saved(tmp_path, "stereo.mpo", format="MPO", **frames()),  # a JPEG with its preview
        str(tmp_path / "missing.jpg"),
    ]
    (tmp_path / "text.jpg").write_text("no picture")
    paths.append(str(tmp_path / "text.jpg"))
    assert survey(paths, orient=False) == [
        "of 13 pictures: 3 with several frames or pages, of which the first is read; 2 with an "
        "alpha channel, which is left out; 1 of 16-bit grey, scaled to 8 bits; 2 with an EXIF "
        "orientation, which is ignored as in Beam's example (--set parameters.orient=true turns "
        "them)"
    ]
    (line,) = survey(paths, orient=True)
    assert line.endswith("scaled to 8 bits")


def test_orientation_that_is_honoured_needs_no_line(tmp_path):
    assert survey([saved(tmp_path, "turned.jpg", exif=exif(6))], orient=True) == []


def test_a_picture_that_stands_twice_counts_once(tmp_path):
    path = saved(tmp_path, "turned.jpg", exif=exif(6))
    (line,) = survey([path, path], orient=False)
    assert line.startswith("of 1 pictures: 1 with an EXIF")


@pytest.mark.parametrize(("most", "looked_at"), [(3, 3), (4, 3), (6, 5), (9, 9)])
def test_of_many_pictures_a_spread_is_looked_at_and_said(tmp_path, monkeypatch, most, looked_at):
    monkeypatch.setattr(survey_module, "MOST_FILES", most)
    paths = [saved(tmp_path, f"{index}.jpg", exif=exif(6)) for index in range(9)]
    (line,) = survey(paths, orient=False)
    of = "9 pictures" if most == 9 else f"{looked_at} pictures that were looked at (there are 9)"
    assert line.startswith(f"of {of}: {looked_at} with an EXIF orientation")
