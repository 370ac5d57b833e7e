"""What a person leaves open, decided from the pictures: network, size, length, batch and augmentation."""

import dataclasses
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from diptych.backbones import weights
from diptych.data.images import Images
from diptych.data.transforms import Augment, to_float
from diptych.engine import machine
from diptych.engine.loader import check_seed
from diptych.errors import UsageError
from diptych.recognition import datasets, networks
from diptych.recognition.networks import pretrained, speednet
from diptych.recognition.training.budget import training_pace

log = logging.getLogger("diptych")
SMALL = 64  # px: up to here pictures are taken at their own size
PHOTOGRAPH_SIZE = {"cpu": 64, "mps": 96, "cuda": 128}  # what each trains at in minutes
LOOKED_AT = 5000  # pictures that the network and the augmentation are fitted to, at most
LOOKED_AT_BYTES = 64_000_000  # of their pixels
IMBALANCE = ("auto", "none")
LEARNING_SHARE = 0.85  # of a time budget, about, is left for training
SYMMETRIC = 4.0  # see `mirror_symmetric`; chance and correlated pixels stay under it, letters and digits far above


@dataclass(frozen=True)
class TrainingConfig:
    """All that a run needs; ``epochs`` is ``None`` where a time budget sets the length."""

    network: str | type[nn.Module]
    size: int
    batch: int
    lr: float
    epochs: float | None
    minutes: float | None
    training: networks.TrainingRecipe
    augment: Augment

    def facts(self) -> dict[str, Any]:
        """The choices as JSON can hold them."""
        return {
            "batch": self.batch,
            "lr": self.lr,
            "epochs": self.epochs,
            "minutes": self.minutes,
            "optimizer": self.training.optimizer,
            "label_smoothing": self.training.label_smoothing,
            "augment": dataclasses.asdict(self.augment),
        }


def check_parameters(parameters: Mapping[str, Any]) -> None:
    """Raise UsageError unless the recognizer's parameters can be.

    ``epochs`` and ``minutes`` exclude each other; all numbers are above 0, the size is 8 px or more.
    """
    if parameters["network"] != "auto":
        networks.check(parameters["network"])
    if parameters["imbalance"] not in IMBALANCE:
        raise UsageError(f"imbalance is one of {', '.join(IMBALANCE)}, not {parameters['balance']!r}.")
    if parameters["minutes"] is not None and parameters["epochs"] is not None:
        raise UsageError("Set either minutes (a time budget) or epochs (a length), not both.")
    for name in ("minutes", "epochs", "batch", "lr"):
        value = parameters[name]
        if value is not None and not value > 0:
            raise UsageError(f"{name} must be above 0, not {value}. Leave it out to have it chosen.")
    check_seed(parameters["seed"])
    size = parameters["size"]
    if size is not None and size < networks.MIN_SIZE:
        raise UsageError(f"size must be {networks.MIN_SIZE} px or more, not {size}. Leave it out to have it chosen.")


def choose_network_and_size(
    parameters: Mapping[str, Any], median_side: int
) -> tuple[str | type[nn.Module], int, tuple[str, ...]]:
    """The network and the picture size, from the parameters and the median of the pictures' shorter sides.

    Also what there is to note in the report. Nothing here uses the network.
    """
    network, size = parameters["network"], parameters["size"]
    notes: tuple[str, ...] = ()
    if network == "auto":
        network, notes = _automatic(median_side)
    if size is None and isinstance(network, str) and network.startswith(weights.PREFIX):
        size = pretrained.default_size(network)
    if size is None:
        size = median_side if median_side <= SMALL else PHOTOGRAPH_SIZE[machine.device().type]
        size = max(networks.MIN_SIZE, size)
        log.info("Size: %d px (the median of the pictures' shorter sides is %d px).", size, median_side)
    return network, size, notes


def _automatic(median_side: int) -> tuple[str, tuple[str, ...]]:
    """The network that suits pictures of this side, and what there is to note of it.

    Small pictures are learned from scratch; for photographs a pretrained backbone is taken if its weights are at hand.
    """
    if median_side <= SMALL:
        log.info("Network: speednet, trained from scratch.")
        return "speednet", ()
    found = weights.local_weights()
    if found:
        best = weights.best_weights(found, machine.device().type)
        note = f"Network: {best.name}, pretrained, with the weights in {best.file}."
        log.info("%s", note)
        return best.network, (note,)
    note = (
        "No pretrained weights are at hand, so the network (speednet) was trained from scratch. Photographs are told "
        f"far better with them: name a file or folder in {weights.VARIABLE} or as --network timm:NAME@PATH, or let "
        "timm fetch them with --network timm:NAME (this needs a network)."
    )
    log.info("%s", note)
    return "speednet", (note,)


