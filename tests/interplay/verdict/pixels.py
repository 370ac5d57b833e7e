"""A learner for tests of verdicts: a linear map of the pixels, trained within milliseconds, right about most digits."""

import numpy as np
import torch

from diptych.interplay.verdict.learner import Hyperparameters, label_tensor, train_head

SIDE = 8  # px


class PixelRegression:
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

    def predict(self, weights_now, images):
        logits = inputs(images) @ weights_now["weight"].T + weights_now["bias"]
        return np.asarray(logits.argmax(1).numpy(), np.int64)


def inputs(images):
    return images.pixels(SIDE).float().mean(1).flatten(1) / 127.5 - 1


def weights(head):
    return dict(zip(("weight", "bias"), head, strict=True))
