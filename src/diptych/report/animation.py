"""Pictures one after the other: a film as GIF, or as MP4."""

import io
from typing import Any

import numpy as np
from PIL import Image

from diptych.errors import UsageError
from diptych.report.figures import enlarged

LEAST_PIXELS = 192  # smaller pictures are enlarged to at least this, pixel by pixel
SECONDS = 0.1  # a picture


def gif(frames: np.ndarray) -> bytes:
    """A film (N, H, W, 3) uint8 that runs for ever, as GIF: 256 colours a picture."""
    first, *rest = [Image.fromarray(enlarged(frame, LEAST_PIXELS)).quantize(256) for frame in frames]
    out = io.BytesIO()
    first.save(out, "GIF", save_all=True, append_images=rest, duration=round(1000 * SECONDS), loop=0, disposal=1)
    return out.getvalue()


def mp4_encoder() -> Any:
    """PyAV, which MP4 is made by.

    Raises
    ------
    UsageError
        It is not installed.
    """
    try:
        import av
    except ImportError as error:
        raise UsageError("An MP4 needs PyAV. Install it with: pip install 'diptych[video]'") from error
    return av


def mp4(frames: np.ndarray) -> bytes:
    """A film (N, H, W, 3) uint8 as MP4 (H.264), all colours.

    Raises
    ------
    UsageError
        PyAV is not installed.
    """
    av = mp4_encoder()
    out = io.BytesIO()
    with av.open(out, "w", format="mp4") as file:
        stream = file.add_stream("libx264", rate=round(1 / SECONDS), options={"crf": "12"})
        stream.pix_fmt = "yuv420p"
        pictures = [_even(enlarged(frame, LEAST_PIXELS)) for frame in frames]
        stream.height, stream.width = pictures[0].shape[:2]
        for picture in pictures:
            file.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        file.mux(stream.encode())
    return out.getvalue()


def _even(picture: np.ndarray) -> np.ndarray:
    """Without an odd last row or column, which the codec cannot have."""
    return np.ascontiguousarray(picture[: picture.shape[0] // 2 * 2, : picture.shape[1] // 2 * 2])
