"""Gradients of single pictures, by Opacus' hooks, and their clipped and noised mean."""

import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from diptych.engine.privacy.accounting import MISSING
from diptych.errors import UsageError


@contextmanager
def gradients_of_pictures(modules: Iterable[nn.Module]) -> Iterator[None]:
    """Within the block, ``backward`` of a mean loss gives each parameter ``grad_sample``, (B, …) of its pictures."""
    try:
        from opacus.grad_sample import GradSampleModule
    except ImportError as error:
        raise UsageError(MISSING) from error
    samplers = GradSampleModule.GRAD_SAMPLERS
    hooked, contiguous = [], []
    try:
        for module in modules:
            for part in module.modules():
                if isinstance(part, nn.GroupNorm):  # a subclass computes the same; vmap would be slower
                    samplers.setdefault(type(part), samplers[nn.GroupNorm])
                if isinstance(part, nn.Conv2d):
                    contiguous.append(part.register_forward_pre_hook(_contiguous))
            if any(p.requires_grad for p in module.parameters()):
                try:
                    hooked.append(GradSampleModule(module, loss_reduction="mean"))
                except NotImplementedError as error:
                    raise UsageError(f"The network cannot be trained with epsilon: {error.args[0]}") from error
        with warnings.catch_warnings():
            # The hook of a layer that takes pictures, which need no gradients, says that it sees outputs only.
            warnings.filterwarnings("ignore", "Full backward hook is firing when gradients are computed", UserWarning)
            yield
    finally:
        for handle in contiguous:
            handle.remove()
        for wrapper in hooked:
            wrapper.remove_hooks()
            for p in wrapper.parameters():
                for name in ("grad_sample", "_forward_counter", "_current_grad_sample"):
                    if hasattr(p, name):
                        delattr(p, name)


def _contiguous(_: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """The inputs in the memory order that Opacus takes for granted: of others it computes wrong gradients."""
    return tuple(t.contiguous() for t in inputs)


def add_clipped(totals: Sequence[Tensor], parameters: Sequence[nn.Parameter], copies: int, clip: float) -> None:
    """Add each picture's gradient, clipped to the norm ``clip``, to the totals, and clear it.

    Abadi et al. 2016, "Deep learning with differential privacy", algorithm 1. Each picture is there ``copies`` times in
    a row, augmented or noised differently, and its gradient is their mean (De et al. 2022, arXiv:2204.13650, section
    3.2; Dockhorn et al. 2023, arXiv:2210.09929, section 3.2).
    """
    gradients = [_taken(p).flatten(1) for p in parameters]
    if copies > 1:
        gradients = [g.unflatten(0, (-1, copies)).mean(1) for g in gradients]  # type: ignore[no-untyped-call]
    norms = torch.stack([torch.linalg.vector_norm(g, dim=1) for g in gradients]).norm(dim=0)
    # A gradient that is no number would give its picture away.
    factors = torch.where(norms.isfinite(), (clip / norms.clamp(min=1e-12)).clamp(max=1.0), 0.0)
    broken = not bool(norms.isfinite().all())
    for total, gradient in zip(totals, gradients, strict=True):
        finite = torch.nan_to_num(gradient, 0.0, 0.0, 0.0) if broken else gradient
        total += (factors @ finite).view_as(total)


def _taken(parameter: nn.Parameter) -> Tensor:
    """The gradients of the pictures of the last ``backward``, which are cleared."""
    gradients: Tensor = parameter.grad_sample  # type: ignore[attr-defined]
    parameter.grad_sample = parameter.grad = None  # type: ignore[attr-defined]
    return gradients


@torch.no_grad()
def set_noised(
    parameters: Sequence[nn.Parameter], totals: Sequence[Tensor], noise: Tensor, deviation: float, batch: float
) -> None:
    """Set each parameter's gradient to its total plus noise of this standard deviation, over the expected batch.

    Over the expected one, since how many pictures were drawn is not to be told.
    """
    parts = torch.split(noise.to(totals[0].device), [t.numel() for t in totals])
    for p, total, part in zip(parameters, totals, parts, strict=True):
        p.grad = (total + deviation * part.view_as(total)) / batch
