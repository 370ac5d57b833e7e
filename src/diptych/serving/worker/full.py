"""The full worker: every verb, with torch.

Quick work (predict, embed, match) and slow work (explain, sample, edit, enroll) have a lane each, with models of its
own, so that a slow request never delays the quick ones and no model changes under another.
"""

import os
from collections.abc import Hashable
from functools import partial
from pathlib import Path
from typing import Any

import torch

from diptych import artefact
from diptych.backbones.light_timm import import_timm
from diptych.loading import load
from diptych.recognition.gallery.gallery import Gallery
from diptych.serving.worker.lane import Lane, Send, SharingLane
from diptych.serving.worker.model_cache import ModelCache
from diptych.serving.worker.verbs import VERBS


def lanes_of(home: Path, models: int, threads: int, send: Send) -> dict[str, Lane]:
    """The lanes by name; a model's name is that of its folder in ``home``."""

    def cache() -> ModelCache:
        return ModelCache(
            lambda name: _loaded(home / name), models, stamp=lambda name: _stamp(home / name), live=Gallery
        )

    one = partial(torch.set_num_threads, 1)
    return {
        "quick": SharingLane("quick", cache(), VERBS, send, threads=threads, prepare=one, is_shareable=_is_shareable),
        "slow": Lane("slow", cache(), VERBS, send, prepare=partial(torch.set_num_threads, threads)),
    }


def _loaded(folder: Path) -> Any:
    facts = artefact.facts(folder)
    if facts["kind"] == "gallery" or facts.get("backbone"):
        import_timm()
    return load(folder)


def _is_shareable(model: Any) -> bool:
    return bool(model.network_.thread_safe)


def _stamp(folder: Path) -> Hashable:
    """Of model.json: inode, time of its last change, bytes."""
    try:
        status = os.stat(artefact.path_of(folder, "model.json"))  # noqa: PTH116 - of every batch
    except OSError:
        return None  # loading says what is wrong
    return status.st_ino, status.st_mtime_ns, status.st_size
