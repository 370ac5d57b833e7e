"""The same rows from a cluster as from this process, for everything that a cluster computes."""

from collections.abc import Iterator
from pathlib import Path
from zipfile import ZipFile

import fsspec
import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from diptych import VAE, Images, Recognizer
from diptych.cluster import connected
from diptych.engine.row_jobs import ROWS_PER_JOB
from diptych.errors import DataError, UsageError
from diptych.files import cache_folder
from diptych.recognition.gallery.gallery import Gallery
from diptych.recognition.inference.embedder import Embedder
from diptych.recognition.inference.fast_backend import MIN_PICTURES

BROKEN = 300


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """600 pictures of two classes, of which one is broken."""
    folder = tmp_path_factory.mktemp("pictures")
    pixels = Images.open("digits").pixels(8).permute(0, 2, 3, 1).numpy()
    for row in range(600):
        path = folder / "ab"[row % 2] / f"{row:03d}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(pixels[row]).save(path)
    broken = sorted(folder.rglob("*.png"))[BROKEN]
    broken.write_bytes(broken.read_bytes()[:40])
    return folder


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return Recognizer("convnet", size=8, epochs=1).fit(Images.open("digits")[:200])


@pytest.fixture(scope="module")
def synthesizer() -> VAE:
    return VAE(latent=4, epochs=1).fit(Images.open("digits")[:200])


@pytest.fixture(scope="class")
def cluster() -> Iterator[None]:
    with connected():
        yield


def embedder_of(recognizer: Recognizer) -> Embedder:
    return Embedder(recognizer.network_, recognizer.size_, "a recognizer")


@pytest.fixture(scope="module")
def here(folder, recognizer, synthesizer, tmp_path_factory) -> dict:
    """What this process computes; asked for before the cluster is joined."""
    gallery = Gallery(recognizer, tmp_path_factory.mktemp("here") / "gallery").enroll(Images.open(folder))
    into = tmp_path_factory.mktemp("here") / "samples"
    return {
        "embeddings": torch.cat(list(embedder_of(recognizer).batches(Images.open(folder)))),
        "predictions": list(recognizer.predict_batches(Images.open(folder))),
        "gallery": gallery,
        "pixels": synthesizer.sample(300, seed=7).pixels(8),
        "samples": synthesizer.sample(300, seed=7, into=into),
    }


@pytest.mark.usefixtures("here", "cluster")
class TestOnACluster:
    def test_embeddings_are_equal_and_a_broken_picture_is_named(self, folder, recognizer, here):
        images = Images.open(folder)
        embeddings = torch.cat(list(embedder_of(recognizer).batches(images)))
        torch.testing.assert_close(embeddings, here["embeddings"], rtol=0, atol=1e-6, equal_nan=True)
        assert list(images.known_errors()) == [BROKEN]

    def test_predictions_are_equal(self, folder, recognizer, here):
        parts = list(recognizer.predict_batches(Images.open(folder)))
        rows = [row for part in parts for row in part.json_rows()]
        expected = [row for part in here["predictions"] for row in part.json_rows()]
        assert [row["path"] for row in rows] == [row["path"] for row in expected]
        assert [row.get("label") for row in rows] == [row.get("label") for row in expected]
        assert [row.get("error") for row in rows] == [row.get("error") for row in expected]
        for name in ("probabilities", "unknown", "sets"):
            values, theirs = (
                np.concatenate([getattr(part, name) for part in whole]) for whole in (parts, here["predictions"])
            )
            np.testing.assert_allclose(values, theirs, rtol=0, atol=1e-5)

    def test_a_gallery_holds_the_same_rows(self, folder, recognizer, here, tmp_path):
        gallery = Gallery(recognizer, tmp_path / "gallery").enroll(Images.open(folder))
        assert len(gallery) == len(here["gallery"]) == 599
        assert [str(error) for error in gallery.enrolment_.unreadable] == [
            str(error) for error in here["gallery"].enrolment_.unreadable
        ]
        for name, one in {"ours": gallery, "theirs": here["gallery"]}.items():
            one.export(tmp_path / f"{name}.parquet")
        ours, theirs = (pq.read_table(tmp_path / f"{name}.parquet") for name in ("ours", "theirs"))
        assert ours.drop(["embedding"]) == theirs.drop(["embedding"])
        np.testing.assert_allclose(*(np.stack(table["embedding"].to_numpy()) for table in (ours, theirs)), atol=1e-6)

    def test_samples_are_equal_in_memory_and_in_a_folder(self, synthesizer, here, tmp_path):
        assert torch.equal(synthesizer.sample(300, seed=7).pixels(8), here["pixels"])
        samples = synthesizer.sample(300, seed=7, into=tmp_path / "samples")
        assert torch.equal(samples.pixels(8), here["samples"].pixels(8))
        assert set(samples.origins) == {"synthetic"}

    def test_a_folder_of_samples_is_continued_where_pictures_are_missing(self, synthesizer, here, tmp_path):
        synthesizer.sample(300, seed=7, into=tmp_path / "samples")
        missing = sorted((tmp_path / "samples").rglob("00*.png"))[5]
        before = missing.read_bytes()
        missing.unlink()
        samples = synthesizer.sample(300, seed=7, into=tmp_path / "samples")
        assert torch.equal(samples.pixels(8), here["samples"].pixels(8))
        assert len(missing.read_bytes()) > len(before) / 2

    def test_pictures_that_only_this_machine_has_are_not_taken_for_broken_ones(self, folder, recognizer):
        files = fsspec.filesystem("memory")  # of each process its own
        for path in sorted(folder.rglob("*.png"))[:3]:
            files.pipe_file(f"/pictures/{path.name}", path.read_bytes())
        with pytest.raises(DataError, match="can be read here, but not on the cluster"):
            list(embedder_of(recognizer).batches(Images.open("memory://pictures")))

    def test_a_set_that_cannot_be_sent_is_refused_with_the_way_out(self, recognizer, folder, tmp_path):
        with ZipFile(tmp_path / "pictures.zip", "w") as archive:
            for path in sorted(folder.rglob("*.png"))[:3]:
                archive.write(path, path.relative_to(folder))
        with pytest.raises(UsageError, match="diptych pack"):
            list(embedder_of(recognizer).batches(Images.open(tmp_path / "pictures.zip")))


def test_what_an_earlier_run_has_computed_is_taken_and_deleted_when_all_is_done(folder, recognizer):
    images, jobs = Images.open(folder), cache_folder() / "jobs"
    with pytest.raises(KeyboardInterrupt):
        embed_and_stop(recognizer, images)
    kept = {path: path.stat().st_mtime_ns for path in jobs.rglob("*.job")}
    assert kept
    with connected():
        embeddings = embedder_of(recognizer).batches(images)
        next(embeddings)
        assert kept.items() <= {path: path.stat().st_mtime_ns for path in jobs.rglob("*.job")}.items()
        assert sum(map(len, embeddings)) == 600 - ROWS_PER_JOB
    assert not list(jobs.rglob("*.job"))


def embed_and_stop(recognizer: Recognizer, images: Images) -> None:
    with connected():
        next(embedder_of(recognizer).batches(images))
        raise KeyboardInterrupt


def test_jobs_are_too_small_for_another_backend_than_float32():
    assert ROWS_PER_JOB < MIN_PICTURES
