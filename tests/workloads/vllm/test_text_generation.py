"""Text generation without a server: what it is asked for, and what is made of its answers."""

from __future__ import annotations

import json
import pickle
from types import SimpleNamespace
from typing import Any

import pytest

from beambench.definition.library import Library
from beambench.definition.schema import Definition
from beambench.errors import UsageError
from beambench.workloads.base import Weights
from beambench.workloads.registry import check_workload
from beambench.workloads.vllm import gemma
from beambench.workloads.vllm.text_generation import TextGeneration

NAME = "vllm-gemma-2b-batch"


def definition(*overrides: str, profile: str = "smoke") -> Definition:
    return Library().resolve(NAME, profile=profile, overrides=overrides).definition


def workload(tmp_path, *overrides: str, profile: str = "smoke") -> TextGeneration:
    return TextGeneration(definition(*overrides, profile=profile), Weights(tmp_path / "model"))


def answer(
    tokens: list[int], *, finish: str = "length", scores: list[dict[str, float]] | None = None
) -> Any:
    """Return what the handler gives for one prompt."""
    logprobs = None if scores is None else SimpleNamespace(top_logprobs=scores)
    choice = SimpleNamespace(text="…", token_ids=tokens, finish_reason=finish, logprobs=logprobs)
    usage = SimpleNamespace(prompt_tokens=7, completion_tokens=len(tokens))
    return SimpleNamespace(
        example="prompt", inference=SimpleNamespace(choices=[choice], usage=usage)
    )


def test_stock_asks_for_the_default_length(tmp_path):
    arguments = workload(tmp_path).inference_args()
    assert arguments == {
        "temperature": 0,
        "extra_body": {"return_token_ids": True, "ignore_eos": True},
    }


def test_a_request_of_its_own(tmp_path):
    made = workload(
        tmp_path,
        "parameters.output_tokens=48",
        "parameters.temperature=0.5",
        "parameters.seed=3",
        "parameters.ignore_eos=false",
    )
    assert made.inference_args() == {
        "temperature": 0.5,
        "max_tokens": 48,
        "seed": 3,
        "extra_body": {"return_token_ids": True, "ignore_eos": False},
    }


def test_a_real_model_may_end_a_text(tmp_path):
    body = workload(tmp_path, profile="full").inference_args()["extra_body"]
    assert body["ignore_eos"] is False


def test_only_the_reference_asks_for_more(tmp_path):
    made = workload(tmp_path)
    assert made.reference_args() == {**made.inference_args(), "logprobs": 2}


def test_the_label_is_the_first_tokens(tmp_path):
    made = workload(tmp_path)
    assert made.postprocess(answer([5, 6, 7, 8, *range(12)])) == "5 6 7 8"


@pytest.mark.parametrize("count", [0, 15, 17])
def test_an_output_of_another_length_fails(tmp_path, count):
    with pytest.raises(ValueError, match=rf"^{count} output tokens instead of 16$"):
        workload(tmp_path).postprocess(answer([1] * count, finish="stop"))


@pytest.mark.parametrize(("finish", "fails"), [("stop", False), ("length", True)])
def test_a_text_that_ends_early_must_have_been_ended_by_the_model(tmp_path, finish, fails):
    made = workload(tmp_path, "parameters.output_tokens=32", profile="full")
    if fails:
        with pytest.raises(ValueError, match=r"^3 output tokens instead of 32$"):
            made.postprocess(answer([1, 2, 3], finish=finish))
    else:
        assert made.postprocess(answer([1, 2, 3], finish=finish)) == "1 2 3"
    with pytest.raises(ValueError, match="33 output tokens"):
        made.postprocess(answer([1] * 33, finish="stop"))


def test_the_evidence_is_where_two_tokens_were_nearest(tmp_path):
    scores = [
        {"a": -0.1, "b": -3.0},
        {"a": -2.0, "b": -0.5, "c": -0.7},
        {"a": -0.1, "b": -1.0},
        {"a": 0.0},
        {"a": -0.3, "b": -0.3},  # the fifth is not compared
    ]
    made = workload(tmp_path)
    assert made.evidence(answer([1] * 16, scores=scores)) == [-0.5, -0.7]
    assert made.evidence(answer([1] * 16)) is None


def test_tokens_are_counted(tmp_path):
    counts = workload(tmp_path).quantities(answer([1] * 16))
    assert counts == {"prompt_tokens": 7, "output_tokens": 16}


def test_a_line_that_is_no_utf8_is_no_prompt(tmp_path):
    made = workload(tmp_path)
    assert made.preprocess(made.read("wie heißt du?".encode())) == "wie heißt du?"
    with pytest.raises(ValueError, match=r"^not UTF-8 text \(byte 0xff at column 1\)$"):
        made.preprocess(made.read(b"\xff\xfe"))


@pytest.mark.parametrize(
    ("profile", "expected"),
    [
        ("smoke", {"host": "127.0.0.1", "dtype": "float32", "enforce-eager": None}),
        ("local", {"host": "127.0.0.1", "load-format": "dummy"}),
        ("full", {"host": "127.0.0.1"}),
    ],
)
def test_the_arguments_of_the_server(tmp_path, profile, expected):
    assert workload(tmp_path, profile=profile).server_arguments() == expected


