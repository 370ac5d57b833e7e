"""The tutorials' DCGAN, in plain torch, on CIFAR-10 in Parquet: the peer of ``cifar10_synthesis.py``.

Radford et al. 2016 at 32 px with the usual settings: batches of 128, 100 noise dimensions, 64 channels at the finest
resolution, Adam at 2e-4 with β₁ = 0.5, binary cross-entropy, non-saturating. Corrected where printed tutorials do not
train: both players are stepped, each by its own optimiser; generated pictures are detached for the critic and labelled
fake; the noise has the length of the batch. It is unconditional, averages no weights, and samples as the tutorials do:
with batch normalisation over the generated batch.

    python benchmarks/tutorial_dcgan.py TRAIN.parquet SAMPLES.npz --minutes 20 --samples 5000
"""

import argparse
import io
import json
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

BATCH, NOISE, WIDTH = 128, 100, 64


def read(path: Path) -> Tensor:
    """Pictures (N, 3, 32, 32) in [-1, 1] of a file in the Hugging Face image layout."""
    encoded = pq.read_table(path)["image"].combine_chunks().field("bytes")
    pixels = np.stack([np.asarray(Image.open(io.BytesIO(data.as_py())).convert("RGB")) for data in encoded])
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 127.5 - 1


def generator(width: int = WIDTH) -> nn.Sequential:
    """Noise (B, 100, 1, 1) to pictures (B, 3, 32, 32)."""
    layers: list[nn.Module] = [nn.ConvTranspose2d(NOISE, 4 * width, 4, bias=False)]
    for channels, following in ((4 * width, 2 * width), (2 * width, width), (width, 3)):
        layers += [nn.BatchNorm2d(channels), nn.ReLU(True)]
        layers += [nn.ConvTranspose2d(channels, following, 4, 2, 1, bias=False)]
    return nn.Sequential(*layers, nn.Tanh())


def critic(width: int = WIDTH) -> nn.Sequential:
    """Pictures (B, 3, 32, 32) to logits (B, 1, 1, 1)."""
    layers: list[nn.Module] = [nn.Conv2d(3, width, 4, 2, 1, bias=False), nn.LeakyReLU(0.2, True)]
    for channels, following in ((width, 2 * width), (2 * width, 4 * width)):
        layers += [nn.Conv2d(channels, following, 4, 2, 1, bias=False)]
        layers += [nn.BatchNorm2d(following), nn.LeakyReLU(0.2, True)]
    return nn.Sequential(*layers, nn.Conv2d(4 * width, 1, 4, bias=False))


def init_weights(module: nn.Module) -> None:
    """The paper's initial weights."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)


class Tutorial:
    """Both players and their optimisers."""

    def __init__(self) -> None:
        self.generator, self.critic = generator().apply(init_weights), critic().apply(init_weights)
        players = (self.generator, self.critic)
        self.optimizers = [torch.optim.Adam(player.parameters(), 2e-4, betas=(0.5, 0.999)) for player in players]

    def step(self, real: Tensor) -> tuple[float, float]:
        """One step of the critic, then one of the generator; their losses."""
        generated = self.generator(torch.randn(len(real), NOISE, 1, 1))
        generator_optimizer, critic_optimizer = self.optimizers
        critic_optimizer.zero_grad()
        real_logits, fake_logits = self.critic(real), self.critic(generated.detach())
        critic_loss = cross_entropy(real_logits, 1.0) + cross_entropy(fake_logits, 0.0)
        critic_loss.backward()
        critic_optimizer.step()
        generator_optimizer.zero_grad()
        generator_loss = cross_entropy(self.critic(generated), 1.0)
        generator_loss.backward()
        generator_optimizer.step()
        return float(critic_loss.detach()), float(generator_loss.detach())

    @torch.no_grad()
    def sample(self, n: int) -> np.ndarray:
        """(n, 32, 32, 3) uint8."""
        blocks = [self.generator(torch.randn(BATCH, NOISE, 1, 1)) for _ in range(-(-n // BATCH))]
        levels = ((torch.cat(blocks)[:n] + 1) * 127.5).round().clamp(0, 255)
        return levels.byte().permute(0, 2, 3, 1).numpy()


def cross_entropy(logits: Tensor, label: float) -> Tensor:
    """Binary cross-entropy with the same target for all."""
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, label))


def fit(pictures: Tensor, until: float) -> tuple[Tutorial, int]:
    """Train until ``time.monotonic()`` reaches ``until``; the model and the number of pictures seen."""
    tutorial, seen_pictures = Tutorial(), 0
    while True:
        for rows in torch.randperm(len(pictures)).split(BATCH):
            if time.monotonic() >= until:
                return tutorial, seen_pictures
            if len(rows) > 1:  # batch normalisation needs two
                tutorial.step(pictures[rows])
                seen_pictures += len(rows)


def main() -> None:
    started = time.monotonic()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="cifar10-train.parquet")
    parser.add_argument("out", type=Path, help="for the samples, .npz")
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--samples", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    tutorial, seen_pictures = fit(read(args.data), started + 60 * args.minutes)
    training_end = time.monotonic()
    np.savez(args.out, images=tutorial.sample(args.samples))
    sampling_seconds = time.monotonic() - training_end
    seconds = training_end - started
    result = {"seen_pictures": seen_pictures, "seconds": seconds, "sampling_seconds": sampling_seconds}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
