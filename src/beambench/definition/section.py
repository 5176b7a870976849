"""What the sections of a definition are made of."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Project = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.:-]{0,199}$")]
"""A project of Google Cloud."""


class Section(BaseModel):
    """A section of a definition: immutable, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
