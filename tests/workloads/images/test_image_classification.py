"""Image classification with real models on real photographs."""

from __future__ import annotations

import hashlib
import io
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from beambench.definition.plan import Preparation
from beambench.definition.schema import Definition
from beambench.errors import RunError
from beambench.workloads.base import Weights
from beambench.workloads.images import classification
from beambench.workloads.images.classification import TORCHVISION, ImageClassification
from buckets import put
from image_benchmarks import EFFICIENTNET, RESNET, fetched, of_catalog, resnet18
from tiny_workloads import for_task, make_plan

pytestmark = pytest.mark.real

MIB = 1 << 20
PALACE, DAISY = 698, 985
"""ImageNet's classes of the two photographs that scikit-learn ships."""


def workload(definition: Definition, weights: Path | None = None) -> ImageClassification:
    return ImageClassification(definition, Weights(weights))


def inferred(made: ImageClassification, path: Path) -> Any:
    handler = made.model_handler()
    example = made.preprocess(made.read(str(path)))
    [prediction] = handler.run_inference([example], handler.load_model())
    return prediction


# --- from a photograph to a tensor


def reference_pixels(path: Path) -> np.ndarray[Any, Any]:
    """EfficientNet-Lite0's input without torchvision: shorter side 256, centre 224, normalised."""
    from PIL import Image

    image = Image.open(path).convert("RGB")
    width, height = image.size
    scale = 256 / min(width, height)
    size = (256, int(height * scale)) if width < height else (int(width * scale), 256)
    resized = image.resize(size, Image.Resampling.BICUBIC)
    left, top = round((size[0] - 224) / 2), round((size[1] - 224) / 2)
    pixels = np.asarray(resized, dtype=np.float32)[top : top + 224, left : left + 224] / 255
    normalised: np.ndarray[Any, Any] = ((pixels - 0.498) / 0.502).transpose(2, 0, 1)
    return normalised


@pytest.mark.parametrize("name", ["china.jpg", "flower.jpg"])
@pytest.mark.parametrize("turned", [False, True])
def test_efficientnets_pixels_are_those_of_the_documented_steps(
    photographs, tmp_path, name, turned
):
    from PIL import Image

    path = photographs / name
    if turned:
        path = tmp_path / "turned.png"
        Image.open(photographs / name).rotate(90, expand=True).save(path)
    made = workload(of_catalog(EFFICIENTNET))
    pixels = made.preprocess(made.read(str(path))).numpy()
    assert (pixels.shape, pixels.dtype) == ((3, 224, 224), np.float32)
    np.testing.assert_allclose(pixels, reference_pixels(path), rtol=0, atol=2e-6)


@pytest.mark.parametrize("name", ["china.jpg", "flower.jpg"])
def test_resnets_pixels_are_those_of_beams_example_bit_for_bit(photographs, name):
    from apache_beam.examples.inference import pytorch_image_classification as example

    made = workload(of_catalog(RESNET.format(101)))
    _, image = example.read_image(name, str(photographs))
    expected = example.preprocess_image(image)
    pixels = made.preprocess(made.read(str(photographs / name)))
    assert pixels.shape == (3, 224, 224)
    assert pixels.dtype == expected.dtype
    assert pixels.numpy().tobytes() == expected.numpy().tobytes()


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK", "1", "I;16"])
def test_images_of_every_mode_become_three_channels(photographs, mode):
    from PIL import Image

    image = Image.open(photographs / "china.jpg")
    converted = image.convert("L").convert("I;16") if mode == "I;16" else image.convert(mode)
    file = io.BytesIO()
    converted.save(file, "TIFF")
    assert workload(of_catalog(EFFICIENTNET)).preprocess(file.getvalue()).shape == (3, 224, 224)


def test_a_picture_of_16_bit_grey_has_the_pixels_of_its_8_bits(photographs):
    from PIL import Image

    eight = Image.open(photographs / "china.jpg").convert("L")
    sixteen = Image.fromarray(np.asarray(eight).astype(np.uint16) * 257)
    made = workload(of_catalog(EFFICIENTNET))
    pixels = []
    for image in (eight, sixteen):
        file = io.BytesIO()
        image.save(file, "PNG")
        pixels.append(made.preprocess(file.getvalue()).numpy().tobytes())
    assert pixels[0] == pixels[1]


