"""Use a network of your own: any nn.Module class that is made from (classes, size) and gives logits.

    python examples/own_network.py photos/ models/own --epochs 20

Everything else stays: the held-out part, the schedule, exact resume, the report. The class itself is not saved with the
model (loading must run no code), so it is given again: ``load(folder, network=Patches)``.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from torch import Tensor, nn

from diptych import Images, Recognizer, load


class Patches(nn.Module):
    """A small patch mixer: the picture in an 8 × 8 grid of patches, mixed across places and across channels.

    Pictures (B, 3, size, size) in [-1, 1] -> logits (B, classes).
    """

    def __init__(self, classes: int, size: int, width: int = 64, depth: int = 2) -> None:
        super().__init__()
        patch = max(1, size // 8)
        places = (size // patch) ** 2
        self.embed = nn.Conv2d(3, width, patch, stride=patch)
        self.across = nn.ModuleList(self._mixer(places) for _ in range(depth))
        self.within = nn.ModuleList(self._mixer(width) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, classes)

    @staticmethod
    def _mixer(width: int) -> nn.Module:
        return nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, classes)."""
        seen = self.embed(images).flatten(2)  # (B, width, places)
        for across, within in zip(self.across, self.within, strict=True):
            seen = seen + across(seen)
            seen = seen + within(seen.mT).mT
        return self.head(self.norm(seen.mean(2)))


def main(arguments: Sequence[str] | None = None) -> Recognizer:
    """Train, save, load again, and compare; returns the loaded recognizer."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", default="digits")
    parser.add_argument("model", nargs="?", type=Path, default=Path("models/own"))
    parser.add_argument("--epochs", type=int, default=20)
    asked = parser.parse_args(arguments)

    train, test = Images.open(asked.data).split(0.8, 0.2, seed=0)
    recognizer = Recognizer(Patches, epochs=asked.epochs).fit(train, into=asked.model)
    print(recognizer.evaluate(test))

    again = load(asked.model, network=Patches)
    few = test[:16]
    assert np.array_equal(again.predict(few).probabilities, recognizer.predict(few).probabilities)
    print(f"Saved to {asked.model}, loaded again, and the answers are the same.")
    return again


if __name__ == "__main__":
    main()
