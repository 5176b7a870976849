"""The catalog: every value of every benchmark, written out from the suite that it takes over."""

import pytest

from beambench.definition.library import CATALOG, Library
from beambench.workloads.registry import check_workload

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
SKLEARN = "sklearn-digits"
ONNX = "onnx-digits"
HUGGINGFACE = "huggingface-pipeline-minilm"
REMOTE = "remote-endpoint"
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
    RESNET152_T4: {
        **CLUSTER,
        "accelerator": {"type": "nvidia-tesla-t4", "count": 1, "driver": True},
    },
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
    SKLEARN: None,
    ONNX: None,
    HUGGINGFACE: None,
    REMOTE: None,
    VLLM: {
        **CLUSTER,
        "machine_type": "n1-standard-8",
        "workers": 3,
        "disk_gb": 200,
        "accelerator": {"type": "nvidia-tesla-t4", "count": 1, "driver": True},
    },
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
    SKLEARN: ("digits", "trained", None, "cpu"),
    ONNX: ("digits", "trained", None, "cpu"),
    HUGGINGFACE: ("all-minilm-l6-v2", "pretrained", 86.66, "cpu"),
    REMOTE: ("endpoint", "none", None, "cpu"),
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
    SKLEARN: ("sklearn_digits", "sklearn_digits"),
    ONNX: ("onnx_digits", "onnx_digits"),
    HUGGINGFACE: ("huggingface_pipeline_minilm", "huggingface_pipeline_minilm"),
    REMOTE: ("remote_endpoint", "remote_endpoint"),
    VLLM: ("gemma_vllm_batch", "gemma_vllm_batch"),
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
    SKLEARN: {},
    ONNX: {},
    HUGGINGFACE: {},
    REMOTE: {"latency_ms": 5},
    VLLM: {"temperature": 0, "environment": {"VLLM_CPU_KVCACHE_SPACE": "2"}},
}
ELEMENTS = {
    NOOP: (1000, 20000),
    SKLEARN: (200, 20000),
    ONNX: (200, 20000),
    HUGGINGFACE: (48, 400),
    BERT_LARGE: (24, 100),
    REMOTE: (200, 20000),
}
"""Elements of smoke and local; all others have 24 and 200."""
WORKLOADS = {
    NOOP: ("overhead", "numbers", "synthetic"),
    SKLEARN: ("sklearn_rows", "rows", "packaged"),
    ONNX: ("onnx_rows", "rows", "packaged"),
    HUGGINGFACE: ("huggingface_pipeline", "sentences", "packaged"),
    REMOTE: ("remote_endpoint", "rows", "packaged"),
}
HANDLER_VARIANTS = {
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
    HUGGINGFACE: {
        "tuned-batch-size": {"parameters": {"batch_size": 32}},
        "tuned": {"parameters": {"batch_size": 32, "return_tensors": True}},
    },
    REMOTE: {"refusing": {"parameters": {"fail_every": 5}}},
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
        "model": {"precision": "auto"},
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
        "model": {"precision": "auto"},
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
        "model": {"precision": "auto"},
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
    EFFICIENTNET: {
        **IMAGE_VARIANTS,
        "tuned": {**IMAGE_VARIANTS["tuned"], "model": {"precision": "float32"}},
    },
    RESNET152_T4: {
        **IMAGE_VARIANTS,
        "tuned": {**IMAGE_VARIANTS["tuned"], "model": {"precision": "float16"}},
    },
    **dict.fromkeys(MASKED, MASKED_VARIANTS),
    **dict.fromkeys(PADDED, PADDED_VARIANTS),
    NOOP: {"stock": {}},
    ONNX: {"stock": {}},
    VLLM: {
        "stock": {},
        "batch32": {"batching": {"min_batch_size": 32, "max_batch_size": 32}},
        "tuned": {
            "batching": SORTED_BATCH,
            "parameters": {
                "environment": {"VLLM_CPU_KVCACHE_SPACE": "2", "VLLM_CPU_NUM_OF_RESERVED_CPU": "0"}
            },
        },
    },
    **{name: {"stock": {}, **variants} for name, variants in HANDLER_VARIANTS.items()},
}


UNSAID = {
    *("disk_type", "spot", "processes", "container_image", "experiments", "service_options"),
    *("project", "temp_location", "staging_location"),
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
    cluster = library.resolve_unprofiled(name).cluster
    said = None if cluster is None else cluster.model_dump(exclude=UNSAID)
    assert said == CLUSTERS[name]


@pytest.mark.parametrize("name", [name for name in NAMES if CLUSTERS[name] is not None])
def test_what_no_cluster_of_the_suite_says_is_left_to_the_service(library, name):
    cluster = library.resolve_unprofiled(name).cluster
    assert cluster.model_dump(include=UNSAID) == {
        "disk_type": "pd-standard",
        "spot": False,
        "processes": None,
        "container_image": None,
        "experiments": [],
        "service_options": [],
        "project": None,
        "temp_location": None,
        "staging_location": None,
    }


@pytest.mark.parametrize("name", NAMES)
def test_the_model(library, name):
    model = library.resolve_unprofiled(name).model
    assert (model.name, model.weights, model.size_mib, model.device) == MODELS[name]
    assert model.path is None
    assert (model.precision, model.large, model.copies) == ("float32", False, None)


@pytest.mark.parametrize("name", NAMES)
def test_where_results_are_published(library, name):
    table, measurement = TARGETS[name]
    assert library.resolve_unprofiled(name).model_dump(exclude_unset=True)["publish"] == {
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


@pytest.mark.parametrize("name", sorted(WORKLOADS))
def test_other_work_and_its_input(library, name):
    definition = library.resolve_unprofiled(name)
    described = (definition.workload, definition.input.type, definition.input.source)
    assert described == WORKLOADS[name]
    assert definition.scenario == "batch"


@pytest.mark.parametrize("name", NAMES)
def test_the_defaults_that_count(library, name):
    definition = library.resolve_unprofiled(name)
    assert definition.max_failed == 0.01
    assert definition.threads is None
    assert definition.interpreter == (".venv-vllm/bin/python" if name == VLLM else None)


@pytest.mark.parametrize("name", [name for name in NAMES if name != VLLM])
def test_the_profiles(library, name):
    profiles = library.resolve_unprofiled(name).profiles
    smoke, local = ELEMENTS.get(name, (24, 200))
    assert {key: profile.limit for key, profile in profiles.items()} == {
        "smoke": smoke,
        "local": local,
        "full": 50000,
    }
    assert {key: profile.repeats for key, profile in profiles.items()} == {
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
    assert [
        (benchmark.definition.model.name, benchmark.definition.model.weights)
        for benchmark in resolved
    ] == [
        ("gemma-tiny", "random"),
        ("gemma-2b", "random"),
        ("gemma-2b", "pretrained"),
    ]
    assert len({benchmark.definition_hash for benchmark in resolved}) == 1


def test_the_batches_of_the_text_generation(library):
    batching = {
        variant: library.resolve(VLLM, variant=variant).definition.batching
        for variant in library.variants(VLLM)
    }
    sizes = {
        name: (limits.min_batch_size, limits.max_batch_size) for name, limits in batching.items()
    }
    assert sizes == {"stock": (None, None), "batch32": (32, 32), "tuned": (256, 256)}


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
