"""Files of every kind in a folder: each is read, or has a row that says what to do."""

import io
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from diptych import Images
from diptych.data.decode import decode, decode_square, dimensions
from diptych.data.decoding.kinds import has_known_signature, has_picture_signature
from diptych.errors import PictureError

WITHOUT_PLUGIN = """
import sys
sys.modules["pillow_heif"] = None
from diptych.data.decode import decode
from diptych.data.decoding.kinds import has_picture_signature
data = sys.stdin.buffer.read()
print(has_picture_signature(data[:16]))
try:
    decode(data, "IMG_1.HEIC")
except Exception as error:
    print(type(error).__name__, error)
"""


def film(brand):
    return b"\0\0\0\x18ftyp" + brand + b"\0\0\2\0mp41" + bytes(200)


def as_heic(picture, **options):
    import pillow_heif

    pillow_heif.register_heif_opener()
    out = io.BytesIO()
    picture.save(out, "HEIF", quality=90, **options)
    return out.getvalue()


def test_heic_is_read_upright(scene):
    upright = scene(0, 64, 48)
    exif = Image.Exif()
    exif[0x0112] = 6
    data = as_heic(upright.transpose(Image.Transpose.ROTATE_90), exif=exif.tobytes())
    assert dimensions(data) == (64, 48)
    assert np.abs(decode(data).astype(int) - np.asarray(upright)).mean() < 6
    assert decode_square(data, 16)[1] == (64, 48)


@pytest.mark.parametrize("brand", [b"heic", b"mif1"])
def test_heic_without_its_reader_says_what_to_install(scene, brand):
    data = as_heic(scene(0)).replace(b"ftypheic", b"ftyp" + brand, 1)
    done = subprocess.run([sys.executable, "-c", WITHOUT_PLUGIN], input=data, capture_output=True, check=True)
    known, error = done.stdout.decode().splitlines()
    assert known == str(brand == b"mif1")  # which AVIF begins with, too
    assert error.startswith("PictureError IMG_1.HEIC: HEIC is read only with pillow-heif.")
    assert "pip install 'diptych[heif]'" in error


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("a.heic", b"\0\0\0\x18ftypheic" + bytes(99), "a HEIC that libheif cannot read"),
        ("a.CR2", b"II*\0\x10\0\0\0CR\2\0" + bytes(99), "a camera's raw file is not read; develop it"),
        ("a.nef", b"MM\0*\0\0\0\x08" + bytes(99), "a camera's raw file is not read; develop it"),
        ("a.cr3", film(b"crx "), "a camera's raw file is not read; develop it"),
        ("a.jxl", b"\xff\x0a" + bytes(99), "JPEG XL is not read; convert it"),
        ("misnamed.jpg", b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(99), "JPEG XL is not read; convert it"),
        ("a.svg", b"<?xml version='1.0'?><svg/>" + bytes(99), "a drawing is not read; save it as PNG"),
        ("a.dcm", bytes(128) + b"DICM" + bytes(99), "DICOM is not read"),
        ("a.exr", b"v/1\x01" + bytes(99), "OpenEXR and Radiance HDR are not read"),
        ("a.MOV", film(b"qt  "), "a video is not read; save the frames"),
        ("a.mkv", b"\x1aE\xdf\xa3" + bytes(99), "a video is not read; save the frames"),
        ("a.psb", b"8BPS\0\2" + bytes(99), "a large Photoshop document is not read"),
    ],
)
def test_a_kind_that_is_not_read_says_what_to_do(name, data, reason):
    with pytest.raises(PictureError, match=reason):
        decode(data, name)
    with pytest.raises(PictureError, match=reason):
        dimensions(data, name)


def test_the_contents_count_where_the_name_is_wrong(scene):
    out = io.BytesIO()
    scene(0).save(out, "JPEG")
    assert decode(out.getvalue(), "photo.heic").shape == decode(out.getvalue(), "photo.dng").shape == (40, 48, 3)


def test_files_of_kinds_that_are_not_read_have_rows_in_a_folder(tmp_path, scene):
    scene(0).save(tmp_path / "a.png")
    (tmp_path / "b.NEF").write_bytes(b"MM\0*\0\0\0\x08" + bytes(99))
    (tmp_path / "c.mp4").write_bytes(film(b"isom"))
    (tmp_path / "without_suffix").write_bytes(b"\xff\x0a" + bytes(99))
    (tmp_path / "drawing.kra").write_bytes(b"PK\3\4" + bytes(99))
    (tmp_path / "notes.txt").write_text("words")
    images = Images.open(tmp_path)
    errors = images.unreadable(8)
    names = [path.rpartition("/")[2] for path in images.paths]
    assert names == ["a.png", "b.NEF", "c.mp4", "drawing.kra", "without_suffix"]
    assert [errors[row].reason.split(";")[0] for row in (1, 2, 3, 4)] == [
        "a camera's raw file is not read",
        "a video is not read",
        "a drawing program's own format is not read",
        "JPEG XL is not read",
    ]


def test_signatures(scene):
    out = io.BytesIO()
    scene(0).save(out, "WEBP")
    assert has_picture_signature(out.getvalue()[:16])
    assert has_known_signature(b"\xff\x0a" + bytes(14))
    assert not has_picture_signature(b"\xff\x0a" + bytes(14))
    for prefix in (b"file_name,label\n", b""):
        assert not has_picture_signature(prefix)
        assert not has_known_signature(prefix)
