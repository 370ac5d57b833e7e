"""Attribution: heatmaps of which places of a picture speak for a label.

The logits are attributed to layers that keep spatial positions, the maps of a convolutional network or the tokens of a
transformer: the contribution of a position is the gradient of the label's log-odds times the layer's output there,
summed over the channels (HiResCAM: Draelos & Carin 2020, arXiv:2011.08891). A deep layer shows which region matters, an
earlier one shows the exact place; the heatmap is their geometric mean. It takes one forward and one backward pass.

Tokens also encode their position, which is the same in every picture and decides nothing. So of tokens, only the
difference from those of a plain picture of the mean colour counts.

Guided backpropagation is not used: its maps hardly change when the weights are randomised, so they show the picture
and not the network (Adebayo et al. 2018, "Sanity checks for saliency maps"). Neither are noisy copies (SmoothGrad):
small networks trained from scratch are confused by noise, and their maps pointed away from what decides.

A network without such a layer (one that flattens the picture first) is run again with one patch after another occluded
(Zeiler & Fergus 2014), which needs captum.
"""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diptych.data.images import Images
from diptych.data.labels import find_class
from diptych.data.transforms import to_float
from diptych.engine import machine
from diptych.errors import UsageError
from diptych.progress import Bar
from diptych.recognition.networks import Network

BATCH = 16  # pictures: a gradient needs the outputs of all layers
MIN_REGION_SIDE = 3  # cells a side of the layer that shows the region,
MIN_DETAIL_SIDE = 12  # and of the one that shows the place in it
MAX_EXTRA_TOKENS = 8  # in front of the patches' tokens: class token and registers
MAX_NAMES = 20  # class names that a message lists
PATCHES_ACROSS = 4  # an occluding patch has a quarter of the picture's side, and moves by half of its own


def attribution_maps(
    network: Network, images: Images, size: int, labels: Tensor | None, *, multi_label: bool
) -> Tensor:
    """Heatmaps of readable pictures, (N, size, size) float32 in 0..1; see :meth:`Recognizer.explain`.

    Parameters
    ----------
    labels
        (N,) the class number to explain for each picture; ``None``: the predicted one.

    Raises
    ------
    UsageError
        No layer keeps spatial positions, and captum is not installed.
    """
    device = machine.device()
    network.to(device).eval()
    layers = choose_layers(network, size, multi_label=multi_label)
    maps = [torch.empty(0, size, size)]
    with Bar("Explaining", len(images)) as bar:
        for start in range(0, len(images), BATCH):
            pictures = to_float(images[start : start + BATCH].pixels(size).to(device))
            explained = _predicted(network, pictures) if labels is None else labels[start : start + BATCH].to(device)
            target = AttributionTarget(network, explained, multi_label)
            heatmap = _layer_heatmap(target, layers, pictures) if layers else _occlusion(target, pictures)
            maps.append(_scaled(heatmap).cpu())
            bar.advance(len(pictures))
    return torch.cat(maps)


def class_number(label: str | int, classes: Sequence[str]) -> int:
    """The number of a class, from its name or number.

    Raises
    ------
    UsageError
        There is no such class.
    """
    number = find_class(label, classes) if isinstance(label, str) else None
    if number is not None:
        return number
    if isinstance(label, int) and 0 <= label < len(classes):
        return label
    names = ", ".join(classes[:MAX_NAMES])
    names += f" and {len(classes) - MAX_NAMES} more" if len(classes) > MAX_NAMES else ""
    raise UsageError(f"There is no class {label!r} here. Choose from: {names}.")


@dataclass(frozen=True)
class AttributionTarget:
    """What is attributed: the log-odds of one label each, (B,) int64, of B pictures."""

    network: Network
    labels: Tensor
    multi_label: bool

    def log_odds(self, pictures: Tensor) -> Tensor:
        """The log-odds log p/(1 - p) of each label, (B,): unlike p they do not saturate where p is near 1."""
        logits: Tensor = self.network(pictures).float()
        target: Tensor = logits.gather(1, self.labels[:, None])[:, 0]
        if self.multi_label:
            return target
        return target - logits.scatter(1, self.labels[:, None], -math.inf).logsumexp(1)


