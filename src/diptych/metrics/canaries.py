"""The lower bound of ε from one training run with canaries, as pure functions (Steinke et al. 2023)."""

import math

MAX_EPSILON = 50.0  # nothing above is told apart
PRECISION = 1e-4


def guess_p_value(correct: int, guesses: int, canaries: int, epsilon: float, delta: float = 0.0) -> float:
    """The largest probability of so many correct guesses if the training were (ε, δ)-private.

    Each of ``canaries`` pictures was trained on or not by the toss of a coin, and of ``guesses`` of them it was guessed
    which. Under ε and δ = 0 the number of correct guesses is at most Binomial(r, e^ε / (1 + e^ε)); δ adds
    2·m·δ·max_i P[correct > Binomial ≥ correct − i] / i (Steinke, Nasr & Jagielski, "Privacy auditing with one (1)
    training run", NeurIPS 2023, theorem 5.2 and appendix D).
    """
    from scipy.special import bdtrc, gammaln

    q = 1 / (1 + math.exp(-epsilon))
    beta = float(bdtrc(correct - 1, guesses, q)) if correct > 0 else 1.0
    alpha = total = 0.0
    for i in range(1, correct + 1) if delta else ():
        k = correct - i
        log_choices = gammaln(guesses + 1) - gammaln(k + 1) - gammaln(guesses - k + 1)
        total += float(math.exp(log_choices + k * math.log(q) + (guesses - k) * math.log1p(-q)))
        alpha = max(alpha, total / i)
    return min(1.0, beta + 2 * canaries * delta * alpha)


def epsilon_lower_bound(
    correct: int, guesses: int, canaries: int, delta: float = 0.0, significance: float = 0.05
) -> float:
    """The largest ε that so many correct guesses refute: 0 where they refute none.

    A training that is (ε, δ)-private for the ε that is returned, or a smaller one, gives so many correct guesses with
    a probability below ``significance``.
    """
    low, high = 0.0, MAX_EPSILON
    if guess_p_value(correct, guesses, canaries, low, delta) >= significance:
        return 0.0
    while high - low > PRECISION:
        middle = (low + high) / 2
        if guess_p_value(correct, guesses, canaries, middle, delta) < significance:
            low = middle
        else:
            high = middle
    return low
