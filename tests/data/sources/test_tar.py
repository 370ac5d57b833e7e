import io
import json
import os
import subprocess
import tarfile

import numpy as np
import pytest
from PIL import Image

from diptych.data.images import Images
from diptych.errors import DataError


def shard(path, members, mode="w"):
    with tarfile.open(path, mode) as archive:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))


@pytest.fixture
def png(scene):
    def make(seed):
        out = io.BytesIO()
        scene(seed).save(out, "PNG")
        return out.getvalue()

    return make


@pytest.mark.parametrize(("name", "mode"), [("a.tar", "w"), ("a.tar.gz", "w:gz"), ("a.tgz", "w:gz")])
def test_members_are_grouped_by_key(tmp_path, png, scene, name, mode):
    members = [("0.png", png(0)), ("0.cls", b"dog\n"), ("d/1.cls", b"cat"), ("d/1.png", png(1)), ("2.png", png(2))]
    shard(tmp_path / name, members, mode)
    images = Images.open(tmp_path / name)
    assert images.classes == ("cat", "dog")
    assert images.labels.tolist() == [1, 0, -1]
    assert images.paths[1] == f"{tmp_path}/{name}#d/1.png"
    for i in (2, 0, 1):
        assert np.array_equal(images.picture(i), np.asarray(scene(i)))


def test_json_sidecars(tmp_path, png):
    sidecars = [{"label": "dog", "age": 3}, {"class": "cat", "age": 4}]
    members = [m for i, t in enumerate(sidecars) for m in ((f"{i}.jpg", png(i)), (f"{i}.json", json.dumps(t).encode()))]
    shard(tmp_path / "a.tar", members)
    images = Images.open(tmp_path / "a.tar")
    assert images.labels.tolist() == [1, 0]
    assert images.groups["age"].tolist() == [3, 4]


def test_lists_of_labels(tmp_path, png):
    members = [
        ("0.png", png(0)),
        ("0.json", b'{"label": ["a", "b"]}'),
        ("1.png", png(1)),
        ("1.json", b'{"label": ["b"]}'),
    ]
    shard(tmp_path / "a.tar", members)
    assert Images.open(tmp_path / "a.tar").labels.tolist() == [[True, True], [False, True]]


@pytest.mark.parametrize("pattern", ["", "/*.tar", "/s-{000..001}.tar"])
def test_several_shards_with_named_numbers(tmp_path, png, scene, pattern):
    (tmp_path / "classes.txt").write_text("dog\ncat\n")
    for i in range(2):
        shard(tmp_path / f"s-{i:03}.tar", [("0.png", png(i)), ("0.cls", str(i).encode())])
    images = Images.open(f"{tmp_path}{pattern}")
    assert images.classes == ("cat", "dog")
    assert images.labels.tolist() == [1, 0]
    assert np.array_equal(images.picture(1), np.asarray(scene(1)))


def test_numbers_without_names(tmp_path, png):
    shard(
        tmp_path / "a.tar", [(f"{i}.{s}", d) for i in (10, 9) for s, d in (("png", png(i)), ("cls", str(i).encode()))]
    )
    assert Images.open(tmp_path / "a.tar").classes == ("9", "10")


def test_unusable_shards_are_refused(tmp_path):
    shard(tmp_path / "empty.tar", [("a.txt", b"words")])
    with pytest.raises(DataError, match="There is no picture"):
        Images.open(tmp_path / "empty.tar")
    (tmp_path / "bad.tar").write_bytes(b"words" * 1000)
    with pytest.raises(DataError, match="cannot be read"):
        Images.open(tmp_path / "bad.tar")
    (tmp_path / "bad.tgz").write_bytes(b"words" * 1000)
    with pytest.raises(DataError, match="cannot be unpacked"):
        Images.open(tmp_path / "bad.tgz")


def test_names_with_dots_and_a_sidecar_for_each_picture_are_all_read(tmp_path, png):
    scans = [(f"Scan 2.{i}.png", png(i)) for i in range(4)]
    scans += [(f"Scan 2.{i}.cls", b"abab"[i : i + 1]) for i in range(4)]
    shard(tmp_path / "scans.tar", scans)
    images = Images.open(tmp_path / "scans.tar")
    assert (images.classes, images.labels.tolist()) == (("a", "b"), [0, 1, 0, 1])


def test_pictures_that_share_a_key_are_named(tmp_path, png, caplog):
    members = [("1.input.png", png(0)), ("1.target.png", png(1)), ("1.cls", b"cat"), ("2.input.png", png(2))]
    shard(tmp_path / "pairs.tar", members)
    assert len(Images.open(tmp_path / "pairs.tar")) == 2
    assert "1 picture is not used: 1.target.png" in caplog.text


