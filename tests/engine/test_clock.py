import itertools
import math

import pytest

from diptych.engine.clock import Plan, fixed_plan
from diptych.engine.schedule import constant_then_decay, cosine, triangle


def test_a_fixed_plan_runs_from_0_to_exactly_1():
    plan = fixed_plan(1000)
    assert plan.at(0) == 0
    assert plan.at(250) == 0.25
    assert plan.at(1000) == 1.0
    assert plan.at(1064) == 1.0  # the last batch may reach beyond


def test_replanning_preserves_progress_and_ends_in_the_time_left():
    plan = fixed_plan(1000).replanned(seen_pictures=400, rate=50, seconds_left=10, batch=20)
    assert plan.at(400) == pytest.approx(0.4)
    assert plan.end == 400 + 500
    assert plan.at(900) == 1.0


def test_a_plan_without_time_left_ends_after_one_batch():
    assert fixed_plan(1000).replanned(400, rate=50, seconds_left=-3, batch=20).end == 420


def test_a_plan_is_restored_from_its_numbers():
    plan = Plan(128, 0.25, 999.5)
    assert Plan.from_numbers(plan.numbers()) == plan


@pytest.mark.parametrize("schedule", [cosine(0.1), triangle(0.25), constant_then_decay(0.5, warmup=0.1)])
def test_schedules_rise_to_1_and_fall_to_0(schedule):
    factors = [schedule(i / 1000) for i in range(1001)]
    assert factors[0] == 0
    assert max(factors) == pytest.approx(1, abs=1e-3)
    assert factors[-1] == pytest.approx(0, abs=1e-9)
    assert all(abs(a - b) < 0.02 for a, b in itertools.pairwise(factors))


def test_cosine_is_half_way_down_in_the_middle():
    assert cosine()(0.5) == pytest.approx(0.5)
    assert cosine(floor=0.2)(1.0) == pytest.approx(0.2)
    assert cosine()(1 / 3) == pytest.approx((1 + math.cos(math.pi / 3)) / 2)
