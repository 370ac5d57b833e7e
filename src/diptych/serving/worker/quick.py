"""The quick worker: predictions and matches from ONNX files by onnxruntime. Nothing here imports torch."""

from pathlib import Path
from typing import Any

from diptych import artefact
from diptych.data.images import Images
from diptych.exporting.portable import Portable
from diptych.exporting.portable_embedder import PortableEmbedder
from diptych.recognition.gallery.matcher import Matcher
from diptych.recognition.gallery.matches import Matches
from diptych.serving.worker.lane import Lane, Send, SharingLane
from diptych.serving.worker.model_cache import ModelCache
from diptych.serving.worker.rows import match, predict

SHARE_PICTURES = 4  # computed by a thread at a time: as fast as eight, in three quarters of the memory


class ExportedGallery:
    """A gallery whose embedder is in an ONNX file."""

    def __init__(self, folder: Path, export: Path) -> None:
        self._embedder = PortableEmbedder.open(export)
        facts = self._embedder.facts
        self._matcher = Matcher(folder, facts["sha256"], facts["dimensions"])

    def match(self, images: Images, **options: Any) -> Matches:
        """As :meth:`diptych.Gallery.match`."""
        return self._matcher.match(images, self._embedder.embed(images), **options)


def lanes_of(home: Path, models: int, threads: int, send: Send) -> dict[str, Lane]:
    """The one lane of this worker; a model is named by its folder in ``home`` and its export: "pets/.exports/…"."""

    def load(name: str) -> Portable | ExportedGallery:
        model, _, export = name.partition("/")
        is_gallery = artefact.facts(home / model)["kind"] == "gallery"
        return ExportedGallery(home / model, home / export) if is_gallery else Portable.open(home / export)

    cache, verbs = ModelCache(load, models), {"predict": predict, "match": match}
    return {"quick": SharingLane("quick", cache, verbs, send, threads=threads, most=SHARE_PICTURES)}