def test_an_archive_of_class_folders_is_read_like_the_folders(tmp_path, png, caplog):
    caplog.set_level("INFO")
    folders = [f"photos/{part}/{label}" for part in ("train", "test") for label in ("cat", "dog")]
    names = [f"{folder}/Scan 2.{i}.png" for folder in folders for i in (1, 2, 3)]
    shard(tmp_path / "photos.tar", [*((name, png(i)) for i, name in enumerate(names)), ("photos/cover.png", png(20))])
    images = Images.open(tmp_path / "photos.tar")
    assert images.counts() == {"cat": 6, "dog": 6}
    assert images.groups["split"].tolist() == ["train"] * 6 + ["test"] * 6
    assert "the folder names in the archive" in caplog.text
    assert "cover.png" in caplog.text


def test_a_label_in_another_encoding_is_refused_by_name(tmp_path, png):
    shard(tmp_path / "a.tar", [("1.png", png(0)), ("1.cls", "é".encode("cp1252"))])
    with pytest.raises(DataError, match=r"a.tar#1.cls: the text is not UTF-8"):
        Images.open(tmp_path / "a.tar")


@pytest.mark.parametrize(
    ("kind", "size", "reason"),
    [
        (b"0", -512, r"a\.tar is damaged: 1\.png has no size"),  # by which a reader comes back to the same header
        (b"x", 2**80, r"a\.tar cannot be read"),
        (b"0", 2**80, r"a\.tar cannot be read"),
    ],
)
def test_a_header_with_a_size_that_cannot_be_is_refused(tmp_path, png, kind, size, reason):
    shard(tmp_path / "a.tar", [("1.png", png(0))])
    data = bytearray((tmp_path / "a.tar").read_bytes())
    data[124:136], data[156:157] = b"\x80"[: size > 0] + size.to_bytes(12 - (size > 0), "big", signed=True), kind
    data[148:156] = b" " * 8
    data[148:156] = f"{sum(data[:512]):06o}\0 ".encode()
    (tmp_path / "a.tar").write_bytes(data)
    with pytest.raises(DataError, match=reason):
        Images.open(tmp_path / "a.tar")


@pytest.mark.parametrize("spelling", ["photos\\{}\\{}.png", "./{}/{}.png", "/photos/{}/{}.png"])
def test_archives_of_other_systems_have_the_same_folders(tmp_path, png, spelling):
    names = [spelling.format(label, i) for label in ("cat", "dog") for i in (1, 2)]
    left_behind = ["__MACOSX/photos/cat/x.png", "photos/@eaDir/x.png", "photos/.git/x.png"]
    shard(tmp_path / "photos.tar", [(name, png(0)) for name in (*names, *left_behind)])
    images = Images.open(tmp_path / "photos.tar")
    assert images.counts() == {"cat": 2, "dog": 2}
    assert images.paths[0].endswith("cat/1.png")
    assert images.skipped == ()


def test_hard_links_are_pictures_and_links_that_lead_nowhere_are_named(tmp_path, png, scene, caplog):
    for folder, seeds in (("cat", (0, 1)), ("dog", (2, 3))):
        (tmp_path / folder).mkdir()
        for seed in seeds:
            (tmp_path / folder / f"{seed}.png").write_bytes(png(seed))
    (tmp_path / "dog" / "again.png").hardlink_to(tmp_path / "dog" / "2.png")
    (tmp_path / "dog" / "soft.png").symlink_to("3.png")
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for folder in ("cat", "dog"):
            archive.add(tmp_path / folder, folder)
    images = Images.open(tmp_path / "a.tar")
    pixels = {path.split("#")[1]: images.picture(row) for row, path in enumerate(images.paths.tolist())}
    assert sorted(pixels) == ["cat/0.png", "cat/1.png", "dog/2.png", "dog/3.png", "dog/again.png"]
    assert np.array_equal(pixels["dog/again.png"], np.asarray(scene(2)))
    assert "1 link is not used: dog/soft.png" in caplog.text


@pytest.mark.parametrize("kind", ["gnu", "pax"])
def test_a_tar_that_leaves_out_empty_parts_is_refused(tmp_path, kind):
    """By GNU tar -S, of pictures with black areas: read in place they would be others."""
    pixels = np.zeros((256, 256, 3), np.uint8)
    pixels[:9] = 200
    Image.fromarray(pixels).save(whole := io.BytesIO(), "BMP")
    with (tmp_path / "0.bmp").open("wb") as file:  # with a hole, as a copy has
        for start in range(0, len(whole.getvalue()), 4096):
            block = whole.getvalue()[start : start + 4096]
            file.write(block) if any(block) else file.seek(len(block), os.SEEK_CUR)
    options = [f"--format={kind}", "-S", "--hole-detection=raw", "-C", str(tmp_path)]
    subprocess.run(["tar", *options, "-cf", str(tmp_path / "a.tar"), "0.bmp"], check=True)
    assert (tmp_path / "a.tar").stat().st_size < (tmp_path / "0.bmp").stat().st_size
    with pytest.raises(DataError, match="Pack them again without -S"):
        Images.open(tmp_path / "a.tar")
