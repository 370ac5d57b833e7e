"""A person's own network: any class whose objects are called with pictures and answer with logits."""

import inspect

import torch
from torch import Tensor, nn

from diptych.errors import UsageError
from diptych.recognition.networks.network import Network


class CustomNetwork(Network):
    """A person's module, made by ``kind(classes, size)`` or ``kind(classes)``.

    Its features are what goes into its last linear layer with one output a class; a module without such a layer
    is its own head, and its logits are its features.
    """

    def __init__(self, kind: type[nn.Module], classes: int, size: int) -> None:
        super().__init__()
        self.module = _made(kind, classes, size)
        _check(self.module, kind, classes, size)

    def features(self, images: Tensor) -> Tensor:
        """What goes into the last linear layer, (B, D)."""
        return self.logits_and_features(images)[1]

    def logits_and_features(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Logits and features in one pass."""
        if self._last is None:
            logits = self.forward(images)
            return logits, logits
        seen: list[Tensor] = []
        hook = self._last.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
        try:
            return self.forward(images), seen[-1].flatten(1)
        finally:
            hook.remove()

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, classes)."""
        return self.shifted(self.module(images))

    @property
    def _last(self) -> nn.Linear | None:
        return next((m for m in reversed(list(self.module.modules())) if isinstance(m, nn.Linear)), None)


def _made(kind: type[nn.Module], classes: int, size: int) -> nn.Module:
    wanted = [
        p for p in inspect.signature(kind).parameters.values() if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
    ]
    try:
        return kind(classes, size) if len(wanted) > 1 else kind(classes)
    except TypeError as error:
        raise UsageError(
            f"{kind.__name__} could not be made ({error}). A network's class is called as "
            f"{kind.__name__}(classes, size) or {kind.__name__}(classes)."
        ) from error


def _check(module: nn.Module, kind: type[nn.Module], classes: int, size: int) -> None:
    """Try the module on two grey pictures, so that a wrong shape is told before the run and in words."""
    training = module.training
    module.eval()
    try:
        with torch.no_grad():
            logits = module(torch.zeros(2, 3, size, size))
    except (RuntimeError, ValueError, TypeError) as error:
        raise UsageError(
            f"{kind.__name__} cannot take pictures of shape (2, 3, {size}, {size}): {str(error).splitlines()[0]}"
        ) from error
    finally:
        module.train(training)
    shape = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
    if shape != (2, classes):
        raise UsageError(f"{kind.__name__} answers two pictures with {shape}; it should give (2, {classes}) logits.")
