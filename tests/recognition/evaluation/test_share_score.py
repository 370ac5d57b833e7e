import pytest

from diptych.metrics.intervals import wilson_interval
from diptych.recognition.evaluation.share_score import share_score


@pytest.mark.parametrize(("hits", "n"), [(3, 10), (0, 5), (5, 5), (2.5, 4)])
def test_a_share_has_its_value_its_wilson_interval_and_its_number_of_pictures(hits, n):
    score = share_score(hits, n)
    assert (score.value, score.n) == (hits / n, n)
    assert (score.low, score.high) == wilson_interval(hits, n)
