"""Forest plots of scores by group."""

from diptych.report import Score
from diptych.report.forest_plot import MAX_ROWS, forest


def test_each_group_has_its_name_and_its_interval_and_an_empty_one_no_point():
    scores = {"phone": Score(0.9, 0.8, 0.95, 80, share=True), "drone": None, "夜": Score(0.5, 0.2, 0.8, 6, share=True)}
    drawn = forest(scores, 0.85, "accuracy", frozenset({"夜"}))
    assert drawn == forest(scores, 0.85, "accuracy", frozenset({"夜"}))
    for text in ("phone", "drone", "夜", "accuracy", "90%"):
        assert text.encode() in drawn
    fewer = forest({**scores, "phone": None}, 0.85, "accuracy", frozenset({"夜"}))
    assert fewer.count(b"<use") < drawn.count(b"<use")


def test_of_very_many_groups_the_first_are_drawn():
    scores = {f"group {i}": Score(0.5, 0.4, 0.6, 99, share=True) for i in range(MAX_ROWS + 5)}
    drawn = forest(scores, 0.5, "recall", frozenset())
    assert f"group {MAX_ROWS - 1}".encode() in drawn
    assert f"group {MAX_ROWS}".encode() not in drawn
