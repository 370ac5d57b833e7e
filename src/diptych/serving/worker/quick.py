"""The quick worker: predictions from the ONNX files of recognizers by onnxruntime. Nothing here imports torch."""

from pathlib import Path

from diptych.exporting.portable import Portable
from diptych.serving.worker.lane import Lane, Send, SharingLane
from diptych.serving.worker.model_cache import ModelCache
from diptych.serving.worker.rows import predict


def lanes_of(home: Path, models: int, threads: int, send: Send) -> dict[str, Lane]:
    """The one lane of this worker; a model's name is that of its file in ``home``, which never changes."""
    cache = ModelCache(lambda name: Portable.open(home / name), models)
    return {"quick": SharingLane("quick", cache, {"predict": predict}, send, threads=threads)}
