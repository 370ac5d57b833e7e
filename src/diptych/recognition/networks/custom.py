"""A person's own network: any ``nn.Module`` class that maps pictures to logits."""

import inspect

import torch
from torch import Tensor, nn

from diptych.errors import UsageError
from diptych.recognition.networks.network import Network


class CustomNetwork(Network):
    """A person's module, built by ``module_class(classes, size)`` or ``module_class(classes)``.

    Its features are the inputs of its last linear layer. A module without a linear layer is its own head: its logits
    are its features.
    """

    thread_safe = False  # nothing is known of what the class does

    def __init__(self, module_class: type[nn.Module], classes: int, size: int) -> None:
        super().__init__()
        self.module = _build(module_class, classes, size)
        _check_outputs(self.module, module_class, classes, size)

    def features(self, images: Tensor) -> Tensor:
        """The inputs of the last linear layer, (B, D)."""
        return self.logits_and_features(images)[1]

    def logits_and_features(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Logits and features in one pass."""
        last = self.output_layer
        if last is None:
            logits = self.forward(images)
            return logits, logits
        inputs_of_last: list[Tensor] = []
        hook = last.register_forward_pre_hook(lambda _, inputs: inputs_of_last.append(inputs[0]))
        try:
            return self.forward(images), inputs_of_last[-1].flatten(1)
        finally:
            hook.remove()

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, classes)."""
        return self.shifted(self.module(images))

    @property
    def output_layer(self) -> nn.Linear | None:
        """The last linear layer."""
        return next((m for m in reversed(list(self.module.modules())) if isinstance(m, nn.Linear)), None)


def _build(module_class: type[nn.Module], classes: int, size: int) -> nn.Module:
    name = module_class.__name__
    parameters = inspect.signature(module_class).parameters.values()
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    try:
        return module_class(classes, size) if len(positional) > 1 else module_class(classes)
    except TypeError as error:
        raise UsageError(
            f"{name} could not be made ({error}). A network's class is called as {name}(classes, size) or "
            f"{name}(classes)."
        ) from error


def _check_outputs(module: nn.Module, module_class: type[nn.Module], classes: int, size: int) -> None:
    """Run the module on two grey pictures, so that a wrong shape is reported before training starts."""
    training = module.training
    module.eval()
    try:
        with torch.no_grad():
            logits = module(torch.zeros(2, 3, size, size))
    except (RuntimeError, ValueError, TypeError) as error:
        raise UsageError(
            f"{module_class.__name__} cannot take pictures of shape (2, 3, {size}, {size}): "
            f"{str(error).splitlines()[0]}"
        ) from error
    finally:
        module.train(training)
    shape = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
    if shape != (2, classes):
        raise UsageError(
            f"{module_class.__name__} returns {shape} for two pictures; it should return (2, {classes}) logits."
        )
