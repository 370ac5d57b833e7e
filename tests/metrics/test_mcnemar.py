from math import comb

import pytest

from diptych.metrics.mcnemar import mcnemar


@pytest.mark.parametrize(("first_only", "second_only"), [(9, 1), (1, 9), (5, 5), (12, 3), (6, 0)])
def test_it_is_the_share_of_coin_tosses_that_are_as_uneven(first_only: int, second_only: int) -> None:
    n = first_only + second_only
    uneven = abs(first_only - second_only)
    direct = sum(comb(n, k) for k in range(n + 1) if abs(2 * k - n) >= uneven) / 2**n
    assert mcnemar(first_only, second_only) == pytest.approx(direct)


def test_pictures_that_do_not_tell_them_apart_prove_nothing() -> None:
    assert mcnemar(0, 0) == 1.0
