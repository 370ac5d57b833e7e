"""A small verdict in a process of its own, which a test kills: ``python judging.py FOLDER``."""

import sys
from pathlib import Path

import numpy as np
import torch

from diptych.data.images import Images
from diptych.data.training_digests import NONE
from diptych.interplay.verdict.learner import Hyperparameters, Length, label_tensor, train_head
from diptych.interplay.verdict.verdict import Plan, carry_out
from diptych.progress import Bar

SIDE = 8  # px


class PixelRegression:
    """A learner for tests: a linear map of the pixels, trained within milliseconds, right about most digits."""

    key = "pixels"
    description = "Every arm trains a linear map of the pixels."
    grid = (Hyperparameters(0.03, 0.01), Hyperparameters(0.1, 0.01))

    def __init__(self, classes):
        self.classes = classes

    def fit(self, images, how, length, seed, *, strong=False):
        features = inputs(images)
        if strong:
            noise = torch.randn(features.shape, generator=torch.Generator().manual_seed(seed))
            features = features + 0.1 * noise
        head = torch.zeros(self.classes, features.shape[1]), torch.zeros(self.classes)
        return weights(train_head(features, label_tensor(images), head, how, length, seed))

    def refit(self, weights_before, images, how, length, seed):
        head = weights_before["weight"], weights_before["bias"]
        return weights(train_head(inputs(images), label_tensor(images), head, how, length, seed))

    def logits(self, weights_now, images):
        return inputs(images) @ weights_now["weight"].T + weights_now["bias"]


def inputs(images):
    return images.pixels(SIDE).float().mean(1).flatten(1) / 127.5 - 1


def weights(head):
    return dict(zip(("weight", "bias"), head, strict=True))


PLAN = Plan(length=Length(60, 32), learner=PixelRegression(10))


class Pool:
    """Samples pictures of a pool."""

    training_digests = NONE

    def __init__(self, pool):
        self.pool, self.classes_ = pool, pool.classes

    def sample(self, n, *, label=None, seed=0):
        rows = np.flatnonzero(self.pool.labels == self.classes_.index(label))
        return self.pool[np.resize(np.random.default_rng(seed).permutation(rows), n)]


def judge(folder, plan=PLAN):
    pictures, pool, test = Images.open("digits")[:500].split(0.5, 0.25, 0.25, seed=0)
    with Bar("Judging", 1) as bar:
        return carry_out(pictures, Pool(pool), test, folder, plan, bar)


if __name__ == "__main__":
    judge(Path(sys.argv[1]))
