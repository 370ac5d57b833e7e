"""Pictures checked and shrunk by a process of their own, which is replaced when it dies or takes too long."""

import asyncio
import json
import os
import sys
import tempfile
from asyncio.subprocess import DEVNULL, PIPE, Process
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from diptych.errors import PictureError

SECONDS = 20.0  # for one picture: the largest that is decoded takes about two
_COMMAND = (sys.executable, "-P", "-m", "diptych.serving.storage.picture_process")


@dataclass(frozen=True)
class PictureFacts:
    """Width and height of a picture in px when upright, and its thumbnail as JPEG; empty if none was asked for."""

    width: int
    height: int
    thumbnail: bytes


class PictureReader:
    """The process, started for the first picture; pictures take turns."""

    def __init__(self) -> None:
        self._process: Process | None = None
        self._turn = asyncio.Lock()

    async def read(self, path: Path, name: str, side: int | None = None) -> PictureFacts:
        """Decode the picture in a file; ``name`` is what an error calls it, ``side`` the thumbnail's longest in px.

        Raises
        ------
        PictureError
            It is no picture, is damaged or too large, or cannot be decoded in time.
        """
        header, thumbnail = await self._answer({"path": os.fspath(path), "name": name, "side": side})
        return PictureFacts(header["width"], header["height"], thumbnail)

    async def verify(self, content: bytes, name: str) -> dict[str, Any]:
        """What the marks of a picture's file tell, as the row of ``diptych verify --json``; ``name`` is its path there.

        Raises
        ------
        PictureError
            It is no picture, or cannot be verified in time.
        """
        with tempfile.NamedTemporaryFile(prefix="diptych-") as file:
            await asyncio.to_thread(_fill, file, content)
            header, _ = await self._answer({"path": file.name, "name": name, "verify": True})
        verification: dict[str, Any] = header["verification"]
        return verification

    async def _answer(self, request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        """What the process answers to one request, in its turn."""
        name = request["name"]
        async with self._turn:
            try:
                async with asyncio.timeout(SECONDS):
                    header, thumbnail = await self._exchange(json.dumps(request).encode() + b"\n")
            except (TimeoutError, EOFError, OSError) as error:
                await self._end()
                raise PictureError("the picture cannot be decoded", name) from error
            except BaseException:  # such as a client that left: the answer to come is not for the next one
                await self._end()
                raise
        if "error" in header:
            raise PictureError(header["error"].removeprefix(f"{name}: "), name)
        return header, thumbnail

    async def close(self) -> None:
        """End the process."""
        async with self._turn:
            await self._end()

    async def _exchange(self, request: bytes) -> tuple[dict[str, Any], bytes]:
        if self._process is None:
            self._process = await asyncio.create_subprocess_exec(
                *_COMMAND, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, start_new_session=True
            )
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:
            raise OSError("the process has no pipes")
        stdin.write(request)
        await stdin.drain()
        line = await stdout.readline()
        if not line.endswith(b"\n"):
            raise EOFError
        header = json.loads(line)
        return header, await stdout.readexactly(header.get("bytes", 0))

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            if process.returncode is None:
                process.kill()
            await process.wait()


def _fill(file: IO[bytes], content: bytes) -> None:
    file.write(content)
    file.flush()