def test_orientation_is_honoured_where_it_is_asked_for_and_said_where_it_is_not(
    photographs, cache, tmp_path
):
    from PIL import Image

    from beambench.worker.tasks import prepare

    exif = Image.Exif()
    exif[274] = 6
    Image.open(photographs / "china.jpg").save(tmp_path / "turned.png", exif=exif)
    upright = Image.open(photographs / "china.jpg").rotate(-90, expand=True)
    upright.save(tmp_path / "upright.png")
    lines = []
    for orient in (False, True):
        definition = resnet18(weights="random")
        parameters = definition.parameters | ({"orient": True} if orient else {})
        definition = definition.model_copy(update={"parameters": parameters})
        made = workload(definition)
        turned, expected = (
            made.preprocess((tmp_path / f"{name}.png").read_bytes()).numpy().tobytes()
            for name in ("turned", "upright")
        )
        assert (turned == expected) is orient
        plan = make_plan(
            tmp_path,
            "prepare",
            definition=definition,
            source=str(tmp_path),
            cache_dir=str(cache),
        )
        lines.append([warning for warning in prepare(plan).prepared.warnings if "EXIF" in warning])
    assert lines == [
        [
            f"{tmp_path}: of 2 pictures: 1 with an EXIF orientation, which is ignored as in Beam's"
            " example (--set parameters.orient=true turns them)"
        ],
        [],
    ]


def test_reading_gives_the_bytes_of_a_path_and_of_an_object(photographs, bucket):
    made = workload(of_catalog(EFFICIENTNET))
    path = photographs / "china.jpg"
    assert made.read(str(path)) == path.read_bytes()
    assert made.read(put(f"{bucket}/a.jpg", b"remote")) == b"remote"


@pytest.mark.parametrize("used", [False, True])
def test_a_workload_that_arrives_at_a_worker_is_ready_for_its_first_element(
    photographs, monkeypatch, used
):
    made = workload(of_catalog(EFFICIENTNET))
    raw = made.read(str(photographs / "china.jpg"))
    if used:
        made.preprocess(raw)
    state = made.__getstate__()
    assert (state["_resize"], state["_normalise"]) == (None, None)  # they do not travel
    copy = pickle.loads(pickle.dumps(made))
    monkeypatch.setattr(ImageClassification, "set_up", None)  # calling it would raise
    assert copy.preprocess(raw).shape == (3, 224, 224)


# --- models


def test_efficientnet_with_its_published_weights_knows_the_photographs(photographs, tmp_path):
    definition = of_catalog(EFFICIENTNET)
    weights = ImageClassification.fetch_weights(definition, 0, tmp_path)
    assert weights.path is not None
    assert weights.path.stat().st_size / MIB == pytest.approx(definition.model.size_mib, rel=0.02)
    digest = hashlib.sha256(weights.path.read_bytes()).hexdigest()
    assert digest.startswith("57934424")  # as its file name says
    made = workload(definition, weights.path)
    palace = inferred(made, photographs / "china.jpg")
    assert made.postprocess(palace) == PALACE
    assert made.postprocess(inferred(made, photographs / "flower.jpg")) == DAISY
    evidence = made.evidence(palace)
    assert len(evidence) == 1000
    assert all(type(value) is float for value in evidence)
    assert evidence.index(max(evidence)) == PALACE


def test_the_handler_is_beams_own_with_the_limits_of_the_definition(tmp_path):
    from apache_beam.ml.inference.pytorch_inference import PytorchModelHandlerTensor

    handler = workload(of_catalog(RESNET.format(101)), tmp_path / "w.pth").model_handler()
    assert type(handler) is PytorchModelHandlerTensor
    assert handler.batch_elements_kwargs() == {"min_batch_size": 10, "max_batch_size": 100}
    assert handler.get_metrics_namespace() == "BeamML_PyTorch"
    assert handler._load_model_args == {"weights_only": True}
    assert ImageClassification.transform == "PyTorchRunInference"


def test_weights_that_would_run_code_are_not_loaded(tmp_path):
    import torch

    marker = tmp_path / "ran"

    class Hostile:
        def __reduce__(self) -> Any:
            return Path.touch, (marker,)

    path = tmp_path / "hostile.pth"
    torch.save({"weight": Hostile()}, path)
    with pytest.raises(Exception, match="Weights only load failed"):
        workload(resnet18(weights="file"), path).model_handler().load_model()
    assert not marker.exists()


@pytest.mark.parametrize("name", TORCHVISION)
def test_every_architecture_that_is_offered_can_be_built(name):
    assert classification.build_model(name).training is True


def test_random_weights_load_and_infer(photographs, tmp_path):
    made = workload(resnet18(weights="random"), fetched(0, tmp_path))
    assert 0 <= made.postprocess(inferred(made, photographs / "china.jpg")) < 1000


# --- through the pipeline


def prepared_plan(folder: Path, definition: Definition, ids: list[str], weights: Path) -> Any:
    (folder / "ids.txt").write_text("".join(f"{element_id}\n" for element_id in ids))
    preparation = Preparation(
        root=str(folder),
        ids_file=str(folder / "ids.txt"),
        count=len(ids),
        sample=ids[::-1],
        weights_path=str(weights),
    )
    return make_plan(folder, definition=definition, preparation=preparation)


