"""Which class each class folder is."""

import pytest

from beambench.definition.schema import Model
from beambench.errors import UsageError
from beambench.inputs.labels.class_folders import class_folders, classes_by_folder, misleading_names
from beambench.workloads.images.classification import ImageClassification

IMAGENET = ImageClassification.class_names(None)
PRETRAINED = Model(name="resnet18", weights="pretrained")
OWN = Model(name="resnet18", weights="file", path="resnet18.pth")


def numbered_folders(folders, *, model=OWN, names=None, classes=None):
    return class_folders(
        [f"{folder}/1.jpg" for folder in folders], "photos", model, names=names, classes=classes
    )


def test_folders_are_numbered_in_the_order_of_their_names_code_point_by_code_point():
    numbered = numbered_folders(["dog", "Zebra", "cat", "ant-eater", "ant"])
    assert numbered.numbered_by == "position"
    assert numbered.classes == {"Zebra": 0, "ant": 1, "ant-eater": 2, "cat": 3, "dog": 4}


@pytest.mark.real
def test_they_are_the_classes_of_torchvisions_image_folder(tmp_path):
    datasets = pytest.importorskip("torchvision.datasets")
    names = ["b", "B", "10", "2", "\u00e9", "e\u0301", "a b"]
    for name in names:
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.jpg").write_bytes(b"")
    assert datasets.ImageFolder(str(tmp_path)).class_to_idx == numbered_folders(names).classes


def test_an_element_has_the_class_of_the_folder_directly_below_the_input():
    folders = numbered_folders(["cat", "dog"])
    ids = ["dog/1.jpg", "cat/1.jpg", "cat/far/below/1.jpg"]
    assert classes_by_folder(ids, folders) == dict(zip(ids, [1, 0, 0], strict=True))


def test_synsets_are_the_classes_of_imagenet_also_if_some_are_missing():
    numbered = numbered_folders(
        ["n02123045", "n15075141", "n01440764"], model=PRETRAINED, names=IMAGENET
    )
    assert numbered.numbered_by == "name"
    assert numbered.classes == {"n01440764": 0, "n02123045": 281, "n15075141": 999}
    assert numbered_folders(IMAGENET, names=IMAGENET).classes == numbered_folders(IMAGENET).classes


def test_numbers_are_class_indices_of_a_model_whose_classes_have_names():
    numbered = numbered_folders(["10", "2"], model=PRETRAINED, names=IMAGENET)
    assert (numbered.numbered_by, numbered.classes) == ("index", {"10": 10, "2": 2})
    assert numbered_folders(["10", "2"]).classes == {"10": 0, "2": 1}


def test_numbers_that_are_no_classes_are_told():
    assert misleading_names(numbered_folders(["10", "2", "1"])) == [("1", 0), ("10", 1)]
    assert misleading_names(numbered_folders(["0", "1", "2"])) == []
    assert misleading_names(numbered_folders(["2", "3", "cat"])) == []
    assert misleading_names(numbered_folders(["10", "2"], model=PRETRAINED, names=IMAGENET)) == []


def test_weights_of_ones_own_may_have_classes_of_ones_own():
    assert numbered_folders(["cat", "dog"], names=IMAGENET).numbered_by == "position"


@pytest.mark.parametrize(
    ("folders", "given", "message"),
    [
        (
            ["cat", "n01440764"],
            {"names": IMAGENET},
            "photos: 'cat' is no class of resnet18: call each folder by its class, as n01440764, or"
            " each by its class index, or give a label file",
        ),
        (
            ["cat", "dog"],
            {"names": IMAGENET, "model": PRETRAINED},
            "photos: 'cat' is no class of resnet18: call each folder by its class, as n01440764, or"
            " each by its class index, or give a label file",
        ),
        (
            ["007", "7"],
            {"names": IMAGENET},
            "photos: '007' and '7' are both class 7: keep one of the two",
        ),
        (
            ["ant", "cat", "dog"],
            {"classes": 2},
            "folder 'dog' is class 2, but resnet18 has the classes 0 to 1",
        ),
        (
            ["1000"],
            {"names": IMAGENET, "classes": 1000},
            "folder '1000' is class 1000, but resnet18 has the classes 0 to 999",
        ),
    ],
)
def test_folders_that_are_no_class_are_an_error(folders, given, message):
    with pytest.raises(UsageError) as raised:
        numbered_folders(folders, **given)
    assert str(raised.value) == f"labels folders: {message}"


def test_a_picture_in_no_class_folder_is_an_error():
    with pytest.raises(UsageError) as raised:
        class_folders(["cat/1.jpg", "b.jpg"], "photos", OWN, names=None, classes=None)
    assert str(raised.value) == (
        "labels folders: photos: 'b.jpg' lies in no class folder: put each picture into the folder "
        "of its class, or give a label file"
    )
