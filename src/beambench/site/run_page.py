"""The page of a run: its headline numbers, and the whole record, which a script turns into tables.

Thousands of these are written at a time. So only what the heading needs is made here, and the
record goes into the page as the text that the store holds.
"""

from __future__ import annotations

import shlex

import jinja2
from markupsafe import Markup

from beambench.presentation.values import show_value
from beambench.printable import printable
from beambench.record.environment import read_environment
from beambench.record.run_record import MetricValue
from beambench.site.data.chart_list import title_of
from beambench.site.templating import Page, render
from beambench.store.summaries import HistoryRun
from beambench.times import parse_time

LONGEST_TEXT = 500
"""Characters of a label or a name in the heading; the record below has all of them."""

LABELS_SHOWN = 20
HEADLINE = (
    "throughput_elements",
    "throughput_inferred",
    "inference_batch_latency_mean",
    "run_time",
    "model_load_latency_mean",
    "peak_memory",
)
"""Metrics that stand large above the others."""


def render_run(
    templates: jinja2.Environment, run: HistoryRun, document_json: str, page: Page
) -> str:
    """Return the page of a run.

    Args:
        templates: of the site.
        run: what lists show of it.
        document_json: the whole record.
        page: what every page is given.
    """
    proof, proof_class = _proof(run)
    values = {
        "run": run,
        "document": _element_text(document_json),
        "status": run.status.replace("_", " "),
        "status_class": "tag-good" if run.status == "succeeded" else "tag-bad",
        "proof": proof,
        "proof_class": proof_class,
        "facts": _facts(run),
        "headline": [
            (metric, title_of(metric), show_value(found.value, found.unit), _detail(found))
            for metric in HEADLINE
            if (found := run.metrics.get(metric)) is not None
        ],
        "command": printable(shlex.join(run.command)),
    }
    return render(templates, "run.html", page, values)


def _element_text(document: str) -> Markup:
    """Return text that may stand in an element, but not in an attribute.

    The quotes of JSON stay as they are: escaped, they would make the page twice as large.
    """
    text = document.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return Markup(text)  # noqa: S704 - no sign in it ends an element or begins one


def _proof(run: HistoryRun) -> tuple[str, str]:
    """Return in words whether the work was proven, and the class of that."""
    if run.verification.unverified is not None:
        return f"unverified: {_cut(run.verification.unverified)}", "tag-warn"
    if run.verification.passed:
        return "verified", "tag-good"
    return "failed verification", "tag-bad"


def _facts(run: HistoryRun) -> list[tuple[str, str]]:
    runner, data, model = run.runner, run.input, run.model
    facts = [
        ("variant", run.variant),
        ("profile", run.profile),
        ("runner", runner.executed or runner.requested),
        ("input", f"{'unknown' if data.count is None else data.count} elements, {data.kind}"),
        ("model", f"{model.name}, weights {model.weights}"),
        ("took", _duration(run)),
        ("disturbed by other work", _disturbed(run)),
        *_environment_facts(run),
    ]
    if run.imported is not None:
        facts.append(("imported from", run.imported.source))
    labels = list(run.labels.items())
    facts += [(f"label {_cut(name)}", value) for name, value in labels[:LABELS_SHOWN]]
    if len(labels) > LABELS_SHOWN:
        facts.append(("labels", f"{len(labels) - LABELS_SHOWN} more below"))
    return [(name, _cut(text)) for name, text in facts]


def _duration(run: HistoryRun) -> str:
    try:
        took = parse_time(run.finished_at) - parse_time(run.started_at)
    except (ValueError, OverflowError):
        return "unknown"
    return show_value(took.total_seconds(), "s")


def _environment_facts(run: HistoryRun) -> list[tuple[str, str]]:
    """Return what is known of where it ran."""
    environment = read_environment(run.environment)
    commits = [(name, state.commit) for name, state in environment.git.items() if state]
    facts = [
        ("machine", environment.machine.cpu_model),
        ("Python", environment.python.version),
        ("Apache Beam", environment.packages.get("apache-beam")),
        *((f"commit of {_cut(name)}", commit) for name, commit in commits),
    ]
    return [(name, text) for name, text in facts if text is not None]


def _disturbed(run: HistoryRun) -> str:
    if run.noise is None:
        return "unknown"
    return f"{run.noise.counted_disturbed} of {run.noise.counted_repeats} repeats"


def _cut(text: str) -> str:
    shown = printable(text[: LONGEST_TEXT + 1])
    return shown if len(shown) <= LONGEST_TEXT else f"{shown[:LONGEST_TEXT]}…"


def _detail(metric: MetricValue) -> str:
    return f"{_interval(metric) or 'no interval'}, n = {metric.n}"


def _interval(metric: MetricValue) -> str:
    if metric.ci_low is None or metric.ci_high is None:
        return ""
    return " – ".join(show_value(end, metric.unit) for end in (metric.ci_low, metric.ci_high))
