"""Pictures of every format as bytes, and what is generated about them."""

import io
import re
from base64 import b64decode
from hashlib import sha256
from pathlib import Path

import numpy as np
from PIL import Image

from diptych.marks import Generated

FACTS = Generated("synthetic", "flow pets", "ab" * 32, settings={"seed": 7, "label": 'a "b" & ö'})
_PICTURE = re.compile(rb"data:image/(?:png|jpeg|gif);base64,([A-Za-z0-9+/=]+)")
FORMATS = ("PNG", "JPEG", "WebP", "GIF")


def encoded(kind: str, side: int = 24, seed: int = 0) -> bytes:
    rng = np.random.default_rng(seed)
    first, second = (Image.fromarray(rng.integers(0, 255, (side, side, 3), dtype=np.uint8)) for _ in range(2))
    out = io.BytesIO()
    first.save(out, kind, **({"save_all": True, "append_images": [second]} if kind == "GIF" else {}))
    return out.getvalue()


def frames(content: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(content)) as opened:
        number = getattr(opened, "n_frames", 1)
        return np.stack([_frame(opened, i) for i in range(number)])


def _frame(opened: Image.Image, number: int) -> np.ndarray:
    opened.seek(number)
    return np.asarray(opened.convert("RGB"))


def unsigned(path: Path) -> bytes:
    """What a file holds but for the signatures in it, which differ from run to run: pictures as pixels."""
    content = path.read_bytes()
    if path.suffix == ".html":
        return _PICTURE.sub(_pixels_of, content)
    return frames(content).tobytes() if path.suffix in (".png", ".gif") else content


def pictures_in(page: bytes) -> list[bytes]:
    """The pictures of a page, without drawings."""
    return [b64decode(source) for source in _PICTURE.findall(page)]


def _pixels_of(source: "re.Match[bytes]") -> bytes:
    return sha256(frames(b64decode(source.group(1))).tobytes()).hexdigest().encode()
