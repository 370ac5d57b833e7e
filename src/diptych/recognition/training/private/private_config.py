"""What a private run of a recognizer is made of: network, size, steps and budget, chosen without looking at pictures.

Only the usual size of the pictures, their number and the names of the classes are taken from the data.
"""

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from diptych.backbones import local, timm_backbone
from diptych.data.transforms import Augment
from diptych.engine import machine
from diptych.engine.privacy.budget import Budget
from diptych.engine.privacy.layers import check_by_trial, check_layers, replace_batch_norm
from diptych.errors import UsageError
from diptych.recognition import networks
from diptych.recognition.networks import Network, speednet
from diptych.recognition.settings import AUTOMATIC
from diptych.recognition.training.config import PHOTOGRAPH_SIZE, SMALL_SIDE, TrainingConfig

log = logging.getLogger("diptych")
NETWORK = "groupnet"  # for small pictures
DRAWN_SHARE = 0.5  # of the pictures, in a step: large batches drown the noise
MAX_BATCH = 4096
STEPS = 60  # of a network from scratch
CLIP = 1.0
HEAD_STEPS = 30  # of a last layer, each on all pictures


def private_network_and_size(
    parameters: Mapping[str, Any], median_side: int
) -> tuple[str | type[nn.Module], int, tuple[str, ...]]:
    """The network, the size and notes for the report.

    Raises
    ------
    UsageError
        The network cannot keep a promise, and why.
    """
    network, size, notes = parameters["network"], parameters["size"], ()
    if network == AUTOMATIC:
        candidates = [] if median_side <= SMALL_SIDE else local.local_weights()
        network = local.best_weights(candidates, machine.device().type).network if candidates else NETWORK
        log.info("Network: %s, for training with epsilon.", networks.name_of(network))
    if network in speednet.VARIANTS:
        raise UsageError(
            f"{network} cannot be trained with epsilon: its first layer is fitted to the training pictures without "
            f"noise, and its batch norms mix the pictures of a batch. Choose {NETWORK}, convnet, lite0, or auto."
        )
    if size is None and is_pretrained(network):
        size = timm_backbone.default_size(str(network))
    if size is None:
        size = max(networks.MIN_SIZE, median_side if median_side <= SMALL_SIDE else PHOTOGRAPH_SIZE["cpu"])
        log.info("Size: %d px (the median of the pictures' shorter sides is %d px).", size, median_side)
    return network, size, notes


def is_pretrained(network: str | type[nn.Module]) -> bool:
    """Whether only a last layer on the frozen features of a backbone is trained."""
    return isinstance(network, str) and timm_backbone.is_pretrained(network)


def build_private(network: str | type[nn.Module], classes: int, size: int, seed: int) -> Network:
    """The network with initial weights; batch norms of one from scratch are replaced.

    Raises
    ------
    UsageError
        A layer would break the promise.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        built = networks.build(network, classes=classes, size=size)
    if not built.pretrained:
        replace_batch_norm(built)
        check_layers(built)
        check_by_trial(built, size)
    return built


def private_config(
    parameters: Mapping[str, Any], network: str | type[nn.Module], size: int, pictures: int
) -> tuple[TrainingConfig, Budget]:
    """How it is trained, and what that spends: the steps are fixed first, then the noise is fitted to them."""
    if is_pretrained(network):
        batch, steps = pictures, HEAD_STEPS if parameters["epochs"] is None else max(1, round(parameters["epochs"]))
    else:
        batch = min(pictures, parameters["batch"] or min(MAX_BATCH, max(1, round(DRAWN_SHARE * pictures))))
        epochs = parameters["epochs"]
        steps = STEPS if epochs is None else max(1, round(epochs * pictures / batch))
    recipe = replace(networks.recipe_of(network), half_life_epochs=0.0, microbatches=1, proxy=None)
    budget = Budget.plan(
        parameters["epsilon"], parameters["delta"], pictures=pictures, batch=batch, steps=steps, clip=CLIP
    )
    lr = parameters["lr"] or recipe.lr
    return TrainingConfig(network, size, batch, lr, steps * batch / pictures, None, recipe, Augment()), budget
