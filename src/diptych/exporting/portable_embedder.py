"""``PortableEmbedder``: an embedder in an ONNX file, run by onnxruntime alone. Nothing here imports torch."""

import numpy as np
from numpy.typing import NDArray

from diptych.data.images import Images
from diptych.exporting.onnx_model import OnnxModel


class PortableEmbedder(OnnxModel):
    """Turns pictures into embeddings, as the :class:`diptych.recognition.inference.embedder.Embedder` it came from.

    Attributes
    ----------
    facts
        Also the embedder's own: name, sha256, size; and "dimensions", the numbers in an embedding.
    """

    kind = "embedder"

    def embed(self, images: Images) -> NDArray[np.float32]:
        """(N, D) of unit length; NaN for a picture that cannot be read."""
        rows = [np.empty((0, self.facts["dimensions"]), np.float32)]
        for outputs, readable in self._run_batches(images):
            rows.append(np.where(readable[:, None], outputs["embeddings"], np.float32(np.nan)))
        return np.concatenate(rows)
