"""Text generation with vLLM: the work of Beam's vllm_gemma_batch example."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator

from beambench.definition.schema import Definition, Scalar
from beambench.errors import UsageError, nearest
from beambench.inputs.text import text_of
from beambench.record.run_record import ModelRuns
from beambench.workloads.base import Label, Parameters, Weights, Workload
from beambench.workloads.vllm import gemma

if TYPE_CHECKING:
    from apache_beam.ml.inference.base import ModelHandler

SERVER_DEFAULT_TOKENS = 16
"""Output tokens of a request that does not say how many: OpenAI's completions API, and vLLM's."""

COMPARED_TOKENS = 4
"""Output tokens that are compared with the reference. Every further one is another chance that two
words equally likely change places, after which nothing can be compared."""


ENVIRONMENT = ("VLLM_", "OMP_", "HF_", "KMP_", "MKL_", "CUDA_")
"""How the variables begin that a definition may set: PATH, PYTHONPATH or LD_PRELOAD run code."""

RUNS_CODE = (
    "config",
    "logits-processors",
    "middleware",
    "reasoning-parser-plugin",
    "scheduler-cls",
    "tool-parser-plugin",
    "trust-remote-code",
    "worker-cls",
    "worker-extension-cls",
)
"""Arguments of vLLM's server that make it run code of a model or of a file, or read such ones."""


class GenerationParameters(Parameters):
    """What a request asks for, and how the server is started.

    Attributes:
        output_tokens: tokens at most for each prompt; None: the server's default of 16.
        ignore_eos: generate them all, whatever the model says; None: where weights are random, for
            they end a text at random.
        server: arguments of vLLM's server without the dashes; null or true: one without a value.
        environment: environment variables of the server, whose names begin as in `ENVIRONMENT`.
    """

    output_tokens: Annotated[int, Field(ge=1)] | None = None
    temperature: Annotated[float, Field(ge=0)] = 0
    ignore_eos: bool | None = None
    seed: int | None = None
    server: dict[str, Scalar] = Field(default_factory=dict)
    environment: dict[str, str] = Field(default_factory=dict)

    @field_validator("server")
    @classmethod
    def _runs_no_code(cls, server: dict[str, Scalar]) -> dict[str, Scalar]:
        for name, value in server.items():
            if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_.-]*", name):
                raise ValueError(f"{name!r}: expected the name of an argument, without dashes")
            # The server takes any unambiguous beginning for the whole name.
            written = name.lower().replace("_", "-").partition(".")[0]
            hidden = f"{name} {value}".lower().replace("-", "_")  # in JSON, or behind a dot
            if any(key.startswith(written) for key in RUNS_CODE) or "trust_remote_code" in hidden:
                raise ValueError(f"{name!r} could run code, which no definition may: remove it")
            if isinstance(value, str) and value.startswith("-"):
                raise ValueError(f"{name!r}: {value!r} would be an argument of its own")
        return server

    @field_validator("environment")
    @classmethod
    def _is_the_servers(cls, environment: dict[str, str]) -> dict[str, str]:
        for name in environment:
            if not name.startswith(ENVIRONMENT):
                raise ValueError(
                    f"{name!r}: only variables that begin with {', '.join(ENVIRONMENT)} can be "
                    "set: set others in your shell"
                )
        return environment


