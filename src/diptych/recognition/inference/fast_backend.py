"""The quickest way to ask a network about many pictures on a processor, by a timed trial.

The network itself, in bfloat16 where the processor has instructions for it (float32 decides what is close), or by
onnxruntime, which computes in float32 in another order of sums.
"""

import logging
import time

import numpy as np
import torch
from torch import Tensor

from diptych.data.images import Images
from diptych.data.transforms import to_float
from diptych.engine import machine, runtime
from diptych.errors import UsageError
from diptych.recognition.inference import onnx_backend
from diptych.recognition.inference.bfloat16 import BFloat16Network
from diptych.recognition.networks import Network
from diptych.recognition.networks.custom import CustomNetwork
from diptych.recognition.networks.tta import LogitsAndFeatures

log = logging.getLogger("diptych")
MANY = 500  # pictures, from which on the trial is worth its while
WORTH_SECONDS = 20.0  # of work: under that the answers are float32's own, and no conversion (some seconds) is tried
LARGEST_BYTES = 1 << 30  # of weights: they are held twice meanwhile, and a graph cannot be over 2 GiB
GAIN = 1.1  # so much faster another way has to be
GREAT_GAIN = 1.5  # more than onnxruntime gains
TRIED = 16  # pictures
ALIKE = 1e-4  # of the answers' largest, that onnxruntime's may differ by


def fastest_backend(network: Network, images: Images, size: int, *, multi_label: bool) -> LogitsAndFeatures:
    """``network.both``, or what gives the same labels to these pictures sooner.

    Parameters
    ----------
    multi_label
        Whether a picture may have several labels.
    """
    if len(images) < MANY or machine.device().type != "cpu" or isinstance(network, CustomNetwork):
        return network.logits_and_features
    network.eval().to(memory_format=torch.channels_last)
    shown = _some(images, size)
    if sum(tensor.nbytes for tensor in network.state_dict().values()) > LARGEST_BYTES or len(shown) < 2:
        return network.logits_and_features
    (logits, features), seconds = _timed(network.logits_and_features, shown)
    if seconds * len(images) / len(shown) / torch.get_num_threads() < WORTH_SECONDS:
        return network.logits_and_features
    if not multi_label:
        half = BFloat16Network(network, shown, logits)
        _, halved = _timed(half, shown)
        log.debug("%d pictures: float32 %.3f s, bfloat16 %.3f s", len(shown), seconds, halved)
        if GREAT_GAIN * halved < seconds:
            return half
    if not onnx_backend.available():
        return network.logits_and_features
    try:
        tried = session(onnx_backend.network_graph(network, size).SerializeToString())
        told, faster = _timed(tried, shown)
    except (UsageError, RuntimeError) as error:
        log.debug("torch answers, since onnxruntime cannot: %s", error)
        return network.logits_and_features
    alike = all(
        torch.allclose(a, b, rtol=0, atol=ALIKE * float(b.abs().max()))
        for a, b in zip(told, (logits, features), strict=True)
    )
    log.debug("%d pictures: torch %.3f s, onnxruntime %.3f s, alike: %s", len(shown), seconds, faster, alike)
    return tried if alike and GAIN * faster < seconds else network.logits_and_features


def session(graph: bytes) -> LogitsAndFeatures:
    """The graph of :func:`diptych.recognition.inference.onnx_backend.network_graph`, ready for several threads."""
    runner = runtime.session(graph)

    def ask(pictures: Tensor) -> tuple[Tensor, Tensor]:
        logits, features = runner.run(["logits", "features"], {"seen": pictures.contiguous().numpy()})
        return torch.from_numpy(logits), torch.from_numpy(features)

    return ask


def _some(images: Images, size: int) -> Tensor:
    """Some of them, evenly; those that can be read."""
    rows = np.linspace(0, len(images) - 1, TRIED).astype(int)
    pixels, good = next(iter(images[rows].decoded_batches(size, batch=TRIED)))
    return to_float(torch.from_numpy(pixels[good])).contiguous(memory_format=torch.channels_last)


def _timed(ask: LogitsAndFeatures, shown: Tensor) -> tuple[tuple[Tensor, Tensor], float]:
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
