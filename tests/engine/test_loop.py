import json
import signal
import threading
import time

import pytest
import torch
from torch import nn

from diptych.data.transforms import Augment
from diptych.engine import loop
from diptych.engine.loop import Run
from diptych.engine.schedule import cosine
from diptych.engine.task import Recipe
from diptych.errors import Interrupted, TrainingError, UsageError
from tests.engine import tiny

RECIPE = Recipe(
    batch=16, pictures=960, schedule=cosine(0.1), augment=Augment(flip="alternating", shift=1), half_life=100
)


def trained(folder=None, recipe=RECIPE, task=None, **kwargs):
    task = task or tiny.Tiny()
    run = Run(task, tiny.images(), size=8, recipe=recipe, folder=folder, settings={"a": 1}, **kwargs)
    ticks = list(run)
    return task, ticks, run


def same(a, b):
    return all(torch.equal(x, y) for x, y in zip(a.values(), b.values(), strict=True))


def test_both_players_learn_and_the_last_tick_is_done():
    _, ticks, run = trained()
    assert [t.done for t in ticks] == [False] * 19 + [True]
    assert ticks[-1].seen_pictures == 960
    assert ticks[-1].progress == 1.0
    assert ticks[-1].losses["reader"] < 0.5 * ticks[0].losses["reader"]
    assert ticks[-1].losses["painter"] != ticks[0].losses["painter"]
    assert [r["seen_pictures"] for r in run.history.records] == [t.seen_pictures for t in ticks]


def test_the_same_run_twice_gives_the_same_weights_and_another_seed_gives_others():
    one, other = trained()[0], trained()[0]
    assert same(tiny.weights(one), tiny.weights(other))
    seeded = trained(recipe=Recipe(batch=16, pictures=960, seed=1))[0]
    assert not same(tiny.weights(one), tiny.weights(seeded))


def test_the_callers_random_numbers_are_left_alone():
    torch.manual_seed(5)
    wanted = torch.rand(3)
    task = tiny.Tiny()
    torch.manual_seed(5)
    trained(task=task)
    assert torch.equal(torch.rand(3), wanted)


@pytest.mark.parametrize("stop_at", [1, 7, 33, 59])
def test_stopped_by_a_signal_and_run_again_it_ends_bit_for_bit_the_same(tmp_path, stop_at):
    whole, ticks, run = trained()
    stopped = tiny.Tiny()
    before_step, steps = stopped.before_step, [0]

    def stop(progress):
        before_step(progress)
        steps[0] += 1
        if steps[0] > stop_at and len(stopped.progress_seen) > 1:
            signal.raise_signal(signal.SIGTERM)

    run_again = Run(stopped, tiny.images(), size=8, recipe=RECIPE, folder=tmp_path, settings={"a": 1})
    stopped.before_step = stop
    with pytest.raises(Interrupted, match="same command continues") as error:
        list(run_again)
    assert error.value.exit_code == 143
    task, later, again = trained(tmp_path)
    assert same(tiny.weights(whole), tiny.weights(task))
    assert [t.losses for t in later] == [t.losses for t in ticks[-len(later) :]]
    assert [r["losses"] for r in again.history.records] == [r["losses"] for r in run.history.records]


def test_a_finished_run_gives_its_last_tick_again(tmp_path):
    whole, ticks, _ = trained(tmp_path)
    checkpointed = Run(tiny.Tiny(), tiny.images(), size=8, recipe=RECIPE, folder=tmp_path, settings={"a": 1})
    again = list(checkpointed)
    assert len(again) == 1
    assert again[0].done
    assert again[0].losses == ticks[-1].losses
    assert same(tiny.weights(whole), tiny.weights(checkpointed.task))


def test_history_is_a_json_line_a_tick_with_the_bodys_scores(tmp_path):
    for tick in Run(tiny.Tiny(), tiny.images(), size=8, recipe=RECIPE, folder=tmp_path, settings={}):
        tick.scores["accuracy"] = tick.progress
    lines = [json.loads(line) for line in (tmp_path / "history.jsonl").read_text().splitlines()]
    assert len(lines) == 20
    assert lines[-1]["scores"] == {"accuracy": 1.0}


