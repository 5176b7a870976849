"""Reading parts of records by type, whatever else another version or somebody else wrote there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

M = TypeVar("M", bound=BaseModel)


def tolerant(model: type[M], document: Mapping[str, Any]) -> M:
    """Return what a model reads of a document; a part of another form is left at its default."""
    known = {name: value for name, value in document.items() if value is not None}
    try:
        return model.model_validate(known)
    except ValidationError as error:
        wrong = {detail["loc"][0] for detail in error.errors()}
        return model.model_validate(
            {name: value for name, value in known.items() if name not in wrong}
        )
