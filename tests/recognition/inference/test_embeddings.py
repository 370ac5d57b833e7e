import numpy as np
import pytest
import torch
from torch.nn import functional as F

from diptych import Recognizer, load
from diptych.artefact import data
from diptych.errors import ArtefactError
from diptych.recognition.inference.embeddings import EmbeddingIndex, rows_to_index


@pytest.fixture(scope="module")
def fitted(digits, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "digits"
    return Recognizer("convnet", epochs=2, batch=16).fit(digits, into=folder), folder


def unit_vectors(n: int, seed: int = 0):
    return F.normalize(torch.randn(n, 16, generator=torch.Generator().manual_seed(seed)), dim=1)


def test_the_nearest_are_sorted_by_similarity():
    indexed, queries = unit_vectors(300), unit_vectors(2000, seed=1)
    index = EmbeddingIndex.of(
        indexed * 7, torch.zeros(300, 3), np.arange(300) % 3, np.array([f"{i}.png" for i in range(300)])
    )
    similarities, rows = index.nearest(queries, 5)
    direct = queries @ indexed.T
    assert similarities.shape == rows.shape == (2000, 5)
    assert torch.allclose(similarities, direct.sort(1, descending=True).values[:, :5], atol=1e-3)
    assert (similarities.diff(dim=1) <= 0).all()
    assert torch.allclose(direct.gather(1, rows), similarities, atol=1e-3)


def test_more_neighbours_than_indexed_pictures():
    index = EmbeddingIndex.of(unit_vectors(3), torch.zeros(3, 3), np.zeros(3, np.int64), np.array(["a", "b", "c"]))
    assert index.nearest(unit_vectors(2), 10)[1].shape == (2, 3)
    assert index.nearest(unit_vectors(0), 10)[1].shape == (0, 3)


def test_indexed_pictures_are_drawn_evenly_over_the_classes():
    labels = np.repeat([0, 1, 2], [5, 100, 900])
    rows = rows_to_index(labels, 205)
    assert np.bincount(labels[rows]).tolist() == [5, 100, 100]
    assert (np.diff(rows) > 0).all()
    assert len(rows_to_index(labels, 10_000)) == 1005
    assert np.bincount(labels[rows_to_index(labels, 10)]).tolist() == [3, 3, 4]


def test_a_picture_with_several_labels_counts_for_the_rarest():
    labels = np.zeros((100, 3), bool)
    labels[:, 0] = True
    labels[:6, 1] = True  # the rarest
    labels[50:] = False
    rows = rows_to_index(labels, 18)
    assert labels[rows, 1].sum() == 6
    assert (~labels[rows].any(1)).sum() == 6


def test_a_recognizer_indexes_its_training_pictures(fitted, digits):
    model, folder = fitted
    index = model.embedding_index_
    assert index.embeddings.dtype == torch.float16
    assert len(index) == 160 - len(data(folder)["validation"]["pictures"])
    rows = [digits.paths.tolist().index(path) for path in index.pictures.names]
    assert (digits.labels[rows] == index.labels).all()
    similarities, nearest = index.nearest(model.embed(digits[rows]), 1)
    assert (similarities > 0.999).all()
    assert (nearest.flatten() == torch.arange(len(index))).float().mean() > 0.95


def test_the_index_is_saved_with_a_loaded_model(fitted, tmp_path):
    model, folder = fitted
    moved = load(load(folder).save(tmp_path / "moved")).embedding_index_
    assert torch.equal(moved.embeddings, model.embedding_index_.embeddings)
    assert (moved.labels == model.embedding_index_.labels).all()
    assert moved.pictures.names == model.embedding_index_.pictures.names


def test_a_damaged_index_is_reported(fitted, tmp_path):
    folder = load(fitted[1]).save(tmp_path / "damaged")
    path = folder / "embeddings.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(ArtefactError, match="checksum"):
        load(folder)


def test_a_model_without_an_index_loads(fitted, tmp_path):
    import json

    folder = load(fitted[1]).save(tmp_path / "old")
    facts = json.loads((folder / "model.json").read_text())
    del facts["extra_sha256"]
    (folder / "model.json").write_text(json.dumps(facts))
    (folder / "embeddings.safetensors").unlink()
    assert load(folder).embedding_index_ is None
