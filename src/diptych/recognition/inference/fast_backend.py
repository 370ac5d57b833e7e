"""The fastest way to run a network over many pictures on a processor, chosen by a timed trial.

The candidates: the network itself; the network in bfloat16 where the processor has instructions for it (float32 decides
close cases); onnxruntime, which computes in float32 and adds up in another order.
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
from diptych.recognition.networks.tta import LogitsAndFeatures

log = logging.getLogger("diptych")
MIN_PICTURES = 500  # below this the trial takes longer than it saves
MIN_SECONDS = 20.0  # of work: for less, outputs are those of float32, and no conversion (some seconds) is tried
MAX_WEIGHT_BYTES = 1 << 30  # the trial holds the weights twice, and an ONNX graph is limited to 2 GiB
MIN_SPEEDUP = 1.1  # for which another backend is taken
BFLOAT16_SPEEDUP = 1.5  # more than onnxruntime gains: it is not tried then
TRIAL_PICTURES = 16
TOLERANCE = 1e-4  # relative to the largest output, by which onnxruntime's may differ


def fastest_backend(network: Network, images: Images, size: int, *, multi_label: bool) -> LogitsAndFeatures:
    """``network.logits_and_features``, or a faster function that gives the same labels.

    Parameters
    ----------
    multi_label
        Whether a picture may have several labels; bfloat16 is not tried then.
    """
    default = network.logits_and_features
    if len(images) < MIN_PICTURES or machine.device().type != "cpu" or not network.thread_safe:
        return default
    network.eval().to(memory_format=torch.channels_last)
    pictures = _sample(images, size)
    if sum(tensor.nbytes for tensor in network.state_dict().values()) > MAX_WEIGHT_BYTES or len(pictures) < 2:
        return default
    outputs, seconds = _timed(default, pictures)
    if seconds * len(images) / len(pictures) / torch.get_num_threads() < MIN_SECONDS:
        return default
    if not multi_label:
        bfloat16 = BFloat16Network(network, pictures, outputs[0])
        _, bfloat16_seconds = _timed(bfloat16, pictures)
        log.debug("%d pictures: float32 %.3f s, bfloat16 %.3f s", len(pictures), seconds, bfloat16_seconds)
        if BFLOAT16_SPEEDUP * bfloat16_seconds < seconds:
            return bfloat16
    return _onnx_if_faster(network, pictures, outputs, seconds) or default


def onnx_forward(graph: bytes) -> LogitsAndFeatures:
    """A graph of :func:`diptych.recognition.inference.onnx_backend.network_graph` as a function; thread-safe."""
    session = runtime.inference_session(graph)

    def forward(pictures: Tensor) -> tuple[Tensor, Tensor]:
        logits, features = session.run(["logits", "features"], {"inputs": pictures.contiguous().numpy()})
        return torch.from_numpy(logits), torch.from_numpy(features)

    return forward


def _onnx_if_faster(
    network: Network, pictures: Tensor, expected: tuple[Tensor, Tensor], seconds: float
) -> LogitsAndFeatures | None:
    """onnxruntime, if its outputs are the expected ones and it takes less than ``seconds``; else ``None``."""
    if not onnx_backend.is_available():
        return None
    try:
        forward = onnx_forward(onnx_backend.network_graph(network, pictures.shape[-1]).SerializeToString())
        outputs, onnx_seconds = _timed(forward, pictures)
    except (UsageError, RuntimeError) as error:
        log.debug("torch is used, since onnxruntime fails: %s", error)
        return None
    equal = all(
        torch.allclose(a, b, rtol=0, atol=TOLERANCE * float(b.abs().max()))
        for a, b in zip(outputs, expected, strict=True)
    )
    log.debug("%d pictures: torch %.3f s, onnxruntime %.3f s, equal: %s", len(pictures), seconds, onnx_seconds, equal)
    return forward if equal and MIN_SPEEDUP * onnx_seconds < seconds else None


def _sample(images: Images, size: int) -> Tensor:
    """The readable ones of a few evenly spaced pictures."""
    rows = np.linspace(0, len(images) - 1, TRIAL_PICTURES).astype(int)
    pixels, readable = next(iter(images[rows].decoded_batches(size, batch=TRIAL_PICTURES)))
    return to_float(torch.from_numpy(pixels[readable])).contiguous(memory_format=torch.channels_last)


def _timed(forward: LogitsAndFeatures, pictures: Tensor) -> tuple[tuple[Tensor, Tensor], float]:
    """The outputs, and the seconds on one thread after a warm-up."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            forward(pictures)
            start = time.perf_counter()
            outputs = forward(pictures)
            return outputs, time.perf_counter() - start
    finally:
        torch.set_num_threads(threads)
