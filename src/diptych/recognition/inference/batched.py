"""A network's outputs for many pictures: decoded in parallel, in bounded memory, independent of the batches."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diptych.data.cache import ordered_map
from diptych.data.images import Images
from diptych.data.transforms import to_float
from diptych.engine import machine
from diptych.progress import Bar
from diptych.recognition.networks import Network

GPU_BATCH = 256  # pictures
MIN_CPU_BATCH, MAX_CPU_BATCH = 2, 64  # pictures
CPU_BATCH_PIXELS = 110_000  # 2 pictures of 224 px, whose maps still fit into the caches: 8 take twice as long each
MAX_THREADS = 16
CHUNK_PICTURES = 1024  # whose outputs are yielded together
Forward = Callable[[Tensor], Tensor]


def batched_logits(network: Network, images: Images, size: int, title: str = "Predicting") -> Tensor:
    """(N, K) float32 on the CPU; NaN for a picture that cannot be read."""
    return run_batched(network, network, images, size, title)


def batched_features(network: Network, images: Images, size: int) -> Tensor:
    """(N, D) float32 on the CPU: the inputs of the head; NaN for a picture that cannot be read."""
    return run_batched(network, network.features, images, size, "Embedding")


def run_batched(network: Network, forward: Forward, images: Images, size: int, title: str) -> Tensor:
    """The outputs for all pictures, (N, D) float32 on the CPU; see :func:`run_in_chunks`."""
    return torch.cat(list(run_in_chunks(network, forward, images, size, title)))


def run_in_chunks(
    network: Network, forward: Forward, images: Images, size: int, title: str, augment: Forward | None = None
) -> Iterator[Tensor]:
    """The outputs for all pictures, about a thousand pictures at a time, in order.

    Each picture is decoded once. Pictures are passed in float32; ``forward`` may compute in lower precision.

    Parameters
    ----------
    forward
        From pictures (B, 3, S, S) in [-1, 1], on the network's device, to (B, D): a part of the network. Several
        threads call it at the same time if the network is :attr:`~Network.thread_safe`.
    title
        Of the progress bar; empty: none is shown.
    augment
        From pixels (B, 3, S, S) uint8 to pictures in [-1, 1], batch after batch in this thread, so that what it draws
        at random does not depend on the others; ``None``: pictures as they are.

    Yields
    ------
    (n, D) float32 on the CPU, at least once; NaN for a picture that cannot be read, with the reason in
    ``images.known_errors()``.
    """
    device = machine.device()
    network.to(device).eval()

    def work(batch: tuple[Tensor, NDArray[np.bool_]]) -> Tensor:
        pixels, readable = batch
        with torch.inference_mode():
            pictures = to_float(pixels.to(device)) if augment is None else pixels.to(device)
            outputs = forward(pictures.contiguous(memory_format=torch.channels_last)).float().cpu()
            return outputs if readable.all() else outputs.masked_fill(torch.from_numpy(~readable)[:, None], torch.nan)

    if len(images) == 0:  # only the network knows D
        yield work((torch.zeros((1, 3, size, size), dtype=torch.uint8), np.ones(1, bool)))[:0].clone()
        return
    parts: list[Tensor] = []
    bar = Bar(title, len(images)) if title else nullcontext()
    with bar as shown, _thread_pool(network, device) as (executor, threads):
        decoded = images.decoded_batches(size, batch=_batch_size(device, size))
        batches = ((_augmented(torch.from_numpy(pixels), augment), readable) for pixels, readable in decoded)
        for outputs in ordered_map(executor, work, batches, ahead=2 * threads):
            if shown:
                shown.advance(len(outputs))
            parts.append(outputs)
            if sum(map(len, parts)) >= CHUNK_PICTURES:
                yield _concatenate(parts)
                parts = []
    if parts:
        yield _concatenate(parts)


def _augmented(pixels: Tensor, augment: Forward | None) -> Tensor:
    return pixels if augment is None else augment(pixels)


def _concatenate(parts: list[Tensor]) -> Tensor:
    """One tensor; cloned, since autograd cannot use tensors made in inference mode."""
    return torch.cat(parts).clone()


def batch_and_threads(network: Network, device: torch.device, size: int) -> tuple[int, int]:
    """How many pictures are run together, and by how many threads at the same time."""
    return _batch_size(device, size), _threads(network, device)


def _threads(network: Network, device: torch.device) -> int:
    return min(torch.get_num_threads(), MAX_THREADS) if device.type == "cpu" and network.thread_safe else 1


def _batch_size(device: torch.device, size: int) -> int:
    """Pictures a batch: a power of two."""
    if device.type != "cpu":
        return GPU_BATCH
    fitting = 1 << max(0, (CPU_BATCH_PIXELS // size**2).bit_length() - 1)
    return min(MAX_CPU_BATCH, max(MIN_CPU_BATCH, fitting))


@contextmanager
def _thread_pool(network: Network, device: torch.device) -> Iterator[tuple[ThreadPoolExecutor, int]]:
    """Threads that run the network in parallel, and their number.

    On a CPU each thread runs a batch of its own on one core: threads never wait for each other, and sums have the same
    order on every machine. A network that is not thread-safe is run by one thread.
    """
    cores = torch.get_num_threads()
    threads = _threads(network, device)
    cores_each = max(1, cores // threads)
    executor = ThreadPoolExecutor(threads, "diptych-inference", torch.set_num_threads, (cores_each,))
    try:
        yield executor, threads
    finally:
        executor.shutdown(wait=True, cancel_futures=True)
        torch.set_num_threads(cores)  # the workers' calls have changed the default of threads started later
