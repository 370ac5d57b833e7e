"""The privacy that steps of private training spend, by two independent accountants.

A step draws each picture with the same probability (Poisson sampling) and adds Gaussian noise to the sum of clipped
gradients. That is the subsampled Gaussian mechanism; over all steps it is (ε, δ)-private, where two data sets are
neighbours if one has a picture more. The accountants bound ε from above: PRV (Gopi et al. 2021, "Numerical composition
of differential privacy", arXiv:2106.02848) of Opacus, and PLD (Koskela et al. 2020; Doroshenko et al. 2022) of
dp-accounting. The larger of the two is what is stated.
"""

import math
import warnings

from diptych.errors import UsageError

PRV_ERROR = 0.005  # of ε, at most: an error of fixed size would be nothing at ε = 8 and a lot at 0.1
ROUGH_ERROR = 0.1  # of the estimate that the above is a share of
PLD_INTERVALS = (1e-3, 1e-4)  # between the privacy losses that PLD tells apart; the second where ε is small
SMALL = 0.5
TOLERANCE = 1e-3  # of the noise multiplier's logarithm
RAISE = 1.002  # what the noise multiplier is multiplied by until both accountants agree that it is enough
LOWEST_NOISE, HIGHEST_NOISE = 0.2, 1e5  # noise multipliers that are searched
MISSING = (
    "Private training needs opacus and dp-accounting, which are not installed. Install them with pip install "
    "'diptych[privacy]'."
)


def epsilon_prv(noise_multiplier: float, sampling_rate: float, steps: int, delta: float) -> float:
    """The ε of so many steps by the PRV accountant of Opacus, at most 0.5 % above the true one.

    Parameters
    ----------
    noise_multiplier
        Standard deviation of the noise, as a multiple of the largest norm of a picture's gradient.
    sampling_rate
        Probability that a picture is drawn for a step, above 0 and at most 1.
    delta
        Probability with which the bound may fail.

    Raises
    ------
    UsageError
        Opacus is not installed.
    """
    rough = _prv(noise_multiplier, sampling_rate, steps, delta, ROUGH_ERROR)
    return _prv(noise_multiplier, sampling_rate, steps, delta, PRV_ERROR * max(rough - ROUGH_ERROR, rough / 10))


def epsilon_pld(noise_multiplier: float, sampling_rate: float, steps: int, delta: float) -> float:
    """The same by the PLD accountant of dp-accounting."""
    try:
        from dp_accounting import GaussianDpEvent, PoissonSampledDpEvent, SelfComposedDpEvent
        from dp_accounting.pld import PLDAccountant
    except ImportError as error:
        raise UsageError(MISSING) from error
    step = PoissonSampledDpEvent(sampling_rate, GaussianDpEvent(noise_multiplier))
    epsilon = 0.0
    for interval in PLD_INTERVALS:
        if epsilon < SMALL:
            accountant = PLDAccountant(value_discretization_interval=interval)
            epsilon = float(accountant.compose(SelfComposedDpEvent(step, steps)).get_epsilon(delta))
    return epsilon


def noise_multiplier_for(epsilon: float, delta: float, sampling_rate: float, steps: int) -> float:
    """The smallest noise multiplier, to a few thousandths, for which both accountants stay within ε.

    PLD, which takes a tenth of the time, is searched; PRV, which states up to 0.5 % more, has the last word.

    Raises
    ------
    UsageError
        Opacus or dp-accounting is not installed, or no amount of noise that is searched is enough.
    """
    from scipy.optimize import brentq

    def excess(log_noise: float) -> float:
        return math.log(epsilon_pld(math.exp(log_noise), sampling_rate, steps, delta) / (epsilon * (1 - PRV_ERROR)))

    # For many small losses, ε is about this over the noise (Abadi et al. 2016, theorem 1).
    guess = 0.5 + sampling_rate * math.sqrt(2 * steps * math.log(1 / delta)) / epsilon
    low = high = math.log(guess)
    while excess(high) > 0:
        low, high = high, high + math.log(2)
        if high > math.log(HIGHEST_NOISE):
            raise UsageError(f"No amount of noise keeps {steps} steps within ε = {epsilon:g}. Set fewer epochs.")
    while low == high or excess(low) < 0:
        low = (high if low == high else low) - math.log(1.5)
        if low < math.log(LOWEST_NOISE):
            break
    noise = LOWEST_NOISE if low < math.log(LOWEST_NOISE) else math.exp(brentq(excess, low, high, xtol=TOLERANCE))
    while max(f(noise, sampling_rate, steps, delta) for f in (epsilon_prv, epsilon_pld)) > epsilon:
        noise *= RAISE
    return noise


def _prv(noise_multiplier: float, sampling_rate: float, steps: int, delta: float, error: float) -> float:
    """The ε by PRV, at most ``error`` above the true one."""
    try:
        from opacus.accountants import PRVAccountant
    except ImportError as failed:
        raise UsageError(MISSING) from failed
    accountant = PRVAccountant()
    accountant.history = [(noise_multiplier, sampling_rate, steps)]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "divide by zero encountered in log", RuntimeWarning)  # at a rate of 1
        warnings.filterwarnings("ignore", "Optimal order is the .* alpha", UserWarning)  # of its first, rough bound
        return float(accountant.get_epsilon(delta, eps_error=error))