def choose_variant(
    parameters: Mapping[str, Any],
    network: str | type[nn.Module],
    training: Images,
    sample: Tensor,
    begun: Mapping[str, Any] | None,
) -> str | type[nn.Module]:
    """Of an automatic SpeedNet, the variant that learns most in the time budget; any other network as it is.

    A run that was ``begun`` with such settings goes on with the variant that it has, however fast the machine is now.
    """
    minutes, many = parameters["minutes"], len(training) >= speednet.MIN_PICTURES
    if parameters["network"] != "auto" or network != "speednet" or minutes is None or not many:
        return network
    if begun is not None and begun.get("network") in speednet.VARIANTS:
        return str(begun["network"])
    found = speednet.best_variant(len(training), LEARNING_SHARE * 60 * minutes, _pace(network, training, sample))
    if found != network:
        log.info("Network: %s learns more in this time.", found)
    return found


def _shown(network: str | type[nn.Module], seconds: float, training: Images, sample: Tensor) -> float:
    """About how many pictures are learnt from in a time; 0 where it does not matter."""
    return seconds / _pace(network, training, sample) if network in speednet.COSTS else 0.0


def _pace(variant: str, training: Images, sample: Tensor) -> float:
    """About the seconds that training takes a variant of SpeedNet for each picture."""
    tried = networks.build("speednet", classes=len(training.classes), size=sample.shape[-1])
    return speednet.COSTS[variant] * training_pace("speednet", tried, sample)


def make_config(
    parameters: Mapping[str, Any], network: str | type[nn.Module], size: int, training: Images, sample: Tensor
) -> TrainingConfig:
    """Fill in what is left open; ``sample`` holds training pictures, (n, 3, S, S) uint8, of :func:`sampled`."""
    recipe = networks.recipe_of(network)
    n = len(training)
    minutes, epochs = parameters["minutes"], parameters["epochs"]
    if minutes is None and epochs is None:
        epochs = recipe.default_epochs(n)
        log.info("Length: %d epochs of %d pictures (set minutes or epochs to change it).", epochs, n)
    shown = n * epochs if epochs is not None else _shown(network, 60 * minutes * LEARNING_SHARE, training, sample)
    augment = recipe.augmentation(size, shown / n)
    if augment.flip != "none" and not mirror_symmetric(sample, training):
        augment = dataclasses.replace(augment, flip="none")
        log.info("The pictures are not mirrored in training: left and right seem to matter (as in writing).")
    batch = parameters["batch"] or recipe.default_batch(n, gpu=machine.device().type == "cuda")
    lr = parameters["lr"]
    if lr is None and network in speednet.COSTS:
        lr = recipe.peak_lr(shown / batch)
        log.info("Learning rate: %.3g, for about %.0f steps.", lr, shown / batch)
    lr = lr or recipe.lr
    return TrainingConfig(network, size, batch, lr, epochs, minutes, recipe, augment)


def sample_rows(n: int, size: int) -> NDArray[np.int64]:
    """Rows evenly spread over ``n``: up to 5,000, fewer of large pictures."""
    most = min(LOOKED_AT, max(1, LOOKED_AT_BYTES // (3 * size * size)))
    return np.unique(np.linspace(0, n - 1, most).astype(np.int64))


def mirror_symmetric(sample: Tensor, images: Images) -> bool:
    """Whether pictures, all and of each class, look as likely mirrored, so that mirroring teaches nothing false.

    If they do, a picture minus its mirror image is as likely as the negative of that, so that these differences
    cancel out: |Σ d|² is about Σ |d|², whatever their number n. Where the two sides differ, as in writing, it
    grows with n instead.
    """
    labels = datasets.targets(images[sample_rows(len(images), sample.shape[-1])])
    groups = [torch.ones(len(sample), dtype=torch.bool)]
    if not images.multi_label:
        groups += [labels == label for label in range(len(images.classes))]
    for rows in groups:
        pictures = to_float(sample[rows])
        difference = pictures - pictures.flip(3)
        alone = difference.square().sum().clamp(min=1e-9)
        if float(difference.sum(0).square().sum() / alone) > SYMMETRIC:
            return False
    return True
