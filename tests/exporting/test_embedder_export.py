"""An exported embedder gives the embeddings of the network, at any size of picture."""

from pathlib import Path

import numpy as np
import pytest

from diptych.data.images import Images
from diptych.errors import ArtefactError
from diptych.exporting.embedder_export import export_embedder
from diptych.exporting.portable import Portable
from diptych.exporting.portable_embedder import PortableEmbedder
from diptych.recognition import networks
from diptych.recognition.inference.embedder import Embedder


def test_its_embeddings_are_those_of_the_network(tmp_path: Path) -> None:
    embedder = Embedder(networks.build("convnet", classes=3, size=24).eval(), 24, "a convnet")
    export_embedder(embedder, tmp_path / "embedder.onnx")
    portable = PortableEmbedder.open(tmp_path / "embedder.onnx")
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 256, (side, 40, 3)).astype(np.uint8) for side in range(20, 31)]
    images = Images.of(pictures)
    expected = np.concatenate([batch.numpy() for batch in embedder.batches(images)])
    assert np.abs(portable.embed(images) - expected).max() < 1e-4
    assert portable.facts["sha256"] == embedder.sha256
    mixed = portable.embed(Images.of([b"no picture", *images_as_png(pictures[:1])], "none"))
    assert np.isnan(mixed).all(1).tolist() == [True, False]
    with pytest.raises(ArtefactError, match="embedder, not recognizer"):
        Portable.open(tmp_path / "embedder.onnx")


def images_as_png(pictures: list[np.ndarray]) -> list[bytes]:
    import io

    from PIL import Image

    files = []
    for picture in pictures:
        out = io.BytesIO()
        Image.fromarray(picture).save(out, "PNG")
        files.append(out.getvalue())
    return files
