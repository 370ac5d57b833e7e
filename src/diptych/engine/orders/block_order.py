"""Blocks of neighbours in random order: training's order for packed sets, of which not all is in memory.

The blocks of a set are permuted, and the pictures of each sixteen blocks behind one another are shuffled together: a
picture's neighbours in training come from sixteen places of the set, and a block is read once an epoch.
"""

from collections import OrderedDict

import numpy as np
import torch
from numpy.typing import NDArray

from diptych.engine.randomness import step_seed

Rows = NDArray[np.int64]
WINDOW_BLOCKS = 16
_KEPT_WINDOWS = 4


class BlockShuffledOrder:
    """An endless sequence of permutations of ``n`` rows; position p is the p-th picture shown.

    The order is a function of the blocks, the seed and the position alone: a resumed run, and one on another number
    of processes, shows the same pictures in the same order. Each is shown once an epoch.

    Parameters
    ----------
    blocks
        (N,) the number of the block that each row lies in.
    """

    def __init__(self, blocks: Rows, seed: int) -> None:
        self.n, self.seed = len(blocks), seed
        self._sorted = None if (blocks[1:] >= blocks[:-1]).all() else np.argsort(blocks, kind="stable")
        ascending = blocks if self._sorted is None else blocks[self._sorted]
        changes = np.flatnonzero(ascending[1:] != ascending[:-1]) + 1
        self._bounds: Rows = np.concatenate([np.zeros(1, np.int64), changes, np.full(1, self.n)])
        coins = torch.Generator().manual_seed(seed)
        self._coins = torch.randint(0, 2, (self.n,), generator=coins, dtype=torch.uint8).numpy()
        self._layouts: OrderedDict[int, tuple[Rows, Rows]] = OrderedDict()
        self._windows: OrderedDict[tuple[int, int], Rows] = OrderedDict()

    def batch(self, start: int, size: int) -> tuple[Rows, Rows]:
        """Rows and turns of the positions ``start`` to ``start + size``.

        A picture's turn is its epoch plus its own coin flip, as of the order of sets that fit.
        """
        rows = np.empty(size, np.int64)
        done = 0
        while done < size:
            epoch, place = divmod(start + done, self.n)
            window = int(np.searchsorted(self._layout(epoch)[1], place, side="right")) - 1
            first = int(self._layout(epoch)[1][window])
            part = self._window(epoch, window)[place - first : place - first + size - done]
            rows[done : done + len(part)] = part
            done += len(part)
        return rows, np.arange(start, start + size) // self.n + self._coins[rows]

    def _layout(self, epoch: int) -> tuple[Rows, Rows]:
        """The blocks of an epoch in their order, and the first position of each window."""
        if epoch not in self._layouts:
            order = _permutation(len(self._bounds) - 1, step_seed(self.seed, epoch << 32))
            ends = np.cumsum(np.diff(self._bounds)[order])
            firsts = np.concatenate([[0], ends[WINDOW_BLOCKS - 1 : -1 : WINDOW_BLOCKS]]).astype(np.int64)
            self._layouts[epoch] = (order, firsts)
            if len(self._layouts) > 2:
                self._layouts.popitem(last=False)
        return self._layouts[epoch]

    def _window(self, epoch: int, window: int) -> Rows:
        key = (epoch, window)
        if key not in self._windows:
            blocks = self._layout(epoch)[0][window * WINDOW_BLOCKS : (window + 1) * WINDOW_BLOCKS].tolist()
            places = np.concatenate([np.arange(self._bounds[i], self._bounds[i + 1]) for i in blocks])
            places = places[_permutation(len(places), step_seed(self.seed, (epoch << 32) + window + 1))]
            self._windows[key] = places if self._sorted is None else self._sorted[places]
            if len(self._windows) > _KEPT_WINDOWS:
                self._windows.popitem(last=False)
        return self._windows[key]


def _permutation(n: int, seed: int) -> Rows:
    rows: Rows = torch.randperm(n, generator=torch.Generator().manual_seed(seed)).numpy()
    return rows
