"""How well single latents represent single factors, on a data set whose factors are known."""

import torch
from torch import Tensor

BINS = 20  # of equal counts, into which a latent's values are divided


def mutual_information(latents: Tensor, factors: Tensor, bins: int = BINS) -> Tensor:
    """The mutual information of each latent and each factor, (D, K) float64, in nats.

    Parameters
    ----------
    latents
        (N, D) floats; each latent is divided into ``bins`` of equal counts (ties stay together).
    factors
        (N, K) integers; any values, each factor's own.

    Notes
    -----
    Of independent ones it is not 0 but about (bins − 1)·(values − 1) / 2N: N pictures never fill the table evenly.
    """
    binned = [torch.unique(_quantile_bins(column, bins), return_inverse=True)[1] for column in latents.double().T]
    values = [torch.unique(column, return_inverse=True)[1] for column in factors.T]
    return torch.stack([torch.stack([_discrete_mutual_information(a, b) for b in values]) for a in binned])


def discrete_entropy(values: Tensor) -> Tensor:
    """The entropy of (N,) integers, in nats."""
    share = torch.unique(values, return_counts=True)[1].double() / len(values)
    expected: Tensor = (share * share.log()).sum()
    return -expected


def mutual_information_gap(latents: Tensor, factors: Tensor, bins: int = BINS) -> Tensor:
    """MIG (Chen et al. 2018, "Isolating sources of disentanglement", equation 6): one value for each factor, 0..1.

    The largest mutual information of a factor with any latent, less the second largest, as a share of the factor's
    entropy. 1: one latent determines the factor and no other has information about it; 0: at least two latents have the
    same information, or none has any. The paper's MIG is the mean of the returned values.

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
    gaps: Tensor = (first - second) / torch.stack([discrete_entropy(column) for column in factors.T])
    return gaps


def _quantile_bins(values: Tensor, bins: int) -> Tensor:
    """(N,) values to the number of the quantile that each lies in."""
    bounds = torch.quantile(values, torch.linspace(0, 1, bins + 1, dtype=values.dtype)[1:-1])
    return torch.searchsorted(bounds, values.contiguous(), right=True)


def _discrete_mutual_information(a: Tensor, b: Tensor) -> Tensor:
    """The mutual information of two (N,) tensors of integers from 0 on."""
    width = int(b.max()) + 1
    joint = torch.bincount(a * width + b, minlength=(int(a.max()) + 1) * width).double().reshape(-1, width) / len(a)
    independent = joint.sum(1, keepdim=True) * joint.sum(0, keepdim=True)
    information: Tensor = torch.special.xlogy(joint, joint / independent).sum()
    return information
