"""The catalog: every value of every benchmark, written out from the suite that it takes over."""

import pytest

from beambench.definition.library import CATALOG, Library
from beambench.workloads.base import check_workload

RESNET101 = "pytorch-image-classification-resnet101"
RESNET152 = "pytorch-image-classification-resnet152"
RESNET152_T4 = "pytorch-image-classification-resnet152-t4"
EFFICIENTNET = "pytorch-image-classification-efficientnet-lite0"
BERT_BASE = "pytorch-language-modeling-bert-base"
BERT_LARGE = "pytorch-language-modeling-bert-large"
SENTIMENT = "pytorch-sentiment-distilbert-batch"
SENTIMENT_STREAMING = "pytorch-sentiment-distilbert-streaming"
MINILM = "pytorch-text-embedding-minilm"
NOOP = "overhead-noop"

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
    BERT_BASE: {**CLUSTER, "workers": 250},
    BERT_LARGE: {**CLUSTER, "workers": 250},
    SENTIMENT: {**CLUSTER, "workers": 20},
    SENTIMENT_STREAMING: {
        **CLUSTER,
        "workers": 20,
        "max_workers": 250,
        "autoscaling": "throughput_based",
    },
    EFFICIENTNET: None,
    MINILM: None,
    NOOP: None,
}
MODELS = {
    RESNET101: ("resnet101", "pretrained", 170.5, "cpu"),
    RESNET152: ("resnet152", "pretrained", 230.4, "cpu"),
    RESNET152_T4: ("resnet152", "pretrained", 230.4, "gpu"),
    EFFICIENTNET: ("efficientnet-lite0", "pretrained", 17.95, "cpu"),
    BERT_BASE: ("bert-base-uncased", "pretrained", 417.7, "cpu"),
    BERT_LARGE: ("bert-large-uncased", "pretrained", 1278.5, "cpu"),
    SENTIMENT: (
        "distilbert-base-uncased-finetuned-sst-2-english",
        "pretrained",
        255.4,
        "cpu",
    ),
    SENTIMENT_STREAMING: (
        "distilbert-base-uncased-finetuned-sst-2-english",
        "pretrained",
        255.4,
        "cpu",
    ),
    MINILM: ("all-MiniLM-L6-v2", "pretrained", 86.7, "cpu"),
    NOOP: ("noop", "none", None, "cpu"),
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
    BERT_BASE: (
        "torch_language_modeling_bert_base_uncased",
        "torch_language_modeling_bert_base_uncased",
    ),
    BERT_LARGE: (
        "torch_language_modeling_bert_large_uncased",
        "torch_language_modeling_bert_large_uncased",
    ),
    SENTIMENT: (
        "torch_sentiment_distilbert_base_uncased",
        "torch_sentiment_distilbert_base_uncased",
    ),
    SENTIMENT_STREAMING: (
        "torch_sentiment_distilbert_base_uncased_streaming",
        "torch_sentiment_distilbert_base_uncased_streaming",
    ),
    MINILM: ("torch_text_embedding_minilm", "torch_text_embedding_minilm"),
    NOOP: ("overhead_noop", "overhead_noop"),
}
STOCK_PREPROCESSING = {
    "resize": [224, 224],
    "interpolation": "bilinear",
    "mean": [0.485, 0.456, 0.406],
    "std": [0.229, 0.224, 0.225],
}
# One sentence a batch, as long as it is; and the suite's padding='max_length', max_length=128.
ONE_AT_A_TIME = {"tokenizer": "packaged", "padding": "none"}
PADDED_TO_128 = {"tokenizer": "packaged", "padding": "max_length", "max_length": 128}
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
    BERT_BASE: ONE_AT_A_TIME,
    BERT_LARGE: ONE_AT_A_TIME,
    SENTIMENT: PADDED_TO_128,
    SENTIMENT_STREAMING: PADDED_TO_128,
    MINILM: PADDED_TO_128,
    NOOP: {},
}
NAMES = sorted(MODELS)
IMAGES = [EFFICIENTNET, RESNET101, RESNET152, RESNET152_T4]
MASKED = [BERT_BASE, BERT_LARGE]
PADDED = [SENTIMENT, SENTIMENT_STREAMING, MINILM]
TEXTS = {
    BERT_BASE: "language_modeling",
    BERT_LARGE: "language_modeling",
    SENTIMENT: "sentiment",
    SENTIMENT_STREAMING: "sentiment",
    MINILM: "text_embedding",
}
FIXED_BATCH = {"min_batch_size": 16, "max_batch_size": 16}
SORTED_BATCH = {"min_batch_size": 256, "max_batch_size": 256}
BUCKETS = {
    **FIXED_BATCH,
    "max_batch_duration_secs": 60,
    "bucket_boundaries": [8, 12, 16, 20, 24, 28, 32, 40, 48, 64, 128],
}
SORTED = {"padding": "longest", "sorted_batch_size": 16}
# What each variant changes of the definition, by section; of the top level under "".
IMAGE_VARIANTS = {
    "stock": {},
    "tuned": {
        "model": {"precision": "bfloat16"},
        "batching": FIXED_BATCH,
        "parameters": {
            "memory_format": "channels_last",
            "compiled_batch_size": 16,
            "batched": True,
            "decode_in_batch": True,
        },
    },
    "tuned-bf16": {"model": {"precision": "bfloat16"}},
    "tuned-channels-last": {"parameters": {"memory_format": "channels_last"}},
    "tuned-compiled": {"batching": FIXED_BATCH, "parameters": {"compiled_batch_size": 16}},
    "tuned-batched": {"parameters": {"batched": True}},
    "tuned-decode": {"parameters": {"batched": True, "decode_in_batch": True}},
    "tuned-fixed-batch": {"batching": FIXED_BATCH},
    "tuned-one-thread": {"": {"threads": 1}},
}
MASKED_VARIANTS = {
    "stock": {},
    "tuned": {
        "model": {"precision": "bfloat16"},
        "batching": SORTED_BATCH,
        "parameters": {**SORTED, "mask_only": True},
    },
    "tuned-bf16": {"model": {"precision": "bfloat16"}},
    "tuned-batched": {"batching": FIXED_BATCH, "parameters": {"padding": "longest"}},
    "tuned-sorted": {"batching": SORTED_BATCH, "parameters": SORTED},
    "tuned-buckets": {"batching": BUCKETS, "parameters": {"padding": "longest"}},
    "tuned-mask-only": {"parameters": {"padding": "longest", "mask_only": True}},
    "tuned-one-thread": {"": {"threads": 1}},
}
PADDED_VARIANTS = {
    "stock": {},
    "tuned": {
        "model": {"precision": "bfloat16"},
        "batching": SORTED_BATCH,
        "parameters": SORTED,
    },
    "tuned-bf16": {"model": {"precision": "bfloat16"}},
    "tuned-longest": {"parameters": {"padding": "longest"}},
    "tuned-sorted": {"batching": SORTED_BATCH, "parameters": SORTED},
    "tuned-buckets": {"batching": BUCKETS, "parameters": {"padding": "longest"}},
    "tuned-one-thread": {"": {"threads": 1}},
}
VARIANTS = {
    **dict.fromkeys(IMAGES, IMAGE_VARIANTS),
    **dict.fromkeys(MASKED, MASKED_VARIANTS),
    **dict.fromkeys(PADDED, PADDED_VARIANTS),
    NOOP: {"stock": {}},
}


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
    assert (model.precision, model.large, model.copies) == ("float32", False, None)


