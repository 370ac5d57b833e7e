"""``fit --tensorboard``: the records of ``history.jsonl`` as TensorBoard shows them, while the run writes them."""

import math
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from diptych.errors import UsageError

FOLDER = "tensorboard"
SECONDS = 2.0  # between two looks at the history
_MISSING = (
    "--tensorboard needs tensorboard, which is not installed. Install it with: pip install 'diptych[tensorboard]'"
)


@contextmanager
def mirrored(model: Path) -> Iterator[None]:
    """Within the block, write what comes into the history of the run in this folder into ``tensorboard/`` in it.

    The history is what counts: a run that goes on after an interruption writes all of it again.

    Raises
    ------
    UsageError
        TensorBoard is not installed.
    """
    writer_class = _writer_class()
    stopped = threading.Event()
    thread = threading.Thread(target=_follow, args=(model, writer_class, stopped), name="tensorboard", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()


def _writer_class() -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise UsageError(_MISSING) from None
    return SummaryWriter


def _follow(model: Path, writer_class: Any, stopped: threading.Event) -> None:
    """Write the records until the run is over, and what is left then."""
    from diptych.engine import history

    writer, written = None, 0
    while True:
        last = stopped.wait(SECONDS)
        path = model / history.FILE
        records = history.read(path) if path.exists() else []
        if len(records) < written:  # an interrupted run has gone back to its checkpoint
            _close(writer)
            writer, written = None, 0
        if len(records) > written:
            if writer is None:
                shutil.rmtree(model / FOLDER, ignore_errors=True)
                writer = writer_class(str(model / FOLDER))
            for record in records[written:]:
                _write(writer, record)
            writer.flush()
            written = len(records)
        if last:
            _close(writer)
            return


def _close(writer: Any) -> None:
    if writer is not None:
        writer.close()


def _write(writer: Any, record: dict[str, Any]) -> None:
    """The losses and scores of one record, over the pictures seen."""
    for kind in ("losses", "scores"):
        for name, value in record.get(kind, {}).items():
            number = value.get("value") if isinstance(value, dict) else value
            if isinstance(number, int | float) and math.isfinite(number):
                writer.add_scalar(f"{kind}/{name}", number, record["seen_pictures"])
