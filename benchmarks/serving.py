"""Predictions over HTTP: ``diptych serve`` and LitServe with the same model, one after the other, in one run.

A speednet of 64 px and lite0 at 224 px are fitted for an epoch. Clients on the same machine send JPEG photographs over
connections that stay open; each answer is compared with that of ``diptych predict``. Then Diptych's server alone: twice
the load that it bears, its worker killed, and its end by SIGTERM under load.

    python benchmarks/serving.py data/groceries --peer-python peer/bin/python
    python benchmarks/serving.py data/groceries --peer-python peer/bin/python --seconds 10 --networks speednet
"""

import argparse
import asyncio
import io
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import common
import http_load
import measure
import numpy as np
from common import Row
from http_load import Load, Target
from PIL import Image

HERE = Path(__file__).parent
SIZES = {"speednet": 64, "lite0": 224}  # px
PICTURES, TRAINING_PICTURES = 64, 400
BATCH, WAIT_SECONDS = 32, 0.002  # the defaults of diptych serve, for both
WARM_UP_SECONDS, SAMPLE_SECONDS, START_SECONDS = 5.0, 0.25, 120.0
MEGABYTE = measure.MEGABYTE


class Served:
    """A server in a process group of its own: its port, its start and its memory.

    Parameters
    ----------
    health
        The path that answers 200 once predictions can be made.
    """

    def __init__(self, command: list[str], port: int, health: str) -> None:
        self.port, self._health, started = port, health, time.perf_counter()
        self.process = subprocess.Popen(command, start_new_session=True)
        while not self.is_ready():
            if self.process.poll() is not None or time.perf_counter() > started + START_SECONDS:
                sys.exit(f"{shlex.join(command)}\ndid not start.")
            time.sleep(0.02)
        self.start_seconds = time.perf_counter() - started

    def is_ready(self) -> bool:
        """Whether it can answer."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{self._health}", timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, ConnectionError):
            return False

    def text(self, path: str) -> str:
        """The answer to a GET request."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
            return str(answer.read().decode())

    def memory(self) -> float:
        """PSS of all its processes, in MB."""
        return measure.proportional_bytes(self.process.pid) / MEGABYTE

    def stop(self) -> None:
        """End its whole process group."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def serve_diptych(home: Path) -> Served:
    """``diptych serve`` with its defaults."""
    port = free_port()
    return Served([sys.executable, "-m", "diptych", "serve", str(home), "--port", str(port)], port, "/health/ready")


def wait_for_exports(server: Served) -> float:
    """Seconds until the models are exported, once for all starts: until then they are answered by torch."""
    started = time.perf_counter()
    while "diptych_exports_waiting 0.0" not in server.text("/metrics"):
        time.sleep(0.1)
    return time.perf_counter() - started


def serve_peer(python: str, model: Path) -> Served:
    """LitServe with the same batches."""
    port = free_port()
    options = [str(model), str(port), str(BATCH), str(WAIT_SECONDS)]
    return Served([python, str(HERE / "litserve_peer.py"), *options], port, "/health")


def http_post(path: str, kind: str, body: bytes) -> bytes:
    """A whole request."""
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def fit(images: Any, network: str, home: Path) -> Path:
    """A recognizer whose labels differ; its accuracy does not matter here."""
    from diptych import Recognizer

    Recognizer(network, size=SIZES[network], epochs=1).fit(images, into=home / network)
    return home / network


def photographs(images: Any) -> list[bytes]:
    """Pictures as JPEG files of at most 256 px a side."""
    files = []
    for row in range(PICTURES):
        picture = Image.fromarray(images.picture(row))
        picture.thumbnail((256, 256))
        out = io.BytesIO()
        picture.save(out, "JPEG", quality=90)
        files.append(out.getvalue())
    return files


def expected_labels(model: Path, files: list[bytes], folder: Path) -> list[str]:
    """The labels by ``diptych predict``."""
    folder.mkdir()
    for number, content in enumerate(files):
        (folder / f"{number:03d}.jpg").write_bytes(content)
    command = [sys.executable, "-m", "diptych", "predict", str(model), str(folder), "--json"]
    return [json.loads(line)["label"] for line in measure.run(command, {}).stdout.splitlines()]


@contextmanager
def sampled_memory(server: Served) -> Iterator[list[float]]:
    """Samples of the memory within the block, in MB."""
    samples, ended = [server.memory()], threading.Event()

    def sample() -> None:
        while not ended.wait(SAMPLE_SECONDS):
            samples.append(server.memory())

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield samples
    finally:
        ended.set()
        thread.join()


def measured(side: str, network: str, server: Served, target: Target, clients: int, seconds: float) -> Row:
    """One row: throughput, latency and memory under a load by so many clients."""
    asyncio.run(http_load.closed_load(target, clients, WARM_UP_SECONDS))
    with sampled_memory(server) as samples:
        load = asyncio.run(http_load.closed_load(target, clients, seconds))
    return row_of(f"{side}, {clients} clients", network, load, max(samples), server.start_seconds)


def row_of(side: str, network: str, load: Load, peak: float, start_seconds: float) -> Row:
    """The figures of a load."""
    return {
        "side": side,
        "network": network,
        "answers_a_second": len(load.latencies) / load.seconds,
        "p50_ms": 1000 * load.percentile(0.5),
        "p99_ms": 1000 * load.percentile(0.99),
        "peak_megabytes": peak,
        "start_seconds": start_seconds,
        "statuses": {str(status): count for status, count in load.statuses.items()},
        "wrong": load.wrong,
    }


def overloaded(network: str, server: Served, target: Target, rate: float, seconds: float) -> Row:
    """Twice as many requests as the server has answered, whether or not they are answered."""
    with sampled_memory(server) as samples:
        load = asyncio.run(http_load.open_load(target, 2 * rate, seconds))
    return row_of("Diptych, twice the load", network, load, max(samples), server.start_seconds)


def unready_seconds(server: Served) -> float:
    """Seconds from the worker's death by SIGKILL until the server says that it is not ready; then it recovers."""
    pid = server.process.pid
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    workers = [child for child in children if b"diptych.serving.worker" in Path(f"/proc/{child}/cmdline").read_bytes()]
    os.kill(int(workers[0]), signal.SIGKILL)
    started = time.perf_counter()
    while server.is_ready():
        time.sleep(0.005)
    seconds = time.perf_counter() - started
    while not server.is_ready():
        time.sleep(0.05)
    return seconds


