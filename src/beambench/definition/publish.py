"""The section `publish` of a definition: each publisher brings the schema of its own part."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, SerializeAsAny, ValidationError, create_model

from beambench.definition.publishers import (
    BUILT_IN,
    built_in,
    find_publisher,
    lookup,
    publisher_names,
)
from beambench.definition.section import Section
from beambench.errors import UsageError


class Publish(Section):
    """Where results of this benchmark are published."""

    to: list[str] = Field([], description="Publishers that every run goes to without being told.")

    def section(self, publisher: str) -> dict[str, Any] | None:
        """Return the settings for a publisher, None if there are none."""
        found: dict[str, Any] | None = self.model_dump().get(publisher)
        return found

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpickled, (self.model_dump(),)  # the class is made, and has no name to import


def _unpickled(content: dict[str, Any]) -> Publish:
    """Return a section as it was; without the others where a publisher is not installed.

    Workers elsewhere get definitions, and publish nothing.
    """
    try:
        return schema_for(content).model_validate(content)
    except (UsageError, ValidationError):
        return schema_for({}).model_validate({key: content[key] for key in BUILT_IN})


def schema_for(content: Any) -> type[Publish]:
    """Return the schema of a section: with the publishers built in, and others that it names.

    Nothing of a distribution is imported that the section does not name.

    Args:
        content: of the section, as a file or a record holds it.

    Raises:
        UsageError: the distribution of a publisher that it names is broken.
    """
    given = content if isinstance(content, dict) else {}
    sections, to = given.keys() - {"to"}, given.get("to")
    chosen = {name for name in to if isinstance(name, str)} if isinstance(to, list) else set()
    if sections | chosen <= BUILT_IN.keys():
        return _schema(tuple(BUILT_IN), _sections(()))
    names = publisher_names()
    return _schema(tuple(names), _sections(sections.intersection(names) - BUILT_IN.keys()))


def whole_schema() -> type[Publish]:
    """Return the schema with all publishers that are installed and not broken."""
    usable = [name for name in publisher_names() if lookup(name) is not None]
    return _schema(tuple(usable), _sections(set(usable) - BUILT_IN.keys()))


def _sections(others: Iterable[str]) -> tuple[tuple[str, type[Section]], ...]:
    """Return name and schema of the publishers built in and of some others, by name."""
    known = [*map(built_in, BUILT_IN), *map(find_publisher, others)]
    return tuple(sorted(((one.name, one.settings) for one in known), key=lambda pair: pair[0]))


@functools.cache
def _schema(
    names: tuple[str, ...], sections: tuple[tuple[str, type[Section]], ...]
) -> type[Publish]:
    own = Publish.model_fields["to"]
    fields: dict[str, Any] = {name: (settings | None, None) for name, settings in sections}
    choice = list[Literal[names]]  # type: ignore[valid-type]
    return create_model(
        "Publish",
        __base__=Publish,
        __doc__=Publish.__doc__,
        to=(choice, Field([], description=own.description)),
        **fields,
    )


def validated(content: Any) -> Any:
    """Return a section that is valid, with the errors of pydantic where it is not."""
    return content if isinstance(content, Publish) else schema_for(content).model_validate(content)


PublishSection = Annotated[SerializeAsAny[Publish], BeforeValidator(validated)]
"""Type of the field of a definition."""


def nowhere() -> Publish:
    """Return the section of a definition that says nothing of it."""
    return schema_for({})()
