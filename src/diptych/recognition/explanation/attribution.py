"""Why this label: which places of a picture speak for it, as a map of heat.

The answer is taken apart at the layers that keep place, be they maps of a convolutional network or the tokens of a
transformer: what a place contributes is the gradient of the label's odds times the layer's answer there, summed over
the channels (HiResCAM: Draelos & Carin 2020, arXiv:2011.08891). A deep layer tells which region matters, an earlier
one tells where exactly, and the heat is both: their geometric mean. It takes one pass forwards and one backwards.

Tokens carry their own position, too, which is the same in every picture and decides nothing: of them that counts in
which they differ from those of a plain picture of the mean colour.

Guided backpropagation is not used: its maps hardly change when the weights are made random, so they tell of the
picture and not of the network (Adebayo et al. 2018, "Sanity checks for saliency maps"). Neither are noisy copies
(SmoothGrad): on small networks trained from scratch, which noise confuses, they pointed away from what decides.

A network without such a layer (one that flattens the picture first) is asked again with one patch after another
covered (Zeiler & Fergus 2014), which takes captum.
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
from diptych.data.transforms import to_float
from diptych.engine import machine
from diptych.errors import UsageError
from diptych.progress import Bar
from diptych.recognition.networks import Network

BATCH = 16  # pictures at a time: a gradient needs the answers of all layers
REGION = 3  # cells a side, at least, of the layer that tells the region,
DETAIL = 12  # and of the one that tells the place in it
EXTRA_TOKENS = 8  # at most, in front of those of the picture's patches: the class's, and registers
SHOWN = 20  # class names that a message lists
COVERED = 4  # a covering patch has a quarter of the picture's side, and moves by half of its own


def attribution_maps(
    network: Network, images: Images, size: int, labels: Tensor | None, *, multi_label: bool
) -> Tensor:
    """The heat of readable pictures, (N, size, size) float32 in 0..1; see :meth:`Recognizer.explain`.

    Parameters
    ----------
    labels
        (N,) what to explain of each; ``None`` means the label that it is given.

    Raises
    ------
    UsageError
        The network keeps no place, and captum is not installed.
    """
    where = machine.device()
    network.to(where).eval()
    places = choose_layers(network, size, multi_label=multi_label)
    maps = [torch.empty(0, size, size)]
    with Bar("Explaining", len(images)) as bar:
        for start in range(0, len(images), BATCH):
            pictures = to_float(images[start : start + BATCH].pixels(size).to(where))
            asked = _told(network, pictures) if labels is None else labels[start : start + BATCH].to(where)
            question = AttributionTarget(network, asked, multi_label)
            found = _taken_apart(question, places, pictures) if places else _covered(question, pictures)
            maps.append(_scaled(found).cpu())
            bar.advance(len(pictures))
    return torch.cat(maps)


def class_number(label: str | int, classes: Sequence[str]) -> int:
    """The number of a class, given by name or number.

    Raises
    ------
    UsageError
        There is no such class.
    """
    if isinstance(label, str) and label in classes:
        return classes.index(label)
    if isinstance(label, int) and 0 <= label < len(classes):
        return label
    names = ", ".join(classes[:SHOWN]) + (f" and {len(classes) - SHOWN} more" if len(classes) > SHOWN else "")
    raise UsageError(f"There is no class {label!r} here. Choose from: {names}.")


@dataclass(frozen=True)
class AttributionTarget:
    """What speaks for these labels, (B,) int64, in as many pictures."""

    network: Network
    labels: Tensor
    multi_label: bool

    def odds(self, pictures: Tensor) -> Tensor:
        """Of each label log p/(1 - p), (B,): unlike p it does not level off where p is near 1."""
        logits: Tensor = self.network(pictures).float()
        told: Tensor = logits.gather(1, self.labels[:, None])[:, 0]
        if self.multi_label:
            return told
        return told - logits.scatter(1, self.labels[:, None], -math.inf).logsumexp(1)


@dataclass(frozen=True)
class LayerAttribution:
    """What a layer's answer contributes to the odds, (B, side, side); whether it is tokens, and matters at all."""

    layer: nn.Module
    cells: Tensor
    tokens: bool
    matters: bool

    @property
    def side(self) -> int:
        """Cells a side."""
        return self.cells.shape[-1]


def choose_layers(network: Network, size: int, *, multi_label: bool) -> list[nn.Module]:
    """The deepest layer that tells regions apart and the deepest that tells places, or the one that does both.

    A layer keeps place if its answer is a map or a row of tokens that the odds depend on; the tokens of a transformer
    which no later attention reads do not count. All layers of a transformer keep place alike: of it, the last and the
    first norm count, since that is what attention reads. Found by showing the network some noise, always the same.
    Empty where no layer keeps place.
    """
    noise = torch.randn(1, 3, size, size, generator=torch.Generator().manual_seed(0)).to(machine.device())
    question = AttributionTarget(network, torch.zeros(1, dtype=torch.long, device=noise.device), multi_label)
    found = [part for part in layer_attributions(question, noise, list(network.modules())[1:]) if part.matters]
    tokens = [part.layer for part in found if part.tokens]
    if tokens:
        read = [layer for layer in tokens if "Norm" in type(layer).__name__] or tokens
        return list(dict.fromkeys((read[-1], read[0])))
    if not found:
        return []
    widest = max(part.side for part in found)
    chosen = [[part.layer for part in found if part.side >= min(least, widest)][-1] for least in (REGION, DETAIL)]
    return list(dict.fromkeys(chosen))