def terminated(network: str, server: Served, target: Target, clients: int) -> Row:
    """SIGTERM under load: what was sent whole must be answered."""
    timer = threading.Timer(3.0, server.process.terminate)
    timer.start()
    load = asyncio.run(http_load.closed_load(target, clients, 20))
    return row_of("Diptych, SIGTERM under load", network, load, float("nan"), server.start_seconds)


def compare(args: argparse.Namespace, network: str, images: Any, folder: Path) -> tuple[list[Row], Row]:
    """Both servers with one network, and what only Diptych's is asked."""
    home = folder / "models"
    model, files = fit(images[:TRAINING_PICTURES], network, home), photographs(images)
    labels = expected_labels(model, files, folder / f"{network}-pictures")

    def is_right(number: int, body: bytes) -> bool:
        return bool(json.loads(body)["label"] == labels[number])

    ours = [http_post(f"/models/{network}/predict", "image/jpeg", file) for file in files]
    encoded = [json.dumps({"image": b64encode(file).decode()}).encode() for file in files]
    theirs = [http_post("/predict", "application/json", body) for body in encoded]
    rows = []
    peer = serve_peer(args.peer_python, model)
    with stopping(peer):
        rows.append(
            measured("LitServe", network, peer, Target(peer.port, theirs, is_right), args.clients, args.seconds)
        )
    first = serve_diptych(home)
    with stopping(first):
        export_seconds = wait_for_exports(first)
    server = serve_diptych(home)
    with stopping(server):
        target = Target(server.port, ours, is_right)
        row = measured("Diptych", network, server, target, args.clients, args.seconds)
        rows += [row, overloaded(network, server, target, row["answers_a_second"], args.seconds)]
        time.sleep(5)
        robust = {
            "network": network,
            "export_seconds": export_seconds,
            "idle_megabytes": server.memory(),
            "unready_seconds": unready_seconds(server),
        }
        rows.append(terminated(network, server, target, args.clients))
    return rows, robust


@contextmanager
def stopping(server: Served) -> Iterator[None]:
    """End the server with the block."""
    try:
        yield
    finally:
        server.stop()


COLUMNS: dict[str, Callable[[Row], str]] = {
    "server": lambda row: str(row["side"]),
    "network": lambda row: str(row["network"]),
    "answers a second": lambda row: f"{row['answers_a_second']:.1f}",
    "median ms": lambda row: f"{row['p50_ms']:.0f}",
    "99 % ms": lambda row: f"{row['p99_ms']:.0f}",
    "peak MB (PSS)": lambda row: f"{row['peak_megabytes']:.0f}",
    "ready after s": lambda row: f"{row['start_seconds']:.1f}",
    "answers by status": lambda row: ", ".join(f"{status}: {count}" for status, count in row["statuses"].items()),
    "wrong": lambda row: str(row["wrong"]),
}


def main() -> None:
    parser = common.arguments(__doc__, "serving")
    parser.add_argument("data", type=Path, help="a folder of class folders of photographs")
    parser.add_argument("--peer-python", required=True, help="the Python of an environment with litserve and diptych")
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--networks", nargs="+", choices=tuple(SIZES), default=list(SIZES))
    args = parser.parse_args()
    from diptych import Images

    opened = Images.open(args.data)
    images = opened[np.random.default_rng(0).permutation(len(opened))]
    rows: list[Row] = []
    robust: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="serving-") as name:
        for network in args.networks:
            more, facts = compare(args, network, images, Path(name))
            rows, robust = [*rows, *more], [*robust, facts]
    sentences = [
        f"{facts['network']}: exported in {facts['export_seconds']:.0f} s, once; idle after the load "
        f"{facts['idle_megabytes']:.0f} MB; "
        f"not ready {facts['unready_seconds']:.2f} s after its worker was killed."
        for facts in robust
    ]
    if not all(row["statuses"].get("200") for row in rows):
        sys.exit(f"A server answered nothing: {[(row['side'], row['statuses']) for row in rows]}")
    options = ["--clients", str(args.clients), "--seconds", f"{args.seconds:g}", "--networks", *args.networks]
    common.publish(
        args.out,
        "Predictions over HTTP",
        f"{PICTURES} JPEG photographs of up to 256 px; batches of up to {BATCH}. Answers: of status 200. Lost: sent "
        "whole and not answered. Peak: proportional set size of all processes of the server.",
        [*common.table(list(COLUMNS), [[cell(row) for cell in COLUMNS.values()] for row in rows]), "", *sentences],
        shlex.join(["python", "benchmarks/serving.py", args.data.name, "--peer-python", "python", *options]),
        machine=measure.hardware("torch", "timm", "fastapi", "uvicorn", "httptools"),
        runs=rows,
        robustness=robust,
    )


if __name__ == "__main__":
    main()
