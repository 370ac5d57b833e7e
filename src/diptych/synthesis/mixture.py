"""A Gaussian mixture a class, fitted after training to where the encoder puts the pictures (ex-post density).

Ghosh et al. 2020, "From variational to deterministic autoencoders", section 4: the decoder has seen the region
that the encoder fills and little of the rest of N(0, I), so samples drawn from this region look far better.
"""

import warnings

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

FITTED_PICTURES = 4000  # of a class at most: more changes the fit by little and takes long


class Mixture(nn.Module):
    """Turns standard normal noise into latents of a class.

    The buffers hold, for each class (one row if there are none): ``bounds`` (K, components) the cumulated
    weights, ``means`` (K, components, latent), ``factors`` (K, components, latent, latent) the lower Cholesky
    factors of the covariances.
    """

    bounds: Tensor
    means: Tensor
    factors: Tensor

    def __init__(self, *, classes: int, components: int, latent: int) -> None:
        super().__init__()
        rows = max(classes, 1)
        self.components = components
        self.register_buffer("bounds", torch.ones(rows, components))
        self.register_buffer("means", torch.zeros(rows, components, latent))
        self.register_buffer("factors", torch.eye(latent).repeat(rows, components, 1, 1))

    def forward(self, noise: Tensor, labels: Tensor) -> Tensor:
        """(B, 1 + latent) noise, whose first column chooses the component, and labels (B,) -> (B, latent)."""
        rows = labels.clamp(0, len(self.means) - 1)
        coin = 0.5 * (1 + torch.erf(noise[:, :1] / 2**0.5))  # uniform in 0..1
        chosen = (coin >= self.bounds[rows][:, :-1]).sum(dim=1)
        spread = (self.factors[rows, chosen] * noise[:, None, 1:]).sum(dim=2)
        return self.means[rows, chosen] + spread

    def centres(self) -> Tensor:
        """The mean of each class's latents, (K, latent)."""
        weights = torch.diff(self.bounds, dim=1, prepend=torch.zeros_like(self.bounds[:, :1]))
        return (weights[:, :, None] * self.means).sum(dim=1)

    def fit(self, means: Tensor, variances: Tensor, labels: NDArray[np.int64], seed: int) -> None:
        """Fit to the posteriors (N, latent) of the training pictures.

        Each component's covariance is shrunk towards the one that all classes share, by as many pictures as
        there are latents, so that a class of five pictures has a full covariance too.
        """
        points, wide = means.double().numpy(), variances.double().numpy()
        rows = labels if len(self.means) > 1 else np.zeros_like(labels)
        shared = _shared_covariance(points, wide, rows)
        for row in np.unique(rows):
            chosen = np.flatnonzero(rows == row)[:FITTED_PICTURES]
            self._fit_row(int(row), points[chosen], wide[chosen], shared, seed)

    def _fit_row(
        self, row: int, points: NDArray[np.float64], wide: NDArray[np.float64], shared: NDArray[np.float64], seed: int
    ) -> None:
        owner = _owners(points, self.components, seed)
        counts = owner.sum(0) + 1e-9
        latent = points.shape[1]
        for k, count in enumerate(counts):
            weight = owner[:, k] / count
            mean = weight @ points
            centred = points - mean
            covariance = (centred * weight[:, None]).T @ centred + np.diag(weight @ wide)
            shrunk = (count * covariance + latent * shared) / (count + latent)
            factor = np.linalg.cholesky(shrunk + 1e-6 * np.eye(latent))
            self.means[row, k] = torch.from_numpy(mean).float()
            self.factors[row, k] = torch.from_numpy(factor).float()
        self.bounds[row] = torch.from_numpy(np.cumsum(counts / counts.sum())).float()


def _shared_covariance(
    points: NDArray[np.float64], wide: NDArray[np.float64], rows: NDArray[np.int64]
) -> NDArray[np.float64]:
    """The covariance within classes, over all of them."""
    centred = np.concatenate([points[rows == row] - points[rows == row].mean(0) for row in np.unique(rows)])
    covariance: NDArray[np.float64] = centred.T @ centred / len(centred) + np.diag(wide.mean(0))
    return covariance


def _owners(points: NDArray[np.float64], components: int, seed: int) -> NDArray[np.float64]:
    """How much each component owns of each point, (N, components), by expectation maximisation."""
    fitting = min(components, len(points) // (2 * points.shape[1]))
    owner = np.zeros((len(points), components))
    if fitting < 2:
        owner[:, 0] = 1.0
        return owner
    from sklearn.mixture import GaussianMixture

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "did not converge": any of its states is a good start for the shrinkage
        model = GaussianMixture(fitting, reg_covar=1e-2, max_iter=50, random_state=seed).fit(points)
    owner[:, :fitting] = model.predict_proba(points)
    return owner
