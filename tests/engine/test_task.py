import pytest

from diptych.engine.schedule import cosine
from diptych.engine.task import RESTART_WARMUP, Recipe


def test_a_run_that_continues_others_follows_the_rest_of_the_longer_schedule_after_a_short_warm_up():
    recipe, whole = Recipe(batch=8, pictures=800, schedule_start=0.6), cosine()
    assert recipe.lr_factor(0.0) == 0.0
    assert recipe.lr_factor(RESTART_WARMUP / 2) == pytest.approx(0.5 * whole(0.6 + 0.4 * RESTART_WARMUP / 2))
    assert recipe.lr_factor(0.5) == pytest.approx(whole(0.8))
    assert recipe.schedule_progress(0.0) == 0.6
    assert recipe.schedule_progress(1.0) == pytest.approx(1.0)


def test_a_run_of_its_own_follows_the_schedule():
    schedule = cosine(warmup=0.1)
    recipe = Recipe(batch=8, pictures=800, schedule=schedule)
    assert [recipe.lr_factor(p) for p in (0.0, 0.05, 0.5, 1.0)] == [schedule(p) for p in (0.0, 0.05, 0.5, 1.0)]
    assert recipe.schedule_progress(0.3) == 0.3
