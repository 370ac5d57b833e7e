"""The quickest way to ask a network about many pictures: torch or, on a processor, onnxruntime, by a timed trial.

Both compute in float32, in another order of sums: the answers are the same but for the last digits.
"""

import logging
import time
from collections.abc import Callable

import torch
from torch import Tensor

from diptych.engine import machine, runtime
from diptych.errors import UsageError
from diptych.recognition import graphs
from diptych.recognition.networks import Network
from diptych.recognition.networks.own import Own

log = logging.getLogger("diptych")
MANY = 500  # pictures, from which on the trial is worth its while
WORTH_SECONDS = 20.0  # of work for torch, from which on a conversion (a few seconds) is tried
LARGEST_BYTES = 1 << 30  # of weights: a graph holds them twice while it is made, and cannot be over 2 GiB
GAIN = 1.1  # so much faster it has to be
TRIED = 8  # pictures
ALIKE = 1e-4  # of the answers' largest, that they may differ by

Both = Callable[[Tensor], tuple[Tensor, Tensor]]


def both(network: Network, size: int, pictures: int) -> Both:
    """``network.both``, or what gives the same answers to so many pictures sooner."""
    if pictures < MANY or machine.device().type != "cpu" or isinstance(network, Own) or not graphs.available():
        return network.both
    shown = torch.rand(TRIED, 3, size, size, generator=torch.Generator().manual_seed(0)) * 2 - 1
    shown = shown.contiguous(memory_format=torch.channels_last)
    network.eval()
    expected, seconds = _timed(network.both, shown)
    weight = sum(tensor.nbytes for tensor in network.state_dict().values())
    if seconds * pictures / TRIED / torch.get_num_threads() < WORTH_SECONDS or weight > LARGEST_BYTES:
        return network.both
    try:
        tried = session(graphs.seen(network, size).SerializeToString())
        told, faster = _timed(tried, shown)
    except (UsageError, RuntimeError) as error:
        log.debug("torch answers, since onnxruntime cannot: %s", error)
        return network.both
    alike = all(
        torch.allclose(a, b, rtol=0, atol=ALIKE * float(b.abs().max())) for a, b in zip(told, expected, strict=True)
    )
    log.debug("%d pictures: torch %.3f s, onnxruntime %.3f s, alike: %s", TRIED, seconds, faster, alike)
    return tried if alike and GAIN * faster < seconds else network.both


def session(graph: bytes) -> Both:
    """The graph of :func:`diptych.recognition.graphs.seen`, ready to be called by several threads."""
    runner = runtime.session(graph)

    def ask(pictures: Tensor) -> tuple[Tensor, Tensor]:
        logits, features = runner.run(["logits", "features"], {"seen": pictures.contiguous().numpy()})
        return torch.from_numpy(logits), torch.from_numpy(features)

    return ask


def _timed(ask: Both, shown: Tensor) -> tuple[tuple[Tensor, Tensor], float]:
    """The answers, and the seconds of one thread, after a first time that is not counted."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            ask(shown)
            start = time.perf_counter()
            told = ask(shown)
            return told, time.perf_counter() - start
    finally:
        torch.set_num_threads(threads)
