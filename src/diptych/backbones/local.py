"""Which pretrained weights can be used without the network, and which of them is the best choice."""

import os
from pathlib import Path

from diptych.backbones import builtin
from diptych.backbones.weights import CONFIG, FILE, SUFFIX, VARIABLE, Weights, hub_cache_weights, weights_in_folder
from diptych.errors import UsageError

MIN_PHOTOGRAPH_SIDE = 32  # px of pictures that a pretrained backbone compares; smaller ones are no photographs
# Megabytes of weights up to which the largest backbone is the best choice: beyond, it is too slow to train.
MAX_MEGABYTES = {"cpu": 120, "mps": 120, "cuda": 400}


def local_weights() -> list[Weights]:
    """Weights that need no network: of ``DIPTYCH_WEIGHTS``, else of the hub's cache, else the built-in ones.

    Empty where there are none, which means that even the package of the built-in ones is missing.

    Raises
    ------
    UsageError
        ``DIPTYCH_WEIGHTS`` names no usable weights.
    """
    path = os.environ.get(VARIABLE)
    if not path:
        cached = hub_cache_weights()
        if cached or not builtin.is_installed(builtin.DEFAULT):
            return cached
        return [builtin.builtin_weights(builtin.DEFAULT)]
    weights = weights_in_folder(Path(path))
    if not weights:
        raise UsageError(
            f"{VARIABLE} names {path}, which holds no weights of a backbone that timm knows. It should be a folder "
            f"with {CONFIG} and {FILE}, or files named after their backbone, such as resnet18.a1_in1k{SUFFIX}."
        )
    return weights


def judging_weights(size: int, device: str) -> Weights | None:
    """Those of the backbone that compares pictures of ``size`` px; ``None``: they are too small, or there are none.

    ``device`` is the kind of device that it computes on ("cpu", "cuda", "mps").

    Raises
    ------
    UsageError
        ``DIPTYCH_WEIGHTS`` names no usable weights.
    """
    candidates = local_weights() if size >= MIN_PHOTOGRAPH_SIDE else []
    return best_weights(candidates, device) if candidates else None


def best_weights(weights: list[Weights], device: str) -> Weights:
    """The largest that this kind of device ("cpu", "cuda", "mps") can train in minutes; else the smallest."""
    by_size = sorted(weights, key=lambda w: w.file.stat().st_size)
    fitting = [w for w in by_size if w.file.stat().st_size <= 1e6 * MAX_MEGABYTES[device]]
    return fitting[-1] if fitting else by_size[0]
