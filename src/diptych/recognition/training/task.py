"""The training task of a recognizer: its loss, the pictures it learns from, and its optimisers."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diptych.engine.optim import AdamW, Muon, Optimizer, adamw, filters, sgd
from diptych.recognition.networks import Network, TrainingRecipe

MIN_BATCH = 2  # pictures that batch norm needs
OptimizerFactory = Callable[[list[nn.Parameter], float, float], Optimizer]  # (parameters, rate, decay)


class ClassificationTask:
    """A network that learns labels: the engine's task with the one player "network"."""

    def __init__(self, network: Network, recipe: TrainingRecipe, lr: float, *, multi_label: bool) -> None:
        self.network, self.recipe, self.lr = network, recipe, lr
        self.multi_label = multi_label
        network.before_step(0.0)

    def modules(self) -> dict[str, nn.Module]:
        """The network."""
        return {"network": self.network}

    def players(self) -> dict[str, list[nn.Parameter]]:
        """The parameters that are trained at this point of the run."""
        return {"network": [p for p in self.network.parameters() if p.requires_grad]}

    def optimizers(self) -> dict[str, list[Optimizer]]:
        """As the network's recipe says."""
        return {"network": optimizers(self.network, self.recipe, self.lr)}

    def losses(self, images: Tensor, labels: Tensor) -> Iterator[tuple[str, Tensor]]:
        """Cross-entropy over the classes, or over each label where a picture may have several."""
        yield "network", self.per_picture_loss(self.network, images, labels).mean()

    def per_picture_loss(self, network: Network, images: Tensor, labels: Tensor) -> Tensor:
        """The loss of each picture under a network, (B,)."""
        logits = network(images).float()
        if self.multi_label:
            return F.binary_cross_entropy_with_logits(logits, labels, reduction="none").mean(1)
        return F.cross_entropy(logits, labels, reduction="none", label_smoothing=self.recipe.label_smoothing)

    def compilable(self) -> list[nn.Module]:
        """The network."""
        return [self.network]

    def before_step(self, progress: float) -> None:
        """Pass the run's progress on to the network."""
        self.network.before_step(progress)


class SelectionViaProxy(ClassificationTask):
    """A network trained on the harder half of each batch alone: that of the larger loss under a proxy.

    The proxy, a network so small that it costs little, is trained along on a quarter of each batch, and selects with
    the weights it has at that step. "Selection via proxy" (Coleman et al. 2020, arXiv:1906.11829), a batch at a time
    as in the record for 96 % on CIFAR-10 (Jordan 2024).

    Parameters
    ----------
    proxy
        The small network; trained by the same recipe, at the same rate.
    """

    def __init__(
        self, network: Network, recipe: TrainingRecipe, lr: float, *, multi_label: bool, proxy: Network
    ) -> None:
        super().__init__(network, recipe, lr, multi_label=multi_label)
        self.proxy = proxy
        proxy.before_step(0.0)

    def modules(self) -> dict[str, nn.Module]:
        """Both networks."""
        return {**super().modules(), "proxy": self.proxy}

    def players(self) -> dict[str, list[nn.Parameter]]:
        """The parameters of both that are trained at this point of the run."""
        return {**super().players(), "proxy": [p for p in self.proxy.parameters() if p.requires_grad]}

    def optimizers(self) -> dict[str, list[Optimizer]]:
        """Of each network, by the same recipe."""
        return {**super().optimizers(), "proxy": optimizers(self.proxy, self.recipe, self.lr)}

    def losses(self, images: Tensor, labels: Tensor) -> Iterator[tuple[str, Tensor]]:
        """The proxy's loss over a quarter of the pictures, then the network's over the harder half of all."""
        with torch.no_grad():
            harder = self.per_picture_loss(self.proxy, images, labels).topk(-(-len(images) // 2)).indices
        count = max(MIN_BATCH, len(images) // 4)
        yield "proxy", self.per_picture_loss(self.proxy, images[:count], labels[:count]).mean()
        yield from super().losses(images[harder], labels[harder])

    def compilable(self) -> list[nn.Module]:
        """Both networks."""
        return [*super().compilable(), self.proxy]

    def before_step(self, progress: float) -> None:
        """Pass the run's progress on to both networks."""
        super().before_step(progress)
        self.proxy.before_step(progress)


def optimizers(network: Network, recipe: TrainingRecipe, lr: float) -> list[Optimizer]:
    """The optimisers of a recipe, over all that is trainable in the network."""
    trainable = [p for p in network.parameters() if p.requires_grad]
    if recipe.optimizer == "muon":
        return _muon(network, recipe, lr, trainable)
    make: OptimizerFactory = sgd if recipe.optimizer == "sgd" else adamw
    if recipe.layer_decay < 1:
        return _layered(network, recipe, lr, make)
    if recipe.head_factor == 1:
        return [make(trainable, lr, recipe.decay)]
    head, body = _split_head(trainable, network.head)
    return [make(body, lr, recipe.decay), make(head, lr * recipe.head_factor, recipe.decay)]


def _layered(network: Network, recipe: TrainingRecipe, lr: float, make: OptimizerFactory) -> list[Optimizer]:
    """One for each layer, each slower than the layer after it (Clark et al. 2020, ELECTRA, section 3.1)."""
    head = [p for p in network.head.parameters() if p.requires_grad]
    rates = [lr * recipe.layer_decay**depth for depth in range(len(network.layers()))]
    layers = zip(reversed(network.layers()), rates, strict=True)
    return [make(head, lr * recipe.head_factor, recipe.decay), *(make(p, rate, recipe.decay) for p, rate in layers)]


def _muon(network: Network, recipe: TrainingRecipe, lr: float, trainable: list[nn.Parameter]) -> list[Optimizer]:
    """Muon for filter banks; the rest by AdamW.

    AdamW's step does not depend on the loss's scale: SpeedNet's logits are scaled by 1/width, for which SGD
    would need rates in the hundreds.
    """
    banks = filters(network)
    head, body = _split_head(trainable, network.head)
    in_banks = {id(p) for p in banks}
    groups = [
        {"params": head, "lr": lr * recipe.head_factor},
        {"params": [p for p in body if id(p) not in in_banks], "lr": lr * recipe.bias_factor},
    ]
    return [Muon(banks, lr, unit_norm=True), AdamW(groups, lr=lr, weight_decay=recipe.decay)]


def _split_head(trainable: list[nn.Parameter], head: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """(the head's parameters, all others)."""
    of_head = {id(p) for p in head.parameters()}
    return [p for p in trainable if id(p) in of_head], [p for p in trainable if id(p) not in of_head]
