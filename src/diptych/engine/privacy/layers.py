"""Layers that would break the promise of private training, each with the reason, and batch norm's replacement.

Private training needs a gradient of each picture that no other picture of the batch has a part in. Opacus' own list
lets some layers through, so this is ours; what is not on it is found by a trial on noise.
"""

import copy
import math

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.instancenorm import _InstanceNorm
from torch.nn.utils.parametrizations import _SpectralNorm

from diptych.engine.privacy.gradients import gradients_of_pictures
from diptych.errors import UsageError

GROUP_CHANNELS = 8  # or more, in a group of a group norm
TRIAL_PICTURES = 3
TOLERANCE = 1e-3  # of the whole gradient's norm, by which the trial may differ: sums in another order
INSTEAD = "Train another network (convnet, say), or train without epsilon."


def replace_batch_norm(network: nn.Module) -> nn.Module:
    """The network with group norm in the place of every batch norm, which mixes the pictures of a batch.

    Group norm (Wu & He 2018) has the same weights, and normalises each picture by itself.
    """
    for name, child in network.named_children():
        if isinstance(child, _BatchNorm):
            channels = child.num_features
            setattr(
                network,
                name,
                nn.GroupNorm(math.gcd(channels, max(1, channels // GROUP_CHANNELS)), channels, eps=child.eps),
            )
        else:
            replace_batch_norm(child)
    return network


def check_layers(network: nn.Module) -> None:
    """Refuse a network with a layer that is known to break the promise.

    Raises
    ------
    UsageError
        Names the layer and says why.
    """
    for name, module in network.named_modules():
        if reason := _reason(module):
            raise UsageError(
                f"The network cannot be trained with epsilon: its layer {name or 'itself'} "
                f"({type(module).__name__}) {reason}. {INSTEAD}"
            )


def _reason(module: nn.Module) -> str:
    if isinstance(module, _BatchNorm):
        return "normalises each picture by the others of its batch"
    if isinstance(module, _InstanceNorm) and module.track_running_stats:
        return "keeps running statistics of the pictures, without noise"
    if _is_spectral(module):
        return "divides its weights by a norm that it follows from step to step (spectral norm)"
    if isinstance(module, nn.MultiheadAttention | nn.RNNBase):
        return "gives no gradient of a single picture: its weights are used outside of layers"
    return ""


def _is_spectral(module: nn.Module) -> bool:
    """Whether spectral norm, of today's torch or of an earlier one, was put on it."""
    return hasattr(module, "weight_u") or isinstance(module, _SpectralNorm)


def check_by_trial(network: nn.Module, size: int) -> None:
    """Refuse a network whose gradients of single pictures are wrong, or that keeps statistics, by a trial on noise.

    Parameters
    ----------
    network
        Takes pictures (B, 3, ``size``, ``size``).

    Raises
    ------
    UsageError
        Says what was found.
    """
    trial = copy.deepcopy(network).cpu().train()
    for module in trial.modules():
        if isinstance(module, nn.modules.dropout._DropoutNd):
            module.eval()  # or the two computations would differ by its draws
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(TRIAL_PICTURES, 3, size, size, generator=generator)
    before = {name: buffer.clone() for name, buffer in trial.named_buffers()}
    together, alone = _gradients_together(trial, images), _gradients_alone(trial, images)
    for name, buffer in trial.named_buffers():
        if not torch.equal(buffer, before[name]):
            raise UsageError(
                f"The network cannot be trained with epsilon: it keeps statistics of the pictures ({name}), without "
                f"noise. {INSTEAD}"
            )
    scale = math.sqrt(sum(float(gradient.square().sum()) for gradient in alone.values()))
    for name, one in alone.items():
        both = together.get(name)
        if both is None or float((both - one).norm()) > TOLERANCE * scale:
            raise UsageError(
                f"The network cannot be trained with epsilon: the gradient of a single picture by {name} cannot be "
                f"told from those of the others. {INSTEAD}"
            )


def _loss(network: nn.Module, images: Tensor) -> Tensor:
    """A mean over the pictures, in which every output counts differently."""
    outputs = network(images).flatten(1).float()
    loss: Tensor = (outputs * torch.linspace(-1, 1, outputs.shape[1])).sum(1).mean()
    return loss


def _gradients_together(network: nn.Module, images: Tensor) -> dict[str, Tensor]:
    """The gradients of each picture by each parameter, (B, …), by Opacus' hooks."""
    with gradients_of_pictures([network]):
        _loss(network, images).backward()  # type: ignore[no-untyped-call]
        gradients = {n: getattr(p, "grad_sample", None) for n, p in network.named_parameters() if p.requires_grad}
    network.zero_grad()
    return {name: gradient for name, gradient in gradients.items() if isinstance(gradient, Tensor)}


def _gradients_alone(network: nn.Module, images: Tensor) -> dict[str, Tensor]:
    """The same, one picture after the other."""
    rows: dict[str, list[Tensor]] = {}
    for image in images:
        _loss(network, image[None]).backward()  # type: ignore[no-untyped-call]
        for name, p in network.named_parameters():
            if p.grad is not None:
                rows.setdefault(name, []).append(p.grad.clone())
        network.zero_grad()
    return {name: torch.stack(gradients) for name, gradients in rows.items()}
