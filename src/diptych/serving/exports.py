"""The ONNX files of the served models, from which the quick worker predicts and matches without torch.

Each is made once, in the background, by a process that ends with it. It is named by the digest of a recognizer's
``model.json``, which holds the digests of its weights; of a gallery, by that of what it says of its embedder. Until it
is there the full worker answers, and always where a model cannot be exported: then a text with the reason takes the
file's place.
"""

import asyncio
import contextlib
import hashlib
import importlib.util
import json
import logging
import sys
from pathlib import Path

from diptych import __version__, artefact, json_reader
from diptych.errors import DiptychError
from diptych.serving.catalog import Catalog

FOLDER = ".exports"  # in that of the models
PACKAGES = ("onnx", "onnxruntime", "onnxscript")
log = logging.getLogger("diptych")


class Exports:
    """The exports of a catalog's recognizers and galleries.

    Attributes
    ----------
    folder
        Where they are.
    waiting
        How many are still to be made.
    """

    def __init__(self, catalog: Catalog) -> None:
        self._catalog, self.folder = catalog, catalog.home / FOLDER
        self._possible = all(importlib.util.find_spec(name) for name in PACKAGES)
        self._digests: dict[str, tuple[int, str]] = {}  # by model: when model.json changed, and its digest
        self._files: dict[str, str | None] = {}  # by digest: the export's name, None while or where there is none
        self._queue: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
        self.waiting = 0
        self._maker: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Delete those of models that are gone, and make those that are missing."""
        if not self._possible:
            return
        names = self._exportable()
        digests = {self._digest(name) for name in names}
        for path in self.folder.glob("*"):
            if path.stem not in digests:
                path.unlink(missing_ok=True)
        for name in names:
            self.file(name)
        self._maker = asyncio.create_task(self._make_all())

    async def close(self) -> None:
        """Stop making them."""
        if self._maker is not None:
            self._maker.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._maker

    def file(self, name: str) -> str | None:
        """The name of a model's export in :attr:`folder`; ``None`` if there is none yet: it will be made."""
        if not self._possible:
            return None
        try:
            digest = self._digest(name)
        except (OSError, ValueError, KeyError):  # it has just been deleted, or is damaged
            return None
        if digest not in self._files:
            self._files[digest] = self._known(digest)
            if self._files[digest] is None and not self._refusal(digest).exists():
                self.waiting += 1
                self._queue.put_nowait((name, digest))
        return self._files[digest]

    def complete(self) -> bool:
        """Whether every recognizer and gallery has its export."""
        return all(self.file(name) for name in self._exportable())

    def discard(self, name: str) -> None:
        """Delete an export that cannot be read; it is made again at the next start."""
        self._files[self._digest(name)] = None
        (self.folder / f"{self._digest(name)}.onnx").unlink(missing_ok=True)

    def _exportable(self) -> list[str]:
        names = []
        for name in self._catalog.names():
            with contextlib.suppress(DiptychError, OSError):  # it is damaged, and says so when it is asked for
                if self._catalog.kind(name) in ("recognizer", "gallery"):
                    names.append(name)
        return names

    def _digest(self, name: str) -> str:
        """The name of a model's export, without its ending."""
        path = artefact.path_of(self._catalog.home / name, "model.json")
        changed = path.stat().st_mtime_ns
        known = self._digests.get(name)
        if known is None or known[0] != changed:
            content = path.read_bytes()
            facts = json_reader.parse(content)
            if facts["kind"] == "gallery":  # whose calibration changes with its pictures
                content = json.dumps(facts["embedder"]).encode()
            digest = hashlib.sha256(__version__.encode() + content).hexdigest()[:32]
            known = self._digests[name] = changed, digest
        return known[1]

    def _known(self, digest: str) -> str | None:
        file = f"{digest}.onnx"
        return file if (self.folder / file).exists() else None

    def _refusal(self, digest: str) -> Path:
        return self.folder / f"{digest}.txt"

    async def _make_all(self) -> None:
        while True:
            name, digest = await self._queue.get()
            try:
                await self._make(name, digest)
            except OSError as error:  # such as a full disk, or a model that was just deleted
                log.debug("%s is not exported: %s", name, error)
            self.waiting -= 1

    async def _make(self, name: str, digest: str) -> None:
        """Export one model; what was made of a model that has been replaced meanwhile is deleted."""
        self.folder.mkdir(exist_ok=True)
        target = self.folder / f"{digest}.onnx"
        words = ("-m", "diptych.serving.worker.export_process", str(self._catalog.home / name), str(target))
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            sys.executable, *words, stdin=asyncio.subprocess.DEVNULL, stderr=pipe
        )
        try:
            _, said = await process.communicate()
        except asyncio.CancelledError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            raise
        if process.returncode == 1:  # a sentence for people; another is a process that was killed
            self._refusal(digest).write_bytes(said)
            log.debug("%s is not exported: %s", name, said.decode(errors="replace").strip())
        elif self._digest(name) != digest:
            target.unlink(missing_ok=True)
        self._files[digest] = self._known(digest)
