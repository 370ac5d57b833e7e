"""Answers of a network, picture after picture, in bounded memory and independent of the batch size."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diptych.data.images import Images
from diptych.data.transforms import to_float
from diptych.engine import machine
from diptych.progress import Bar
from diptych.recognition.networks import Network

BATCH = 256


def logits(network: Network, images: Images, size: int, title: str = "Predicting") -> Tensor:
    """(N, K) float32 on the CPU, of readable pictures."""
    return _gathered(network, network, images, size, title)


def features(network: Network, images: Images, size: int) -> Tensor:
    """(N, D) float32 on the CPU, of readable pictures: what the network's head sees."""
    return _gathered(network, network.features, images, size, "Embedding")


def spread(answers: Tensor, rows: NDArray[np.bool_]) -> Tensor:
    """Put the answers (n, D) of readable pictures where ``rows`` (N,) is true; the others get NaN."""
    whole = torch.full((len(rows), *answers.shape[1:]), torch.nan)
    whole[torch.from_numpy(rows)] = answers
    return whole


def _gathered(network: Network, answer: Callable[[Tensor], Tensor], images: Images, size: int, title: str) -> Tensor:
    """Every batch's answer in float32: half precision would make it depend on the machine and the batch."""
    where = machine.device()
    network.to(where).eval()
    answers: list[Tensor] = []
    with torch.inference_mode(), Bar(title, len(images)) as bar:
        for pixels in _batches(images, size):
            answers.append(answer(to_float(pixels.to(where))).float().cpu())
            bar.advance(len(pixels))
        if not answers:  # the width is known to the network alone
            answers.append(answer(torch.zeros(1, 3, size, size, device=where)).float().cpu()[:0])
    # Cloned, since tensors of inference mode cannot take part in anything differentiated later.
    return torch.cat(answers).clone()


def _batches(images: Images, size: int) -> Iterator[Tensor]:
    """(B, 3, size, size) uint8 in order: from memory where the pictures are kept, streamed else."""
    if images.fits_in_memory(size):
        pixels = images.pixels(size)
        yield from (pixels[i : i + BATCH] for i in range(0, len(pixels), BATCH))
    else:
        rows = np.arange(len(images))
        yield from images.stream(size, "squash", (rows[i : i + BATCH] for i in range(0, len(rows), BATCH)))
