"""What is wrong with the content of a definition, in one line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from beambench.definition.publish import Publish, whole_schema
from beambench.definition.schema import Definition
from beambench.errors import nearest


def worst(error: ValidationError) -> ErrorDetails:
    """Return the first unknown key, which explains a missing one, or else the first problem."""
    problems = error.errors(include_url=False)
    return next(
        (problem for problem in problems if problem["type"] == "extra_forbidden"), problems[0]
    )


def describe(error: ValidationError, model: type[BaseModel]) -> str:
    """Say in one line what is wrong with a bad key, and what it might have meant."""
    first = worst(error)
    location = [str(part) for part in first["loc"]]
    dotted = ".".join(location) or "the whole"
    others = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    kind = first["type"]
    if kind == "extra_forbidden":
        known = [key for key in _keys_at(model, location[:-1]) if key != location[-1]]
        hint = nearest(location[-1], known) or f": known are {', '.join(known) or 'none'}"
        return f"unknown key {dotted}{hint}{others}"
    if kind == "missing":
        return f"key {dotted} is missing{others}"
    message = first["msg"].removeprefix("Value error, ")
    value = first.get("input")
    shown = "" if isinstance(value, dict) else f", not {value!r:.80}"
    return f"{dotted}: {message[:1].lower()}{message[1:]}{shown}{others}"


def _keys_at(model: type[BaseModel], location: Sequence[str]) -> list[str]:
    """Return the keys that the schema knows at a place."""
    current: Any = model
    inside = False  # the next part is the key or the index of a mapping or list of models
    for part in location:
        if inside:
            inside = False
            continue
        field = current.model_fields.get(part) if _is_model(current) else None
        inside = field is not None and get_origin(field.annotation) in (dict, list)
        current = _model_in(field.annotation) if field is not None else current
        current = whole_schema() if current is Publish else current
    keys = sorted(current.model_fields) if _is_model(current) else []
    return [*keys, "inherit", "variants"] if current is Definition else keys


def _is_model(candidate: Any) -> bool:
    return isinstance(candidate, type) and issubclass(candidate, BaseModel)


def _model_in(annotation: Any) -> Any:
    """Return the model inside `X | None` or `dict[str, X]`, or the annotation itself."""
    if _is_model(annotation):
        return annotation
    models = [_model_in(part) for part in getattr(annotation, "__args__", ())]
    return next((model for model in models if _is_model(model)), annotation)
