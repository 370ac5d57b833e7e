"""A private last layer: logistic regression on the frozen features of a backbone, by noisy gradient descent.

The backbone has never seen the pictures, so that only the last layer can tell of them. Each step takes all pictures:
the gradient of each, which is known in closed form, is clipped, and noise is added to their sum. With few steps on all
pictures this is what does best on pretrained features (Mehta et al. 2023, "Large scale transfer learning for
differentially private image classification", arXiv:2205.02973).
"""

from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional as F

from diptych.engine import checkpoint, machine
from diptych.engine.distributed import ProcessGroup
from diptych.engine.loader import label_tensor
from diptych.engine.privacy.budget import Budget
from diptych.engine.privacy.secret_randomness import SecretRandomness, new_secret
from diptych.errors import UsageError
from diptych.recognition.inference.embedder import Embedder
from diptych.recognition.inference.outputs import Outputs
from diptych.recognition.training.run import Job, TrainingResult
from diptych.recognition.training.transfer.finetune import recorded_without_run, with_head
from diptych.recognition.training.transfer.logistic_regression import LinearHead

RATE = 0.5  # times the classes, of the mean gradient, with features of unit length
MOMENTUM = 0.9


def train_last_layer(job: Job, budget: Budget) -> TrainingResult:
    """Fit the head of the job's pretrained network."""
    group, network = ProcessGroup(machine.device()), job.network
    if group.world_size > 1:
        raise UsageError("Private training runs in one process. Start it without torchrun.")
    if job.folder:
        checkpoint.claim(job.folder, job.settings)
    embedder = Embedder(network, job.config.size, "", frozen=True)
    validation = embedder.outputs(job.validation, "Embedding")
    features = embedder.outputs(job.training, "Embedding").features
    lengths = float(network.head_input(features[:1]).norm())  # the same of every picture
    head = private_regression(
        F.normalize(features, dim=1), label_tensor(job.training), len(job.training.classes), budget, new_secret()
    )
    network.set_head(head.weight / lengths, head.bias)
    outputs = with_head(network, Outputs(torch.empty(0), validation.features, validation.slopes))
    result = recorded_without_run(job, outputs, budget.steps * len(job.training), group, job.folder)
    return replace(
        result, frozen=True, notes=["Only the last layer was trained: the backbone is as it was pretrained."]
    )


def private_regression(features: Tensor, labels: Tensor, classes: int, budget: Budget, secret: str) -> LinearHead:
    """The weights and biases of a private logistic regression.

    Parameters
    ----------
    features
        (N, D) of unit length.
    labels
        (N,) int64, or (N, K) float32 of 0 and 1.
    """
    randomness = SecretRandomness(secret)
    n, width = features.shape
    inputs = torch.cat([features, torch.ones(n, 1)], dim=1) / 2**0.5  # of unit length, too
    weights, velocity = torch.zeros(classes, width + 1), torch.zeros(classes, width + 1)
    targets = labels if labels.ndim == 2 else F.one_hot(labels, classes).float()
    for step in range(budget.steps):
        rows = randomness.sampled(step, n, budget.sampling_rate)
        drawn, wanted = inputs[rows], targets[rows]
        logits = drawn @ weights.T
        errors = (logits.sigmoid() if labels.ndim == 2 else logits.softmax(1)) - wanted
        # A picture's gradient is the outer product of its error and its input, whose length is 1.
        errors = errors * (budget.clip / errors.norm(dim=1, keepdim=True).clamp(min=1e-12)).clamp(max=1.0)
        noise = randomness.noise(step, weights.numel()).view_as(weights)
        gradient = (errors.T @ drawn + budget.noise_multiplier * budget.clip * noise) / (budget.sampling_rate * n)
        velocity = MOMENTUM * velocity + gradient
        weights = weights - RATE * classes * velocity
    return LinearHead(weights[:, :width] / 2**0.5, weights[:, width] / 2**0.5)