def test_arguments_of_ones_own_come_last(tmp_path):
    own = "parameters.server={max-num-seqs: 4, dtype: half, enforce-eager: false, x: true, y: null}"
    assert workload(tmp_path, own).server_arguments() == {
        "host": "127.0.0.1",
        "dtype": "half",
        "max-num-seqs": "4",
        "x": None,
        "y": None,
    }


def test_it_travels_to_workers(tmp_path):
    made = workload(tmp_path, "parameters.output_tokens=3")
    assert pickle.loads(pickle.dumps(made)).inference_args() == made.inference_args()


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["model.weights=none"], "model.weights none: this workload needs weights"),
        (["model.name=gemma-2c"], r"model.name 'gemma-2c' \(did you mean 'gemma-2b'\?\)"),
        (["model.weights=pretrained", "model.name=gemma-tiny"], "nobody has published gemma-tiny"),
        (["model.large=true"], "model.large: a vLLM server is one copy"),
        (["threads=2"], "threads: sets those of torch in the worker"),
        (["parameters.output_tokens=0"], "parameters: output_tokens: "),
        (["parameters.tokens=3"], "parameters: unknown key tokens"),
        (["input.type=images"], "input.type 'images': workload text_generation reads prompts"),
    ],
)
def test_what_cannot_be(overrides, message):
    with pytest.raises(UsageError, match=message):
        check_workload(definition(*overrides))


@pytest.mark.parametrize(
    "server",
    [
        *("trust-remote-code: true", "trust_remote_code: null", "Trust-Remote: true"),
        *(
            "trust-remote-code=true: null",
            "--trust-remote-code: null",
            "' trust-remote-code': null",
        ),
        *("""hf-overrides: '{"trust_remote_code": true}'""", "hf-overrides.trust_remote_code: 1"),
        *("enforce-eager: --trust-remote-code", "enforce-eager: -x"),
        *("middleware: evil.Module", "worker-cls: evil.Worker", "config: evil.yaml"),
        *("tool_parser_plugin: evil.py", "logits-processors: evil:Own"),
    ],
)
def test_a_server_that_could_run_code(server):
    with pytest.raises(UsageError, match="parameters: server: "):
        check_workload(definition(f"parameters.server={{{server}}}"))


@pytest.mark.parametrize("name", ["PATH", "PYTHONPATH", "LD_PRELOAD", "hf_home", "XHF_HOME"])
def test_a_variable_that_is_not_the_servers(name):
    message = f"parameters: environment: .{name}.: only variables that begin with VLLM_, OMP_, HF_"
    with pytest.raises(UsageError, match=message):
        check_workload(definition(f"parameters.environment.{name}=x"))


@pytest.mark.parametrize(
    "name", ["VLLM_X", "OMP_NUM_THREADS", "HF_TOKEN", "KMP_X", "MKL_X", "CUDA_VISIBLE_DEVICES"]
)
def test_a_variable_of_the_server(name):
    given = definition(f"parameters.environment.{name}=x", "parameters.server.seed=-1")
    check_workload(given)
    assert given.parameters["environment"][name] == "x"


def test_a_folder_without_a_model(tmp_path):
    given = definition("model.weights=file", f"model.path={tmp_path}")
    check_workload(given)
    with pytest.raises(UsageError, match=r"no model in it \(config.json is missing\)$"):
        TextGeneration.fetch_weights(given, 0, tmp_path)
    (tmp_path / "config.json").write_text("{}")
    assert TextGeneration.fetch_weights(given, 0, tmp_path).path == tmp_path


@pytest.mark.real
def test_a_random_model_is_made_once_and_from_the_seed(tmp_path):
    pytest.importorskip("tokenizers")
    first = TextGeneration.fetch_weights(definition(), 3, tmp_path).path
    assert first is not None
    weights = (first / "model.safetensors").read_bytes()
    before = {file.name: file.stat().st_mtime_ns for file in first.iterdir()}
    assert TextGeneration.fetch_weights(definition(), 3, tmp_path).path == first
    assert {file.name: file.stat().st_mtime_ns for file in first.iterdir()} == before
    again = TextGeneration.fetch_weights(definition(), 3, tmp_path / "again").path
    other = TextGeneration.fetch_weights(definition(), 4, tmp_path).path
    assert again is not None
    assert other is not None
    assert (again / "model.safetensors").read_bytes() == weights
    assert (other / "model.safetensors").read_bytes() != weights
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix == ".tmp") == []


@pytest.mark.real
def test_the_full_shape_is_that_of_gemma(tmp_path):
    pytest.importorskip("tokenizers")
    folder = TextGeneration.fetch_weights(definition(profile="local"), 0, tmp_path).path
    assert folder is not None
    config = json.loads((folder / "config.json").read_text())
    sizes = ("vocab_size", "hidden_size", "num_hidden_layers", "intermediate_size")
    assert [config[key] for key in sizes] == [256000, 2048, 18, 16384]
    heads = ("num_attention_heads", "num_key_value_heads", "head_dim")
    assert [config[key] for key in heads] == [8, 1, 256]
    assert config["architectures"] == ["GemmaForCausalLM"]
    assert not (folder / "model.safetensors").exists()  # the server makes dummy weights


def test_what_is_missing_to_make_a_model(tmp_path, monkeypatch):
    def missing(name: str) -> str:
        raise gemma.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(gemma.metadata, "version", missing)
    with pytest.raises(UsageError, match=r"^tokenizers missing, .*: make setup-vllm$"):
        gemma.random_model("gemma-tiny", 0, tmp_path)
