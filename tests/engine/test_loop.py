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


def train(folder=None, recipe=RECIPE, task=None, **kwargs):
    task = task or tiny.Tiny()
    run = Run(task, tiny.images(), size=8, recipe=recipe, folder=folder, settings={"a": 1}, **kwargs)
    ticks = list(run)
    return task, ticks, run


def equal(a, b):
    return all(torch.equal(x, y) for x, y in zip(a.values(), b.values(), strict=True))


def test_both_players_learn_and_the_last_tick_is_done():
    _, ticks, run = train()
    assert [t.done for t in ticks] == [False] * 19 + [True]
    assert ticks[-1].seen_pictures == 960
    assert ticks[-1].progress == 1.0
    assert ticks[-1].losses["reader"] < 0.5 * ticks[0].losses["reader"]
    assert ticks[-1].losses["painter"] != ticks[0].losses["painter"]
    assert [r["seen_pictures"] for r in run.history.records] == [t.seen_pictures for t in ticks]


def test_the_same_run_twice_gives_the_same_weights_and_another_seed_gives_others():
    one, other = train()[0], train()[0]
    assert equal(tiny.weights(one), tiny.weights(other))
    seeded = train(recipe=Recipe(batch=16, pictures=960, seed=1))[0]
    assert not equal(tiny.weights(one), tiny.weights(seeded))


def test_the_callers_random_numbers_are_left_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    task = tiny.Tiny()
    torch.manual_seed(5)
    train(task=task)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("stop_at", [1, 7, 33, 59])
def test_a_run_stopped_by_a_signal_and_resumed_ends_bit_for_bit_the_same(tmp_path, stop_at):
    whole, ticks, run = train()
    stopped = tiny.Tiny()
    before_step, steps = stopped.before_step, [0]

    def stop(progress):
        before_step(progress)
        steps[0] += 1
        if steps[0] > stop_at and len(stopped.progress_values) > 1:
            signal.raise_signal(signal.SIGTERM)

    run_again = Run(stopped, tiny.images(), size=8, recipe=RECIPE, folder=tmp_path, settings={"a": 1})
    stopped.before_step = stop
    with pytest.raises(Interrupted, match="same command continues") as error:
        list(run_again)
    assert error.value.exit_code == 143
    task, later, again = train(tmp_path)
    assert equal(tiny.weights(whole), tiny.weights(task))
    assert [t.losses for t in later] == [t.losses for t in ticks[-len(later) :]]
    assert [r["losses"] for r in again.history.records] == [r["losses"] for r in run.history.records]


def test_an_interrupted_run_leaves_the_averaged_weights_and_its_moment():
    task, steps = tiny.Tiny(), [0]
    before_step = task.before_step

    def stop(progress):
        before_step(progress)
        steps[0] += 1
        if steps[0] == 5:
            signal.raise_signal(signal.SIGTERM)  # recorded, and answered after this step

    task.before_step = stop
    run = Run(task, tiny.images(), size=8, recipe=RECIPE)
    with pytest.raises(Interrupted) as stopped:
        list(run)
    assert stopped.value.message == "Stopped after 80 pictures."
    assert run.tick().seen_pictures == 80
    assert not run.tick().done
    assert not any(module.training for module in run.modules.values())
    averaged = tiny.weights(task)
    run._ema.swap()
    assert not equal(averaged, tiny.weights(task))  # those of the last step


def test_of_a_length_and_a_time_budget_the_first_to_end_counts():
    by_length = Recipe(batch=16, pictures=64, minutes=100.0)
    assert list(Run(tiny.Tiny(), tiny.images(), size=8, recipe=by_length))[-1].seen_pictures == 64
    by_time = Recipe(batch=16, pictures=10**9, minutes=0.01)
    last = list(Run(tiny.Tiny(), tiny.images(), size=8, recipe=by_time))[-1]
    assert last.done
    assert last.seen_pictures < 10**8


def test_a_finished_run_yields_its_last_tick_again(tmp_path):
    whole, ticks, _ = train(tmp_path)
    checkpointed = Run(tiny.Tiny(), tiny.images(), size=8, recipe=RECIPE, folder=tmp_path, settings={"a": 1})
    again = list(checkpointed)
    assert len(again) == 1
    assert again[0].done
    assert again[0].losses == ticks[-1].losses
    assert equal(tiny.weights(whole), tiny.weights(checkpointed.task))


