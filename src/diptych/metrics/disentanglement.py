"""How well single latents stand for single factors of a set whose factors are known."""

import torch
from torch import Tensor

BINS = 20  # of equal counts, in which a latent's values are told apart


def mutual_information(latents: Tensor, factors: Tensor, bins: int = BINS) -> Tensor:
    """The mutual information of each latent and each factor, (D, K) float64, in nats.

    Parameters
    ----------
    latents
        (N, D) floats; each latent is cut into ``bins`` of equal counts (ties stay together).
    factors
        (N, K) integers; any values, each factor's own.

    Notes
    -----
    Of independent ones it is not 0 but about (bins − 1)·(values − 1) / 2N: N pictures never fill the table evenly.
    """
    cut = [torch.unique(_binned(column, bins), return_inverse=True)[1] for column in latents.double().T]
    told = [torch.unique(column, return_inverse=True)[1] for column in factors.T]
    return torch.stack([torch.stack([_shared(a, b) for b in told]) for a in cut])


def entropy(values: Tensor) -> Tensor:
    """The entropy of (N,) integers, in nats."""
    share = torch.unique(values, return_counts=True)[1].double() / len(values)
    expected: Tensor = (share * share.log()).sum()
    return -expected


def mutual_information_gap(latents: Tensor, factors: Tensor, bins: int = BINS) -> Tensor:
    """MIG (Chen et al. 2018, "Isolating sources of disentanglement", equation 6): one value for each factor, 0..1.

    The latent that tells most of a factor, less the one that tells second most, as a share of all that there is to
    tell of it. 1: one latent holds the factor and no other knows of it; 0: at least two know as much, or none knows
    anything. The paper's MIG is the mean of the values that are returned.

    Parameters
    ----------
    latents
        (N, D), D at least 2, such as a VAE's encoded means.
    factors
        (N, K) integers, each factor with at least two values.

    Returns
    -------
    Tensor
        (K,) float64.
    """
    first, second = mutual_information(latents, factors, bins).topk(2, dim=0).values
    gaps: Tensor = (first - second) / torch.stack([entropy(column) for column in factors.T])
    return gaps


def _binned(values: Tensor, bins: int) -> Tensor:
    """(N,) values to the number of the quantile that each lies in."""
    bounds = torch.quantile(values, torch.linspace(0, 1, bins + 1, dtype=values.dtype)[1:-1])
    return torch.searchsorted(bounds, values.contiguous(), right=True)


def _shared(a: Tensor, b: Tensor) -> Tensor:
    """The mutual information of two (N,) of numbers from 0 on."""
    width = int(b.max()) + 1
    joint = torch.bincount(a * width + b, minlength=(int(a.max()) + 1) * width).double().reshape(-1, width) / len(a)
    apart = joint.sum(1, keepdim=True) * joint.sum(0, keepdim=True)
    shared: Tensor = torch.special.xlogy(joint, joint / apart).sum()
    return shared
