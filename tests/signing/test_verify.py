"""Signatures on model folders: what is told of a changed one, and what load refuses."""

import json
import logging
import shutil
import subprocess
import sys

import numpy as np
import pytest

import diptych
from diptych import artefact
from diptych.errors import ArtefactError, DataError
from diptych.marks.keys import ROOT_FILE, keys_folder, signing_identity
from diptych.marks.trust import trust
from diptych.signing.folder_signature import sign_folder


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """A recognizer, signed."""
    pixels = np.random.default_rng(0).integers(0, 255, (24, 8, 8, 3), dtype=np.uint8)
    images = diptych.Images.from_arrays(pixels, ["a", "b"] * 12)
    folder = tmp_path_factory.mktemp("models") / "pets"
    diptych.Recognizer("convnet", epochs=1).fit(images, into=folder)
    assert diptych.verify(folder).state == "unsigned"
    assert diptych.sign(folder) == folder / "model.sig"
    return folder


@pytest.fixture
def model(original, tmp_path):
    return shutil.copytree(original, tmp_path / "pets")


@pytest.fixture
def somebody_else(tmp_path, monkeypatch):
    """From now on the keys are those of another person; the root certificate of the one before."""
    root = keys_folder() / ROOT_FILE
    monkeypatch.setenv("DIPTYCH_KEYS", str(tmp_path / "keys-of-another"))
    return root


def flip_a_byte(path, place=-1):
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


def test_a_signed_model_is_untouched_and_loaded_by_certificate_or_fingerprint(model):
    verified = diptych.verify(model)
    assert (verified.state, verified.kind, verified.changes) == ("untouched", "model", ())
    assert verified.signer.trust == "own"
    assert verified.facts["weights_sha256"] == artefact.facts(model)["weights_sha256"]
    mark = signing_identity().fingerprint
    colons = ":".join(mark[i : i + 2] for i in range(0, 64, 2)).upper()
    for signed_by in (mark, colons, keys_folder() / ROOT_FILE):
        assert isinstance(diptych.load(model, signed_by=signed_by), diptych.Recognizer)


@pytest.mark.parametrize("name", ["weights.safetensors", "README.md", "model.json", "embeddings.safetensors"])
def test_one_changed_byte_is_named_and_refused(model, name):
    flip_a_byte(model / name)
    verified = diptych.verify(model)
    assert (verified.state, verified.changes) == ("changed", (f"{name} was changed",))
    with pytest.raises(DataError, match=f"is not loaded.*{name} was changed"):
        diptych.load(model, signed_by=signing_identity().fingerprint)


def test_added_missing_and_linked_files_are_named(model, tmp_path):
    (model / "replacement").mkdir()
    (model / "replacement" / "model.json").write_bytes((model / "model.json").read_bytes())  # load would prefer it
    (model / "history.jsonl").unlink()
    shutil.move(model / "data.json", tmp_path / "data.json")
    (model / "data.json").symlink_to(tmp_path / "data.json")
    verified = diptych.verify(model)
    assert verified.changes == (
        "data.json is now a symbolic link",
        "history.jsonl is missing",
        "replacement/model.json was added",
    )
    with pytest.raises(DataError, match="symbolic link"):
        diptych.sign(model)


def test_what_comes_and_goes_beside_a_model_is_no_part_of_it(model):
    (model / "extension").mkdir()
    (model / "extension" / "checkpoint").write_text("a run that trains it further")
    assert diptych.verify(model).state == "untouched"


def test_an_unsigned_model_is_told_and_refused(model):
    (model / "model.sig").unlink()
    assert diptych.verify(model).state == "unsigned"
    with pytest.raises(DataError, match="Not signed"):
        diptych.load(model, signed_by=signing_identity().fingerprint)


def test_another_persons_model_is_untrusted_until_their_certificate_is_added(model, somebody_else):
    verified = diptych.verify(model)
    assert (verified.state, verified.signer.trust) == ("untrusted", "not trusted")
    assert "diptych trust" in verified.message
    diptych.load(model, signed_by=somebody_else)  # naming the key is enough
    assert trust(somebody_else).fingerprint == verified.signer.fingerprint
    assert diptych.verify(model).state == "untouched"


def test_a_model_signed_again_by_somebody_else_is_refused(model, somebody_else):
    diptych.sign(model)
    assert diptych.verify(model).state == "untouched"
    with pytest.raises(DataError, match="not under the fingerprint"):
        diptych.load(model, signed_by=somebody_else)


def test_a_forged_signature_is_not_valid(model, somebody_else):
    bundle = json.loads((model / "model.sig").read_text())
    theirs = json.loads(sign_folder(model, signing_identity().key_pem, signing_identity().chain_pem).read_text())
    theirs["verificationMaterial"] = bundle["verificationMaterial"]  # the attacker's signature under the owner's name
    for forged in (theirs, {}, []):
        (model / "model.sig").write_text(json.dumps(forged))
        assert diptych.verify(model).state == "changed"
        with pytest.raises(DataError, match="Not valid"):
            diptych.load(model, signed_by=somebody_else)


def test_a_list_of_files_that_was_not_signed_is_not_believed(model):
    flip_a_byte(model / "README.md")
    bundle = json.loads((model / "model.sig").read_text())
    sign_folder(model, signing_identity().key_pem, signing_identity().chain_pem)  # would list the changed file
    bundle["dsse_envelope"] = bundle["dsseEnvelope"]
    bundle["dsseEnvelope"] = json.loads((model / "model.sig").read_text())["dsseEnvelope"] | {"signatures": []}
    (model / "model.sig").write_text(json.dumps(bundle))
    assert diptych.verify(model).state == "changed"


def test_saving_a_model_again_removes_its_signature_and_says_so(model, caplog):
    with caplog.at_level(logging.INFO, logger="diptych"):
        diptych.load(model).save(model)
    assert "Sign again" in caplog.text
    assert diptych.verify(model).state == "unsigned"
    diptych.sign(model)
    assert diptych.verify(model).state == "untouched"


def test_what_is_no_certificate_or_no_model_is_refused_in_a_sentence(model, tmp_path):
    (tmp_path / "root.pem").write_text("no certificate")
    chain = tmp_path / "chain.pem"
    chain.write_bytes(signing_identity().chain_pem)
    for signed_by in (tmp_path / "root.pem", chain, tmp_path / "nowhere.pem", "abc"):
        with pytest.raises(DataError, match=r"root\.pem"):
            diptych.load(model, signed_by=signed_by)
    with pytest.raises(ArtefactError, match="holds no model"):
        diptych.sign(tmp_path)
    with pytest.raises(DataError, match="is not there"):
        diptych.verify(tmp_path / "nothing")


def test_other_tools_of_model_signing_read_the_signature(model):
    root = keys_folder() / ROOT_FILE
    options = ["--signature", model / "model.sig", "--certificate_chain", root]
    command = [sys.executable, "-m", "model_signing", "verify", "certificate", model, *options]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