class TextGeneration(Workload):
    """Decode a line, ask vLLM's server to go on from there, check how much it wrote."""

    transform: ClassVar[str] = "InferBatch"
    input_types: ClassVar[tuple[str, ...]] = ("prompts",)
    parameters_type: ClassVar[type[Parameters]] = GenerationParameters
    requirements: ClassVar[tuple[str, ...]] = ("vllm", "openai")
    model_flag: ClassVar[str | None] = "model_gcs_path"
    weights_in_folder: ClassVar[bool] = True
    has_class_labels: ClassVar[bool] = False
    model_runs: ClassVar[ModelRuns] = "server"
    float32_option: ClassVar[str] = "--set parameters.server.dtype=float32"
    # Logits are bfloat16: at the size of a likely token's they are steps of up to 0.125.
    near_tie: ClassVar[float] = 0.13
    compares_outputs: ClassVar[bool] = False

    @classmethod
    def precision_of(cls, definition: Mapping[str, Any]) -> str:
        # A server chooses for itself, bfloat16 for these models, unless it is told otherwise.
        chosen = definition.get("parameters", {}).get("server", {}).get("dtype")
        return chosen if chosen in ("float32", "float16") else "bfloat16"

    @classmethod
    def check(cls, definition: Definition) -> None:
        super().check(definition)
        model, known = definition.model, list(gemma.SHAPES)
        if model.weights == "none":
            raise UsageError(f"{definition.name}: model.weights none: this workload needs weights")
        if model.weights != "file" and model.name not in known:
            raise UsageError(
                f"{definition.name}: model.name {model.name!r}{nearest(model.name, known)}: "
                f"known are {', '.join(known)}, and any with weights: file"
            )
        if model.weights == "pretrained" and gemma.SHAPES[model.name].hub is None:
            raise UsageError(
                f"{definition.name}: model.weights pretrained: nobody has published "
                f"{model.name}: use random"
            )
        if definition.parameters.get("temperature"):
            raise UsageError(
                f"{definition.name}: parameters.temperature: what is drawn at random cannot be "
                "compared with the reference: use 0"
            )
        unsupported = [name for name in ("large", "copies") if getattr(model, name)]
        if unsupported:
            raise UsageError(
                f"{definition.name}: model.{unsupported[0]}: a vLLM server is one copy for all "
                "processes of a machine already"
            )
        if definition.threads is not None:
            raise UsageError(
                f"{definition.name}: threads: sets those of torch in the worker; for the server "
                "use parameters.environment.VLLM_CPU_OMP_THREADS_BIND"
            )

    @classmethod
    def fetch_weights(cls, definition: Definition, seed: int, cache: Path) -> Weights:
        """Return the model's folder: given, from the model hub, or made from the seed.

        Raises:
            UsageError: the given folder is no model.
            RunError: the model cannot be fetched from here.
        """
        model = definition.model
        if model.weights == "random":
            return Weights(gemma.random_model(model.name, seed, cache))
        if model.weights == "pretrained":
            return Weights(gemma.published_model(model.name))
        folder = Path(str(model.path))
        if not (folder / "config.json").is_file():
            raise UsageError(f"model.path {folder}: no model in it (config.json is missing)")
        return Weights(folder.resolve())

    @classmethod
    def weights_of_workers(cls, definition: Definition) -> Literal["uploaded", "fetched"]:
        if definition.model.weights == "pretrained":
            return "fetched"  # as the workers of Beam's example do
        raise UsageError(
            f"model.weights {definition.model.weights}: workers cannot read a model's folder from "
            "a bucket: use pretrained, which each fetches from the model hub"
        )

    def model_handler(self) -> ModelHandler[Any, Any, Any]:
        from beambench.workloads.vllm.handler import VLLMHandler

        path = self.weights.path
        # Elsewhere than here, each machine fetches the published model itself, as Beam's example.
        model = str(path) if path is not None else str(gemma.SHAPES[self.definition.model.name].hub)
        return VLLMHandler(
            model,
            self.server_arguments(),
            {
                **({"HF_HUB_OFFLINE": "1"} if path is not None else {}),  # all is at hand
                "VLLM_NO_USAGE_STATS": "1",  # a benchmark reports to nobody
                **self.parameters.environment,
            },
            **self.handler_options(),
        )

    def server_arguments(self) -> dict[str, str | None]:
        """Return vLLM's arguments: reachable from this machine only, and what is defined."""
        arguments: dict[str, Scalar] = {"host": "127.0.0.1"}
        if self.definition.model.weights == "random":
            arguments |= gemma.SHAPES[self.definition.model.name].server
        arguments |= self.parameters.server
        return {
            name: None if value is None or value is True else str(value)
            for name, value in arguments.items()
            if value is not False
        }

    @property
    def _ignores_eos(self) -> bool:
        chosen: bool | None = self.parameters.ignore_eos
        return self.definition.model.weights == "random" if chosen is None else chosen

    @property
    def _output_tokens(self) -> int:
        return self.parameters.output_tokens or SERVER_DEFAULT_TOKENS

    def inference_args(self) -> dict[str, Any]:
        chosen: GenerationParameters = self.parameters
        options = {"max_tokens": chosen.output_tokens, "seed": chosen.seed}
        return {
            "temperature": chosen.temperature,
            **{name: value for name, value in options.items() if value is not None},
            # Their numbers tell tokens apart that look the same as text.
            "extra_body": {"return_token_ids": True, "ignore_eos": self._ignores_eos},
        }

    def reference_args(self) -> dict[str, Any]:
        return {**self.inference_args(), "logprobs": 2}

    def preprocess(self, raw: bytes) -> str:
        return text_of(raw)

    def postprocess(self, prediction: Any) -> Label:
        """Return the first output tokens as text of numbers.

        Raises:
            ValueError: the output is not as long as it was asked to be.
        """
        response = prediction.inference
        choice, got, asked = response.choices[0], _output_tokens(response), self._output_tokens
        if got > asked or (got < asked and (self._ignores_eos or choice.finish_reason != "stop")):
            raise ValueError(f"{got} output tokens instead of {asked}")
        return " ".join(map(str, choice.token_ids[:COMPARED_TOKENS]))

    def evidence(self, prediction: Any) -> Sequence[float] | None:
        """Return the two greatest log-probabilities where they were nearest to each other."""
        scores = prediction.inference.choices[0].logprobs
        if scores is None:
            return None
        ranked = [
            sorted(likely.values(), reverse=True)[:2]
            for likely in scores.top_logprobs[:COMPARED_TOKENS]
        ]
        return min((pair for pair in ranked if len(pair) == 2), key=_margin, default=None)

    def quantities(self, prediction: Any) -> Mapping[str, int]:
        usage = prediction.inference.usage
        return {"prompt_tokens": usage.prompt_tokens, "output_tokens": usage.completion_tokens}


def _margin(pair: Sequence[float]) -> float:
    return pair[0] - pair[1]


def _output_tokens(response: Any) -> int:
    count: int = response.usage.completion_tokens
    return count
