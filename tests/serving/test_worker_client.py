"""The web process's end of a worker: what happens where no process can be started."""

import asyncio
import sys
from pathlib import Path

import pytest

from diptych.serving.errors import Unavailable
from diptych.serving.worker.client import Worker


def test_a_worker_that_cannot_be_started_is_tried_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    async def trial() -> None:
        with monkeypatch.context() as patch:
            patch.setattr(sys, "executable", str(tmp_path / "absent"))
            worker = Worker("quick", tmp_path, models=1, threads=1)
            worker.start()
            with pytest.raises(Unavailable):
                await asyncio.wait_for(worker.call("predict", "absent", {}, lane="quick"), 10)
            assert not worker.ready
        while not worker.ready:
            await asyncio.sleep(0.05)
        assert worker.restarts >= 1
        await worker.close()

    asyncio.run(asyncio.wait_for(trial(), 60))
