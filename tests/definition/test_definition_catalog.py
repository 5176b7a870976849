"""The catalog: every value of every benchmark, written out from the suite that it takes over."""

import pytest

from beambench.definition.library import CATALOG, Library
from beambench.workloads.base import check_workload

RESNET101 = "pytorch-image-classification-resnet101"
RESNET152 = "pytorch-image-classification-resnet152"
RESNET152_T4 = "pytorch-image-classification-resnet152-t4"
EFFICIENTNET = "pytorch-image-classification-efficientnet-lite0"
NOOP = "overhead-noop"
VLLM = "vllm-gemma-2b-batch"

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
    VLLM: {
        **CLUSTER,
        "machine_type": "n1-standard-8",
        "workers": 3,
        "disk_gb": 200,
        "accelerator": {"type": "nvidia-tesla-t4", "count": 1},
    },
}
MODELS = {
    RESNET101: ("resnet101", "pretrained", 170.5, "cpu"),
    RESNET152: ("resnet152", "pretrained", 230.4, "cpu"),
    RESNET152_T4: ("resnet152", "pretrained", 230.4, "gpu"),
    EFFICIENTNET: ("efficientnet-lite0", "pretrained", 17.95, "cpu"),
    NOOP: ("noop", "none", None, "cpu"),
    VLLM: ("gemma-2b", "pretrained", None, "cpu"),
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
    VLLM: ("gemma_vllm_batch", "gemma_vllm_batch"),
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
    VLLM: {"temperature": 0, "environment": {"VLLM_CPU_KVCACHE_SPACE": "2"}},
}
NAMES = sorted(MODELS)
IMAGES = sorted(set(NAMES) - {NOOP, VLLM})


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


@pytest.mark.parametrize("name", [NOOP, *IMAGES])
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


def test_the_overhead_is_measured_on_numbers(library):
    definition = library.resolve_unprofiled(NOOP)
    assert (definition.workload, definition.scenario) == ("overhead", "batch")
    assert (definition.input.type, definition.input.source) == ("numbers", "synthetic")


@pytest.mark.parametrize("name", NAMES)
def test_the_defaults_that_count(library, name):
    definition = library.resolve_unprofiled(name)
    assert definition.max_failed == 0.01
    assert definition.threads is None


@pytest.mark.parametrize("name", [NOOP, *IMAGES])
def test_the_profiles(library, name):
    profiles = library.resolve_unprofiled(name).profiles
    elements = {"smoke": 1000, "local": 20000} if name == NOOP else {"smoke": 24, "local": 200}
    assert {key: one.limit for key, one in profiles.items()} == {**elements, "full": 50000}
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


def test_text_is_generated_in_the_environment_of_vllm(library):
    definition = library.resolve_unprofiled(VLLM)
    assert (definition.workload, definition.scenario) == ("text_generation", "batch")
    assert (definition.input.type, definition.input.source) == ("prompts", "packaged")
    assert definition.interpreter == ".venv-vllm/bin/python"
    assert [definition.profiles[name].limit for name in ("smoke", "local", "full")] == [
        32,
        96,
        50000,
    ]


def test_what_each_profile_of_the_text_generation_serves(library):
    resolved = [library.resolve(VLLM, profile=name) for name in ("smoke", "local", "full")]
    assert [(one.definition.model.name, one.definition.model.weights) for one in resolved] == [
        ("gemma-tiny", "random"),
        ("gemma-2b", "random"),
        ("gemma-2b", "pretrained"),
    ]
    assert len({one.definition_hash for one in resolved}) == 1


def test_the_batches_of_the_text_generation(library):
    found = {
        variant: library.resolve(VLLM, variant=variant).definition.batching
        for variant in library.variants(VLLM)
    }
    sizes = {name: (one.min_batch_size, one.max_batch_size) for name, one in found.items()}
    assert sizes == {"stock": (None, None), "batch32": (32, 32), "tuned": (256, 256)}


@pytest.mark.parametrize("name", [NOOP, *IMAGES])
def test_stock_is_the_only_variant(library, name):
    assert library.variants(name) == ["stock"]


@pytest.mark.parametrize("name", NAMES)
def test_time_slots_are_enough_for_the_time_limit(library, name):
    # At most 240 slots are counted, and a run that ends in time should not use them all up at once.
    for profile in library.resolve_unprofiled(name).profiles.values():
        assert 0 < profile.slot_seconds < profile.timeout


@pytest.mark.parametrize("name", NAMES)
def test_the_workload_knows_all_that_a_definition_asks_for(library, name):
    for profile in library.profiles(name):
        check_workload(library.resolve(name, profile=profile).definition)
