"""Animations: frames one after the other, as GIF or as MP4."""

import io
from typing import Any

import numpy as np
from PIL import Image

from diptych.errors import UsageError
from diptych.report.figures import enlarged

MIN_SIDE_PIXELS = 192  # smaller frames are enlarged to at least this, pixel by pixel
FRAME_SECONDS = 0.1


def gif(frames: np.ndarray) -> bytes:
    """Frames (N, H, W, 3) uint8 as an endlessly looping GIF, with 256 colours a frame."""
    first, *rest = [Image.fromarray(enlarged(frame, MIN_SIDE_PIXELS)).quantize(256) for frame in frames]
    out = io.BytesIO()
    milliseconds = round(1000 * FRAME_SECONDS)
    first.save(out, "GIF", save_all=True, append_images=rest, duration=milliseconds, loop=0, disposal=1)
    return out.getvalue()


def mp4_encoder() -> Any:
    """The module ``av`` (PyAV), which encodes MP4.

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
    """Frames (N, H, W, 3) uint8 as MP4 (H.264), in all colours.

    Raises
    ------
    UsageError
        PyAV is not installed.
    """
    av = mp4_encoder()
    out = io.BytesIO()
    with av.open(out, "w", format="mp4") as file:
        stream = file.add_stream("libx264", rate=round(1 / FRAME_SECONDS), options={"crf": "12"})
        stream.pix_fmt = "yuv420p"
        pictures = [_even_sides(enlarged(frame, MIN_SIDE_PIXELS)) for frame in frames]
        stream.height, stream.width = pictures[0].shape[:2]
        for picture in pictures:
            file.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        file.mux(stream.encode())
    return out.getvalue()


def _even_sides(picture: np.ndarray) -> np.ndarray:
    """Without an odd last row or column, since H.264 with yuv420p needs even sides."""
    return np.ascontiguousarray(picture[: picture.shape[0] // 2 * 2, : picture.shape[1] // 2 * 2])