@pytest.mark.parametrize("name", NAMES)
def test_where_results_are_published(library, name):
    table, measurement = TARGETS[name]
    assert library.resolve_unprofiled(name).model_dump()["publish"] == {
        "bigquery": {"dataset": "beam_run_inference", "table": table},
        "influxdb": {"measurement": measurement},
    }


@pytest.mark.parametrize(
    ("name", "limits"),
    [
        *((name, (10, 100)) for name in [*IMAGES, NOOP]),
        *((name, (None, 1)) for name in MASKED),
        *((name, (None, None)) for name in PADDED),
    ],
)
def test_the_batches(library, name, limits):
    batching = library.resolve_unprofiled(name).batching
    assert (batching.min_batch_size, batching.max_batch_size) == limits
    assert batching.max_batch_duration_secs is None
    assert batching.bucket_boundaries is None


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


@pytest.mark.parametrize("name", TEXTS)
def test_sentences_are_read(library, name):
    definition = library.resolve_unprofiled(name)
    assert definition.workload == TEXTS[name]
    assert definition.scenario == ("streaming" if name == SENTIMENT_STREAMING else "batch")
    assert definition.input.model_dump() == {
        "type": "sentences",
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
    assert definition.interpreter is None


@pytest.mark.parametrize("name", NAMES)
def test_the_profiles(library, name):
    profiles = library.resolve_unprofiled(name).profiles
    special = {
        NOOP: {"smoke": 1000, "local": 20000},
        BERT_LARGE: {"smoke": 24, "local": 100},
    }
    elements = special.get(name, {"smoke": 24, "local": 200})
    assert {key: one.limit for key, one in profiles.items()} == {**elements, "full": 50000}
    assert {key: one.repeats for key, one in profiles.items()} == {
        "smoke": 1,
        "local": 3,
        "full": 6,
    }


@pytest.mark.parametrize(
    "name",
    [RESNET101, RESNET152, RESNET152_T4, *MASKED, SENTIMENT, SENTIMENT_STREAMING],
)
def test_models_of_the_suite_need_no_download_but_in_the_full_profile(library, name):
    weights = {
        profile: library.resolve(name, profile=profile).definition.model.weights
        for profile in ("smoke", "local", "full")
    }
    assert weights == {"smoke": "random", "local": "random", "full": "pretrained"}


@pytest.mark.parametrize("name", [EFFICIENTNET, MINILM])
@pytest.mark.parametrize("profile", ["smoke", "local", "full"])
def test_packaged_weights_are_always_the_real_ones(library, name, profile):
    assert library.resolve(name, profile=profile).definition.model.weights == "pretrained"


@pytest.mark.parametrize("name", NAMES)
def test_the_variants(library, name):
    assert library.variants(name) == list(VARIANTS[name])


@pytest.mark.parametrize(
    ("name", "variant"), [(name, variant) for name in NAMES for variant in VARIANTS[name]]
)
def test_a_variant_changes_this_and_nothing_else(library, name, variant):
    expected = library.resolve_unprofiled(name).model_dump()
    for section, changes in VARIANTS[name][variant].items():
        place = expected[section] if section else expected
        place.update(changes)
    assert (
        library.resolve(name, variant=variant, profile="full").definition.model_dump() == expected
    )


@pytest.mark.parametrize("name", NAMES)
def test_time_slots_are_enough_for_the_time_limit(library, name):
    # At most 240 slots are counted, and a run that ends in time should not use them all up at once.
    for profile in library.resolve_unprofiled(name).profiles.values():
        assert 0 < profile.slot_seconds < profile.timeout


@pytest.mark.parametrize("name", NAMES)
def test_the_workload_knows_all_that_a_definition_asks_for(library, name):
    for variant in library.variants(name):
        for profile in library.profiles(name):
            check_workload(library.resolve(name, variant=variant, profile=profile).definition)
