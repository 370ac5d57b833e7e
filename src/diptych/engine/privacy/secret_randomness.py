"""The randomness of private training: a function of a secret and the step, so that a killed run ends as it would have.

Noise protects only those who cannot guess it. So the secret is drawn once from the operating system, is kept in the
run's checkpoints, which are deleted when the run is done, and is never part of the model: the same command twice gives
two models, and the same command after a kill the one. A generator with a key of 128 bits (Philox, Salmon et al. 2011)
draws from it, since torch's own takes no more than 32 bits of a seed on a processor.
"""

import hashlib
import secrets

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def new_secret() -> str:
    """A secret from the operating system."""
    return secrets.token_hex(32)


class SecretRandomness:
    """Draws for each step of a run.

    Parameters
    ----------
    secret
        Of :func:`new_secret`.
    """

    def __init__(self, secret: str) -> None:
        self._secret = bytes.fromhex(secret)

    def seed(self, step: int) -> int:
        """The seed of torch's generators, for augmentation and dropout."""
        return self._key("step", step) >> 65

    def sampled(self, step: int, pictures: int, rate: float) -> NDArray[np.int64]:
        """The rows that a step is taken on: each of them with this probability, whatever the others (Poisson)."""
        return np.flatnonzero(self._generator("sample", step).random(pictures) < rate)

    def noise(self, step: int, length: int) -> Tensor:
        """(length,) float32 standard normal."""
        return torch.from_numpy(self._generator("noise", step).standard_normal(length, np.float32))

    def _generator(self, purpose: str, step: int) -> np.random.Generator:
        return np.random.Generator(np.random.Philox(key=self._key(purpose, step)))

    def _key(self, purpose: str, step: int) -> int:
        digest = hashlib.blake2b(f"{purpose} {step}".encode(), key=self._secret, digest_size=16).digest()
        return int.from_bytes(digest, "big")
