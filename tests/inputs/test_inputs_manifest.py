import os
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest

from beambench.errors import UsageError
from beambench.inputs.folders import IMAGE_SUFFIXES
from beambench.inputs.manifest import Manifest, check_source, resolve_input


def resolve(source, *, limit=None, kind="images", cache_dir=Path("/nonexistent")) -> Manifest:
    return resolve_input(kind, str(source), limit=limit, seed=0, cache_dir=cache_dir)


def usage_error(source, **arguments) -> str:
    with pytest.raises(UsageError) as raised:
        resolve(source, **arguments)
    message = str(raised.value)
    assert "\n" not in message
    assert len(message) < 600
    return message


def put(folder: Path, *names: str) -> None:
    """Write files whose content is their base name."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(path.name)


def listed(folder: Path, *lines: str, name="list.txt") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def digest_of(*parts: str) -> str:
    """The documented formula over contents; a part that is no content is given by '='."""
    hashes = [p[1:] if p.startswith("=") else sha256(p.encode()).hexdigest() for p in parts]
    return sha256("\n".join(hashes).encode()).hexdigest()


# --- a directory


def test_directory_is_sorted_by_name_and_takes_images_only(tmp_path):
    put(tmp_path, "b.JPG", "a.jpeg", "c.png", "e.WebP", "d.bmp", "notes.txt", "README")
    manifest = resolve(tmp_path)
    assert manifest.kind == "directory"
    assert manifest.root == str(tmp_path.resolve())
    assert manifest.ids == ["a.jpeg", "b.JPG", "c.png", "d.bmp", "e.WebP"]
    assert manifest.digest == digest_of(*manifest.ids)
    assert manifest.bytes == sum(len(name) for name in manifest.ids)
    assert manifest.source == str(tmp_path)
    assert manifest.warnings == [
        f"{tmp_path}: left out 2 (.txt: 1, without a usual suffix: 1): 'README', 'notes.txt'"
    ]


def test_directory_of_images_alone_has_no_warning(tmp_path):
    put(tmp_path, "a.jpg")
    assert resolve(tmp_path).warnings == []


def test_suffixes_that_decode_are_taken_in_any_case(tmp_path):
    names = [f"{number}{suffix}" for number, suffix in enumerate(IMAGE_SUFFIXES)]
    names += [f"upper{suffix.upper()}" for suffix in IMAGE_SUFFIXES]
    put(tmp_path, *names)
    manifest = resolve(tmp_path)
    assert manifest.ids == sorted(names)
    assert manifest.warnings == []
    assert {".gif", ".tif", ".tiff", ".jfif", ".jpe"} <= set(IMAGE_SUFFIXES)


def test_directory_warning_names_three_of_many_and_counts_all_by_suffix(tmp_path):
    put(
        tmp_path,
        "a.jpg",
        *(f"{n}.txt" for n in range(5)),
        *(f"{n}.HEIC" for n in range(7)),
        "x.cr2",
    )
    (warning,) = resolve(tmp_path).warnings
    assert warning == (
        f"{tmp_path}: left out 13 (.heic: 7, .txt: 5, .cr2: 1): '0.HEIC', '0.txt', '1.HEIC', …"
    )


def test_many_kinds_are_cut(tmp_path):
    put(tmp_path, "a.jpg", *(f"x.{letter}" for letter in "abcdefgh"))
    (warning,) = resolve(tmp_path).warnings
    assert "(.a: 1, .b: 1, .c: 1, .d: 1, .e: 1, .f: 1, others: 2)" in warning


# --- class folders


def test_folders_below_are_read_in_the_order_of_their_paths(tmp_path):
    names = [
        "a-b/1.jpg",
        "a/1.jpg",
        "a/z/2.jpg",
        "B/3.jpg",
        "b.jpg",
        "a.jpg",
        "a/10.jpg",
        "é/1.jpg",
    ]
    put(tmp_path, *names)
    (tmp_path / "empty").mkdir()
    manifest = resolve(tmp_path)
    assert manifest.ids == sorted(names)  # by code points: upper case before lower case
    assert manifest.ids[:4] == ["B/3.jpg", "a-b/1.jpg", "a.jpg", "a/1.jpg"]
    assert manifest.digest == digest_of(*(Path(name).name for name in manifest.ids))
    assert manifest.warnings == []
    assert resolve(tmp_path, limit=2).ids == manifest.ids[:2]


def test_files_of_macs_and_windows_are_neither_taken_nor_warned_of(tmp_path):
    hidden = ["._a.jpg", ".DS_Store", "Thumbs.db", "desktop.ini", ".hidden.jpg", ".git/x.jpg"]
    hidden += ["__MACOSX/cat/._1.jpg", "__MACOSX/2.jpg", "cat/@eaDir/1.jpg/SYNOPHOTO_THUMB_M.jpg"]
    put(tmp_path, "a.jpg", "cat/1.jpg", *hidden)
    manifest = resolve(tmp_path)
    assert manifest.ids == ["a.jpg", "cat/1.jpg"]
    assert manifest.warnings == []
    put(tmp_path, "cat/notes.txt")
    assert resolve(tmp_path).warnings == [f"{tmp_path}: left out 1 (.txt: 1): 'cat/notes.txt'"]


def test_only_what_lies_below_a_folder_can_be_hidden(tmp_path):
    put(tmp_path / ".cache" / "photos", "a.jpg")
    assert resolve(tmp_path / ".cache" / "photos").ids == ["a.jpg"]


def test_links_are_followed_and_each_folder_is_read_once(tmp_path):
    photos, far = tmp_path / "photos", tmp_path / "far"
    put(photos, "real/1.jpg")
    put(far, "2.jpg", "deep/3.jpg", "own.jpg")
    (photos / "a-link").symlink_to(photos / "real")  # before the folder in the order of names
    (photos / "loop").symlink_to(photos)
    (photos / "above").symlink_to(tmp_path)
    (photos / "root").symlink_to("/")
    (photos / "far").symlink_to(far)
    (photos / "far-again").symlink_to(far)
    (photos / "file.jpg").symlink_to(far / "own.jpg")
    (photos / "itself").symlink_to(photos / "itself")
    (photos / "gone.jpg").symlink_to(tmp_path / "nowhere")
    (far / "deep" / "back").symlink_to(far)
    manifest = resolve(photos)
    assert manifest.ids == [
        *("far/2.jpg", "far/deep/3.jpg", "far/own.jpg", "file.jpg", "real/1.jpg"),
    ]
    (warning,) = manifest.warnings
    assert warning.startswith(
        f"{photos}: left out 8 (links to folders that are read already or lie above: 6, "
        "broken links: 2): 'a-link', 'above', 'far-again', …"
    )


def test_a_folder_below_that_cannot_be_read_is_warned_of(tmp_path, monkeypatch):
    put(tmp_path, "a.jpg", "closed/b.jpg")
    scandir = os.scandir

    def refusing(path):
        if Path(path).name == "closed":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)  # root would be let through
    manifest = resolve(tmp_path)
    assert manifest.ids == ["a.jpg"]
    assert manifest.warnings == [
        f"{tmp_path}: left out 1 (folders that cannot be read: 1): 'closed'"
    ]


@pytest.mark.parametrize("name", [b"a\nb.jpg", b"a\rb.jpg", b"\xff.jpg"])
def test_directory_leaves_out_names_that_are_no_line_of_text(tmp_path, name):
    put(tmp_path, "good.jpg")
    (tmp_path / os.fsdecode(name)).write_bytes(b"x")
    manifest = resolve(tmp_path)
    assert manifest.ids == ["good.jpg"]
    (warning,) = manifest.warnings
    assert "left out 1" in warning
    warning.encode()  # has to be text, for the record
    assert "\n" not in warning


def test_directory_leaves_out_what_is_named_like_an_image_and_is_no_file(tmp_path):
    put(tmp_path, "good.jpg")
    (tmp_path / "broken.jpg").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe.jpg")
    manifest = resolve(tmp_path)
    assert manifest.ids == ["good.jpg"]
    assert "left out 2 (broken links: 1, neither file nor folder: 1)" in manifest.warnings[0]


def test_a_folder_is_read_however_it_is_named(tmp_path):
    put(tmp_path, "folder.jpg/x.png")
    assert resolve(tmp_path).ids == ["folder.jpg/x.png"]
    os.rename(tmp_path / "folder.jpg", tmp_path / "a\nb")  # noqa: PTH104
    put(tmp_path, "good.jpg")
    manifest = resolve(tmp_path)
    assert manifest.ids == ["good.jpg"]
    assert "left out 1 (not named in one line of text: 1)" in manifest.warnings[0]


def test_directory_is_made_absolute(tmp_path, monkeypatch):
    put(tmp_path, "photos/a.jpg")
    monkeypatch.chdir(tmp_path)
    manifest = resolve("photos")
    assert manifest.root == str(tmp_path.resolve() / "photos")
    assert manifest.source == "photos"


def test_directory_without_images_is_an_error(tmp_path):
    put(tmp_path, "a.txt", "b/c.heic", "b/d.heic", "._x.jpg")
    message = usage_error(tmp_path)
    assert message.startswith(f"{tmp_path}: holds no image (.jpg ")
    assert ".webp" in message
    assert message.endswith(
        "in it or below, but .heic: 2, .txt: 1, hidden: 1: name a directory that does"
    )
    (tmp_path / "empty").mkdir()
    assert usage_error(tmp_path / "empty").endswith("in it or below: name a directory that does")


# --- a list


def test_list_keeps_order_and_duplicates_and_drops_blanks(tmp_path):
    put(tmp_path, "b.jpg", "a.jpg")
    listed(tmp_path, "  b.jpg\t", "", "a.jpg\r", "   ", "b.jpg")
    manifest = resolve(tmp_path / "list.txt")
    assert manifest.kind == "list"
    assert manifest.root == str(tmp_path.resolve())
    assert manifest.ids == ["b.jpg", "a.jpg", "b.jpg"]
    assert manifest.digest == digest_of("b.jpg", "a.jpg", "b.jpg")
    assert manifest.bytes == 15
    assert manifest.warnings == []


def test_list_without_last_line_break_and_with_byte_order_mark(tmp_path):
    put(tmp_path, "é.jpg")
    (tmp_path / "list.txt").write_bytes("\ufeffé.jpg".encode())
    assert resolve(tmp_path / "list.txt").ids == ["é.jpg"]


def test_list_prefers_its_own_folder_to_the_current_one(tmp_path, monkeypatch):
    own, here = tmp_path / "own", tmp_path / "here"
    put(own, "both.jpg")
    put(here, "both.jpg", "here.jpg")
    path = listed(own, "both.jpg", "here.jpg")
    monkeypatch.chdir(here)
    manifest = resolve(path)
    assert manifest.root == str(tmp_path.resolve())
    assert manifest.ids == ["own/both.jpg", "here/here.jpg"]


def test_ids_do_not_depend_on_where_the_data_lie_nor_on_the_limit(tmp_path):
    manifests = []
    for place in (tmp_path / "x", tmp_path / "deep" / "er" / "y"):
        put(place, "a/1.jpg", "b/2.jpg", "b/c/3.jpg")
        absolute = [str(place / name) for name in ("a/1.jpg", "b/2.jpg", "b/c/3.jpg")]
        manifests.append(resolve(listed(tmp_path, *absolute, name=f"{place.name}.txt")))
        manifests.append(resolve(listed(place, "a/1.jpg", "./b//2.jpg", "b/c/3.jpg")))
    assert {tuple(m.ids) for m in manifests} == {("a/1.jpg", "b/2.jpg", "b/c/3.jpg")}
    assert len({m.digest for m in manifests}) == 1
    assert resolve(tmp_path / "x" / "list.txt", limit=1).ids == ["a/1.jpg"]


def test_root_is_the_longest_common_folder(tmp_path):
    put(tmp_path, "data/ab/1.jpg", "data/abc/2.jpg")
    paths = [str(tmp_path / "data/ab/1.jpg"), f"//{tmp_path}/data/abc/2.jpg"]
    manifest = resolve(listed(tmp_path, *paths))
    assert manifest.root == str(tmp_path / "data")
    assert manifest.ids == ["ab/1.jpg", "abc/2.jpg"]
    benchmark = resolve(listed(tmp_path, paths[0]))
    assert (benchmark.root, benchmark.ids) == (str(tmp_path / "data/ab"), ["1.jpg"])


def test_parent_folder_in_a_path_follows_symbolic_links(tmp_path):
    put(tmp_path, "far/away/a.jpg", "far/b.jpg", "b.jpg")
    (tmp_path / "far/b.jpg").write_text("the right one")
    (tmp_path / "link").symlink_to(tmp_path / "far/away")
    manifest = resolve(listed(tmp_path, "link/a.jpg", "link/../b.jpg"))
    assert manifest.digest == digest_of("a.jpg", "the right one")
    assert Path(manifest.root, manifest.ids[1]).read_text() == "the right one"


def test_missing_files_stay_and_are_warned_of(tmp_path):
    put(tmp_path, "a.jpg")
    manifest = resolve(listed(tmp_path, "gone.jpg", "a.jpg", "lost.jpg"))
    assert manifest.ids == ["gone.jpg", "a.jpg", "lost.jpg"]
    assert manifest.root == str(tmp_path.resolve())
    assert manifest.digest == digest_of("=unreadable", "a.jpg", "=unreadable")
    assert manifest.bytes == 5
    (warning,) = manifest.warnings
    assert "2 of 3 files missing or unreadable" in warning
    assert str(tmp_path.resolve() / "gone.jpg") in warning


def test_list_entries_that_are_no_files_are_unreadable_and_never_opened(tmp_path):
    put(tmp_path, "a.jpg", "folder/x.txt")
    os.mkfifo(tmp_path / "pipe.jpg")
    manifest = resolve(listed(tmp_path, "a.jpg", "folder", "pipe.jpg", "n" * 300 + ".jpg"))
    assert manifest.digest == digest_of("a.jpg", *["=unreadable"] * 3)


def test_all_files_missing_is_an_error_that_names_the_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    message = usage_error(listed(tmp_path / "lists", "gone.jpg", "lost.jpg"))
    assert "2 of 2 files missing" in message
    assert str(tmp_path.resolve() / "gone.jpg") in message
    assert "lost.jpg" not in message


def test_file_whose_reading_fails_is_unreadable(tmp_path):
    put(tmp_path, "a.jpg")
    mem = "/proc/self/mem"  # a regular file that may be opened, and reading it fails
    manifest = resolve(listed(tmp_path, mem, str(tmp_path / "a.jpg")))
    assert manifest.root == "/"
    assert manifest.ids[0] == "proc/self/mem"
    assert manifest.digest == digest_of("=unreadable", "a.jpg")
    assert "1 of 1 files missing or unreadable" in usage_error(listed(tmp_path, mem))


@pytest.mark.parametrize("kind", ["list.txt", "photos"])
def test_source_without_permission_is_an_error(tmp_path, monkeypatch, kind):
    put(tmp_path, "list.txt", "photos/a.jpg")
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root would be let through
    with pytest.raises(UsageError, match="cannot be read: allow it with chmod"):
        check_source("images", str(tmp_path / kind))


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("s3://bucket/a.jpg", "s3://bucket…: only gs://"),
        ("https://bench:plans@host/a.jpg?X-Goog-Signature=plans", "https://host…: only gs://"),
        ("gs://Bucket/a.jpg", "'gs://Bucket/a.jpg': expected gs://BUCKET/OBJECT"),
    ],
)
def test_other_addresses_are_refused_by_line_and_without_their_secrets(tmp_path, address, shown):
    put(tmp_path, "a.jpg")
    path = listed(tmp_path, "a.jpg", address)
    message = usage_error(path)
    assert message.startswith(f"{path}: line 2: {shown}")
    assert "plans" not in message


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("https://host/list.txt?token=plans", "https://host…: only gs:// addresses"),
        ("gs://", "expected gs://BUCKET/OBJECT"),
        ("gs://bucket/*.jpg", "patterns are not taken: name a folder, with a / at its end"),
    ],
)
@pytest.mark.parametrize("kind", ["images", "sentences"])
def test_an_address_that_cannot_be_right_is_refused_without_asking_the_store(kind, source, words):
    with pytest.raises(UsageError) as caught:
        check_source(kind, source)
    assert str(caught.value).startswith("input source ")
    assert words in str(caught.value)
    assert "plans" not in str(caught.value)


def test_a_list_of_addresses_is_not_looked_up_before_there_is_a_worker(tmp_path):
    check_source("images", str(listed(tmp_path, "gs://bucket/a.jpg")))
    check_source("images", "gs://bucket/folder/")


@pytest.mark.parametrize("text", ["", "\n", "  \n\t\n"])
def test_empty_list_is_an_error(tmp_path, text):
    path = tmp_path / "list.txt"
    path.write_text(text)
    assert usage_error(path) == f"{path}: names no image: put one path on each line"


def test_bad_bytes_name_the_line(tmp_path):
    path = tmp_path / "list.txt"
    path.write_bytes(b"a.jpg\n\nb\xe9.jpg\n")
    message = usage_error(path)
    assert f"{path}: line 3 is not UTF-8" in message
    assert "0xe9 at column 2" in message


@pytest.mark.parametrize("content", [b"\xff\xd8\xff\xe0\0\x10JFIF\0", b"a\0b\n"])
def test_file_that_is_no_text_is_an_error(tmp_path, content):
    path = tmp_path / "photo.jpg"
    path.write_bytes(content)
    message = usage_error(path)
    assert "not a text file" in message
    assert "list of images" in message
    assert "directory" in message


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_list_may_have_any_byte_order_mark_and_line_ends(tmp_path, encoding, end):
    put(tmp_path, "é.jpg", "b.jpg")
    path = tmp_path / "list.txt"
    path.write_bytes(f"é.jpg{end}{end}b.jpg{end}".encode(encoding))
    manifest = resolve(path)
    assert manifest.ids == ["é.jpg", "b.jpg"]
    assert manifest.digest == digest_of("é.jpg", "b.jpg")


def test_nul_byte_far_down_a_list_names_the_line(tmp_path):
    path = tmp_path / "list.txt"
    path.write_bytes(b"some/long/path.jpg\n" * 1000 + b"b\0.jpg\n")
    assert "line 1001 holds a NUL byte" in usage_error(path)


# --- limit


def test_limit_takes_the_first(tmp_path):
    put(tmp_path, "c.jpg", "a.jpg", "b.jpg")
    from_directory = resolve(tmp_path, limit=2)
    assert from_directory.ids == ["a.jpg", "b.jpg"]
    assert from_directory.digest == digest_of("a.jpg", "b.jpg")
    from_list = resolve(listed(tmp_path, "c.jpg", "a.jpg", "b.jpg"), limit=2)
    assert from_list.ids == ["c.jpg", "a.jpg"]
    assert from_list.bytes == 10


def test_limit_above_what_is_there_takes_all_and_warns(tmp_path):
    put(tmp_path, "a.jpg", "b.jpg")
    assert resolve(tmp_path, limit=2).warnings == []
    manifest = resolve(tmp_path, limit=3)
    assert manifest.ids == ["a.jpg", "b.jpg"]
    assert "2 of the 3 elements" in manifest.warnings[0]


# --- sources and types


def test_digest_depends_on_order_and_content(tmp_path):
    put(tmp_path, "a.jpg", "b.jpg")
    digest = resolve(listed(tmp_path, "a.jpg", "b.jpg")).digest
    assert resolve(listed(tmp_path, "b.jpg", "a.jpg")).digest != digest
    (tmp_path / "b.jpg").write_text("changed")
    assert resolve(listed(tmp_path, "a.jpg", "b.jpg")).digest != digest


def test_numbers():
    manifest = resolve("synthetic", kind="numbers", limit=3)
    assert (manifest.kind, manifest.root, manifest.ids) == ("synthetic", "", ["0", "1", "2"])
    assert manifest.bytes is None
    assert manifest.digest == sha256(b"0\n1\n2").hexdigest()
    assert len(resolve("synthetic", kind="numbers").ids) == 1000


def test_numbers_have_no_other_source(tmp_path):
    assert "'packaged'" in usage_error("packaged", kind="numbers")
    assert "numbers can only be 'synthetic'" in usage_error(tmp_path, kind="numbers")


def test_unknown_type_names_the_known_ones():
    message = usage_error("synthetic", kind="image")
    assert "did you mean 'images'?" in message
    assert "images, numbers" in message


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("packagd", "did you mean 'packaged'?"),
        ("", "No such file"),
        ("no/such/folder", "No such file"),
        ("a\0b", "null"),
        ("/dev/null", "neither file nor directory"),
    ],
)
def test_check_source_refuses_what_cannot_be_right(source, expected):
    with pytest.raises(UsageError) as raised:
        check_source("images", source)
    assert expected in str(raised.value)
    assert usage_error(source) == str(raised.value)


def test_check_source_reads_lists_and_folders_but_no_image(tmp_path):
    (tmp_path / "photo.jpg").write_bytes(b"not an image")
    (tmp_path / "list.txt").write_text("photo.jpg\n")
    check_source("images", str(tmp_path / "list.txt"))
    check_source("images", str(tmp_path))
    check_source("numbers", "synthetic")


@pytest.mark.parametrize("content", [b"\0 not a list", b"", b"missing.jpg\nmissing-too.jpg\n"])
def test_check_source_refuses_a_list_without_elements(tmp_path, content):
    path = tmp_path / "list.txt"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=r"list\.txt"):
        check_source("images", str(path))


def test_import_is_light_and_finding_the_photographs_too():
    code = (
        "import sys; from beambench.inputs import labels, manifest;"
        "manifest.check_source('images', 'packaged');"
        "print([m for m in ('PIL', 'numpy', 'skimage', 'sklearn', 'apache_beam', 'torch')"
        " if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
