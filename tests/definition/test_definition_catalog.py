"""The catalog: every value of every benchmark, written out from the suite that it takes over."""

import pytest

from beambench.definition.library import CATALOG, Library
from beambench.workloads.base import check_workload

RESNET101 = "pytorch-image-classification-resnet101"
RESNET152 = "pytorch-image-classification-resnet152"
RESNET152_T4 = "pytorch-image-classification-resnet152-t4"
EFFICIENTNET = "pytorch-image-classification-efficientnet-lite0"
NOOP = "overhead-noop"
SKLEARN = "sklearn-digits"
ONNX = "onnx-digits"
MINILM = "huggingface-pipeline-minilm"
REMOTE = "remote-endpoint"

CLUSTER = {
    "runner": "dataflow",
    "region": "us-central1",
    "machine_type": "n1-standard-2",
    "workers": 75,
    "max_workers": None,
    "autoscaling": "none",
    "disk_gb": 50,
    "accelerator": None,
}
CLUSTERS = {
    RESNET101: CLUSTER,
    RESNET152: CLUSTER,
    RESNET152_T4: {**CLUSTER, "accelerator": {"type": "nvidia-tesla-t4", "count": 1}},
    EFFICIENTNET: None,
    NOOP: None,
    SKLEARN: None,
    ONNX: None,
    MINILM: None,
    REMOTE: None,
}
MODELS = {
    RESNET101: ("resnet101", "pretrained", 170.5, "cpu"),
    RESNET152: ("resnet152", "pretrained", 230.4, "cpu"),
    RESNET152_T4: ("resnet152", "pretrained", 230.4, "gpu"),
    EFFICIENTNET: ("efficientnet-lite0", "pretrained", 17.95, "cpu"),
    NOOP: ("noop", "none", None, "cpu"),
    SKLEARN: ("digits", "trained", None, "cpu"),
    ONNX: ("digits", "trained", None, "cpu"),
    MINILM: ("all-minilm-l6-v2", "pretrained", 86.66, "cpu"),
    REMOTE: ("endpoint", "none", None, "cpu"),
}
TARGETS = {
    RESNET101: (
        "torch_inference_imagenet_results_resnet101",
        "torch_inference_imagenet_resnet101",
    ),
    RESNET152: (
        "torch_inference_imagenet_results_resnet152",
        "torch_inference_imagenet_resnet152",
    ),
    RESNET152_T4: (
        "torch_inference_imagenet_results_resnet152_tesla_t4",
        "torch_inference_imagenet_resnet152_tesla_t4",
    ),
    EFFICIENTNET: (
        "torch_inference_imagenet_results_efficientnet_lite0",
        "torch_inference_imagenet_efficientnet_lite0",
    ),
    NOOP: ("overhead_noop", "overhead_noop"),
    SKLEARN: ("sklearn_digits", "sklearn_digits"),
    ONNX: ("onnx_digits", "onnx_digits"),
    MINILM: ("huggingface_pipeline_minilm", "huggingface_pipeline_minilm"),
    REMOTE: ("remote_endpoint", "remote_endpoint"),
}
STOCK_PREPROCESSING = {
    "resize": [224, 224],
    "interpolation": "bilinear",
    "mean": [0.485, 0.456, 0.406],
    "std": [0.229, 0.224, 0.225],
}
PARAMETERS = {
    RESNET101: STOCK_PREPROCESSING,
    RESNET152: STOCK_PREPROCESSING,
    RESNET152_T4: STOCK_PREPROCESSING,
    EFFICIENTNET: {
        "resize": 256,
        "interpolation": "bicubic",
        "crop": 224,
        "mean": [0.498, 0.498, 0.498],
        "std": [0.502, 0.502, 0.502],
    },
    NOOP: {},
    SKLEARN: {},
    ONNX: {},
    MINILM: {},
    REMOTE: {"latency_ms": 5},
}
ELEMENTS = {
    NOOP: (1000, 20000),
    SKLEARN: (200, 20000),
    ONNX: (200, 20000),
    MINILM: (48, 400),
    REMOTE: (200, 20000),
}
"""Elements of smoke and local; images have 24 and 200."""
WORKLOADS = {
    NOOP: ("overhead", "numbers", "synthetic"),
    SKLEARN: ("sklearn_rows", "rows", "packaged"),
    ONNX: ("onnx_rows", "rows", "packaged"),
    MINILM: ("huggingface_pipeline", "sentences", "packaged"),
    REMOTE: ("remote_endpoint", "rows", "packaged"),
}
VARIANTS = {
    SKLEARN: {
        "pandas": {"parameters": {"example": "pandas"}},
        "large-model": {"model": {"large": True}},
        "model-copies": {"model": {"copies": 2}},
        "per-key": {
            "parameters": {"models": 2},
            "batching": {"min_batch_size": None, "max_batch_size": None},
        },
        "max-batch-duration": {"batching": {"max_batch_duration_secs": 1}},
    },
    MINILM: {
        "tuned-batch-size": {"parameters": {"batch_size": 32}},
        "tuned": {"parameters": {"batch_size": 32, "return_tensors": True}},
    },
    REMOTE: {"refusing": {"parameters": {"fail_every": 5}}},
}
NAMES = sorted(MODELS)
IMAGES = sorted(set(NAMES) - set(WORKLOADS))


