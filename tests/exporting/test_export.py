"""An exported file predicts as its model does, or is not written."""

import json

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from PIL import Image

from diptych import Images, Recognizer, export, load
from diptych.errors import ArtefactError, DataError, ExportError, UsageError
from diptych.exporting import Portable
from diptych.exporting.parity import Parity, expected_same_share, measure_parity
from diptych.exporting.reference_images import ReferenceImages, reference_images
from diptych.recognition.inference.batched import batched_features
from diptych.recognition.networks.neighbours import NeighboursHead
from diptych.recognition.training.transfer.head_selection import select_head
from diptych.recognition.training.transfer.logistic_regression import LabelledFeatures


def test_the_file_s_metadata_describe_it(file):
    facts = {entry.key: json.loads(entry.value) for entry in onnx.load(file).metadata_props}
    assert facts["classes"] == ["green", "red"]
    assert facts["size"] == 24
    assert facts["precision"] == "fp32"
    assert facts["temperature"] > 0
    assert {"diptych", "torch", "onnxruntime"} <= facts["versions"].keys()
    assert facts["parity"]["pictures"] == facts["parity"]["same_labels"] == facts["parity"]["same_unknown"] == 120
    assert facts["parity"]["max_difference"] < 1e-3


def test_any_program_can_run_it_on_pictures_of_any_size(file, model, pictures):
    session = onnxruntime.InferenceSession(file)
    for path in sorted(pictures.rglob("*.png"))[:5]:
        probabilities = session.run(["probabilities"], {"pictures": np.asarray(Image.open(path))[None]})[0]
        expected = load(model).predict(Images.of_files([path])).probabilities
        assert np.allclose(probabilities, expected, atol=1e-3)


def test_it_predicts_as_the_folder_does(file, model, pictures, tmp_path):
    (tmp_path / "bad.png").write_text("not a picture")
    images = Images.of_files([tmp_path / "bad.png", *sorted(pictures.rglob("*.png"))])
    exported, expected = Portable.open(file).predict(images), load(model).predict(images)
    assert exported.names == expected.names
    assert exported.errors.keys() == expected.errors.keys() == {0}
    assert np.array_equal(exported.labels, expected.labels)
    assert np.array_equal(exported.unknown, expected.unknown)
    assert np.array_equal(exported.sets, expected.sets)
    assert np.allclose(exported.probabilities, expected.probabilities, atol=1e-5, equal_nan=True)
    assert np.allclose(exported.confidence, expected.confidence, atol=1e-5, equal_nan=True)
    parts = list(Portable.open(file).predict_batches(images))
    assert [name for part in parts for name in part.names] == exported.names


def test_it_is_evaluated_on_pictures_that_the_model_was_not_trained_on(file, model, pictures, tmp_path):
    images = Images.open(pictures)
    folder_report, report = load(model).evaluate(images), Portable.open(file).evaluate(images)
    left_out = [finding for finding in report.findings if "They are left out" in finding]
    assert left_out == [finding for finding in folder_report.findings if "They are left out" in finding] != []
    assert report.facts["pictures"] == folder_report.facts["pictures"] < len(images)
    assert report.scores["accuracy"] == folder_report.scores["accuracy"]
    held_out = set(load(model).validated_on().names)
    trained = images[[row for row, path in enumerate(images.paths) if path not in held_out]]
    with pytest.raises(DataError, match="trained on all of these pictures"):
        Portable.open(file).evaluate(trained)


def test_generated_pictures_neither_evaluate_a_file_nor_check_an_export(file, model, pictures, tmp_path):
    images = Images.open(pictures)
    images = images.with_metadata(origins=np.full(len(images), "synthetic"))
    with pytest.raises(DataError, match=r"001\.png is generated.*An evaluation takes real pictures alone"):
        Portable.open(file).evaluate(images)
    with pytest.raises(DataError, match="The check of an exported file takes real pictures alone"):
        export(model, tmp_path / "file.onnx", check=images)


def test_a_file_without_digests_says_that_training_pictures_may_be_among_the_test(file, pictures, tmp_path):
    graph = onnx.load(file)
    (entry,) = (entry for entry in graph.metadata_props if entry.key == "digests")
    graph.metadata_props.remove(entry)
    (tmp_path / "file.onnx").write_bytes(graph.SerializeToString())
    report = Portable.open(tmp_path / "file.onnx").evaluate(Images.open(pictures))
    assert report.facts["pictures"] == 120
    assert "does not say which pictures the model was trained on" in report.findings[0]


def test_int8_predicts_the_same_labels(model, pictures, tmp_path):
    small = export(model, tmp_path / "small.onnx", int8=True, check=pictures)
    assert small.facts["precision"].startswith("int8")
    result = small.facts["parity"]
    assert result["same_labels"] >= 0.99 * result["pictures"]
    kinds = {node.op_type for node in onnx.load(tmp_path / "small.onnx").graph.node}
    assert kinds & {"DequantizeLinear", "MatMulInteger"}


def test_convolutional_networks_and_transformers_predict_the_same_labels(pretrained, pictures, tmp_path):
    result = export(pretrained, tmp_path / "file.onnx", check=pictures).facts["parity"]
    assert result["same_labels"] == result["pictures"] == 120
    assert result["same_unknown"] >= 119  # calibrated on few pictures


