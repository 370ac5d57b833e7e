"""``fit --tensorboard``: TensorBoard's own reader finds the losses and scores of the history."""

from pathlib import Path

import pytest

from diptych.engine import history
from tests.cli.conftest import Terminal


@pytest.mark.filterwarnings("ignore")  # of TensorBoard's reader
def test_the_curves_of_a_run_are_those_of_its_history(diptych: Terminal, colours: Path, tmp_path: Path) -> None:
    model = tmp_path / "model"
    fit = ["fit", "recognizer", colours, "-o", model, "--network", "convnet", "--epochs", 2, "--tensorboard"]
    first, again = diptych.several(fit, fit)
    assert (first.code, again.code) == (0, 0), first.err
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    records = history.read(model / "history.jsonl")
    events = EventAccumulator(str(model / "tensorboard")).Reload()
    losses = events.Scalars("losses/network")
    assert [event.step for event in losses] == [record["seen_pictures"] for record in records]
    assert [event.value for event in losses] == pytest.approx([r["losses"]["network"] for r in records])
    assert {f"scores/{name}" for name in records[-1]["scores"]} <= set(events.Tags()["scalars"])
    assert [path.name for path in (model / "tensorboard").iterdir()] != []
