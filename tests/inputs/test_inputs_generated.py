"""Images that are made: packaged and synthetic, and the cache that they are kept in."""

import errno
import fcntl
import json
import subprocess
import sys
import time
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from random import Random

import pytest
from PIL import Image

from beambench.errors import RunError, UsageError
from beambench.inputs import folder_cache, images
from beambench.inputs.manifest import check_source, resolve_input

COUNT = 12
# Arguments: cache folder, what to run before.
RESOLVE = """
import sys, time
from pathlib import Path
from beambench.inputs import images
from beambench.inputs.manifest import resolve_input
exec(sys.argv[2])
print("ready", flush=True)
sys.stdin.readline()
m = resolve_input("images", "packaged", limit=40, seed=3, cache_dir=Path(sys.argv[1]))
print(m.digest)
"""
# Makes three images and hangs, as if it were killed in the middle.
HANG = """
made = images.packaged_images
def slow(count, seed):
    yield from made(3, seed)
    Path(sys.argv[1], "hanging").touch()
    time.sleep(600)
images.packaged_images = slow
"""
# Writes a line for every process that makes images.
COUNT_MAKERS = """
made = images.packaged_images
def counted(count, seed):
    with Path(sys.argv[1], "makers").open("a") as file:
        file.write("x")
    time.sleep(0.3)
    yield from made(count, seed)
images.packaged_images = counted
"""


def resolve(source, cache_dir, *, limit=COUNT, seed=0):
    return resolve_input("images", source, limit=limit, seed=seed, cache_dir=cache_dir)


