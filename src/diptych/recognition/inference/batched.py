"""Answers of a network, picture after picture: decoding goes on beside, memory is bounded, batches do not matter."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from diptych.data.cache import ordered_map
from diptych.data.images import Images
from diptych.data.store import Batch
from diptych.data.transforms import to_float
from diptych.engine import machine
from diptych.progress import Bar
from diptych.recognition.networks import Network
from diptych.recognition.networks.custom import CustomNetwork

ON_GPU = 256  # pictures a batch
ON_CPU = (4, 64)  # the fewest and the most
PIXELS_ON_CPU = 420_000  # a batch: 8 pictures of 224 px, whose maps a core's cache still holds
MOST_THREADS = 16
CHUNK = 1024  # pictures whose answers come at a time
Forward = Callable[[Tensor], Tensor]


def batched_logits(network: Network, images: Images, size: int, title: str = "Predicting") -> Tensor:
    """(N, K) float32 on the CPU; NaN for a picture that cannot be read."""
    return run_batched(network, network, images, size, title)


def batched_features(network: Network, images: Images, size: int) -> Tensor:
    """(N, D) float32 on the CPU: what the network's head sees; NaN for a picture that cannot be read."""
    return run_batched(network, network.features, images, size, "Embedding")


def run_batched(network: Network, answer: Forward, images: Images, size: int, title: str) -> Tensor:
    """The network's answer to every picture, (N, D) float32 on the CPU; see :func:`run_in_chunks`."""
    return torch.cat(list(run_in_chunks(network, answer, images, size, title)))


def run_in_chunks(network: Network, answer: Forward, images: Images, size: int, title: str) -> Iterator[Tensor]:
    """The network's answer to every picture, about a thousand pictures at a time, in order.

    Each picture is decoded once; what is not kept in memory is forgotten again. Pictures are given in
    float32; whether to compute in less is for ``answer`` to choose.

    Parameters
    ----------
    answer
        From pictures (B, 3, S, S) in [-1, 1], on the network's device, to (B, D): a part of the network. Several
        threads call it at a time, unless the network is a person's own.

    Yields
    ------
    (n, D) float32 on the CPU, at least once; NaN for a picture that cannot be read, of which
    ``images.known_errors()`` tells why.
    """
    where = machine.device()
    network.to(where).eval()

    def work(batch: Batch) -> Tensor:
        pixels, good = batch
        with torch.inference_mode():
            pictures = to_float(torch.from_numpy(pixels).to(where))
            told = answer(pictures.contiguous(memory_format=torch.channels_last)).float().cpu()
            return told if good.all() else told.masked_fill(torch.from_numpy(~good)[:, None], torch.nan)

    if len(images) == 0:  # the width is known to the network alone
        yield work((np.zeros((1, 3, size, size), np.uint8), np.ones(1, bool)))[:0].clone()
        return
    parts: list[Tensor] = []
    with Bar(title, len(images)) as bar, _threads(network, where) as (executor, count):
        for told in ordered_map(
            executor, work, images.decoded_batches(size, batch=_batch(where, size)), ahead=2 * count
        ):
            bar.advance(len(told))
            parts.append(told)
            if sum(map(len, parts)) >= CHUNK:
                yield _together(parts)
                parts = []
    if parts:
        yield _together(parts)


def _together(parts: list[Tensor]) -> Tensor:
    """One tensor; cloned, since tensors of inference mode cannot take part in anything differentiated later."""
    return torch.cat(parts).clone()


def _batch(where: torch.device, size: int) -> int:
    """Pictures a batch: a power of two."""
    if where.type != "cpu":
        return ON_GPU
    least, most = ON_CPU
    fitting = 1 << max(0, (PIXELS_ON_CPU // size**2).bit_length() - 1)
    return min(most, max(least, fitting))


@contextmanager
def _threads(network: Network, where: torch.device) -> Iterator[tuple[ThreadPoolExecutor, int]]:
    """Threads that run the network side by side, and how many they are.

    On a CPU each takes a batch of its own on one core: they never wait for each other, and the sums are in the same
    order on every machine. A person's own network is not asked to bear that.
    """
    cores = torch.get_num_threads()
    count = min(cores, MOST_THREADS) if where.type == "cpu" and not isinstance(network, CustomNetwork) else 1
    each = max(1, cores // count)
    executor = ThreadPoolExecutor(count, "diptych-answer", torch.set_num_threads, (each,))
    try:
        yield executor, count
    finally:
        executor.shutdown(wait=True, cancel_futures=True)
        torch.set_num_threads(cores)  # each thread has its own number, but for what threads to come begin with
