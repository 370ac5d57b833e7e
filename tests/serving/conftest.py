"""A real server with small models, and what its tests share."""

import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from diptych.data.images import Images
from diptych.recognition.recognizer import Recognizer
from diptych.synthesis.vae import VAE

START_SECONDS = 300  # on a machine with much else to do


@dataclass(frozen=True)
class Reply:
    """An answer of the server."""

    status: int
    headers: Any
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class ServerProcess:
    """``diptych serve`` in a process of its own."""

    def __init__(self, home: Path, *options: str) -> None:
        self.home = home
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        command = [sys.executable, "-m", "diptych", "serve", str(home), "--port", str(self.port), *options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.wait_until(ready=True)

    def request(
        self, path: str, body: bytes | None = None, kind: str = "image/png", method: str | None = None
    ) -> Reply:
        address = f"http://127.0.0.1:{self.port}{path}"
        request = urllib.request.Request(address, body, {"Content-Type": kind}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return Reply(answer.status, answer.headers, answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return Reply(error.code, error.headers, error.read())

    def post_json(self, path: str, value: Any) -> Reply:
        return self.request(path, json.dumps(value).encode(), "application/json")

    def is_ready(self) -> bool:
        try:
            return self.request("/health/ready").status == 200
        except urllib.error.URLError:  # it does not listen yet
            assert self.process.poll() is None, self.process.communicate()
            return False

    def wait_until(self, *, ready: bool, seconds: float = START_SECONDS) -> None:
        self.wait_for(lambda: self.is_ready() == ready, seconds)

    def metric(self, name: str) -> float:
        lines = self.request("/metrics").body.decode().splitlines()
        return float(next(line.split()[-1] for line in lines if line.startswith(f"{name} ")))

    def worker(self, kind: str = "full") -> int | None:
        """The process number of its worker of a kind; ``None`` if there is none."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        words = {int(child): Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0") for child in children}
        return next(
            (child for child, line in words.items() if b"diptych.serving.worker" in line and kind.encode() in line),
            None,
        )

    def wait_for(self, condition: Callable[[], bool], seconds: float = START_SECONDS) -> None:
        until = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < until, f"not within {seconds} s"
            time.sleep(0.05)

    def wait_for_exports(self) -> None:
        self.wait_for(lambda: self.metric("diptych_exports_waiting") == 0)

    def stop(self) -> tuple[str, str]:
        self.process.terminate()
        return self.process.communicate(timeout=60)


def pixels(seed: int) -> np.ndarray:
    """(12, 16, 16, 3) noisy pictures that are mostly red."""
    noise = np.random.default_rng(seed).integers(0, 90, (12, 16, 16, 3)).astype(np.uint8)
    noise[..., 0] += 150
    return noise


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a recognizer and a VAE of red and blue pictures, and a folder that is no model."""
    home = tmp_path_factory.mktemp("models")
    red, blue = pixels(0), pixels(1)[..., ::-1]
    images = Images.from_arrays(np.concatenate([red, blue]), ["red"] * 12 + ["blue"] * 12)
    Recognizer("convnet", epochs=4).fit(images, into=home / "colours")
    VAE(size=16, epochs=1).fit(images, into=home / "colours-vae")
    (home / "notes").mkdir()
    return home


@pytest.fixture(scope="session")
def pictures() -> list[bytes]:
    """PNG files, each another picture: red and blue ones by turns."""
    red, blue = pixels(2), pixels(3)[..., ::-1]
    return [png(one) for pair in zip(red, blue, strict=True) for one in pair]


def png(array: np.ndarray) -> bytes:
    import io

    out = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(array)).save(out, "PNG")
    return out.getvalue()


@pytest.fixture(scope="session")
def server(home: Path) -> Iterator[ServerProcess]:
    server = ServerProcess(home)
    yield server
    server.stop()