@pytest.fixture(scope="module")
def library():
    return Library()


def test_the_catalog_holds_these_benchmarks(library):
    assert library.names() == NAMES


def test_every_file_is_called_like_its_benchmark(library):
    assert {path.stem for path in CATALOG.glob("[!_]*.yaml")} == set(library.names())


@pytest.mark.parametrize("name", NAMES)
def test_the_cluster(library, name):
    cluster = library.resolve_unprofiled(name).model_dump()["cluster"]
    assert cluster == CLUSTERS[name]


@pytest.mark.parametrize("name", NAMES)
def test_the_model(library, name):
    model = library.resolve_unprofiled(name).model
    assert (model.name, model.weights, model.size_mib, model.device) == MODELS[name]
    assert model.path is None


@pytest.mark.parametrize("name", NAMES)
def test_where_results_are_published(library, name):
    table, measurement = TARGETS[name]
    assert library.resolve_unprofiled(name).model_dump()["publish"] == {
        "bigquery": {"dataset": "beam_run_inference", "table": table},
        "influxdb": {"measurement": measurement},
    }


@pytest.mark.parametrize("name", NAMES)
def test_batches_have_10_to_100_elements(library, name):
    batching = library.resolve_unprofiled(name).batching
    assert (batching.min_batch_size, batching.max_batch_size) == (10, 100)


@pytest.mark.parametrize("name", NAMES)
def test_the_preprocessing(library, name):
    assert library.resolve_unprofiled(name).parameters == PARAMETERS[name]


@pytest.mark.parametrize("name", IMAGES)
def test_images_are_classified(library, name):
    definition = library.resolve_unprofiled(name)
    assert (definition.workload, definition.scenario) == ("image_classification", "batch")
    assert definition.input.model_dump() == {
        "type": "images",
        "source": "packaged",
        "labels": None,
    }


@pytest.mark.parametrize("name", sorted(WORKLOADS))
def test_other_work_and_its_input(library, name):
    definition = library.resolve_unprofiled(name)
    found = (definition.workload, definition.input.type, definition.input.source)
    assert found == WORKLOADS[name]
    assert definition.scenario == "batch"


@pytest.mark.parametrize("name", NAMES)
def test_the_defaults_that_count(library, name):
    definition = library.resolve_unprofiled(name)
    assert definition.max_failed == 0.01
    assert definition.threads is None


@pytest.mark.parametrize("name", NAMES)
def test_the_profiles(library, name):
    profiles = library.resolve_unprofiled(name).profiles
    smoke, local = ELEMENTS.get(name, (24, 200))
    assert {key: one.limit for key, one in profiles.items()} == {
        "smoke": smoke,
        "local": local,
        "full": 50000,
    }
    assert {key: one.repeats for key, one in profiles.items()} == {
        "smoke": 1,
        "local": 3,
        "full": 6,
    }


@pytest.mark.parametrize("name", [RESNET101, RESNET152, RESNET152_T4])
def test_resnets_need_no_download_but_in_the_full_profile(library, name):
    weights = {
        profile: library.resolve(name, profile=profile).definition.model.weights
        for profile in ("smoke", "local", "full")
    }
    assert weights == {"smoke": "random", "local": "random", "full": "pretrained"}


@pytest.mark.parametrize("profile", ["smoke", "local", "full"])
def test_efficientnet_always_has_its_real_weights(library, profile):
    assert library.resolve(EFFICIENTNET, profile=profile).definition.model.weights == "pretrained"


@pytest.mark.parametrize("name", NAMES)
def test_the_variants(library, name):
    assert library.raw(name)[1] == {"stock": {}, **VARIANTS.get(name, {})}


@pytest.mark.parametrize("name", NAMES)
def test_time_slots_are_enough_for_the_time_limit(library, name):
    # At most 240 slots are counted, and a run that ends in time should not use them all up at once.
    for profile in library.resolve_unprofiled(name).profiles.values():
        assert 0 < profile.slot_seconds < profile.timeout


@pytest.mark.parametrize("name", NAMES)
def test_the_workload_knows_all_that_a_definition_asks_for(library, name):
    for profile in library.profiles(name):
        for variant in library.variants(name):
            check_workload(library.resolve(name, profile=profile, variant=variant).definition)
