"""A step that several processes take together, as one process would take it on the whole batch.

Two things of a step are not per picture: its random numbers, which depend on the place of a picture in the batch, and
statistics of the batch. Within :class:`SharedStep` every process draws the numbers of the whole batch, from the same
seed, and keeps those of its share; batch norm and :func:`mean_over_processes` compute over all shares. One process
alone needs none of this, and pays for none.
"""

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Self

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from diptych.engine.distributed import ProcessGroup
from diptych.engine.processes.batch_statistics import GroupMean, batch_norm
from diptych.engine.processes.shares import share

Call = Callable[..., Any]
LEAST_SHARE = 4  # a draw for at least a quarter of the pictures is one for pictures: tasks work on halves and quarters
_current: "SharedStep | None" = None


def shared_step(group: ProcessGroup, pictures: int) -> AbstractContextManager[object]:
    """The context of a step in which each process of the group has ``pictures`` in each microbatch."""
    return nullcontext() if group.world_size == 1 else SharedStep(group, pictures)


def mean_over_processes(statistic: Tensor) -> Tensor:
    """The mean of a batch's statistic over the shares of a step, with gradients to all; outside a step, itself.

    For a loss that is not a mean over pictures: that of the whole batch follows from statistics of the whole batch.
    """
    return statistic if _current is None else GroupMean.mean(statistic, _current.group.statistics)


class SharedStep(TorchFunctionMode):
    """Within the block the torch functions that draw numbers or normalise by batch do so for the whole batch.

    Parameters
    ----------
    group
        The processes; all have the same number of pictures, and the same seed.
    pictures
        In this process's share of a microbatch.
    """

    def __init__(self, group: ProcessGroup, pictures: int) -> None:
        super().__init__()
        self.group, self.pictures = group, pictures

    def __enter__(self) -> Self:
        global _current
        super().__enter__()  # type: ignore[no-untyped-call]
        _current = self
        return self

    def __exit__(self, *error: object) -> None:
        global _current
        _current = None
        super().__exit__(*error)  # type: ignore[no-untyped-call]

    def __torch_function__(
        self, func: Call, types: Iterable[type], args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Call ``func``, or what it is within such a step."""
        shared = _SHARED.get(func)
        return func(*args, **(kwargs or {})) if shared is None else shared(self, func, *args, **(kwargs or {}))

    def is_for_pictures(self, size: Iterable[int]) -> bool:
        """Whether numbers of this size are drawn for pictures: one row each, or one for each of a half or a quarter."""
        rows = next(iter(size), 0)
        return rows > 0 and rows * LEAST_SHARE % self.pictures == 0

    def whole(self, size: Iterable[int]) -> tuple[int, ...]:
        """The size that this size is a share of."""
        rows, *others = size
        return rows * self.group.world_size, *others

    def mine(self, whole: Tensor) -> Tensor:
        """This process's share of the numbers of the whole batch."""
        return whole[share(len(whole), self.group.rank, self.group.world_size).to(whole.device)]


def _size(size: tuple[Any, ...]) -> tuple[int, ...]:
    """A size given as numbers or as one sequence."""
    return tuple(size[0]) if len(size) == 1 and not isinstance(size[0], int) else size


def _drawn(step: SharedStep, func: Call, *size: Any, generator: torch.Generator | None = None, **options: Any) -> Any:
    """``torch.rand`` and ``torch.randn``."""
    wanted = _size(size or (options.pop("size"),))
    if generator is not None or not step.is_for_pictures(wanted):
        return func(wanted, generator=generator, **options)
    return step.mine(func(step.whole(wanted), **options))


def _integers(
    step: SharedStep, func: Call, *args: Any, generator: torch.Generator | None = None, **options: Any
) -> Any:
    """``torch.randint``: its last positional argument is the size."""
    *bounds, size = (*args, *([options.pop("size")] if "size" in options else []))
    if generator is not None or not step.is_for_pictures(size):
        return func(*bounds, size, generator=generator, **options)
    return step.mine(func(*bounds, step.whole(size), **options))


def _drawn_like(step: SharedStep, func: Call, tensor: Tensor, **options: Any) -> Any:
    """``torch.rand_like`` and ``torch.randn_like``."""
    if not step.is_for_pictures(tensor.shape):
        return func(tensor, **options)
    return step.mine(func(_empty_whole(step, tensor), **options))


def _filled(step: SharedStep, func: Call, tensor: Tensor, *args: Any, **options: Any) -> Any:
    """A tensor filled in place, such as by ``uniform_``."""
    if options.get("generator") is not None or not step.is_for_pictures(tensor.shape):
        return func(tensor, *args, **options)
    return tensor.copy_(step.mine(func(_empty_whole(step, tensor), *args, **options)))


def _dropout(
    step: SharedStep,
    func: Call,
    input: Tensor,  # noqa: A002 - torch's own name
    p: float = 0.5,
    training: bool = True,
    inplace: bool = False,
) -> Any:
    """``dropout`` and ``dropout2d``: of the latter, whole channels are dropped."""
    if not training or p in (0, 1) or not step.is_for_pictures(input.shape):
        return func(input, p, training, inplace)
    noise = _empty_whole(step, input)
    if func is F.dropout2d:
        noise = noise.new_empty(*noise.shape[:2], *(1 for _ in noise.shape[2:]))
    kept = step.mine(noise.bernoulli_(1 - p).div_(1 - p))
    return input.mul_(kept) if inplace else input * kept


def _batch_norm(
    step: SharedStep,
    func: Call,
    input: Tensor,  # noqa: A002 - torch's own name
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Any:
    """``batch_norm``, by the statistics of the whole batch."""
    if not training:
        return func(input, running_mean, running_var, weight, bias, training, momentum, eps)
    group = step.group.statistics
    return batch_norm(input, (running_mean, running_var), (weight, bias), momentum, eps, group)


def _empty_whole(step: SharedStep, tensor: Tensor) -> Tensor:
    """An empty tensor for the whole batch in the memory format of a share: numbers are drawn in memory's order."""
    empty = torch.empty(step.whole(tensor.shape), dtype=tensor.dtype, device=tensor.device)
    last = tensor.dim() == 4 and tensor.is_contiguous(memory_format=torch.channels_last) and not tensor.is_contiguous()
    return empty.to(memory_format=torch.channels_last) if last else empty


_SHARED: dict[Call, Call] = {
    torch.rand: _drawn,
    torch.randn: _drawn,
    torch.randint: _integers,
    torch.rand_like: _drawn_like,
    torch.randn_like: _drawn_like,
    torch.Tensor.uniform_: _filled,
    torch.Tensor.normal_: _filled,
    torch.Tensor.bernoulli_: _filled,
    F.dropout: _dropout,
    F.dropout2d: _dropout,
    F.batch_norm: _batch_norm,
}
