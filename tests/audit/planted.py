"""Pictures with planted properties, and answers to them, for the tests of audits."""

import numpy as np

from diptych.audit.bias.answers import Answers
from diptych.data.images import Images

CLASSES = ("cat", "dog")
BORDERS = np.array([(200, 60, 50), (50, 80, 200)], np.uint8)


def noise(n: int, side: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(60, 196, (n, side, side, 3)).astype(np.uint8)


def answers(pixels: np.ndarray, targets: np.ndarray, predicted: np.ndarray, groups=None) -> Answers:
    images = Images.from_arrays(pixels, targets, classes=CLASSES, groups=groups)
    return Answers(images, targets, predicted, np.full(len(targets), 0.9), CLASSES)


def bordered(n: int, agreement: float, seed: int, side: int = 16) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Noise with a coloured border: pixels, labels, and the class whose colour each border has."""
    draw = np.random.default_rng(seed)
    targets = np.arange(n) % 2
    border = np.where(draw.random(n) < agreement, targets, 1 - targets)
    pixels = noise(n, side, seed)
    frame = np.ones((side, side), bool)
    frame[1:-1, 1:-1] = False
    pixels[:, frame] = BORDERS[border][:, None]
    return pixels, targets, border


def coloured_digits(rows: np.ndarray, agreement: float, seed: int) -> Images:
    """Digits of 8 px in two classes (0 to 4, 5 to 9) on two colours, with the colour as the column "background"."""
    digits = Images.open("digits")[rows]
    labels = (digits.labels >= 5).astype(int)
    colour = np.where(np.random.default_rng(seed).random(len(rows)) < agreement, labels, 1 - labels)
    ink = digits.pixels(8).permute(0, 2, 3, 1).numpy() / 255.0
    pixels = (BORDERS[colour][:, None, None, :] * (1 - ink) + 255 * ink).astype(np.uint8)
    background = np.array(["red", "blue"])[colour]
    return Images.from_arrays(pixels, labels, classes=("low", "high"), groups={"background": background})


def shuffled_rows(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).permutation(1797)
