"""The worker process: ``python -m diptych.serving.worker DESCRIPTOR FOLDER MODELS THREADS``.

Reads frames from the socket of that descriptor. Quick work (predict, embed) and slow work (explain, sample, edit) have
a lane each, so that a slow request never delays the quick ones.
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


def main(descriptor: int, home: Path, models: int, threads: int) -> None:
    """Answer until the web process closes the connection, or ends."""
    for number in (signal.SIGINT, signal.SIGTERM):  # the web process answers all that it has accepted first
        signal.signal(number, signal.SIG_IGN)
    from diptych import progress
    from diptych.serving.worker.lane import Lane, QuickLane
    from diptych.serving.worker.model_cache import ModelCache

    progress.hide_bars()
    connection = socket.socket(fileno=descriptor)
    lock = threading.Lock()

    def send(header: dict[str, Any], parts: Sequence[bytes] = ()) -> None:
        content = b"".join(frames.encode(header, parts))
        with lock:
            connection.sendall(content)

    lanes = {
        "quick": QuickLane("quick", ModelCache(home, models), send, threads),
        "slow": Lane("slow", ModelCache(home, models), send, threads),
    }
    for lane in lanes.values():
        lane.start()
    send({"id": 0})  # ready
    with connection.makefile("rb") as stream:
        while (frame := frames.read(stream)) is not None:
            lanes[frame.header["lane"]].put(frame)
    os._exit(0)  # nobody waits for what a lane still computes


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
