"""Weights of one network as the start of another: equal layers whole, layers with a row for each class by its name."""

import hashlib
from collections.abc import Collection, Mapping, Sequence

import torch
from torch import Tensor, nn

from diptych import tensor_files
from diptych.data.labels import composed

Rows = list[tuple[int, int]]  # pairs (row of the new network, row of the one it starts from)


class DifferentNetworkError(ValueError):
    """Two networks whose weights do not fit each other; the message names the first layer that does not."""


def weights_digest(weights: Mapping[str, Tensor]) -> str:
    """Identifies weights: the first 16 hexadecimal digits of the SHA-256 of their file."""
    return hashlib.sha256(tensor_files.pack(weights)).hexdigest()[:16]


def common_rows(classes: Sequence[str], source_classes: Sequence[str]) -> Rows:
    """The rows of the classes that both have, matched by name."""
    number = {composed(name): i for i, name in enumerate(source_classes)}
    return [(i, number[composed(name)]) for i, name in enumerate(classes) if composed(name) in number]


@torch.no_grad()
def copy_weights(
    module: nn.Module,
    source: Mapping[str, Tensor],
    *,
    class_tensors: Collection[str],
    rows: Rows,
    optional: Collection[str] = (),
) -> None:
    """Give a module the weights of another of the same architecture.

    Parameters
    ----------
    source
        The other's state, by name.
    class_tensors
        Names of the tensors that have a row for each class: only ``rows`` of them are copied, the others stay as they
        were initialised.
    optional
        Names of tensors that only one of the two may have.

    Raises
    ------
    DifferentNetworkError
        The other has different layers; the module is left as it was.
    """
    state = module.state_dict()
    for name in sorted((state.keys() ^ source.keys()) - set(optional)):
        raise DifferentNetworkError(f"only one of them has {name}")
    shared = [name for name in state if name in source]
    for name in shared:
        skipped = 1 if name in class_tensors else 0  # of such a tensor, the number of rows may differ
        if state[name].shape[skipped:] != source[name].shape[skipped:]:
            shapes = [" × ".join(map(str, tensor[name].shape)) or "1" for tensor in (source, state)]
            raise DifferentNetworkError(f"{name} is {shapes[0]} there and {shapes[1]} here")
    for name in shared:
        if name not in class_tensors:
            state[name].copy_(source[name])
        elif rows:
            here, there = (torch.tensor(side, device=state[name].device) for side in zip(*rows, strict=True))
            state[name][here] = source[name].to(state[name].device)[there]
