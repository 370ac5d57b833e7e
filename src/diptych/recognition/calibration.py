"""Making a recognizer's confidence mean what it says, and noticing pictures unlike any that it knows."""

import torch
from torch import Tensor
from torch.nn import functional as F

COOLEST, HOTTEST = 0.02, 50.0
UNKNOWN_SHARE = 0.01  # of the validation pictures is told "unknown": what that word costs on known ones
NORMAL_99 = 2.3263  # the normal distribution's 1st percentile lies so many deviations under its mean


def temperature(logits: Tensor, labels: Tensor) -> float:
    """The temperature T at which softmax(logits / T) fits the labels best, by LBFGS on log T.

    Parameters
    ----------
    logits
        (N, K) of pictures that were not trained on.
    labels
        (N,) int64; or (N, K) bool where a picture may have several labels (then sigmoid(logits / T)).

    The truth counts as 1/(N + 2) uncertain (Platt 1999): where every answer is right, the likelihood alone would
    call for T = 0, that is for certainty that N pictures cannot give.

    Source: Guo et al. 2017, "On calibration of modern neural networks", section 4.2.
    """
    logits = logits.double()
    doubt = 1 / (len(logits) + 2)
    log_t = torch.zeros((), dtype=torch.float64, requires_grad=True)
    solver = torch.optim.LBFGS([log_t], lr=0.5, max_iter=100, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        solver.zero_grad()
        value = _misfit(logits / log_t.exp(), labels, doubt)
        value.backward()  # type: ignore[no-untyped-call]
        return value

    solver.step(loss)  # type: ignore[no-untyped-call]
    return min(HOTTEST, max(COOLEST, float(log_t.detach().exp())))


def probabilities(logits: Tensor, temperature: float) -> Tensor:
    """Softmax of (N, K) logits at a temperature, in float32."""
    return (logits / temperature).softmax(1)


def label_probabilities(logits: Tensor, temperature: float) -> Tensor:
    """The same where a picture may have several labels: a sigmoid each."""
    return (logits / temperature).sigmoid()


def familiarity(logits: Tensor, *, multi_label: bool) -> Tensor:
    """How much a picture is like those that were learned, (N,): the negative energy of its logits.

    log Σ exp(logit) (Liu et al. 2020, "Energy-based out-of-distribution detection", equation 4); with several
    labels Σ log(1 + exp(logit)) (Wang et al. 2021).
    """
    return F.softplus(logits).sum(1) if multi_label else logits.logsumexp(1)


def familiarity_threshold(familiarity: Tensor) -> float:
    """Below this a picture is told "unknown": the 1st percentile over pictures held out from training.

    Of less than a hundred pictures that is their minimum, which too many others would fall under; so the 1st
    percentile of a normal distribution with their mean and deviation counts, too, and the lower one holds.
    """
    known = familiarity.double()
    normal = known.mean() - NORMAL_99 * known.std(correction=0)
    return float(torch.minimum(known.quantile(UNKNOWN_SHARE), normal))


def _misfit(logits: Tensor, labels: Tensor, doubt: float) -> Tensor:
    if labels.ndim == 2:
        soft = labels.double() * (1 - doubt) + doubt / 2
        return F.binary_cross_entropy_with_logits(logits, soft)
    return F.cross_entropy(logits, labels, label_smoothing=doubt)
