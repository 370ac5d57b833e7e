"""What the early stages of a backbone give for pictures, in several augmented views, kept in memory.

The early stages take most of the time and gain least from training. So they run once for each view, and the last stage
is trained on what they gave, many times faster than on pictures.
"""

import logging
import math
import time
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from diptych import resources
from diptych.data.images import Images
from diptych.data.transforms import Augment
from diptych.progress import Bar
from diptych.recognition.inference.batched import run_in_chunks
from diptych.recognition.networks.split_backbone import SplitBackbone

log = logging.getLogger("diptych")
MAX_VIEWS = 6  # augmented ones
MEMORY_SHARE = 0.25  # of what is free


@dataclass(frozen=True)
class StoredMaps:
    """Maps of N pictures.

    Attributes
    ----------
    plain
        (N, C, H, W) float16, of the pictures as they are.
    views
        Of augmented views of the same pictures, as many as there was time and memory for.
    """

    plain: Tensor
    views: tuple[Tensor, ...]


def compute_maps(
    split: SplitBackbone, images: Images, size: int, augment: Augment, *, until: float, seed: int
) -> StoredMaps | None:
    """The maps; ``None`` if there is no time or memory for one augmented view.

    Parameters
    ----------
    until
        ``time.monotonic()`` by which the last view is to be finished.
    """
    start = time.monotonic()
    plain = _maps(split, images, size, None, until)
    if plain is None:
        return None
    fitting = int(MEMORY_SHARE * resources.free_memory_bytes() / max(1, plain.nbytes))
    kept: list[Tensor] = []
    seconds = time.monotonic() - start
    for view in range(min(MAX_VIEWS, fitting)):
        if time.monotonic() + seconds > until:
            break
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(hash((seed, view)))
            maps = _maps(split, images, size, augment, math.inf)
        assert maps is not None
        kept.append(maps)
    return StoredMaps(plain, tuple(kept)) if kept else None


def compute_plain_maps(split: SplitBackbone, images: Images, size: int) -> Tensor:
    """(N, C, H, W) float16, of the pictures as they are."""
    maps = _maps(split, images, size, None, math.inf)
    assert maps is not None
    return maps


def _maps(split: SplitBackbone, images: Images, size: int, augment: Augment | None, until: float) -> Tensor | None:
    """(N, C, H, W) float16 of one view; ``None`` if time is up before they are all computed."""
    with torch.inference_mode():
        shape = split.maps(torch.zeros(1, 3, size, size, device=next(split.network.parameters()).device)).shape[1:]
    out = torch.empty((len(images), *shape), dtype=torch.float16)

    def forward(pictures: Tensor) -> Tensor:
        return split.maps(pictures).contiguous().flatten(1)

    def augmented(pixels: Tensor) -> Tensor:
        assert augment is not None
        return augment(pixels, torch.from_numpy(np.zeros(len(pixels), np.int64)))

    start = 0
    with Bar("Last stage", len(images)) as bar:
        chunks = run_in_chunks(split.network, forward, images, size, "", augmented if augment else None)
        for chunk in chunks:
            out[start : start + len(chunk)] = torch.unflatten(chunk, 1, shape)
            start += len(chunk)
            bar.advance(len(chunk))
            if time.monotonic() > until and start < len(images):
                return None
    return out
