"""Class folders: the class of a picture is the folder that it lies in, as in torchvision.

https://docs.pytorch.org/vision/stable/generated/torchvision.datasets.ImageFolder.html
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from beambench.definition.schema import FOLDERS, Model
from beambench.errors import UsageError
from beambench.inputs.text import quoted
from beambench.record.run_record import ClassFolders

INSTEAD = "or give a label file"


def class_folders(
    ids: Sequence[str],
    source: str,
    model: Model,
    *,
    names: Mapping[str, int] | None,
    classes: int | None,
) -> ClassFolders:
    """Return the class of each folder directly below an input's.

    Folders that are all called by a class index, or all by a name of a class, are those classes.
    Otherwise they are numbered from 0 in the order of their names, code point by code point.

    Args:
        ids: paths of all pictures below the input's folder, also of those beyond a limit.
        source: the input, as the user named it.
        model: that whose classes they are.
        names: what the model's classes are called, None if that is not known.
        classes: how many the model has, None if that is not known.

    Raises:
        UsageError: a picture lies in no class folder, a folder is none of the classes that a
            pretrained model has, or two folders are the same class.
    """
    loose = next((path for path in ids if "/" not in path), None)
    if loose is not None:
        raise UsageError(
            f"labels {FOLDERS}: {source}: {quoted(loose)} lies in no class folder: put each picture"
            f" into the folder of its class, {INSTEAD}"
        )
    folders = sorted({folder_of(path) for path in ids})
    numbered = _numbered(folders, source, model, names)
    _check_distinct(numbered, source)
    check_folder_classes(numbered.classes, classes, model.name)
    return numbered


def _numbered(
    folders: Sequence[str], source: str, model: Model, names: Mapping[str, int] | None
) -> ClassFolders:
    by_position = ClassFolders(
        numbered_by="position", classes={folder: n for n, folder in enumerate(folders)}
    )
    if names is None:
        return by_position
    if all(_is_index(folder) for folder in folders):
        return ClassFolders(numbered_by="index", classes={name: int(name) for name in folders})
    unknown = [folder for folder in folders if folder not in names]
    if not unknown:
        return ClassFolders(numbered_by="name", classes={name: names[name] for name in folders})
    if len(unknown) == len(folders) and model.weights != "pretrained":
        return by_position
    raise UsageError(
        f"labels {FOLDERS}: {source}: {quoted(unknown[0])} is no class of {model.name}: call each"
        f" folder by its class, as {next(iter(names))}, or each by its class index, {INSTEAD}"
    )


def _is_index(folder: str) -> bool:
    return folder.isascii() and folder.isdigit() and len(folder) <= 9


def misleading_names(numbered: ClassFolders) -> list[tuple[str, int]]:
    """Return folders that are all called by numbers and numbered otherwise, with their classes.

    ``1``, ``10`` and ``2`` are the classes 0, 1 and 2 of a model whose classes have no names.
    """
    if numbered.numbered_by != "position" or not all(map(_is_index, numbered.classes)):
        return []
    return [
        (folder, number) for folder, number in numbered.classes.items() if int(folder) != number
    ]


def _check_distinct(numbered: ClassFolders, source: str) -> None:
    folders: dict[int, str] = {}
    for folder, class_index in numbered.classes.items():
        other = folders.setdefault(class_index, folder)
        if other != folder:
            raise UsageError(
                f"labels {FOLDERS}: {source}: {quoted(other)} and {quoted(folder)} are both class"
                f" {class_index}: keep one of the two"
            )


def check_folder_classes(numbers: Mapping[str, int], classes: int | None, model: str) -> None:
    """Raise UsageError for a folder whose class a model of so many classes does not have."""
    if classes is None:
        return
    for folder, class_index in numbers.items():
        if class_index >= classes:
            raise UsageError(
                f"labels {FOLDERS}: folder {quoted(folder)} is class {class_index}, but {model} has"
                f" the classes 0 to {classes - 1}"
            )


def folder_of(element: str) -> str:
    """Return the class folder of an element."""
    return element.partition("/")[0]


def classes_by_folder(ids: Iterable[str], numbered: ClassFolders) -> dict[str, int]:
    """Return the class index by element id."""
    return {element: numbered.classes[folder_of(element)] for element in ids}
