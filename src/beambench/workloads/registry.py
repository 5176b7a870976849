"""Which workloads there are: built in, of installed distributions, or a class of the user's own."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from beambench.definition.entry_points import WORKLOADS, EntryPoint, broken, entry_of, names_of
from beambench.definition.schema import Definition
from beambench.definition.validation import describe
from beambench.errors import UsageError, nearest, text_of
from beambench.workloads.base import Workload

BUILT_IN = {
    "huggingface_pipeline": "beambench.workloads.text.huggingface_pipeline:HuggingFacePipeline",
    "image_classification": "beambench.workloads.images.classification:ImageClassification",
    "language_modeling": "beambench.workloads.text.language_modeling:LanguageModeling",
    "onnx_rows": "beambench.workloads.rows.onnx:OnnxRows",
    "overhead": "beambench.workloads.overhead:Overhead",
    "remote_endpoint": "beambench.workloads.remote.endpoint:RemoteEndpoint",
    "sentiment": "beambench.workloads.text.sentiment:Sentiment",
    "sklearn_rows": "beambench.workloads.rows.sklearn:SklearnRows",
    "text_embedding": "beambench.workloads.text.embedding:TextEmbedding",
    "text_generation": "beambench.workloads.vllm.text_generation:TextGeneration",
}


def workload_entry(workload: str) -> EntryPoint | None:
    """Return the entry point of the installed distribution that brings a workload, if one does.

    Raises:
        UsageError: two bring a workload of this name, or beambench has one itself.
    """
    advice = "uninstall one, or write module:Class"
    return entry_of(WORKLOADS, "workload", workload, BUILT_IN, advice)


def shipped(workload: str) -> tuple[str, str | None]:
    """Return a workload as ``module:Class``, if it is not beambench's, and its distribution."""
    entry = workload_entry(workload)
    return (entry.value, entry.distribution) if entry is not None else (workload, None)


def load_class(workload: str) -> type[Workload]:
    """Return the class of a workload: built in, of an installed distribution or ``module:Class``.

    Raises:
        UsageError: no such workload, module or class, or it is no `Workload`.
    """
    entry = workload_entry(workload)
    target = entry.value if entry is not None else BUILT_IN.get(workload, workload)
    where = f"workload {workload!r}" + (f" ({entry})" if entry is not None else "")
    module_name, colon, class_name = target.partition(":")
    if not colon and entry is not None:
        raise UsageError(f"{where}: expected module:Class, not {target!r}")
    if not colon:
        known = names_of(WORKLOADS, BUILT_IN)
        raise UsageError(
            f"no workload {workload!r}{nearest(workload, known)}: "
            f"there is {', '.join(known)}, or module:Class of your own{broken(WORKLOADS)}"
        )
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        hint = (
            "is its folder on PYTHONPATH?" if entry is None else "is all that it needs installed?"
        )
        raise UsageError(f"{where}: no module {error.name!r}: {hint}") from None
    except (Exception, SystemExit) as error:  # whatever a user's own module does wrong
        text = " ".join(f"{type(error).__name__}: {error}".split())
        raise UsageError(f"{where}: cannot be imported: {text[:300]}") from error
    loaded = getattr(module, class_name, None)
    if loaded is None:
        raise UsageError(f"{where}: {module_name} has no {class_name!r}")
    if not (isinstance(loaded, type) and issubclass(loaded, Workload)):
        raise UsageError(f"{where}: not a subclass of beambench's Workload")
    lacking = sorted(loaded.__abstractmethods__)
    if lacking:
        raise UsageError(f"{where}: does not define {', '.join(lacking)}")
    return loaded


def precision_of(cls: type[Workload], definition: Mapping[str, Any]) -> str:
    """Return what a workload says that the model of a definition computes in.

    Raises:
        UsageError: it does not say: its own code failed, or returned no text.
    """
    try:
        precision = cls.precision_of(definition)
    except (Exception, SystemExit) as error:  # whatever a package's own code does wrong
        text = " ".join(f"{type(error).__name__}: {text_of(error)}".split())
        raise UsageError(
            f"workload {definition['workload']!r}: precision_of failed: {text:.300}"
        ) from error
    if not isinstance(precision, str):
        raise UsageError(
            f"workload {definition['workload']!r}: precision_of returned "
            f"{type(precision).__name__}, not the name of a precision"
        )
    return precision


def check_workload(definition: Definition) -> None:
    """Check a definition against its workload: parameters, input type, model.

    Raises:
        UsageError: what the workload does not know, named.
    """
    cls = load_class(definition.workload)
    try:
        cls.parameters_type.model_validate(definition.parameters)
    except ValidationError as error:
        text = describe(error, cls.parameters_type)
        raise UsageError(f"{definition.name}: parameters: {text}") from None
    cls.check(definition)
    if definition.model.weights == "none" and definition.model.size_mib is not None:
        raise UsageError(
            f"{definition.name}: model.size_mib: nothing reads it with model.weights none: "
            "leave it out"
        )
