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


def drawn(n: int, seed: int = 0):
    return F.normalize(torch.randn(n, 16, generator=torch.Generator().manual_seed(seed)), dim=1)


def test_the_nearest_are_the_most_alike_first():
    held, asked = drawn(300), drawn(2000, seed=1)
    memory = EmbeddingIndex.of(
        held * 7, torch.zeros(300, 3), np.arange(300) % 3, np.array([f"{i}.png" for i in range(300)])
    )
    similarities, rows = memory.nearest(asked, 5)
    direct = asked @ held.T
    assert similarities.shape == rows.shape == (2000, 5)
    assert torch.allclose(similarities, direct.sort(1, descending=True).values[:, :5], atol=1e-3)
    assert (similarities.diff(dim=1) <= 0).all()
    assert torch.allclose(direct.gather(1, rows), similarities, atol=1e-3)


def test_more_neighbours_than_there_are():
    memory = EmbeddingIndex.of(drawn(3), torch.zeros(3, 3), np.zeros(3, np.int64), np.array(["a", "b", "c"]))
    assert memory.nearest(drawn(2), 10)[1].shape == (2, 3)
    assert memory.nearest(drawn(0), 10)[1].shape == (0, 3)


def test_every_class_is_remembered_alike():
    labels = np.repeat([0, 1, 2], [5, 100, 900])
    rows = rows_to_index(labels, 205)
    assert np.bincount(labels[rows]).tolist() == [5, 100, 100]
    assert (np.diff(rows) > 0).all()
    assert len(rows_to_index(labels, 10_000)) == 1005
    assert np.bincount(labels[rows_to_index(labels, 10)]).tolist() == [3, 3, 4]


def test_a_picture_of_several_labels_counts_for_the_rarest():
    labels = np.zeros((100, 3), bool)
    labels[:, 0] = True
    labels[:6, 1] = True  # the rarest
    labels[50:] = False
    rows = rows_to_index(labels, 18)
    assert labels[rows, 1].sum() == 6
    assert (~labels[rows].any(1)).sum() == 6


def test_a_recognizer_remembers_its_training_pictures(fitted, digits):
    model, folder = fitted
    memory = model.embedding_index_
    assert memory.embeddings.dtype == torch.float16
    assert len(memory) == 160 - len(data(folder)["validation"]["pictures"])
    rows = [digits.paths.tolist().index(path) for path in memory.paths]
    assert (digits.labels[rows] == memory.labels).all()
    similarities, nearest = memory.nearest(model.embed(digits[rows]), 1)
    assert (similarities > 0.999).all()
    assert (nearest.flatten() == torch.arange(len(memory))).float().mean() > 0.95


def test_the_memory_is_kept_wherever_the_model_goes(fitted, tmp_path):
    model, folder = fitted
    moved = load(load(folder).save(tmp_path / "moved")).embedding_index_
    assert torch.equal(moved.embeddings, model.embedding_index_.embeddings)
    assert (moved.labels == model.embedding_index_.labels).all()
    assert moved.paths == model.embedding_index_.paths


def test_a_damaged_memory_is_told(fitted, tmp_path):
    folder = load(fitted[1]).save(tmp_path / "damaged")
    path = folder / "memory.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(ArtefactError, match="checksum"):
        load(folder)


def test_a_model_of_before_there_were_memories_loads(fitted, tmp_path):
    import json

    folder = load(fitted[1]).save(tmp_path / "old")
    facts = json.loads((folder / "model.json").read_text())
    del facts["beside_sha256"]
    (folder / "model.json").write_text(json.dumps(facts))
    (folder / "memory.safetensors").unlink()
    assert load(folder).embedding_index_ is None
