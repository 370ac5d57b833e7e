"""The recognizer in training: its loss, and its optimisers."""

from collections.abc import Iterator

from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import AdamW, Optimizer

from diptych.engine.optim import Muon, adamw, filters, sgd
from diptych.recognition.networks import Network, Training

# Beside Muon, the head and the biases learn by AdamW, whose step does not depend on the loss's scale: SpeedNet's
# logits are scaled by 1/width, which would ask of SGD rates in the hundreds.
HEAD_LR, BIAS_LR = 0.8, 0.08  # as shares of Muon's rate


class Classification:
    """A network that learns labels: the engine's task with the one player "network"."""

    def __init__(self, network: Network, recipe: Training, lr: float, *, multi_label: bool) -> None:
        self.network, self.recipe, self.lr = network, recipe, lr
        self.multi_label = multi_label
        network.before_step(0.0)

    def modules(self) -> dict[str, nn.Module]:
        """The network."""
        return {"network": self.network}

    def players(self) -> dict[str, list[nn.Parameter]]:
        """What is trained at this moment of the run."""
        return {"network": [p for p in self.network.parameters() if p.requires_grad]}

    def optimizers(self) -> dict[str, list[Optimizer]]:
        """Of the kind that suits the network's family."""
        return {"network": optimizers(self.network, self.recipe, self.lr)}

    def losses(self, images: Tensor, labels: Tensor) -> Iterator[tuple[str, Tensor]]:
        """Cross-entropy over the classes, or over each label where a picture may have several."""
        logits = self.network(images).float()
        if self.multi_label:
            yield "network", F.binary_cross_entropy_with_logits(logits, labels)
        else:
            yield "network", F.cross_entropy(logits, labels, label_smoothing=self.recipe.label_smoothing)

    def compilable(self) -> list[nn.Module]:
        """The network."""
        return [self.network]

    def before_step(self, progress: float) -> None:
        """Tell the network how far the run is."""
        self.network.before_step(progress)


def optimizers(network: Network, recipe: Training, lr: float) -> list[Optimizer]:
    """The optimisers of a recipe, over all that is trainable in the network."""
    trainable = [p for p in network.parameters() if p.requires_grad]
    if recipe.optimizer == "adamw":
        return [adamw(trainable, lr, recipe.decay)]
    if recipe.optimizer == "sgd":
        return [sgd(trainable, lr, recipe.decay)]
    head = {id(p) for p in network.head.parameters()}
    banks = filters(network)
    held = {id(p) for p in banks}
    rest = [p for p in trainable if id(p) not in held and id(p) not in head]
    groups = [
        {"params": [p for p in network.head.parameters() if p.requires_grad], "lr": lr * HEAD_LR},
        {"params": rest, "lr": lr * BIAS_LR},
    ]
    return [Muon(banks, lr, unit_norm=True), AdamW(groups, lr=lr, weight_decay=recipe.decay, fused=True)]