def child(cache_dir: Path, before: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", RESOLVE, str(cache_dir), before],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.fixture
def start():
    """Start a child; none outlives the test."""
    started = []

    def start_process(cache_dir: Path, before: str) -> subprocess.Popen[str]:
        started.append(child(cache_dir, before))
        return started[-1]

    yield start_process
    for process in started:
        process.kill()
        process.communicate()


def go(process: subprocess.Popen[str]) -> None:
    process.stdin.write("\n")
    process.stdin.flush()


def noise(width: int, height: int) -> Image.Image:
    return Image.frombytes("RGB", (width, height), Random(0).randbytes(3 * width * height))


def leftovers(cache_dir: Path) -> list[str]:
    return [path.name for path in cache_dir.iterdir() if path.name.endswith(".part")]


@pytest.fixture
def no_making(monkeypatch):
    """Call it, and making images fails from then on."""

    def refuse(count, seed):
        raise AssertionError("made again")

    def patch():
        monkeypatch.setattr(images, "packaged_images", refuse)

    return patch


# --- what is made


@pytest.mark.parametrize(("source", "kind"), [("packaged", "derived"), ("synthetic", "synthetic")])
def test_manifest_of_images_that_are_made(tmp_path, source, kind):
    manifest = resolve(source, tmp_path / "new" / "cache")
    folder = tmp_path / "new" / "cache" / f"{source}-images-v1-seed0-n{COUNT}"
    assert (manifest.kind, manifest.source, manifest.warnings) == (kind, source, [])
    assert manifest.root == str(folder.resolve())
    contents = [(folder / name).read_bytes() for name in manifest.ids]
    assert len(contents) == len(set(contents)) == COUNT
    assert manifest.bytes == sum(len(content) for content in contents)
    assert {(Image.open(BytesIO(c)).format, Image.open(BytesIO(c)).mode) for c in contents} == {
        ("JPEG", "RGB")
    }
    # The same files named as a directory are the same input.
    as_directory = resolve(str(folder), tmp_path)
    assert (as_directory.ids, as_directory.digest) == (manifest.ids, manifest.digest)


def test_packaged_images_are_crops_of_every_photograph(tmp_path):
    made = list(images.packaged_images(54, 0))
    stems = [Path(file).stem for _, _, file in images.PHOTOGRAPHS]
    assert [name for name, _ in made] == [
        f"{index:06d}_{stems[index % len(stems)]}.jpg" for index in range(54)
    ]
    sizes = [Image.open(BytesIO(jpeg)).size for _, jpeg in made]
    assert all(224 <= side <= 640 for size in sizes for side in size)
    assert len(set(sizes)) > 40
    greys = [Image.open(BytesIO(jpeg)).convert("L").getextrema() for _, jpeg in made]
    assert all(high - low > 50 for low, high in greys)


def test_some_crops_are_mirrored_and_all_are_cut_from_the_photograph():
    photograph = noise(300, 250)
    counts = {False: 0, True: 0}
    for seed in range(20):
        crop = images._crop(photograph, Random(seed))
        rng = Random(seed)
        width, height = rng.randint(224, 300), rng.randint(224, 250)
        left, top = rng.randint(0, 300 - width), rng.randint(0, 250 - height)
        cut = photograph.crop((left, top, left + width, top + height))
        flipped = cut.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        assert crop.tobytes() in (cut.tobytes(), flipped.tobytes())
        counts[crop.tobytes() == flipped.tobytes()] += 1
    assert min(counts.values()) >= 3


def test_photograph_smaller_than_the_shortest_side_is_kept_whole():
    crop = images._crop(Image.new("RGB", (100, 150)), Random(0))
    assert crop.size == (100, 150)


def test_flat_and_repeated_crops_are_drawn_again():
    half_black = Image.new("RGB", (640, 640))
    half_black.paste(noise(640, 320), (0, 320))
    seen = set()
    for index in range(20):
        crop = Image.open(BytesIO(images._new_crop(half_black, Random(index), seen)))
        assert crop.convert("L").getextrema()[1] > 100
    assert len(seen) == 20
    with pytest.raises(RunError, match="no new crop"):
        images._new_crop(Image.new("RGB", (300, 300)), Random(0), set())
    tiny, drawn = noise(10, 10), set()
    itself_and_mirrored = {images._new_crop(tiny, Random(n), drawn) for n in range(2)}
    assert len(itself_and_mirrored) == len(drawn) == 2
    with pytest.raises(RunError, match="no new crop"):
        images._new_crop(tiny, Random(2), drawn)


@pytest.mark.parametrize("make", [images.packaged_images, images.synthetic_images])
def test_images_follow_from_seed_and_position(make):
    ten = list(make(10, 5))
    assert list(make(10, 5)) == ten
    assert list(make(4, 5)) == ten[:4]
    assert not {jpeg for _, jpeg in make(10, 6)} & {jpeg for _, jpeg in ten}


def test_synthetic_images_are_about_as_large_as_photographs():
    ((name, jpeg),) = images.synthetic_images(1, 0)
    assert name == "000000_synthetic.jpg"
    assert Image.open(BytesIO(jpeg)).size == (500, 375)
    assert 60_000 < len(jpeg) < 160_000


def test_default_is_200_and_seed_and_count_have_folders_of_their_own(tmp_path):
    default = resolve("packaged", tmp_path, limit=None)
    other_seed = resolve("packaged", tmp_path, limit=3, seed=9)
    assert len(default.ids) == 200
    assert default.root.endswith("packaged-images-v1-seed0-n200")
    assert other_seed.root.endswith("packaged-images-v1-seed9-n3")


@pytest.mark.parametrize(
    ("module", "source"),
    [("skimage", "packaged"), ("sklearn", "packaged"), ("PIL", "packaged"), ("PIL", "synthetic")],
)
def test_missing_package_names_the_extra(tmp_path, monkeypatch, module, source):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UsageError) as raised:
        check_source("images", source)
    assert images.DISTRIBUTIONS[module] in str(raised.value)
    assert "pip install 'beambench[samples]'" in str(raised.value)
    with pytest.raises(UsageError):
        resolve(source, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_missing_or_damaged_photograph_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(images, "_package_folder", lambda package: tmp_path / package)
    with pytest.raises(UsageError, match=r"astronaut\.png: packaged photograph missing"):
        check_source("images", "packaged")
    for package, sub, file in images.PHOTOGRAPHS:
        (tmp_path / package / sub).mkdir(parents=True, exist_ok=True)
        (tmp_path / package / sub / file).write_bytes(b"no image")
    with pytest.raises(UsageError, match=r"astronaut\.png: packaged photograph is damaged"):
        resolve("packaged", tmp_path / "cache")
    assert leftovers(tmp_path / "cache") == []


# --- the cache


def test_cache_is_used_again(tmp_path, no_making):
    made = resolve("packaged", tmp_path)
    no_making()
    assert resolve("packaged", tmp_path) == made


def test_relative_cache_folder_gives_an_absolute_root(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    root = resolve("packaged", Path("cache"), limit=1).root
    assert root == str(tmp_path.resolve() / "cache" / "packaged-images-v1-seed0-n1")


def truncate(folder: Path) -> None:
    path = folder / "000004_flower.jpg"
    path.write_bytes(path.read_bytes()[:-1])


def flip_a_bit(folder: Path) -> None:
    path = folder / "000004_flower.jpg"
    content = bytearray(path.read_bytes())
    content[1000] ^= 1
    path.write_bytes(content)


def delete_image(folder: Path) -> None:
    (folder / "000004_flower.jpg").unlink()


def delete_index(folder: Path) -> None:
    (folder / "index.json").unlink()


def spoil_index(folder: Path) -> None:
    (folder / "index.json").write_text('[["000000')


def index_of_another_shape(folder: Path) -> None:
    (folder / "index.json").write_text('{"files": 3}')


def index_with_fewer(folder: Path) -> None:
    rows = json.loads((folder / "index.json").read_text())
    (folder / "index.json").write_text(json.dumps(rows[:-1]))


def index_with_one_twice(folder: Path) -> None:
    rows = json.loads((folder / "index.json").read_text())
    (folder / "index.json").write_text(json.dumps([rows[0], *rows[:-1]]))


def replace_by_file(folder: Path) -> None:
    folder.rename(folder.with_name("elsewhere"))
    folder.write_text("a file")


def replace_by_broken_link(folder: Path) -> None:
    folder.rename(folder.with_name("elsewhere"))
    folder.symlink_to(folder.with_name("nowhere"))


@pytest.mark.parametrize(
    "damage",
    [
        truncate,
        flip_a_bit,
        delete_image,
        delete_index,
        spoil_index,
        index_of_another_shape,
        index_with_fewer,
        index_with_one_twice,
        replace_by_file,
        replace_by_broken_link,
    ],
)
def test_damaged_cache_is_made_again(tmp_path, damage):
    before = resolve("packaged", tmp_path)
    damage(Path(before.root))
    after = resolve("packaged", tmp_path)
    assert after == before
    contents = [(Path(after.root) / name).read_bytes() for name in after.ids]
    hashes = "\n".join(sha256(content).hexdigest() for content in contents)
    assert after.digest == sha256(hashes.encode()).hexdigest()
    assert leftovers(tmp_path) == []


def test_killed_maker_leaves_nothing_that_is_used(tmp_path, start):
    process = start(tmp_path, HANG)
    go(process)
    while not (tmp_path / "hanging").exists():
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.wait()
    folder = tmp_path / "packaged-images-v1-seed3-n40"
    assert len(leftovers(tmp_path)) == 1
    assert not folder.exists()
    manifest = resolve("packaged", tmp_path, limit=40, seed=3)
    assert len(manifest.ids) == 40
    assert leftovers(tmp_path) == []


def test_two_processes_at_once_make_it_once(tmp_path, start):
    processes = [start(tmp_path, COUNT_MAKERS) for _ in range(2)]
    for process in processes:
        go(process)
    outputs = [process.communicate(timeout=60)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert (tmp_path / "makers").read_text() == "x"
    assert set(outputs) == {resolve("packaged", tmp_path, limit=40, seed=3).digest + "\n"}
    assert leftovers(tmp_path) == []


def test_wait_for_another_process_has_a_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(folder_cache, "LOCK_WAIT_S", 0.1)
    lock = tmp_path / f".packaged-images-v1-seed0-n{COUNT}.lock"
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(RunError, match="held by another process") as raised:
            resolve("packaged", tmp_path)
    assert str(lock) in str(raised.value)
    assert len(resolve("packaged", tmp_path).ids) == COUNT


def test_full_disk_is_one_line_and_leaves_nothing(tmp_path, monkeypatch):
    write, written = Path.write_bytes, []

    def full_after_three(path, data):
        if len(written) == 3:
            write(path, data[:10])
            raise OSError(errno.ENOSPC, "No space left on device")
        written.append(path)
        return write(path, data)

    monkeypatch.setattr(Path, "write_bytes", full_after_three)
    with pytest.raises(RunError) as raised:
        resolve("packaged", tmp_path)
    message = str(raised.value)
    assert message.startswith(str(tmp_path.resolve() / f"packaged-images-v1-seed0-n{COUNT}"))
    assert "No space left on device" in message
    assert "\n" not in message
    assert len(written) == 3
    assert [path.name for path in tmp_path.iterdir() if not path.name.endswith(".lock")] == []


def test_interrupted_maker_removes_what_it_began(tmp_path, monkeypatch):
    def interrupted(count, seed):
        yield "a.jpg", b"a"
        raise KeyboardInterrupt

    monkeypatch.setattr(images, "packaged_images", interrupted)
    with pytest.raises(KeyboardInterrupt):
        resolve("packaged", tmp_path)
    assert leftovers(tmp_path) == []


def test_cache_folder_that_cannot_be_is_a_run_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="choose another cache folder"):
        resolve("packaged", tmp_path / "file" / "cache")


def test_equal_or_missing_images_are_never_kept(tmp_path):
    folder = tmp_path / "folder"
    for content in ([("a", b"x"), ("b", b"x")], [("a", b"x")]):
        with pytest.raises(AssertionError):
            folder_cache.cached_folder(folder, 2, lambda made=content: made)
        assert not folder.exists()
