"""A worker process: ``python -m diptych.serving.worker KIND DESCRIPTOR FOLDER MODELS THREADS``.

Reads frames from the socket of that descriptor. The "quick" kind predicts from ONNX files and never imports torch; the
"full" kind has every verb, and torch.
"""

import os
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from diptych.serving.worker import frames


def main(kind: str, descriptor: int, home: Path, models: int, threads: int) -> None:
    """Answer until the web process closes the connection, or ends."""
    for number in (signal.SIGINT, signal.SIGTERM):  # the web process answers all that it has accepted first
        signal.signal(number, signal.SIG_IGN)
    if kind == "quick":
        from diptych.serving.worker.quick import lanes_of
    else:
        from diptych.serving.worker.full import lanes_of
    from diptych import progress

    progress.hide_bars()
    connection = socket.socket(fileno=descriptor)
    lock = threading.Lock()

    def send(header: dict[str, Any], parts: Sequence[bytes] = ()) -> None:
        content = b"".join(frames.encode(header, parts))
        with lock:
            connection.sendall(content)

    lanes = lanes_of(home, models, threads, send)
    for lane in lanes.values():
        lane.start()
    send({"id": 0})  # ready
    with connection.makefile("rb") as stream:
        while (frame := frames.read(stream)) is not None:
            lanes[frame.header["lane"]].put(frame)
    os._exit(0)  # nobody waits for what a lane still computes


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5]))