def layer_attributions(
    question: AttributionTarget, pictures: Tensor, watched: Sequence[nn.Module]
) -> list[LayerAttribution]:
    """Gradient times answer, summed over channels, of those layers that are called once and keep place; in order.

    Source: Draelos & Carin 2020, equation 3; of tokens, times how they differ from a plain picture's.
    """
    size = pictures.shape[-1]
    with torch.enable_grad(), _seen(watched) as answers:
        odds = question.odds(pictures.clone().requires_grad_()).sum()
    calls = Counter(layer for layer, _ in answers)
    placed = [
        (layer, answer)
        for layer, answer in answers
        if calls[layer] == 1 and answer.requires_grad and _map(answer, size) is not None
    ]
    if not placed:
        return []
    gradients = torch.autograd.grad(odds, [answer for _, answer in placed], allow_unused=True)
    plain = _plain_tokens(question, pictures, [layer for layer, answer in placed if answer.ndim == 3])
    parts = []
    for (layer, answer), gradient in zip(placed, gradients, strict=True):
        slope = torch.zeros_like(answer) if gradient is None else gradient
        there = answer.detach() - plain[layer] if layer in plain else answer.detach()
        product, steep = _map(there * slope, size), _map(slope, size)
        assert product is not None
        assert steep is not None
        parts.append(LayerAttribution(layer, product.sum(1), answer.ndim == 3, bool(steep.any())))
    return parts


def _plain_tokens(
    question: AttributionTarget, pictures: Tensor, layers: Sequence[nn.Module]
) -> dict[nn.Module, Tensor]:
    """The tokens of these layers for plain pictures, each of the mean colour of one."""
    if not layers:
        return {}
    plain = pictures.mean((2, 3), keepdim=True).expand_as(pictures).contiguous()
    with torch.enable_grad(), _seen(layers) as answers:  # without gradients torch's own transformer skips its layers
        question.odds(plain.requires_grad_())
    return {layer: answer.detach() for layer, answer in answers}


def _taken_apart(question: AttributionTarget, places: Sequence[nn.Module], pictures: Tensor) -> Tensor:
    """The geometric mean of what the layers tell, each enlarged to the picture; (B, S, S)."""
    size = pictures.shape[-1:] * 2
    parts = layer_attributions(question, pictures, places)
    grown = [F.interpolate(part.cells[:, None], size=size, mode="bilinear")[:, 0] for part in parts]
    told = torch.stack([_scaled(cells) for cells in grown])
    both = told.prod(0) ** (1 / len(told))
    # Where the layers agree on no place, or one finds none, either alone is better than an empty map.
    return both.where(both.amax((1, 2), keepdim=True) > 0, told.mean(0))


def _covered(question: AttributionTarget, pictures: Tensor) -> Tensor:
    """How much the odds fall where a patch of the picture's mean colour covers it; (B, S, S)."""
    try:
        from captum.attr import Occlusion
    except ImportError as error:
        raise UsageError(
            "This network keeps no track of where things are, so that patch after patch of the picture has to be "
            "covered to explain it. That takes captum: pip install 'diptych[explain]'"
        ) from error
    patch = max(1, pictures.shape[-1] // COVERED)
    step = max(1, patch // 2)
    with torch.no_grad():
        found: Tensor = Occlusion(question.odds).attribute(
            pictures,
            sliding_window_shapes=(3, patch, patch),
            strides=(3, step, step),
            baselines=pictures.mean((2, 3), keepdim=True).expand_as(pictures),
        )
    return found.sum(1)


def _told(network: Network, pictures: Tensor) -> Tensor:
    with torch.no_grad():
        labels: Tensor = network(pictures).argmax(1)
    return labels


def _map(values: Tensor, size: int) -> Tensor | None:
    """A layer's values as (B, C, side, side), its own copy of them not made; ``None`` where they keep no place."""
    if values.ndim == 3:  # tokens, those of the patches last
        side = math.isqrt(values.shape[1])
        extra = values.shape[1] - side * side
        if side < 2 or size % side or extra > EXTRA_TOKENS:
            return None
        return values[:, extra:].transpose(1, 2).reshape(len(values), -1, side, side)
    if values.ndim != 4:
        return None
    if values.shape[1] == values.shape[2] != values.shape[3]:
        values = values.permute(0, 3, 1, 2)  # some transformers keep the channels last
    return values if 1 < values.shape[2] == values.shape[3] <= size else None


def _scaled(cells: Tensor) -> Tensor:
    """What speaks for the label, so that the most is 1: (B, h, w); all 0 where nothing does."""
    cells = cells.clamp(min=0)
    return cells / cells.amax((1, 2), keepdim=True).clamp(min=torch.finfo(cells.dtype).tiny)


@contextmanager
def _seen(watched: Sequence[nn.Module]) -> Iterator[list[tuple[nn.Module, Tensor]]]:
    """What these modules answer meanwhile, in the order in which they are done."""
    answers: list[tuple[nn.Module, Tensor]] = []

    def note(module: nn.Module, _: object, answer: object) -> None:
        if isinstance(answer, Tensor):
            answers.append((module, answer))

    hooks = [module.register_forward_hook(note) for module in watched]
    try:
        yield answers
    finally:
        for hook in hooks:
            hook.remove()
