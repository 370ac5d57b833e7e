"""Figures of membership inference: the same bytes each time, with both kinds of pictures and chance."""

import numpy as np

from diptych.metrics.membership import attack_curve
from diptych.report.attack_figures import attack_curves, attack_scores

DRAW = np.random.default_rng(0)
MEMBERS, OTHERS = DRAW.standard_normal(200) + 1, DRAW.standard_normal(200)


def test_curves_begin_where_an_attacker_can_be_sure():
    curves = {"likelihood": attack_curve(MEMBERS, OTHERS), "nearness": attack_curve(OTHERS, MEMBERS)}
    drawn = attack_curves(curves, 0.01)
    assert drawn == attack_curves(curves, 0.01)
    for text in (b"0.1 %", b"100 %", b"false alarms", b"likelihood", b"nearness"):
        assert text in drawn


def test_scores_far_out_are_drawn_in_the_outermost_bins():
    far = MEMBERS.copy()
    far[0] = 1e9
    drawn = attack_scores(far, OTHERS, 2.5)
    assert b"trained on" in drawn
    assert b"not trained on" in drawn
    assert b"1e9" not in drawn
