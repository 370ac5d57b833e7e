"""Train a custom network: any nn.Module class that is constructed from (classes, size) and returns logits.

    python examples/own_network.py photos/ models/own --epochs 20

Everything else stays: the validation split, the schedule, exact resume, the report. The class itself is not saved with
the model (loading must run no code), so it is passed again: ``load(folder, network=PatchMixer)``.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from torch import Tensor, nn

from diptych import Images, Recognizer, load


class PatchMixer(nn.Module):
    """A small MLP mixer: the picture as an 8 × 8 grid of patches, mixed across positions and across channels.

    Pictures (B, 3, size, size) in [-1, 1] -> logits (B, classes).
    """

    def __init__(self, classes: int, size: int, width: int = 64, depth: int = 2) -> None:
        super().__init__()
        patch = max(1, size // 8)
        positions = (size // patch) ** 2
        self.embed = nn.Conv2d(3, width, patch, stride=patch)
        self.across = nn.ModuleList(self._mixer(positions) for _ in range(depth))
        self.within = nn.ModuleList(self._mixer(width) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, classes)

    @staticmethod
    def _mixer(width: int) -> nn.Module:
        return nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, classes)."""
        x = self.embed(images).flatten(2)  # (B, width, positions)
        for across, within in zip(self.across, self.within, strict=True):
            x = x + across(x)
            x = x + within(x.mT).mT
        return self.head(self.norm(x.mean(2)))


def main(arguments: Sequence[str] | None = None) -> Recognizer:
    """Train, save, load again, and compare; returns the loaded recognizer."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", default="digits")
    parser.add_argument("model", nargs="?", type=Path, default=Path("models/own"))
    parser.add_argument("--epochs", type=int, default=20)
    args = parser.parse_args(arguments)

    train, test = Images.open(args.data).split(0.8, 0.2, seed=0)
    recognizer = Recognizer(PatchMixer, epochs=args.epochs).fit(train, into=args.model)
    print(recognizer.evaluate(test))

    loaded = load(args.model, network=PatchMixer)
    sample = test[:16]
    assert np.array_equal(loaded.predict(sample).probabilities, recognizer.predict(sample).probabilities)
    print(f"Saved to {args.model}, loaded again, and the predictions are the same.")
    return loaded


if __name__ == "__main__":
    main()
