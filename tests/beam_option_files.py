"""Option files of Beam's own inference benchmarks, with the quirks that they have.

The flags and values are those of `.github/workflows/load-tests-pipeline-options/` in apache/beam
(Apache License 2.0), files `beam_Inference_Python_Benchmarks_Dataflow_*.txt`; the order of the
lines and the text of the comment are ours.
"""

from __future__ import annotations

HEADER = """\
#  Licensed under the Apache License, Version 2.0 (the "License"); a comment of some lines stands
#  above the flags of every file. It has "quotes" that don't come in pairs, addresses such as
#      http://www.apache.org/licenses/LICENSE-2.0
#  and an empty line below.

"""
BUCKET = "gs://apache-beam-ml"
COMMON = """\
--region=us-central1
--staging_location=gs://temp-storage-for-perf-tests/loadtests
--temp_location=gs://temp-storage-for-perf-tests/loadtests
--publish_to_big_query=true
--metrics_dataset=beam_run_inference
--input_options={}
--runner=DataflowRunner
"""
TORCH = "--requirements_file=apache_beam/ml/inference/torch_tests_requirements.txt\n"
SMALL = COMMON + TORCH + "--machine_type=n1-standard-2\n--disk_size_gb=50\n"
FIXED = SMALL + "--autoscaling_algorithm=NONE\n"
SCALED = SMALL + "--autoscaling_algorithm=THROUGHPUT_BASED\n--max_num_workers=250\n"


def images(workers: int, model: str, device: str, name: str, added: str = "") -> str:
    return (
        HEADER
        + FIXED
        + (
            f"--num_workers={workers}\n"
            f"--metrics_table=torch_inference_imagenet_results_{name}\n"
            f"--influx_measurement=torch_inference_imagenet_{name}\n"
            f"--pretrained_model_name={model}\n"
            f"--device={device}\n"
            f"--input_file={BUCKET}/testing/inputs/openimage_50k_benchmark.txt\n"
            f"--model_state_dict_path={BUCKET}/models/torchvision.models.{model}.pth\n" + added
        )
    )


def language_modeling(size: str) -> str:
    return (
        HEADER
        + FIXED
        + (
            "--num_workers=250\n"
            f"--metrics_table=torch_language_modeling_bert_{size}_uncased\n"
            f"--influx_measurement=torch_language_modeling_bert_{size}_uncased\n"
            "--device=CPU\n"
            f"--input_file={BUCKET}/testing/inputs/sentences_50k.txt\n"
            f"--bert_tokenizer=bert-{size}-uncased\n"
            f"--model_state_dict_path={BUCKET}/models/huggingface.BertForMaskedLM.bert-{size}-uncased.pth"
        )
    )  # no newline at the end


def sentiment(table: str, added: str = "") -> str:
    return (
        HEADER
        + SCALED
        + (
            "--num_workers=20\n"
            f"--metrics_table={table}\n"
            "--influx_measurement=torch_sentiment_distilbert_base_uncased\n"
            "--device=CPU\n"
            f"--input_file={BUCKET}/testing/inputs/sentences_50k.txt\n"
            "--model_path=distilbert-base-uncased-finetuned-sst-2-english\n"
            f"--model_state_dict_path={BUCKET}/models/huggingface.sentiment.distilbert-base-uncased.pth\n"
            + added
        )
    )


BEAM_FILES = {
    "pytorch-image-classification-resnet101": images(75, "resnet101", "CPU", "resnet101"),
    "pytorch-image-classification-resnet152": images(75, "resnet152", "CPU", "resnet152"),
    # 30 workers where the documentation says 75, and another model than its name says.
    "pytorch-image-classification-resnet152-t4": images(
        30,
        "resnet50",
        "GPU",
        "resnet152_tesla_t4",
        "--experiments=worker_accelerator=type:nvidia-tesla-t4;count:1;install-nvidia-driver:5xx\n"
        "--sdk_container_image="
        "us.gcr.io/apache-beam-testing/python-postcommit-it/tensor_rt:latest\n",
    ),
    "pytorch-language-modeling-bert-base": language_modeling("base"),
    "pytorch-language-modeling-bert-large": language_modeling("large"),
    # No --mode=batch, which Beam's example would need.
    "pytorch-sentiment-distilbert-batch": sentiment(
        "torch_sentiment_distilbert_base_uncased_batch",
        "--timeout_ms=600000\n--sdk_location=container\n",
    ),
    "pytorch-sentiment-distilbert-streaming": sentiment("torch_sentiment_distilbert_base_uncased"),
    # 8 workers and more where the documentation says 3; the accelerator is a service option here.
    "vllm-gemma-2b-batch": HEADER
    + COMMON
    + (
        f"--input={BUCKET}/testing/inputs/sentences_50k.txt\n"
        "--machine_type=n1-standard-8\n"
        "--worker_zone=us-central1-b\n"
        "--disk_size_gb=200\n"
        "--num_workers=8\n"
        "--max_num_workers=25\n"
        "--autoscaling_algorithm=THROUGHPUT_BASED\n"
        "--sdk_location=container\n"
        "--output_table=apache-beam-testing.beam_run_inference.result_gemma_vllm_batch\n"
        "--metrics_table=gemma_vllm_batch\n"
        "--influx_measurement=gemma_vllm_batch\n"
        f"--model_gcs_path={BUCKET}/models/gemma-2b-it\n"
        "--dataflow_service_options="
        "worker_accelerator=type:nvidia-tesla-t4;count:1;install-nvidia-driver\n"
        "--experiments=use_runner_v2\n"
    ),
}