@dataclass(frozen=True)
class LayerAttribution:
    """What a layer's output contributes to the log-odds.

    Attributes
    ----------
    cells
        (B, side, side): the contribution of each position.
    tokens
        Whether the output is a row of tokens, instead of a map.
    has_gradient
        Whether the log-odds depend on it.
    """

    layer: nn.Module
    cells: Tensor
    tokens: bool
    has_gradient: bool

    @property
    def side(self) -> int:
        """Cells a side."""
        return self.cells.shape[-1]


def choose_layers(network: Network, size: int, *, multi_label: bool) -> list[nn.Module]:
    """The deepest layer with cells for regions and the deepest with cells for details, or one that is both.

    A layer qualifies if its output is a map or a row of tokens that the log-odds depend on; tokens of a transformer
    that no later attention reads do not. All layers of a transformer have the same positions: of these, the last and
    the first norm are taken, since attention reads their outputs. The layers are found by running the network on fixed
    noise. Empty if no layer keeps spatial positions.
    """
    noise = torch.randn(1, 3, size, size, generator=torch.Generator().manual_seed(0)).to(machine.device())
    target = AttributionTarget(network, torch.zeros(1, dtype=torch.long, device=noise.device), multi_label)
    candidates = [part for part in layer_attributions(target, noise, list(network.modules())[1:]) if part.has_gradient]
    tokens = [part.layer for part in candidates if part.tokens]
    if tokens:
        norms = [layer for layer in tokens if "Norm" in type(layer).__name__] or tokens
        return list(dict.fromkeys((norms[-1], norms[0])))
    if not candidates:
        return []
    widest = max(part.side for part in candidates)
    min_sides = [min(side, widest) for side in (MIN_REGION_SIDE, MIN_DETAIL_SIDE)]
    chosen = [[part.layer for part in candidates if part.side >= min_side][-1] for min_side in min_sides]
    return list(dict.fromkeys(chosen))


def layer_attributions(
    target: AttributionTarget, pictures: Tensor, layers: Sequence[nn.Module]
) -> list[LayerAttribution]:
    """Gradient times output, summed over channels, of each layer that is called once and keeps positions; in order.

    Source: Draelos & Carin 2020, equation 3; of tokens, the difference from those of a plain picture is used.
    """
    size = pictures.shape[-1]
    with torch.enable_grad(), _recorded_outputs(layers) as outputs:
        log_odds = target.log_odds(pictures.clone().requires_grad_()).sum()
    calls = Counter(layer for layer, _ in outputs)
    spatial = [
        (layer, output)
        for layer, output in outputs
        if calls[layer] == 1 and output.requires_grad and _as_map(output, size) is not None
    ]
    if not spatial:
        return []
    gradients = torch.autograd.grad(log_odds, [output for _, output in spatial], allow_unused=True)
    baseline = _plain_tokens(target, pictures, [layer for layer, output in spatial if output.ndim == 3])
    attributions = []
    for (layer, output), computed in zip(spatial, gradients, strict=True):
        gradient = torch.zeros_like(output) if computed is None else computed
        difference = output.detach() - baseline[layer] if layer in baseline else output.detach()
        product, gradient_map = _as_map(difference * gradient, size), _as_map(gradient, size)
        assert product is not None
        assert gradient_map is not None
        attributions.append(LayerAttribution(layer, product.sum(1), output.ndim == 3, bool(gradient_map.any())))
    return attributions


