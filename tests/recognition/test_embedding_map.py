"""The embedding map: alike pictures lie near each other, and every readable picture has its place."""

import json
from pathlib import Path

import numpy as np
import pytest

from diptych.data.images import Images
from diptych.errors import DataError
from diptych.recognition.embedding_map import Embedded, EmbeddingMap, layout
from diptych.recognition.gallery.gallery import Gallery
from diptych.recognition.inference.embedder import Embedder
from diptych.recognition.recognizer import Recognizer


def clusters(count: int, dimensions: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """(N, D) vectors of unit length around five centres, and whose each is."""
    random = np.random.default_rng(0)
    groups = np.arange(count) % 5
    vectors = random.normal(size=(5, dimensions))[groups] + 0.4 * random.normal(size=(count, dimensions))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32), groups


def test_a_neighbour_on_the_map_is_alike_and_the_same_seed_gives_the_same_map() -> None:
    vectors, groups = clusters(150)
    points = layout(vectors)
    assert points.shape == (150, 2)
    distances = np.linalg.norm(points[:, None] - points[None], axis=2) + np.diag(np.full(150, np.inf))
    assert (groups[distances.argmin(1)] == groups).mean() > 0.95
    assert (layout(vectors) == points).all()


@pytest.mark.parametrize(("count", "dimensions"), [(1, 40), (2, 40), (3, 40), (4, 40), (7, 1), (12, 2)])
def test_few_pictures_and_small_embeddings_have_their_places_too(count: int, dimensions: int) -> None:
    points = layout(clusters(count, dimensions)[0])
    assert points.shape == (count, 2)
    assert np.isfinite(points).all()


def test_equal_pictures_do_not_hurt() -> None:
    assert np.isfinite(layout(np.repeat(clusters(1)[0], 20, axis=0))).all()


def test_a_map_names_each_picture_of_data_sets_and_galleries(tmp_path: Path) -> None:
    digits = Images.open("digits")
    digits[np.flatnonzero(digits.labels < 2)[:20]].save(tmp_path / "photos")
    (tmp_path / "photos" / "1" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    images = Images.open(tmp_path / "photos")
    recognizer = Recognizer("convnet", epochs=1).fit(digits[:40])
    embedded = Embedded()
    embedder = Embedder(recognizer.network_, recognizer.size_, "a small network")
    embedded.add_images("photos", str(tmp_path / "photos"), images, embedder)
    assert len(embedded.unreadable) == 1
    made = EmbeddingMap.of("a small network", embedded).json()
    json.dumps(made, allow_nan=False)
    assert (made["embedder"], made["pictures"], len(made["x"])) == ("a small network", 20, 20)
    assert all((tmp_path / "photos" / path).is_file() for path in made["path"])
    assert set(made["label"]) == {"0", "1"}
    assert set(made["origin"]) == {"real"}

    gallery = Gallery(recognizer, tmp_path / "gallery").enroll(tmp_path / "photos")
    embedded = Embedded()
    embedded.add_gallery(gallery)
    made = EmbeddingMap.of("", embedded).json()
    assert len(set(made["id"])) == 20
    assert all("/" not in path for path in made["path"])


def test_a_map_of_nothing_is_refused() -> None:
    with pytest.raises(DataError, match="no picture"):
        EmbeddingMap.of("", Embedded())
