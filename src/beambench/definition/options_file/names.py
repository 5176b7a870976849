"""The flags that Beam's option files hold, by what becomes of them."""

from __future__ import annotations

from collections.abc import Mapping

from beambench.definition.schema import PLACES

ACCELERATOR = "worker_accelerator"
DRIVER = "install-nvidia-driver"
ONE_PROCESS = "no_use_multiple_sdk_containers"
"""Experiment: one SDK process on a worker, whatever number of vCPUs it has."""

DISK_TYPE = "compute.googleapis.com/projects//zones//diskTypes/"
"""What Dataflow wants in front of the type of a disk."""

MODEL_FLAGS = (
    "pretrained_model_name",
    "bert_tokenizer",
    "model",
    "model_gcs_path",
    "model_name",
    "model_path",
)
"""Flags by which Beam's pipelines are told the model."""

DIRECT_FLAGS = frozenset(
    {
        "allow_non_deterministic_key_coders",
        "allow_unsafe_triggers",
        "auto_unique_labels",
        "default_sdk_harness_log_level",
        "direct_embed_docker_python",
        "direct_num_workers",
        "direct_runner_bundle_repeat",
        "direct_running_mode",
        "direct_test_splits",
        "disable_beartype",
        "max_cache_memory_usage_mb",
        "no_direct_runner_use_stacked_bundle",
        "no_pipeline_type_check",
        "no_save_main_session",
        "performance_runtime_type_check",
        "pickle_library",
        "resource_hint",
        "resource_hints",
        "runtime_type_check",
        "save_main_session",
        "sdk_harness_log_level_overrides",
        "type_check_additional",
        "type_check_strictness",
    }
)
"""Beam's own flags that are passed on, because the direct runner heeds them."""

EXPERIMENTS = ("experiment", "experiments")
SERVICE_OPTIONS = ("dataflow_service_option", "dataflow_service_options")
REPEATABLE = (
    *EXPERIMENTS,
    *SERVICE_OPTIONS,
    "resource_hint",
    "resource_hints",
    "sdk_harness_log_level_overrides",
)
"""Flags of which every occurrence counts, not only the last."""

CLUSTER_FLAGS = frozenset(
    {
        "dataflow_kms_key",
        "enable_streaming_engine",
        "impersonate_service_account",
        "labels",
        "min_cpu_platform",
        "network",
        "no_use_public_ips",
        "number_of_worker_harness_threads",
        "sdk_location",
        "service_account_email",
        "subnetwork",
        "use_public_ips",
        "worker_region",
        "worker_zone",
        "zone",
    }
)
"""Flags without a key in a definition, passed on because Dataflow heeds them."""

_CLUSTER_ONLY = "only a cluster uses it, and this run is on the direct runner"
_OUTPUT = "outputs are verified and counted, not written"
_PUBSUB = "a streaming benchmark has a source of its own"
LEFT_OUT: Mapping[str, str] = {
    **dict.fromkeys(CLUSTER_FLAGS | PLACES, _CLUSTER_ONLY),
    **dict.fromkeys(("output", "output_table"), _OUTPUT),
    **dict.fromkeys(
        (
            "input_mode",
            "input_subscription",
            "pubsub_subscription",
            "pubsub_topic",
            "rate_limit",
            "trigger_interval_sec",
            "trigger_proc_time_sec",
            "window_sec",
            "window_size_sec",
        ),
        _PUBSUB,
    ),
    "images_dir": "name the images with --input",
    "influx_db_name": "where a database is, is said where results are published",
    "influx_hostname": "where a database is, is said where results are published",
    "job_name": "beambench names its jobs",
    "input_options": "it is for Beam's synthetic source, which no benchmark reads",
    "requirements_file": "`beambench options NAME --requirements` prints those of the workers",
    "runner": "the runner is chosen with beambench's own --runner",
    "timeout_ms": "it limits one job on a cluster; the limit of a whole run is --timeout",
}
"""Flags of Beam and of its benchmarks that change nothing here, and why."""

_PARAMETERS = "what the workload does is said with --set parameters.KEY=VALUE"
_BATCHING = "use --set batching.min_batch_size=N and --set batching.max_batch_size=N"
UNREAD: Mapping[str, str] = {
    **dict.fromkeys(
        (
            "chat",
            "chat_template",
            "feature_columns",
            "image_size",
            "max_tokens",
            "top_k",
            "use_dynamo",
            "vllm_gpu_memory_utilization",
            "vllm_max_num_seqs",
        ),
        _PARAMETERS,
    ),
    **dict.fromkeys(("batch_size", "max_batch_size", "min_batch_size"), _BATCHING),
    "inference_batch_size": f"nor does Beam's RunInference: {_BATCHING}",
    "large_model": "use --set model.large=true",
    "model_copies": "use --set model.copies=N",
}
"""Flags of pipelines that would change the work and that no benchmark reads, and what does."""

FOLDER = "beambench_folder"
"""Pipeline option of our own in which a job says where its folder is."""
