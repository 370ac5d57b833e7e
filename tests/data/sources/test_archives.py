import io
import shutil
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from diptych.data.images import Images
from diptych.data.sources import archives
from diptych.errors import DataError


@pytest.fixture
def zips(class_folders, tmp_path):
    """A folder with cat.zip and dog.zip."""
    (tmp_path / "zips").mkdir()
    for name in ("cat", "dog"):
        shutil.make_archive(str(tmp_path / "zips" / name), "zip", class_folders / name)
    return tmp_path / "zips"


def test_archives_in_a_folder_are_its_class_folders(zips, class_folders):
    images, plain = Images.open(zips), Images.open(class_folders)
    assert images.counts() == {"cat": 6, "dog": 6}
    assert images.paths[0] == f"{zips}/cat/0.png"
    assert np.array_equal(images.pixels(16), plain.pixels(16))


def test_archives_in_an_archive_and_that_alone_in_a_folder(zips, tmp_path):
    (tmp_path / "one").mkdir()
    outer = shutil.make_archive(str(tmp_path / "one" / "all"), "zip", zips)
    for path in (outer, tmp_path / "one"):
        images = Images.open(path)
        assert images.counts() == {"cat": 6, "dog": 6}
        assert images.pixels(8).shape[0] == 12


def test_a_table_beside_an_archive(zips):
    (zips / "dog.zip").unlink()
    (zips / "sides.csv").write_text("file,category\n" + "".join(f"{i}.png,{'ab'[i % 2]}\n" for i in range(6)))
    assert Images.open(zips).counts() == {"a": 3, "b": 3}


def test_an_archive_in_an_archive_has_a_limit(zips, tmp_path, monkeypatch):
    outer = shutil.make_archive(str(tmp_path / "all"), "zip", zips)
    monkeypatch.setattr(archives, "MAX_INNER_BYTES", 1000)
    with pytest.raises(DataError, match=r"cat\.zip takes more than .* of temporary space\. Unpack the zip around it"):
        Images.open(outer)


def test_archives_beside_other_sets_of_pictures_are_named(zips, caplog):
    pixels = np.zeros((3, 8, 8, 3), np.uint8)
    for name in ("a.npz", "b.npz"):
        np.savez(zips / name, images=pixels)
    assert len(Images.open(zips)) == 3
    assert f"{zips}: only a.npz is read, and not b.npz, cat.zip, dog.zip. Open each by its own path." in caplog.text


def test_a_name_that_is_in_an_archive_twice_is_told(zips, tmp_path, caplog):
    with zipfile.ZipFile(tmp_path / "pets.zip", "w") as archive:
        for name in ("cat/0.png", "cat\\0.png", "dog/0.png"):
            archive.writestr(name, png(len(name)))
    assert Images.open(tmp_path / "pets.zip").counts() == {"cat": 1, "dog": 1}
    assert "1 name is there more than once: cat/0.png. The last is taken." in caplog.text


def test_the_parts_into_which_a_web_drive_packs_a_folder_are_no_classes_by_guess(tmp_path):
    parts = {"photos-001": ("cat", "dog"), "photos-002": ("dog",)}
    (tmp_path / "parts").mkdir()
    for part, names in parts.items():
        with zipfile.ZipFile(tmp_path / "parts" / f"{part}.zip", "w") as archive:
            for i, name in enumerate(names):
                archive.writestr(f"photos/{name}/{part}-{i}.png", png(i))
    with pytest.raises(DataError, match=r"photos-001, photos-002 can be read .* as pieces of one set with .* cat, dog"):
        Images.open(tmp_path / "parts")


def test_an_encrypted_archive_says_what_to_do(zips):
    path = zips / "dog.zip"
    content = path.read_bytes()
    for signature, place in ((b"PK\3\4", 6), (b"PK\1\2", 8)):  # the general flags of each header, APPNOTE.TXT 4.3
        start = content.find(signature)
        while start >= 0:
            content = content[: start + place] + bytes([content[start + place] | 1]) + content[start + place + 1 :]
            start = content.find(signature, start + 4)
    path.write_bytes(content)
    reasons = {error.reason for error in Images.open(path).readable(8).skipped}
    assert all("encrypted" in reason and "unpack the archive, and open the folder" in reason for reason in reasons)
    assert reasons


def test_a_damaged_archive_is_named(zips, tmp_path):
    (zips / "dog.zip").write_bytes(b"PK no archive")
    with pytest.raises(DataError, match=r"dog\.zip is damaged"):
        Images.open(zips)
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.write(zips / "dog.zip", "dog.zip")
    with pytest.raises(DataError, match=r"dog\.zip is damaged"):
        Images.open(tmp_path / "all.zip")


