"""``export_embedder``: write an embedder as one ONNX file, once its embeddings are proved equal."""

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diptych import files
from diptych.data.transforms import to_float
from diptych.errors import ExportError
from diptych.exporting import graph
from diptych.exporting.onnx_model import FORMAT
from diptych.exporting.portable_embedder import PortableEmbedder
from diptych.exporting.reference_images import generated_images
from diptych.recognition.inference import onnx_backend
from diptych.recognition.inference.embedder import Embedder
from diptych.recognition.networks import Network

CHECKED_PICTURES = 32
MAX_DIFFERENCE = 1e-3  # of a number in an embedding of unit length


class Embeddings(nn.Module):
    """The features of a network at unit length."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, pictures: Tensor) -> Tensor:
        """(N, 3, S, S) in [-1, 1] -> (N, D)."""
        return F.normalize(self.network.features(pictures).float(), dim=1)


def export_embedder(embedder: Embedder, target: Path) -> None:
    """Write ``embedder`` to ``target``.

    Raises
    ------
    ExportError
        The graph's embeddings differ; nothing is written.
    UsageError
        onnx is not installed, or the network cannot be converted.
    """
    size, module = embedder.size, Embeddings(embedder.network.cpu()).eval()
    network = onnx_backend.to_onnx(module, {"inputs": torch.rand(2, 3, size, size) * 2 - 1}, ["embeddings"])
    joined = graph.join_preprocessing(graph.preprocessing_graph(size), network, ["embeddings"])
    facts = {"format": FORMAT, "kind": "embedder", **embedder.facts(), "dimensions": embedder.dimensions}
    graph.add_metadata(joined, facts)
    content = joined.SerializeToString()
    images = generated_images(size)[:CHECKED_PICTURES]
    with torch.inference_mode():
        expected = module(to_float(images.pixels(size))).numpy()
    difference = float(abs(PortableEmbedder(content, target.name).embed(images) - expected).max())
    if difference > MAX_DIFFERENCE:
        raise ExportError(f"The graph of {embedder.name} differs by {difference:.4f}, so no file was written.")
    files.write_bytes(target, content)
