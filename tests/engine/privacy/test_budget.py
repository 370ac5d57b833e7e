"""What is promised, and what a run may spend for it."""

import math

import pytest

from diptych.engine.privacy.budget import Budget, describe, refuse_further_training
from diptych.errors import UsageError


def plan(delta=None, pictures=1000):
    return Budget.plan(8, delta, pictures=pictures, batch=pictures, steps=5, clip=1.0)


def test_delta_is_one_in_ten_times_the_pictures_where_they_are_many():
    assert plan().delta == 1e-5
    assert plan(pictures=100_000).delta == pytest.approx(1e-6)


def test_a_delta_that_would_let_a_picture_be_given_away_is_refused():
    with pytest.raises(UsageError, match="less than one in the number of pictures, 1/1000"):
        plan(delta=0.001)


def test_the_card_says_what_epsilon_means():
    text = describe(plan().facts())
    assert f"a factor of at most {math.exp(8):,.0f}" in text
    assert "does not cover the held-out pictures" in text


@pytest.mark.parametrize(
    ("more", "start", "reason"), [(True, False, "budget is spent"), (False, True, "same pictures")]
)
def test_what_would_spend_more_is_refused(more, start, reason):
    with pytest.raises(UsageError, match=reason):
        refuse_further_training(more=more, start=start)
