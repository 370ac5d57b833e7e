import io

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from diptych.marks import carries_mark, mark, marked_kind, read_mark, told_by
from diptych.marks.keys import signing_identity
from tests.marked import FACTS, FORMATS, encoded


@pytest.mark.parametrize("kind", FORMATS)
def test_a_picture_without_marks_has_none(kind):
    assert read_mark(encoded(kind)) is None


def test_a_resave_removes_the_credentials():
    out = io.BytesIO()
    with Image.open(io.BytesIO(mark(encoded("PNG"), FACTS))) as opened:
        opened.save(out, "PNG")
    assert read_mark(out.getvalue()) is None


def test_another_persons_signature_is_valid_but_not_trusted(tmp_path, monkeypatch):
    marked = mark(encoded("JPEG"), FACTS)
    monkeypatch.setenv("DIPTYCH_KEYS", str(tmp_path / "mine"))
    assert read_mark(marked).state == "Valid"
    monkeypatch.setenv("DIPTYCH_KEYS", str(tmp_path / "other"))
    signing_identity()
    read = read_mark(marked)
    assert read.state == "Valid"
    assert "signingCredential.untrusted" in read.problems


def test_a_copy_repeats_what_was_signed_and_nothing_that_was_changed_since():
    marked = mark(encoded("PNG"), FACTS)
    assert told_by(marked) == FACTS
    forged = marked.replace(FACTS.model.encode(), b"x" * len(FACTS.model))
    assert forged != marked
    copied = told_by(forged)
    assert (copied.kind, copied.model, copied.settings) == (FACTS.kind, "", {})


def test_the_marks_of_other_makers_are_known():
    for text in (
        '<rdf:Description Iptc4xmpExt:DigitalSourceType="http://cv.iptc.org/newscodes/digitalsourcetype/'
        'compositeWithTrainedAlgorithmicMedia"/>',
        '<TC260:AIGC>{"Label":"1"}</TC260:AIGC>',
    ):
        info = PngInfo()
        info.add_itxt("XML:com.adobe.xmp", text)
        out = io.BytesIO()
        Image.new("RGB", (8, 8)).save(out, "PNG", pnginfo=info)
        assert read_mark(out.getvalue()).kind == ("composite" if "composite" in text else "synthetic")
        assert read_mark(out.getvalue()).state is None


def test_a_camera_is_no_model():
    text = b'Iptc4xmpExt:DigitalSourceType="http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture"'
    assert marked_kind(text) is None


def test_a_file_is_asked_by_its_path(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(mark(encoded("PNG"), FACTS))
    assert carries_mark(path)
    assert not carries_mark(encoded("PNG"))