def damage(archive, name):
    """Change one byte of a member's content."""
    with zipfile.ZipFile(archive) as opened:
        member = opened.getinfo(name)
    data = bytearray(archive.read_bytes())
    data[member.header_offset + 30 + len(name) + member.compress_size // 2] ^= 255
    archive.write_bytes(data)


def test_one_damaged_member_is_one_picture_that_cannot_be_read(class_folders, tmp_path):
    archive = tmp_path / "pets.zip"
    with zipfile.ZipFile(archive, "w") as opened:
        for path in class_folders.rglob("*.png"):
            opened.write(path, path.relative_to(class_folders))
    damage(archive, "cat/3.png")
    images = Images.open(archive)
    assert images.store.marked_kinds() == [None] * 12
    (error,) = images.unreadable(8).values()
    assert "cat/3.png: the archive is damaged here" in str(error)


@pytest.mark.parametrize("name", ["a.parquet", "a.tar"])
def test_a_damaged_table_or_shard_in_an_archive_is_refused(tmp_path, name):
    archive = tmp_path / "sets.zip"
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr(name, np.random.default_rng(0).bytes(3000))
    damage(archive, name)
    with pytest.raises(DataError, match=name):
        Images.open(archive)


def test_an_archive_with_a_name_that_no_file_has_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("/", "")
    with pytest.raises(DataError, match=r"a\.zip"):
        Images.open(tmp_path / "a.zip")


@pytest.mark.parametrize(
    "spelling",
    ["photos\\{}\\{}.png", "./photos/{}/{}.png", "/photos/{}/{}.png", "../photos/{}/{}.png", "C:\\photos\\{}\\{}.png"],
)
def test_archives_of_other_systems_have_the_same_folders(class_folders, tmp_path, spelling):
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for picture in sorted(class_folders.glob("*/*.png")):
            member = zipfile.ZipInfo()
            member.filename = spelling.format(picture.parent.name, picture.stem)
            archive.writestr(member, picture.read_bytes())
    images = Images.open(tmp_path / "all.zip")
    assert images.counts() == {"cat": 6, "dog": 6}
    assert np.array_equal(images.pixels(16), Images.open(class_folders).pixels(16))


def test_what_macos_puts_into_archives_is_no_picture_and_its_names_are_utf8(class_folders, tmp_path):
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for picture in sorted(class_folders.glob("*/*.png")):
            breed = {"cat": "chQQt", "dog": "dog"}[picture.parent.name]
            archive.writestr(f"photos/{breed}/{picture.name}", picture.read_bytes())
            archive.writestr(f"__MACOSX/photos/{breed}/._{picture.name}", b"\0\5\x16\7\0\2\0\0Mac OS X")
        archive.writestr("photos/dog/.DS_Store", b"\0\0\0\1Bud1")
    for name, e_acute, label in (("utf8", "é".encode(), "chét"), ("dos", b"\x82_", "ché_t")):
        content = (tmp_path / "all.zip").read_bytes().replace(b"QQ", e_acute)  # as written without the UTF-8 flag
        (tmp_path / f"{name}.zip").write_bytes(content)
        assert Images.open(tmp_path / f"{name}.zip").counts() == {label: 6, "dog": 6}


def zip_with_raw_names(path: Path, names: dict[bytes, bytes], extra: bytes = b"") -> Path:
    """A zip whose names are these bytes, without the flag of UTF-8: as programs of other systems write them."""
    placeholders = {b"%04d" % i + b"x" * (len(name) - 4): name for i, name in enumerate(names)}
    with zipfile.ZipFile(path, "w") as archive:
        for placeholder, content in zip(placeholders, names.values(), strict=True):
            member = zipfile.ZipInfo(placeholder.decode())
            member.extra = extra
            archive.writestr(member, content)
    raw = path.read_bytes()
    for placeholder, name in placeholders.items():
        raw = raw.replace(placeholder, name)
    path.write_bytes(raw)
    return path


def pictures_of(names: list[str], encoding: str) -> dict[bytes, bytes]:
    return {f"{name}/{i}.png".encode(encoding): png(i) for name in names for i in range(2)}


def png(shade: int) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (8, 8), (shade, 0, 0)).save(out, "PNG")
    return out.getvalue()


@pytest.mark.parametrize(
    ("names", "encoding"),
    [
        (["小猫咪", "小狗狗"], "gbk"),
        (["子猫たち", "子犬たち"], "shift-jis"),
        (["고양이", "강아지"], "cp949"),
        (["кошки", "собаки"], "cp866"),
        (["Café", "Zoë"], "cp1252"),
        (["Pájaro", "Perro"], "cp1252"),  # whose "á" is the "ß" of code page 437
    ],
)
def test_names_in_an_encoding_that_nothing_tells_are_refused_and_never_become_other_classes(tmp_path, names, encoding):
    path = zip_with_raw_names(tmp_path / "pets.zip", pictures_of(names, encoding))
    with pytest.raises(DataError, match=r"pets.zip does not tell how its names are written"):
        Images.open(path)


def test_accents_of_old_windows_are_read(tmp_path):
    path = zip_with_raw_names(tmp_path / "pets.zip", pictures_of(["Vögel", "éléphant"], "cp437"))
    assert Images.open(path).classes == ("Vögel", "éléphant")


def test_a_name_in_utf8_beside_one_in_another_encoding_is_taken(tmp_path):
    raw = "小猫咪/0.png".encode("gbk")
    field = b"\x01" + zlib.crc32(raw).to_bytes(4, "little") + "小猫咪/0.png".encode()
    extra = struct.pack("<HH", 0x7075, len(field)) + field
    path = zip_with_raw_names(tmp_path / "pets.zip", {raw: png(0)}, extra)
    assert [Path(name).parent.name for name in Images.open(path, labels="none").paths] == ["小猫咪"]
