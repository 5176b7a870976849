"""True labels in a worker: matched against the whole input, also beyond a limit."""

from pathlib import Path

import pytest

from beambench.errors import UsageError
from beambench.inputs.manifest import Manifest
from beambench.worker.labels import check_labels, class_check, truth_of
from tiny_workloads import Tiny, make_plan, prepared


def manifest(ids, beyond=(), root="/data/photos", kind="directory"):
    return Manifest(kind, root, list(ids), "", None, "photos", beyond=list(beyond))


def checked(folder: Path, rows: str, listing: Manifest, **changed):
    labels = folder / "labels.csv"
    labels.write_text(rows)
    plan = make_plan(folder, "prepare", labels=str(labels), **changed)
    return check_labels(Tiny, plan, listing)


def test_a_row_that_fits_an_element_and_one_beyond_the_limit_is_an_error(tmp_path):
    listing = manifest(["cat/1.jpg"], ["dog/1.jpg"])
    with pytest.raises(UsageError) as raised:
        checked(tmp_path, "1.jpg,3\n", listing)
    assert str(raised.value) == (
        f"{tmp_path}/labels.csv: line 1: '1.jpg' fits 2 elements, as 'cat/1.jpg' and 'dog/1.jpg': "
        "write their paths"
    )
    assert checked(tmp_path, "cat/1.jpg,3\n", listing) == (None, [])


def test_no_element_has_the_label_of_one_beyond_the_limit(tmp_path):
    with pytest.raises(UsageError) as raised:
        checked(tmp_path, "z.jpg,3\n", manifest(["a/z.jpg"], ["z.jpg"]))
    assert str(raised.value) == (
        f"{tmp_path}/labels.csv: line 1: 'z.jpg' fits element 'a/z.jpg' and 'z.jpg', which the "
        "limit leaves out: write their paths"
    )


def test_a_row_of_other_folders_labels_with_a_warning(tmp_path):
    assert checked(tmp_path, "cat/1.jpg,3\n", manifest(["1.jpg"], root="/data/dog")) == (
        None,
        [
            f"{tmp_path}/labels.csv: labels 1 elements by the end of a path in other folders, as "
            "line 1, 'cat/1.jpg', labels '/data/dog/1.jpg'"
        ],
    )


def test_class_folders_are_those_of_the_whole_input(tmp_path):
    plan = make_plan(tmp_path, "prepare", labels="folders", source="photos", limit=2)
    listing = manifest(["b/1.jpg", "b/2.jpg"], ["a/1.jpg"])
    folders, warnings = check_labels(Tiny, plan, listing)
    assert folders is not None
    assert folders.classes == {"a": 0, "b": 1}
    assert warnings == [
        "labels folders: the elements are of 1 of 2 class folders, for the limit 2 takes the first"
    ]
    ready = prepared(tmp_path, listing.ids, class_folders=folders)
    task = make_plan(tmp_path, "loop", labels="folders", preparation=ready)
    assert truth_of(task, listing.ids) == {"b/1.jpg": 1, "b/2.jpg": 1}
    class_check(task)(2)
    with pytest.raises(UsageError, match="folder 'b' is class 1, but tiny has the classes 0 to 0"):
        class_check(task)(1)


def test_class_folders_called_by_other_numbers_than_their_class_are_warned_of(tmp_path):
    plan = make_plan(tmp_path, "prepare", labels="folders", source="photos")
    _, warnings = check_labels(Tiny, plan, manifest(["10/1.jpg", "2/1.jpg"]))
    assert warnings == [
        "labels folders: folder '10' is class 0, its position among the class folders, not its name"
    ]


@pytest.mark.parametrize("kind", ["list", "derived", "synthetic", "file"])
def test_class_folders_need_a_directory(tmp_path, kind):
    plan = make_plan(tmp_path, "prepare", labels="folders", source="photos")
    with pytest.raises(UsageError, match="photos: is no directory with class folders in it: name"):
        check_labels(Tiny, plan, manifest(["a/1.jpg"], kind=kind))
