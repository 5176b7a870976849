"""The section `publish` of a definition: each publisher brings the schema of its own part."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, SerializeAsAny, create_model

from beambench.definition.publishers import (
    BUILT_IN,
    built_in,
    find_publisher,
    lookup,
    publisher_names,
)
from beambench.definition.section import Section


class Publish(Section):
    """Where results of this benchmark are published."""

    to: list[str] = Field([], description="Publishers that every run goes to without being told.")

    def section(self, publisher: str) -> dict[str, Any] | None:
        """Return the settings for a publisher, None if there are none."""
        settings: dict[str, Any] | None = self.model_dump().get(publisher)
        return settings

    def __reduce__(self) -> tuple[Any, ...]:
        return recorded, (self.model_dump(),)  # the class is made, and has no name to import


class _OpenPublish(Publish):
    """The same, with what it says of publishers that are not installed as it is."""

    model_config = ConfigDict(extra="allow")


def validated(content: Any) -> Any:
    """Return the section of a definition, with the errors of pydantic where it is not valid.

    Nothing of a distribution is imported that the section does not name.

    Raises:
        UsageError: the distribution of a publisher that it names is broken.
    """
    if isinstance(content, Publish):
        return content
    return _schema_for(content).model_validate(content)


def recorded(content: Any) -> Any:
    """Return a section that was valid when it was recorded, perhaps elsewhere.

    A worker with another interpreter, or another machine, may lack a publisher: what the section
    says of it is left as it is.
    """
    named = _sections_in(content) | _chosen_in(content)
    if named <= BUILT_IN.keys() or named <= set(publisher_names()):
        return validated(content)
    others = _sections_in(content).intersection(publisher_names()) - BUILT_IN.keys()
    return _made(_OpenPublish, _settings(others)).model_validate(content)


def whole_schema() -> type[Publish]:
    """Return the schema with all publishers that are installed and not broken."""
    usable = [name for name in publisher_names() if lookup(name) is not None]
    return _made(Publish, _settings(set(usable) - BUILT_IN.keys()), tuple(usable))


def _schema_for(content: Any) -> type[Publish]:
    """Return the schema of a section: with the publishers built in, and others that it names."""
    sections = _sections_in(content)
    if sections | _chosen_in(content) <= BUILT_IN.keys():
        return _made(Publish, _settings(()), tuple(BUILT_IN))
    names = publisher_names()
    others = sections.intersection(names) - BUILT_IN.keys()
    return _made(Publish, _settings(others), tuple(names))


def _sections_in(content: Any) -> set[Any]:
    return set(content) - {"to"} if isinstance(content, dict) else set()


def _chosen_in(content: Any) -> set[str]:
    to = content.get("to") if isinstance(content, dict) else None
    return {name for name in to if isinstance(name, str)} if isinstance(to, list) else set()


def _settings(others: Iterable[str]) -> tuple[tuple[str, type[Section]], ...]:
    """Return name and schema of the publishers built in and of some others, by name."""
    known = [*map(built_in, BUILT_IN), *map(find_publisher, others)]
    return tuple(
        sorted(
            ((publisher.name, publisher.settings) for publisher in known), key=lambda pair: pair[0]
        )
    )


@functools.cache
def _made(
    base: type[Publish],
    settings: tuple[tuple[str, type[Section]], ...],
    names: tuple[str, ...] | None = None,
) -> type[Publish]:
    """Make a schema: with the settings of some publishers; `to` takes these names, None: any."""
    fields: dict[str, Any] = {name: (schema | None, None) for name, schema in settings}
    if names is not None:
        choice = list[Literal[names]]  # type: ignore[valid-type]
        description = Publish.model_fields["to"].description
        fields = {"to": (choice, Field([], description=description)), **fields}
    return create_model("Publish", __base__=base, __doc__=Publish.__doc__, **fields)


PublishSection = Annotated[SerializeAsAny[Publish], BeforeValidator(validated)]
"""Type of the field of a definition."""


def nowhere() -> Publish:
    """Return the section of a definition that says nothing of it."""
    return _schema_for({})()
