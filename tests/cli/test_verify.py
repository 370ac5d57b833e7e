"""``diptych verify``, ``sign`` and ``trust`` as a person types them."""

import pytest
import torch

from diptych import artefact
from diptych.marks import mark
from tests.marked import FACTS, encoded


@pytest.fixture
def model(tmp_path):
    return artefact.write(tmp_path / "pets", {"kind": "recognizer"}, {"weight": torch.zeros(3)})


def test_pictures_and_models_are_told_in_rows_with_exit_codes(diptych, model, tmp_path):
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    marked = mark(encoded("PNG"), FACTS)
    (pictures / "generated.png").write_bytes(marked)
    (pictures / "photo.jpg").write_bytes(encoded("JPEG"))
    (tmp_path / "changed.png").write_bytes(marked[:-30] + bytes([marked[-30] ^ 1]) + marked[-29:])
    (tmp_path / "broken.png").write_bytes(b"hello")
    signed, told, changed, partly, nothing, nowhere, keys = diptych.several(
        ["sign", model],
        ["verify", pictures, model, "--json"],
        ["verify", tmp_path / "*.png"],
        ["verify", pictures / "photo.jpg", tmp_path / "broken.png"],
        ["verify", tmp_path / "broken.png"],
        ["verify", tmp_path / "photo.png"],
        ["trust", "--json"],
    )
    assert (signed.code, signed.out.strip()) == (0, str(model / "model.sig"))
    assert [(row["kind"], row["state"]) for row in told.lines] == [
        ("picture", "untouched"),
        ("picture", "unmarked"),
        ("model", "untouched"),
    ]
    assert told.lines[0]["generated"] == "synthetic"
    assert told.code == 0
    assert (changed.code, changed.out.splitlines()[1].split("\t")[1]) == (3, "changed")
    assert "broken.png" in changed.err
    assert partly.code == 4
    assert nothing.code == nowhere.code == 3
    assert keys.json["fingerprint"] == told.lines[2]["signer"]["fingerprint"]


def test_a_model_that_is_not_signed_by_a_trusted_key_fails(diptych, model, tmp_path, monkeypatch):
    (unsigned,) = diptych.several(["verify", model])
    assert (unsigned.code, unsigned.out.splitlines()[1].split("\t")[1]) == (3, "unsigned")
    diptych.several(["sign", model])
    (own,) = diptych.several(["trust", "--json"])
    monkeypatch.setenv("DIPTYCH_KEYS", str(tmp_path / "keys"))
    untrusted, added, trusted = diptych.several(
        ["verify", model], ["trust", own.json["certificate"], "--json"], ["verify", model]
    )
    assert (untrusted.code, trusted.code) == (3, 0)
    assert [row["trust"] for row in added.lines] == ["own", "trusted"]
