"""An exported file answers as its model does, or is not written."""

import json

import numpy as np
import onnx
import onnxruntime
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file

from diptych import Images, Recognizer, export, load
from diptych.errors import ArtefactError, ExportError, UsageError
from diptych.exporting import Portable
from diptych.exporting.parity import Parity, parity, share_kept
from diptych.exporting.reference_images import ReferenceImages
from diptych.exporting.reference_images import reference_images as shown_of


def test_the_file_tells_what_it_is(file):
    told = {one.key: json.loads(one.value) for one in onnx.load(file).metadata_props}
    assert told["classes"] == ["green", "red"]
    assert told["size"] == 24
    assert told["precision"] == "fp32"
    assert told["temperature"] > 0
    assert {"diptych", "torch", "onnxruntime"} <= told["versions"].keys()
    assert told["parity"]["pictures"] == told["parity"]["same_labels"] == told["parity"]["same_unknown"] == 120
    assert told["parity"]["apart"] < 1e-3


def test_any_program_can_ask_it_about_pictures_of_any_size(file, model, pictures):
    session = onnxruntime.InferenceSession(file)
    for path in sorted(pictures.rglob("*.png"))[:5]:
        chances = session.run(["probabilities"], {"pictures": np.asarray(Image.open(path))[None]})[0]
        expected = load(model).predict(Images.of_files([path])).probabilities
        assert np.allclose(chances, expected, atol=1e-3)


def test_it_predicts_as_the_folder_does(file, model, pictures, tmp_path):
    (tmp_path / "bad.png").write_text("no picture")
    images = Images.of_files([tmp_path / "bad.png", *sorted(pictures.rglob("*.png"))])
    ours, theirs = Portable.open(file).predict(images), load(model).predict(images)
    assert ours.names == theirs.names
    assert ours.errors.keys() == theirs.errors.keys() == {0}
    assert np.array_equal(ours.labels, theirs.labels)
    assert np.array_equal(ours.unknown, theirs.unknown)
    assert np.array_equal(ours.sets, theirs.sets)
    assert np.allclose(ours.probabilities, theirs.probabilities, atol=1e-5, equal_nan=True)
    assert np.allclose(ours.confidence, theirs.confidence, atol=1e-5, equal_nan=True)
    parts = list(Portable.open(file).predict_batches(images))
    assert [name for part in parts for name in part.names] == ours.names
    assert Portable.open(file).evaluate(Images.open(pictures)).scores["accuracy"].value > 0.9


def test_int8_keeps_the_labels(model, pictures, tmp_path):
    small = export(model, tmp_path / "small.onnx", int8=True, check=pictures)
    assert small.facts["precision"].startswith("int8")
    found = small.facts["parity"]
    assert found["same_labels"] >= 0.99 * found["pictures"]
    kinds = {node.op_type for node in onnx.load(tmp_path / "small.onnx").graph.node}
    assert kinds & {"DequantizeLinear", "MatMulInteger"}


@pytest.mark.parametrize(("name", "size"), [("test_resnet", 64), ("test_vit", 160)])
def test_convolutions_and_transformers_keep_their_labels(name, size, pictures, tmp_path):
    torch.manual_seed(0)
    save_file(timm.create_model(name).state_dict(), tmp_path / "weights.safetensors")
    network = f"timm:{name}@{tmp_path / 'weights.safetensors'}"
    recognizer = Recognizer(network, size=size, epochs=1).fit(Images.open(pictures)[::3])
    found = export(recognizer, tmp_path / "file.onnx", check=pictures).facts["parity"]
    assert found["same_labels"] == found["pictures"] == 120


def test_several_labels_a_picture(tmp_path):
    draw = np.random.default_rng(0)
    labels = draw.random((80, 2)) < 0.5
    pixels = draw.integers(0, 60, (80, 16, 16, 3)).astype(np.uint8)
    for k in range(2):
        pixels[labels[:, k], ..., k] += 150
    images = Images.from_arrays(pixels, labels, classes=("red", "green"))
    recognizer = Recognizer("speednet", size=16, epochs=4).fit(images)
    file = export(recognizer, tmp_path / "file.onnx", check=images)
    assert file.predict(images).names == recognizer.predict(images).names
    assert file.predict(images[[]]).labels.shape == (0, 2)


def test_without_real_pictures_made_ones_are_shown_and_that_is_told(tmp_path):
    images = Images.from_arrays(np.repeat(np.arange(40, dtype=np.uint8) * 6, 768).reshape(40, 16, 16, 3), [0, 1] * 20)
    recognizer = Recognizer("convnet", size=16, epochs=1).fit(images)
    assert "made" in export(recognizer, tmp_path / "file.onnx").facts["parity"]["shown"]
    with pytest.raises(UsageError, match="--check"):
        export(recognizer, tmp_path / "small.onnx", int8=True)


def test_another_models_file_is_found_out(file, model, pictures):
    other = load(model)
    with torch.no_grad():
        other.network_.head.weight.neg_()
    found = parity(
        Portable.open(file), other, ReferenceImages(Images.open(pictures)[:20], "pictures", True, np.ones(20, bool))
    )
    assert found.same_labels < 20
    with pytest.raises(ExportError, match="no file was written"):
        found.check("fp32")


def test_what_is_enough():
    Parity(1000, "pictures", 998, 2, 1000, 1e-6).check("fp32")
    Parity(1000, "pictures", 990, 0, 1000, 0.3).check("int8")
    with pytest.raises(ExportError, match="another label"):
        Parity(1000, "pictures", 989, 0, 1000, 0.3).check("int8")
    with pytest.raises(ExportError, match="off the model's"):
        Parity(1000, "pictures", 1000, 0, 1000, 0.3).check("fp32")


def test_the_share_of_labels_that_stay_is_reckoned_from_margins_and_how_they_shrink():
    draw = np.random.default_rng(0)
    margins, others = (np.abs(draw.normal(size=20_000)).astype(np.float32) for _ in range(2))
    moved = draw.normal(scale=0.05, size=20_000).astype(np.float32)
    counted = float((others > moved).mean())
    assert abs(share_kept(margins[:300], moved[:300]) - counted) < 0.01
    assert share_kept(margins, moved) == pytest.approx(counted, abs=0.002)
    assert share_kept(margins, np.zeros(5, np.float32)) == 1


def test_only_what_the_model_was_not_fitted_on_is_fresh(model, pictures):
    shown = shown_of(load(model), None)
    assert 0 < shown.fresh.sum() < len(shown.images)
    assert set(np.array(shown.images.paths)[shown.fresh]) == set(load(model).validated_on())
    assert shown_of(load(model), pictures).fresh.all()


def test_what_cannot_be_exported_is_refused_at_once(model, tmp_path):
    with pytest.raises(UsageError, match=r"\.onnx"):
        export(model, tmp_path / "file.pb")


@pytest.mark.parametrize("content", [b"", b"no graph", None])
def test_damaged_and_foreign_files_are_told_apart(content, file, tmp_path):
    if content is None:
        graph = onnx.load(file)
        del graph.metadata_props[:]
        content = graph.SerializeToString()
        reason = "not exported by Diptych"
    else:
        reason = "damaged or no ONNX"
    (tmp_path / "file.onnx").write_bytes(content)
    with pytest.raises(ArtefactError, match=reason):
        Portable.open(tmp_path / "file.onnx")


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ArtefactError, match="cannot be read"):
        Portable.open(tmp_path / "gone.onnx")