def test_microbatches_add_up_to_the_batch():
    quiet = Recipe(batch=16, pictures=320)
    whole = trained(recipe=quiet, task=tiny.Tiny(noisy=False))[0]
    parts = trained(recipe=Recipe(batch=16, pictures=320, accumulate=4), task=tiny.Tiny(noisy=False))[0]
    for a, b in zip(tiny.weights(whole).values(), tiny.weights(parts).values(), strict=True):
        torch.testing.assert_close(a, b, rtol=5e-2, atol=5e-3)  # the two may run in different precisions


def test_clipping_bounds_the_step():
    def moved(clip):
        task = tiny.Tiny(noisy=False)
        task.optimizers = lambda: {
            "reader": [torch.optim.SGD(task.reader.parameters(), lr=1.0)],
            "painter": [torch.optim.SGD(task.painter.parameters(), lr=1.0)],
        }
        before = nn.utils.parameters_to_vector(task.painter.parameters()).clone()
        trained(recipe=Recipe(batch=16, pictures=16, schedule=lambda progress: 1.0, clip=clip), task=task)
        return (nn.utils.parameters_to_vector(task.painter.parameters()) - before).norm().item()

    assert moved(1e-4) == pytest.approx(1e-4, rel=1e-3)
    assert moved(None) > 1e-3


def test_a_loss_that_is_no_number_stops_the_run_and_keeps_the_checkpoint(tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)  # the run is over within one second
    task = tiny.Tiny()
    losses = task.losses

    def broken(images, labels):
        for player, loss in losses(images, labels):
            yield player, loss * (float("nan") if task.progress_seen[-1] > 0.5 else 1.0)

    task.losses = broken
    with pytest.raises(TrainingError, match="reader loss is no longer a number"):
        list(Run(task, tiny.images(), size=8, recipe=RECIPE, folder=tmp_path, settings={}))
    state = torch.load(next((tmp_path / "checkpoint").glob("*/state.pt")), weights_only=True)
    assert all(bool(t.isfinite().all()) for t in state["modules"]["reader"].values() if t.is_floating_point())


@pytest.mark.parametrize("slow", [0.0, 0.01])
def test_a_time_budget_is_kept_and_the_run_ends_annealed(slow):
    task = tiny.Tiny()
    task.before_step = lambda progress: (task.progress_seen.append(progress), time.sleep(slow))
    started = time.monotonic()
    _, ticks, _ = trained(task=task, recipe=Recipe(batch=16, minutes=5 / 60, reserve_seconds=1.0), started=started)
    taken = time.monotonic() - started
    assert 2.5 < taken < 4.6
    assert ticks[-1].progress == 1.0
    assert task.progress_seen == sorted(task.progress_seen)
    assert task.progress_seen[-1] > 0.8


def test_a_rehearsal_of_what_follows_leaves_time_for_it():
    task = tiny.Tiny()
    task.before_step = lambda progress: time.sleep(0.01)
    started = time.monotonic()
    run = Run(task, tiny.images(), size=8, recipe=Recipe(batch=16, minutes=5 / 60), settings={}, started=started)
    for tick in run:
        if tick.progress > 0.4 and not run.rehearsed:
            with run.rehearsal():
                time.sleep(0.8)
    # 5 s less 1.1 × 0.8 s and the second for writing, with room for a step taken late.
    assert 2.0 < time.monotonic() - started < 3.8


def test_signals_are_left_alone_outside_the_main_thread():
    seen = []
    thread = threading.Thread(target=lambda: seen.append(trained()[1][-1].done))
    thread.start()
    thread.join()
    assert seen == [True]


@pytest.mark.parametrize(
    ("recipe", "reason"),
    [
        (Recipe(batch=16), "either the length"),
        (Recipe(batch=16, pictures=16, minutes=1), "either the length"),
        (Recipe(batch=16, pictures=16, accumulate=3), "multiple of 3"),
    ],
)
def test_a_recipe_that_cannot_be_is_refused(recipe, reason):
    with pytest.raises(UsageError, match=reason):
        Run(tiny.Tiny(), tiny.images(), size=8, recipe=recipe)