def test_a_corrupt_photograph_is_a_failed_element_and_the_others_are_classified(
    photographs, tmp_path
):
    from beambench.controller.proof.verification import verification
    from beambench.worker.tasks import run_pipeline, run_reference

    for name in ("china.jpg", "flower.jpg"):
        shutil.copy(photographs / name, tmp_path)
    whole = (photographs / "china.jpg").read_bytes()
    (tmp_path / "truncated.jpg").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.jpg").write_text("not an image")
    (tmp_path / "empty.jpg").write_bytes(b"")
    ids = ["truncated.jpg", "china.jpg", "missing.jpg", "text.jpg", "flower.jpg", "empty.jpg"]
    definition = of_catalog(EFFICIENTNET)
    weights = fetched(0, tmp_path, definition)
    plan = prepared_plan(tmp_path, definition, ids, weights)
    observation = run_pipeline(plan)
    labels = {prediction.id: prediction.label for prediction in observation.sample}
    assert (labels["china.jpg"], labels["flower.jpg"]) == (PALACE, DAISY)
    missing = f"[Errno 2] No such file or directory: '{tmp_path}/missing.jpg'"
    assert {failure.id: (failure.stage, failure.error) for failure in observation.failed} == {
        "truncated.jpg": (
            "preprocess",
            f"OSError: JPEG of 640 x 427 pixels is truncated at byte {len(whole) // 2}",
        ),
        "missing.jpg": ("read", f"FileNotFoundError: {missing}"),
        "text.jpg": (
            "preprocess",
            "UnidentifiedImageError: not a picture: 12 bytes that begin with 'not an image'",
        ),
        "empty.jpg": ("preprocess", "UnidentifiedImageError: not a picture: 0 bytes"),
    }
    proven = verification(observation, run_reference(for_task(plan, "reference")))
    assert proven is not None
    assert proven.problems == []
    assert (proven.elements_out, proven.elements_failed) == (2, 4)
    assert proven.reference_agreement == 1.0
    assert observation.measured.bytes_read == sum(
        (tmp_path / element_id).stat().st_size for element_id in ids if element_id != "missing.jpg"
    )


def test_weights_of_another_size_end_the_preparation(cache, tmp_path):
    from beambench.worker.tasks import prepare

    wrong = of_catalog(EFFICIENTNET, size_mib=170.5)
    plan = make_plan(
        tmp_path, "prepare", definition=wrong, source="packaged", limit=12, cache_dir=str(cache)
    )
    with pytest.raises(RunError, match=r"model.size_mib says 170.5 MiB but .* has 18.0 MiB"):
        prepare(plan)


def test_weights_of_another_size_end_the_run_with_one_clear_line(photographs, tmp_path):
    from beambench.worker import __main__ as worker
    from beambench.worker.tasks import run_pipeline

    shutil.copy(photographs / "china.jpg", tmp_path)
    definition = of_catalog(EFFICIENTNET, size_mib=170.5)
    weights = fetched(0, tmp_path, definition)
    plan = prepared_plan(tmp_path, definition, ["china.jpg"], weights)
    with pytest.raises(RunError) as raised:
        run_pipeline(plan)
    assert worker._described(raised.value).message == (
        f"model.size_mib says 170.5 MiB but {weights} has 18.0 MiB: this is not the model that "
        "the definition means"
    )


@pytest.mark.parametrize("broken", [False, True])
def test_with_random_weights_outputs_are_compared_and_a_swap_is_caught(
    cache, tmp_path, monkeypatch, broken
):
    from beambench.controller.proof.verification import verification
    from beambench.worker.tasks import prepare, run_pipeline, run_reference

    definition = resnet18(weights="random")
    plan = make_plan(
        tmp_path, definition=definition, source="packaged", limit=12, cache_dir=str(cache)
    )
    prepared = prepare(for_task(plan, "prepare")).prepared
    assert prepared is not None
    assert prepared.input_kind == "derived"
    assert prepared.weights_digest is not None
    preparation = Preparation.model_validate(prepared.preparation)
    plan = plan.model_copy(update={"preparation": preparation})
    if broken:
        make = ImageClassification.model_handler
        monkeypatch.setattr(ImageClassification, "model_handler", lambda self: swapping(make(self)))
    proven = verification(run_pipeline(plan), run_reference(for_task(plan, "reference")))
    assert proven is not None
    assert proven.reference["method"] == "outputs"
    assert proven.reference["compared"] == 12
    if broken:
        assert "differ from the reference loop" in proven.problems[0]
    else:
        assert proven.problems == []
        assert proven.reference_agreement == 1.0
        assert proven.reference["least_cosine"] > 0.999999


def swapping(handler: Any) -> Any:
    """Make a handler swap the first two outputs of its batches."""
    infer = handler.run_inference

    def run_inference(*args: Any, **kwargs: Any) -> list[Any]:
        results = list(infer(*args, **kwargs))
        return [*results[:2][::-1], *results[2:]]

    handler.run_inference = run_inference
    return handler
