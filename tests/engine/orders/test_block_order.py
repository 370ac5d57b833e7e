"""The order of packed sets: each picture once an epoch, the same from any position and on any number of processes."""

import numpy as np
import pytest

from diptych.engine.orders.block_order import WINDOW_BLOCKS, BlockShuffledOrder

BLOCKS = np.repeat(np.arange(50), [3, 7, 1, 9, 5] * 10)
N = len(BLOCKS)


def rows(order, start, size):
    return order.batch(start, size)[0].tolist()


def test_every_picture_is_shown_once_an_epoch_and_each_epoch_is_another_order():
    order = BlockShuffledOrder(BLOCKS, 0)
    epochs = [rows(order, epoch * N, N) for epoch in range(3)]
    assert all(sorted(epoch) == list(range(N)) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]


@pytest.mark.parametrize("batch", [1, 7, 64, 3 * N])
def test_the_order_depends_on_the_position_alone(batch):
    whole = rows(BlockShuffledOrder(BLOCKS, 3), 0, 3 * N)
    resumed = BlockShuffledOrder(BLOCKS, 3)
    starts = range(0, 3 * N, batch)
    assert [row for start in starts for row in rows(resumed, start, min(batch, 3 * N - start))] == whole
    later = [rows(BlockShuffledOrder(BLOCKS, 3), start, 5) for start in (N - 2, 2 * N + 1)]
    assert later == [whole[N - 2 : N + 3], whole[2 * N + 1 : 2 * N + 6]]


def test_a_few_blocks_are_open_at_a_time():
    shown = BLOCKS[rows(BlockShuffledOrder(BLOCKS, 0), 0, N)]
    last = {block: at for at, block in enumerate(shown.tolist())}
    first = {block: at for at, block in reversed(list(enumerate(shown.tolist())))}
    assert max(sum(first[b] <= at <= last[b] for b in last) for at in range(N)) <= WINDOW_BLOCKS


def test_pictures_that_are_not_in_the_order_of_their_blocks():
    mixed = np.random.default_rng(0).permutation(BLOCKS)
    assert sorted(rows(BlockShuffledOrder(mixed, 0), 0, N)) == list(range(N))
