"""McNemar's test: whether two classifiers err equally often, from their errors on the same pictures."""


def mcnemar(first_only: int, second_only: int) -> float:
    """The probability of so uneven a split, or a more uneven one, if both were equally often right.

    p = P(|X - n/2| >= |b - n/2|), X ~ Binomial(n, 1/2), n = b + c: the exact, two-sided test of McNemar (1947).
    Pictures that both classify correctly, or neither does, say nothing on which is better.

    Parameters
    ----------
    first_only, second_only
        b and c: numbers of pictures that only one of them classifies correctly.
    """
    from scipy.special import bdtr  # scipy.stats has the test itself, and takes a second longer to import

    n = first_only + second_only
    return min(1.0, 2 * float(bdtr(min(first_only, second_only), n, 0.5)))