def test_a_head_of_examples_is_exported_too(model, pictures, tmp_path):
    images = Images.open(pictures)
    recognizer = load(model)
    features = batched_features(recognizer.network_, images, recognizer.size_)
    labelled = LabelledFeatures(features, torch.from_numpy(images.labels.copy()))
    folds = [np.arange(start, len(images), 5) for start in range(5)]
    # The score prefers examples, whose logits are never above the logarithm of their number.
    selection = select_head(labelled, 2, folds, lambda logits, _: float(logits.max() <= np.log(len(images))))
    assert isinstance(selection.head, NeighboursHead)
    recognizer.network_.head = selection.head
    recognizer.calibrate(images)
    result = export(recognizer, tmp_path / "file.onnx", check=images).facts["parity"]
    assert result["same_labels"] == result["pictures"] == 120
    saved = load(recognizer.save(tmp_path / "model"))
    assert np.allclose(saved.predict(images).probabilities, recognizer.predict(images).probabilities, atol=1e-5)


def test_several_labels_per_picture(tmp_path):
    rng = np.random.default_rng(0)
    labels = rng.random((80, 2)) < 0.5
    pixels = rng.integers(0, 60, (80, 16, 16, 3)).astype(np.uint8)
    for k in range(2):
        pixels[labels[:, k], ..., k] += 150
    images = Images.from_arrays(pixels, labels, classes=("red", "green"))
    recognizer = Recognizer("speednet-s", size=16, epochs=2).fit(images)
    file = export(recognizer, tmp_path / "file.onnx", check=images)
    assert file.predict(images).names == recognizer.predict(images).names
    assert file.predict(images[[]]).labels.shape == (0, 2)


def test_without_real_pictures_generated_ones_are_compared_and_reported(tmp_path):
    images = Images.from_arrays(np.repeat(np.arange(40, dtype=np.uint8) * 6, 768).reshape(40, 16, 16, 3), [0, 1] * 20)
    recognizer = Recognizer("convnet", size=16, epochs=1).fit(images)
    assert "generated" in export(recognizer, tmp_path / "file.onnx").facts["parity"]["source"]
    with pytest.raises(UsageError, match="--check"):
        export(recognizer, tmp_path / "small.onnx", int8=True)


def test_the_file_of_another_model_is_detected(file, model, pictures):
    other = load(model)
    with torch.no_grad():
        other.network_.head.weight.neg_()
    result = measure_parity(
        Portable.open(file), other, ReferenceImages(Images.open(pictures)[:20], "pictures", True, np.ones(20, bool))
    )
    assert result.same_labels < 20
    with pytest.raises(ExportError, match="no file was written"):
        result.check("fp32")


def test_too_low_a_parity_is_refused():
    Parity(1000, "pictures", 998, 2, 1000, 1e-6).check("fp32")
    Parity(1000, "pictures", 990, 0, 1000, 0.3).check("int8")
    with pytest.raises(ExportError, match="another label"):
        Parity(1000, "pictures", 989, 0, 1000, 0.3).check("int8")
    with pytest.raises(ExportError, match="differs from the model's"):
        Parity(1000, "pictures", 1000, 0, 1000, 0.3).check("fp32")
    Parity(1000, "pictures", 1000, 0, 990, 1e-6).check("fp32")
    Parity(20, "pictures", 20, 0, 19, 1e-6).check("fp32")  # one may lie on the threshold
    Parity(1000, "pictures", 1000, 0, 900, 0.3).check("int8")
    for unlike, precision in ((989, "fp32"), (899, "int8")):
        with pytest.raises(ExportError, match="whether they are unknown"):
            Parity(1000, "pictures", 1000, 0, unlike, 1e-6).check(precision)


def test_the_expected_share_of_same_labels_is_computed_from_margins_and_their_shrinkage():
    rng = np.random.default_rng(0)
    margins, other_margins = (np.abs(rng.normal(size=20_000)).astype(np.float32) for _ in range(2))
    shrinkages = rng.normal(scale=0.05, size=20_000).astype(np.float32)
    simulated = float((other_margins > shrinkages).mean())
    assert abs(expected_same_share(margins[:300], shrinkages[:300]) - simulated) < 0.01
    assert expected_same_share(margins, shrinkages) == pytest.approx(simulated, abs=0.002)
    assert expected_same_share(margins, np.zeros(5, np.float32)) == 1


def test_only_pictures_that_the_model_was_not_fitted_on_are_fresh(model, pictures):
    reference = reference_images(load(model), None)
    assert 0 < reference.fresh.sum() < len(reference.images)
    assert set(np.array(reference.images.paths)[reference.fresh]) == set(load(model).validated_on().names)
    assert reference_images(load(model), pictures).fresh.all()


def test_a_file_name_that_does_not_end_in_onnx_is_refused(model, tmp_path):
    with pytest.raises(UsageError, match=r"\.onnx"):
        export(model, tmp_path / "file.pb")


@pytest.mark.parametrize("content", [b"", b"no graph", None])
def test_damaged_and_foreign_files_are_distinguished(content, file, tmp_path):
    if content is None:
        graph = onnx.load(file)
        del graph.metadata_props[:]
        content = graph.SerializeToString()
        reason = "not exported by Diptych"
    else:
        reason = "damaged or not an ONNX"
    (tmp_path / "file.onnx").write_bytes(content)
    with pytest.raises(ArtefactError, match=reason):
        Portable.open(tmp_path / "file.onnx")


def test_a_missing_file_is_reported(tmp_path):
    with pytest.raises(ArtefactError, match="is not there"):
        Portable.open(tmp_path / "missing.onnx")
