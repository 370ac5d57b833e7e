"""JPEG of which a part is missing although the end is marked, and kinds of JPEG that are rare."""

import io
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from diptych.data.decode import decode, decode_square, dimensions
from diptych.errors import PictureError

END = b"\xff\xd9"
TRUNCATED = "the file ends before the picture does"


def noise(width=96, height=80, seed=0):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8))


def as_jpeg(picture, **options):
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=90, **options)
    return out.getvalue()


@pytest.mark.parametrize("options", [{}, {"subsampling": 0}, {"restart_marker_rows": 1}, {"progressive": True}])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_a_jpeg_that_is_marked_as_ended_too_soon_is_refused(mode, options):
    data = as_jpeg(noise().convert(mode), **options)
    assert decode(data).shape == (80, 96, 3)
    for share in (0.3, 0.6) if "progressive" in options else (0.3, 0.9):
        for tail in (END, END + b"more bytes behind the end" + END):
            cut = data[: int(len(data) * share)] + tail
            with pytest.raises(PictureError, match=TRUNCATED):
                decode(cut)
            with pytest.raises(PictureError, match=TRUNCATED):
                decode_square(cut, 12)  # by way of a draft


def test_a_small_jpeg_is_checked_too():
    data = as_jpeg(noise(24, 24))
    assert len(data) < 4096
    with pytest.raises(PictureError, match=TRUNCATED):
        decode(data[: len(data) * 4 // 5] + END)


def test_grey_pictures_are_whole():
    grey = Image.new("RGB", (64, 48), (128, 128, 128))
    for options in ({}, {"progressive": True}):
        data = as_jpeg(grey, **options)
        assert (decode(data) == 128).all()
        assert (decode_square(data, 8)[0] == 128).all()
        assert (decode(data + b"a trailer, as some phones write") == 128).all()


def test_a_whole_one_with_a_grey_corner_is_the_first_that_a_process_opens(tmp_path):
    """Pillow registers its decoders when it opens its first file; the quick way for small ones opens none."""
    picture = noise(32, 32)
    picture.paste((128, 128, 128), (16, 16, 32, 32))
    (tmp_path / "a.jpg").write_bytes(as_jpeg(picture))
    program = (
        "import sys; from pathlib import Path; from diptych.data.decode import decode\n"
        "print(decode(Path(sys.argv[1]).read_bytes()).shape)"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "a.jpg")]
    assert subprocess.run(command, capture_output=True, text=True, check=False).stdout == "(32, 32, 3)\n"


def test_scans_of_one_component_each_are_whole_or_refused():
    """A progressive picture, of whose scans the last brings detail anew: cut there, it is only blurred."""
    data = as_jpeg(noise(), progressive=True)
    starts = [i for i in range(len(data) - 1) if data[i : i + 2] == b"\xff\xda"]
    fresh = [i for i in starts if data[i + 3 + 2 * data[i + 4] + 4] >> 4 == 0]
    cut = data[: (fresh[-1] + starts[starts.index(fresh[-1]) + 1]) // 2] + END
    with pytest.raises(PictureError, match=TRUNCATED):
        decode(cut)


@pytest.mark.parametrize(
    ("change", "reason"),
    [({4: 12}, "a JPEG of 12 bits is not read"), ({1: 0xC3}, "a lossless or hierarchical JPEG is not read")],
)
def test_a_rare_kind_of_jpeg_is_not_called_damaged(change, reason):
    data = bytearray(as_jpeg(noise()))
    at = data.index(b"\xff\xc0")
    for offset, value in change.items():
        data[at + offset] = value
    with pytest.raises(PictureError, match=reason):
        decode(bytes(data))


def test_the_size_of_a_cut_jpeg_is_known():
    assert dimensions(as_jpeg(noise())[:900] + END) == (96, 80)


def test_a_jpeg_of_thousands_of_scans_is_refused_before_it_is_decoded() -> None:
    out = io.BytesIO()
    Image.effect_noise((64, 64), 50).convert("RGB").save(out, "JPEG", progressive=True)
    data = out.getvalue()
    assert decode(data).shape == (64, 64, 3)
    start = data.rindex(b"\xff\xda")
    scan = data[start:-2]
    with pytest.raises(PictureError, match="scans; the limit is 100"):
        decode(data[:-2] + scan * 5000 + data[-2:])
