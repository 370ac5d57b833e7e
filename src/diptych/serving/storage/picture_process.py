"""The process that decodes uploaded pictures: whatever a file does to a decoder, the server goes on.

A line of JSON in, ``{"path", "name", "side"}``; a line of JSON out, followed by as many bytes as it says::

    {"width": 640, "height": 480, "bytes": 5120}     then the thumbnail as JPEG
    {"error": "cat.jpg: the file is damaged"}

or, for ``{"path", "name", "verify": true}``, what its marks tell: ``{"verification": {"state": "untouched", …}}``.

It ends when its input does, so that it never outlives the server.
"""

import io
import json
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from PIL import Image

from diptych.data.decode import RESAMPLING, decode, ignore_pillow_warnings
from diptych.data.decoding.limits import MAX_FILE_BYTES
from diptych.errors import DiptychError, PictureError
from diptych.marks import mark_if, told_by
from diptych.opening import read_file, size_of
from diptych.signing.verify import verify_picture

MAX_ADDRESS_SPACE = 6 << 30  # bytes: the largest picture that is decoded takes about one


def main() -> None:
    """Answer every line of the input."""
    _limit_memory()
    ignore_pillow_warnings()
    for line in sys.stdin.buffer:
        try:
            header, thumbnail = _answer(json.loads(line))
        except (DiptychError, OSError) as error:
            header, thumbnail = {"error": str(error)}, b""
        sys.stdout.buffer.write(json.dumps(header).encode() + b"\n" + thumbnail)
        sys.stdout.buffer.flush()


def _answer(request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    """The size of a picture, and where a side is given its thumbnail of at most so many px a side; or its marks."""
    path, name = Path(request["path"]), request["name"]
    if size_of(path) > MAX_FILE_BYTES:
        raise PictureError("the file is too large for a picture", name)
    content = read_file(path)
    if request.get("verify"):
        return {"verification": verify_picture(content, name).json()}, b""
    side = request["side"]
    pixels = decode(content, name)
    thumbnail = mark_if(_thumbnail(Image.fromarray(pixels), side), told_by(content)) if side else b""
    return {"width": pixels.shape[1], "height": pixels.shape[0], "bytes": len(thumbnail)}, thumbnail


def _thumbnail(picture: Image.Image, side: int) -> bytes:
    picture.thumbnail((side, side), RESAMPLING)
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=85)
    return out.getvalue()


def _limit_memory() -> None:
    with suppress(ImportError, ValueError, OSError):  # not every system has this limit
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MAX_ADDRESS_SPACE, MAX_ADDRESS_SPACE))


if __name__ == "__main__":
    main()
