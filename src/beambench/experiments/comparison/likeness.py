"""Whether two runs may be compared at all, and what they are unlike in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from beambench.machine.environment import comparable_part
from beambench.record.configuration import definition_in, read_configuration
from beambench.record.environment import read_environment
from beambench.record.run_record import RunRecord

MOST_NAMED = 5
"""Keys of definitions that differ, of which the first are named."""


def obstacle(record: RunRecord) -> str | None:
    """Return why there can be no verdict on a run, whatever its values are, or None."""
    proof = record.verification
    if record.status != "succeeded":
        return f"run {record.run_id} {record.status.replace('_', ' ')}"
    if proof.unverified is not None:
        return f"run {record.run_id} is unverified: {proof.unverified}"
    return None if proof.passed else f"run {record.run_id} failed its verification"


def is_refused(record: RunRecord) -> bool:
    """Whether a run did not do its work: nothing is compared with it unless that is asked for."""
    proof = record.verification
    return record.status != "succeeded" or (proof.unverified is None and not proof.passed)


def differences(base: RunRecord, candidate: RunRecord) -> list[str]:
    """Return what two runs are unlike in, a text each: `profile: local, smoke`."""
    pairs = zip(_facts(base).items(), _facts(candidate).values(), strict=True)
    unlike = [
        f"{name}: {_text(ours)}, {_text(theirs)}"
        for (name, ours), theirs in pairs
        if ours != theirs
    ]
    if base.definition_hash != candidate.definition_hash:
        unlike.append(_definitions(base, candidate))
    return [*unlike, *_environments(base, candidate)]


def _facts(record: RunRecord) -> dict[str, object]:
    configuration = read_configuration(record.config)
    return {
        "benchmark": record.benchmark,
        "variant": record.variant,
        "profile": record.profile,
        "runner": record.runner.executed or record.runner.requested,
        "Beam flags": [str(flag) for flag in configuration.beam_flags],
        "input kind": record.input.kind,
        "elements": record.input.count,
        "input digest": _short(record.input.digest),
        "model": record.model.name,
        "weights": record.model.weights,
        "weights digest": _short(record.model.digest),
        "record schema": record.schema_version,
        "beambench": record.beambench_version,
    }


def _definitions(base: RunRecord, candidate: RunRecord) -> str:
    """Say in which keys two definitions differ, or only that they do."""
    ours, theirs = (dict(_leaves(definition_in(run.config))) for run in (base, candidate))
    keys = [key for key in {**ours, **theirs} if ours.get(key) != theirs.get(key)]
    if not keys:
        hashes = (_short(run.definition_hash) for run in (base, candidate))
        return f"definition hash: {', '.join(map(_text, hashes))}"
    named = [f"{key} {_text(ours.get(key))}, {_text(theirs.get(key))}" for key in keys[:MOST_NAMED]]
    more = f" and {len(keys) - MOST_NAMED} more keys" if len(keys) > MOST_NAMED else ""
    return f"definition: {'; '.join(named)}{more}"


def _environments(base: RunRecord, candidate: RunRecord) -> list[str]:
    """Say in what two environments differ, of all that decides whether runs may be compared."""
    digests = [read_environment(run.environment).fingerprint_digest for run in (base, candidate)]
    unknown = [
        run.run_id for run, digest in zip((base, candidate), digests, strict=True) if digest is None
    ]
    if unknown:
        return [f"environment: unknown of {' and '.join(unknown)}"]
    if digests[0] == digests[1]:
        return []
    try:
        ours, theirs = (
            dict(_leaves(comparable_part(run.environment))) for run in (base, candidate)
        )
    except (KeyError, TypeError, AttributeError):
        return ["environment: another fingerprint"]
    return [
        f"{_environment_name(key)}: {_text(ours.get(key))}, {_text(theirs.get(key))}"
        for key in {**ours, **theirs}
        if ours.get(key) != theirs.get(key)
    ] or ["environment: another fingerprint"]


def _environment_name(key: str) -> str:
    """Return how a reader calls it: `torch`, not `packages.torch`."""
    return key.removeprefix("packages.").replace("_", " ")


def _leaves(content: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in content.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{before}{key}.")
        else:
            yield f"{before}{key}", value


def _short(digest: str | None) -> str | None:
    return digest and digest[:12]


def _text(value: object) -> str:
    if value is None or value == []:
        return "none"
    if isinstance(value, list):
        text = " ".join(map(str, value))
        return text if len(text) <= 80 else f"{text[:80]}…"
    return str(value)