def test_history_is_a_json_line_per_tick_with_the_scores_of_the_loop_s_body(tmp_path):
    for tick in Run(tiny.Tiny(), tiny.images(), size=8, recipe=RECIPE, folder=tmp_path, settings={}):
        tick.scores["accuracy"] = tick.progress
    lines = [json.loads(line) for line in (tmp_path / "history.jsonl").read_text().splitlines()]
    assert len(lines) == 20
    assert lines[-1]["scores"] == {"accuracy": 1.0}


def test_microbatches_add_up_to_the_batch():
    recipe = Recipe(batch=16, pictures=320)
    whole = train(recipe=recipe, task=tiny.Tiny(noisy=False))[0]
    parts = train(recipe=Recipe(batch=16, pictures=320, accumulate=4), task=tiny.Tiny(noisy=False))[0]
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
        train(recipe=Recipe(batch=16, pictures=16, schedule=lambda progress: 1.0, clip=clip), task=task)
        return (nn.utils.parameters_to_vector(task.painter.parameters()) - before).norm().item()

    assert moved(1e-4) == pytest.approx(1e-4, rel=1e-3)
    assert moved(None) > 1e-3


def test_a_loss_that_is_not_finite_stops_the_run_and_the_last_good_checkpoint_stays(tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "MIN_CHECKPOINT_SECONDS", 0.0)  # the run is over within one second
    task = tiny.Tiny()
    losses = task.losses

    def broken(images, labels):
        for player, loss in losses(images, labels):
            yield player, loss * (float("nan") if task.progress_values[-1] > 0.5 else 1.0)

    task.losses = broken
    with pytest.raises(TrainingError, match="reader loss is not finite"):
        list(Run(task, tiny.images(), size=8, recipe=RECIPE, folder=tmp_path, settings={}))
    state = torch.load(next((tmp_path / "checkpoint").glob("*/state.pt")), weights_only=True)
    assert all(bool(t.isfinite().all()) for t in state["modules"]["reader"].values() if t.is_floating_point())


@pytest.mark.parametrize("slow", [0.0, 0.01])
def test_a_run_keeps_its_time_budget_and_ends_annealed(slow):
    task = tiny.Tiny()
    task.before_step = lambda progress: (task.progress_values.append(progress), time.sleep(slow))
    started = time.monotonic()
    _, ticks, _ = train(task=task, recipe=Recipe(batch=16, minutes=5 / 60, reserve_seconds=1.0), started=started)
    seconds = time.monotonic() - started
    assert 2.5 < seconds < 4.6
    assert ticks[-1].progress == 1.0
    assert task.progress_values == sorted(task.progress_values)
    assert task.progress_values[-1] > 0.8


def test_a_rehearsal_of_what_follows_training_reserves_time_for_it():
    task = tiny.Tiny()
    task.before_step = lambda progress: time.sleep(0.01)
    started = time.monotonic()
    run = Run(task, tiny.images(), size=8, recipe=Recipe(batch=16, minutes=5 / 60), settings={}, started=started)
    for tick in run:
        if tick.progress > 0.4 and not run.rehearsed:
            with run.rehearsal() as besides:
                time.sleep(0.5)
                besides.append(0.3)
    # 5 s less 1.1 × 0.8 s and the second for writing, with room for a step taken late.
    assert 2.0 < time.monotonic() - started < 3.8


def test_signals_are_left_alone_outside_the_main_thread():
    done = []
    thread = threading.Thread(target=lambda: done.append(train()[1][-1].done))
    thread.start()
    thread.join()
    assert done == [True]


@pytest.mark.parametrize(
    ("recipe", "reason"),
    [
        (Recipe(batch=16), "the length"),
        (Recipe(batch=16, pictures=16, accumulate=3), "multiple of 3"),
    ],
)
def test_an_impossible_recipe_is_refused(recipe, reason):
    with pytest.raises(UsageError, match=reason):
        Run(tiny.Tiny(), tiny.images(), size=8, recipe=recipe)
