"""A mixture of small Gaussians for each class, fitted after training to the encoded pictures (ex-post density).

Ghosh et al. 2020, "From variational to deterministic autoencoders", section 4: the decoder is trained on the region
that the encoder fills and little of the rest of N(0, I), so samples drawn from this region look far better.

However a class's latents are divided, their mean and covariance stay; but a Gaussian over hundreds of them keeps
nothing else, and its samples decode to a little of every picture. So each component spans a group of similar ones.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

Rows = NDArray[np.int64]
Points = NDArray[np.float64]


class GaussianMixture(nn.Module):
    """Turns standard normal noise into latents of a class.

    The buffers hold, for each class (one row if there are none): ``counts`` (K,) its components, all equally likely,
    of at most C; ``means`` (K, C, latent); ``factors`` (K, C, latent, group), which span the differences within a
    component, mixed at random so that no column is a picture's (together they span the latents of its pictures all
    the same); ``noises`` (K, C, latent) the posteriors' deviations.
    """

    counts: Tensor
    means: Tensor
    factors: Tensor
    noises: Tensor

    def __init__(self, *, classes: int, components: int, latent: int, group: int) -> None:
        super().__init__()
        self.group = group  # pictures a component
        rows = max(classes, 1)
        self.register_buffer("counts", torch.ones(rows, dtype=torch.int64))
        self.register_buffer("means", torch.zeros(rows, components, latent))
        self.register_buffer("factors", torch.zeros(rows, components, latent, group))
        self.register_buffer("noises", torch.ones(rows, components, latent))

    def forward(self, noise: Tensor, labels: Tensor) -> Tensor:
        """(B, 1 + group + latent) noise, whose first column chooses the component, and labels (B,) -> (B, latent)."""
        rows = labels.clamp(0, len(self.means) - 1)
        choice, within, around = noise[:, 0], noise[:, 1 : 1 + self.group], noise[:, 1 + self.group :]
        counts = self.counts[rows]
        uniform = 0.5 * (1 + torch.erf(choice / 2**0.5))
        chosen = (uniform * counts).long().minimum(counts - 1)
        spread = (self.factors[rows, chosen] * within[:, None]).sum(dim=2)
        return self.means[rows, chosen] + spread + self.noises[rows, chosen] * around

    def centres(self) -> Tensor:
        """The mean of each class's latents, (K, latent)."""
        return self.means.sum(dim=1) / self.counts[:, None]

    def fit(self, means: Tensor, variances: Tensor, labels: NDArray[np.int64], seed: int) -> None:
        """Fit to the posteriors (N, latent) of the training pictures.

        A class of less than a group is one component, and borrows differences of other classes' pictures from their
        means, so that one of a single picture does not reproduce that picture.
        """
        rng, size = np.random.default_rng(seed), self.group
        points, all_variances = means.double().numpy(), variances.double().numpy()
        rows = labels if len(self.means) > 1 else np.zeros_like(labels)
        differences = _class_differences(points, rows)
        for row in np.unique(rows):
            members = rng.permutation(np.flatnonzero(rows == row))[: self.means.shape[1] * size]
            groups = _similar_groups(points, members[: max(1, len(members) // size) * size], size)
            self.counts[row] = len(groups)
            for k, group in enumerate(groups):
                centre = points[group].mean(0)
                borrowed = differences[rng.integers(len(differences), size=size - len(group))]
                spanned = np.concatenate([points[group] - centre, borrowed])
                factor = (_rotation(rng, size) @ spanned).T / size**0.5
                noise = np.sqrt(all_variances[group].mean(0))
                for buffer, value in ((self.means, centre), (self.factors, factor), (self.noises, noise)):
                    buffer[row, k] = torch.from_numpy(value).float()


def stratified_rows(labels: Rows, most: int, least: int, seed: int) -> Rows:
    """Rows drawn to fit to: ``most`` of all, and ``least`` of each class or as many as it has; in rising order."""
    order = np.random.default_rng(seed).permutation(len(labels))
    first = [order[labels[order] == label][:least] for label in np.unique(labels)]
    return np.unique(np.concatenate([order[:most], *first]))


def _similar_groups(points: Points, rows: Rows, size: int) -> list[Rows]:
    """The rows in groups of ``size`` similar ones: halved across their first principal component, again and again."""
    groups = len(rows) // size
    if groups < 2:
        return [rows]
    centred = points[rows] - points[rows].mean(0)
    across = centred @ np.linalg.eigh(centred.T @ centred)[1][:, -1]
    ordered = rows[across.argsort(kind="stable")]
    half = groups // 2 * size
    return [*_similar_groups(points, ordered[:half], size), *_similar_groups(points, ordered[half:], size)]


def _class_differences(points: Points, rows: Rows) -> Points:
    """How each point differs from the mean of its class."""
    differences = points.copy()
    for row in np.unique(rows):
        differences[rows == row] -= points[rows == row].mean(0)
    return differences


def _rotation(rng: np.random.Generator, size: int) -> Points:
    """An orthogonal matrix of size × size."""
    return np.asarray(np.linalg.qr(rng.standard_normal((size, size)))[0])
