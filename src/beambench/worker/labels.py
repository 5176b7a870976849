"""True labels: which class each element belongs to, and what is wrong with what was given."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from beambench.definition.plan import BenchmarkPlan, PreparedPlan
from beambench.definition.schema import FOLDERS
from beambench.errors import UsageError
from beambench.inputs.labels.class_folders import (
    check_folder_classes,
    class_folders,
    classes_by_folder,
    folder_of,
    misleading_names,
)
from beambench.inputs.labels.label_file import (
    LabelRow,
    Labels,
    labels_for,
    lies_elsewhere,
    read_labels,
    rows_for,
)
from beambench.inputs.manifest import Manifest
from beambench.inputs.text import quoted
from beambench.record.run_record import ClassFolders
from beambench.workloads.base import Workload


def truth_of(plan: PreparedPlan, ids: Sequence[str]) -> dict[str, int]:
    """Return the class of each labelled element; to be read before a handler changes the folder."""
    if plan.labels is None:
        return {}
    prepared = plan.preparation
    if prepared.class_folders is not None:
        return classes_by_folder(ids, prepared.class_folders)
    return labels_for(ids, read_labels(plan.labels), prepared.root or "")


def class_check(plan: PreparedPlan) -> Callable[[int | None], None]:
    """Return a check of the labels against a model whose classes were counted in its output.

    It raises a UsageError if one of them is a class that the model has not. It is to be made
    before a handler changes the folder.
    """
    name, folders = plan.definition.model.name, plan.preparation.class_folders
    labels = read_labels(plan.labels) if plan.labels is not None and folders is None else None

    def check(classes: int | None) -> None:
        if classes is None:
            return
        if folders is not None:
            check_folder_classes(folders.classes, classes, name)
        if labels is not None:
            labels.check_classes(classes, name)

    return check


def check_labels(
    cls: type[Workload], plan: BenchmarkPlan, manifest: Manifest
) -> tuple[ClassFolders | None, list[str]]:
    """Check the labels against elements and model.

    Returns:
        The class of each class folder if they are the labels, and warnings.

    Raises:
        UsageError: they label none, fit several, or have a class that the model has not.
    """
    if plan.labels is None:
        return None, []
    if plan.labels == FOLDERS:
        return _folders(cls, plan, manifest)
    labels = read_labels(plan.labels)
    classes = cls.classes(plan.definition)
    if classes is not None:
        labels.check_classes(classes, plan.definition.model.name)
    distinct = list(dict.fromkeys(manifest.ids))
    rows = rows_for(distinct, labels, manifest.root)
    _check_beyond(rows, labels, manifest)
    if not rows:
        row = labels.first()
        raise UsageError(
            f"{plan.labels}: labels none of the elements: line {row.line} has {quoted(row.name)},"
            f" and the first element is {quoted(distinct[0])}: write file names as they are there"
        )
    warnings = []
    if len(rows) < len(distinct):
        warnings.append(f"labels {len(rows)} of {len(distinct)} elements: accuracy is over those")
    warnings += _elsewhere(rows, manifest)
    return None, [f"{plan.labels}: {text}" for text in warnings]


def _check_beyond(rows: Mapping[str, LabelRow], labels: Labels, manifest: Manifest) -> None:
    """Check that no element has a label of one that the limit leaves out."""
    if not manifest.beyond:
        return
    among_all = rows_for([*manifest.ids, *manifest.beyond], labels, manifest.root)
    for element, row in rows.items():
        if element not in among_all:
            other = next(other for other, same in among_all.items() if same == row)
            raise UsageError(
                f"{labels.path}: line {row.line}: {quoted(row.name)} fits element {quoted(element)}"
                f" and {quoted(other)}, which the limit leaves out: write their paths"
            )


def _elsewhere(rows: Mapping[str, LabelRow], manifest: Manifest) -> list[str]:
    """Warn of elements that are labelled by a path in other folders than theirs."""
    others = [(path, row) for path, row in rows.items() if lies_elsewhere(row, path, manifest.root)]
    if not others:
        return []
    element, row = others[0]
    return [
        f"labels {len(others)} elements by the end of a path in other folders, as line {row.line},"
        f" {quoted(row.name)}, labels {quoted(f'{manifest.root}/{element}')}"
    ]


def _folders(
    cls: type[Workload], plan: BenchmarkPlan, manifest: Manifest
) -> tuple[ClassFolders, list[str]]:
    definition = plan.definition
    if manifest.kind != "directory":
        raise UsageError(
            f"labels {FOLDERS}: {plan.source}: is no directory with class folders in it: name one"
            " with --input"
        )
    folders = class_folders(
        [*manifest.ids, *manifest.beyond],
        plan.source,
        definition.model,
        names=cls.class_names(definition),
        classes=cls.classes(definition),
    )
    used, listed = len({folder_of(element) for element in manifest.ids}), len(folders.classes)
    warnings = [
        f"labels {FOLDERS}: folder {quoted(folder)} is class {number}, its position among the"
        " class folders, not its name"
        for folder, number in misleading_names(folders)[:1]
    ]
    if used < listed:
        warnings.append(
            f"labels {FOLDERS}: the elements are of {used} of {listed} class folders, for the "
            f"limit {plan.limit} takes the first"
        )
    return folders, warnings