def _plain_tokens(target: AttributionTarget, pictures: Tensor, layers: Sequence[nn.Module]) -> dict[nn.Module, Tensor]:
    """The tokens of these layers for plain pictures, each of the mean colour of one picture."""
    if not layers:
        return {}
    plain = pictures.mean((2, 3), keepdim=True).expand_as(pictures).contiguous()
    # Without gradients torch's transformer takes a fused path that does not call its layers.
    with torch.enable_grad(), _recorded_outputs(layers) as outputs:
        target.log_odds(plain.requires_grad_())
    return {layer: output.detach() for layer, output in outputs}


def _layer_heatmap(target: AttributionTarget, layers: Sequence[nn.Module], pictures: Tensor) -> Tensor:
    """The geometric mean of the layers' attributions, each enlarged to the picture; (B, S, S)."""
    size = pictures.shape[-1:] * 2
    parts = layer_attributions(target, pictures, layers)
    enlarged = [F.interpolate(part.cells[:, None], size=size, mode="bilinear")[:, 0] for part in parts]
    scaled = torch.stack([_scaled(cells) for cells in enlarged])
    geometric_mean = scaled.prod(0) ** (1 / len(scaled))
    # Where the layers agree nowhere, or one is empty, their plain mean is better than an empty map.
    return geometric_mean.where(geometric_mean.amax((1, 2), keepdim=True) > 0, scaled.mean(0))


def _occlusion(target: AttributionTarget, pictures: Tensor) -> Tensor:
    """How much the log-odds fall where a patch of the picture's mean colour occludes it; (B, S, S)."""
    try:
        from captum.attr import Occlusion
    except ImportError as error:
        raise UsageError(
            "No layer of this network keeps spatial positions, so explaining it means to occlude patch after patch of "
            "the picture. That needs captum: pip install 'diptych[explain]'"
        ) from error
    patch = max(1, pictures.shape[-1] // PATCHES_ACROSS)
    step = max(1, patch // 2)
    with torch.no_grad():
        attribution: Tensor = Occlusion(target.log_odds).attribute(
            pictures,
            sliding_window_shapes=(3, patch, patch),
            strides=(3, step, step),
            baselines=pictures.mean((2, 3), keepdim=True).expand_as(pictures),
        )
    return attribution.sum(1)


def _predicted(network: Network, pictures: Tensor) -> Tensor:
    """(B,) int64 the most likely class of each picture."""
    with torch.no_grad():
        labels: Tensor = network(pictures).argmax(1)
    return labels


def _as_map(values: Tensor, size: int) -> Tensor | None:
    """A layer's values as (B, C, side, side), without a copy; ``None`` if they keep no spatial positions."""
    if values.ndim == 3:  # tokens, those of the patches last
        side = math.isqrt(values.shape[1])
        extra = values.shape[1] - side * side
        if side < 2 or size % side or extra > MAX_EXTRA_TOKENS:
            return None
        return values[:, extra:].transpose(1, 2).reshape(len(values), -1, side, side)
    if values.ndim != 4:
        return None
    if values.shape[1] == values.shape[2] != values.shape[3]:
        values = values.permute(0, 3, 1, 2)  # some transformers have channels last
    return values if 1 < values.shape[2] == values.shape[3] <= size else None


def _scaled(cells: Tensor) -> Tensor:
    """(B, h, w) the positive contributions, scaled to a maximum of 1; all 0 if there are none."""
    cells = cells.clamp(min=0)
    return cells / cells.amax((1, 2), keepdim=True).clamp(min=torch.finfo(cells.dtype).tiny)


@contextmanager
def _recorded_outputs(layers: Sequence[nn.Module]) -> Iterator[list[tuple[nn.Module, Tensor]]]:
    """The outputs of these layers while the context is open, in the order of the calls' ends."""
    outputs: list[tuple[nn.Module, Tensor]] = []

    def record(layer: nn.Module, _: object, output: object) -> None:
        if isinstance(output, Tensor):
            outputs.append((layer, output))

    hooks = [layer.register_forward_hook(record) for layer in layers]
    try:
        yield outputs
    finally:
        for hook in hooks:
            hook.remove()
