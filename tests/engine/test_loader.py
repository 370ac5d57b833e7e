import numpy as np
import pytest
import torch

from diptych.data.images import Images
from diptych.data.packing.pack import pack
from diptych.engine.distributed import ProcessGroup
from diptych.engine.loader import BalancedOrder, Loader, ShuffledOrder
from diptych.engine.orders.block_order import BlockShuffledOrder
from tests.engine import tiny


def test_every_picture_is_shown_once_an_epoch_in_a_new_order():
    order = ShuffledOrder(10, seed=3)
    rows = [order.batch(start, 4)[0] for start in range(0, 20, 4)]
    first, second = np.concatenate(rows)[:10], np.concatenate(rows)[10:]
    assert sorted(first) == sorted(second) == list(range(10))
    assert list(first) != list(second)


def test_the_order_depends_only_on_the_position():
    sequential, direct = ShuffledOrder(10, seed=3), ShuffledOrder(10, seed=3)
    sequential.batch(0, 4)
    sequential.batch(4, 4)
    for a, b in zip(sequential.batch(28, 4), direct.batch(28, 4), strict=True):
        assert np.array_equal(a, b)


def test_a_picture_s_turn_grows_by_one_each_epoch():
    order = ShuffledOrder(8, seed=0)
    rows, turns = order.batch(0, 16)
    for row in range(8):
        one, other = turns[rows == row]
        assert other == one + 1


def test_a_batch_may_be_larger_than_the_set():
    rows, _ = ShuffledOrder(3, seed=0).batch(0, 9)
    assert sorted(rows) == [0, 0, 0, 1, 1, 1, 2, 2, 2]


@pytest.mark.parametrize("start", [0, 40])
def test_streamed_and_resident_batches_are_the_same(start):
    images = tiny.images(24)
    group = ProcessGroup(torch.device("cpu"))
    resident, streamed = (Loader(images, 8, "squash", 10, 0, group) for _ in range(2))
    streamed.pixels = None
    for _, a, b in zip(range(6), resident.batches(start), streamed.batches(start), strict=False):
        for x, y in zip(a, b, strict=True):
            assert torch.equal(x, y)


def test_a_balanced_order_shows_every_cell_equally_often_and_rows_of_a_cell_in_turn():
    cells = np.repeat([0, 1, 2], [80, 15, 5])
    order = BalancedOrder(cells, seed=4)
    rows, _ = order.batch(0, 300)
    assert np.abs(np.bincount(cells[rows]) - 100).max() <= 3  # each epoch has one row more of a cell
    in_epoch = np.bincount(rows[:100], minlength=100)
    assert in_epoch[:80].max() == 1
    assert in_epoch[80:95].min() >= 2
    assert in_epoch[95:].max() - in_epoch[95:].min() <= 1
    direct = BalancedOrder(cells, seed=4).batch(250, 50)[0]
    assert (direct == rows[250:]).all()


def test_a_packed_set_is_shown_in_blocks_the_same_streamed_resumed_and_by_two_processes(tmp_path):
    pack(tiny.images(24), tmp_path / "shards")
    images = Images.open(tmp_path / "shards")
    alone, ranks = ProcessGroup(torch.device("cpu")), [ProcessGroup(torch.device("cpu")) for _ in range(2)]
    for number, group in enumerate(ranks):
        group.rank, group.world_size = number, 2
    whole, streamed, *halves = (Loader(images, 8, "squash", 10, 0, group) for group in (alone, alone, *ranks))
    assert isinstance(whole.order, BlockShuffledOrder)
    streamed.pixels = None
    for start in (0, 40):
        batches = zip(*(loader.batches(start) for loader in (whole, streamed, *halves)), strict=True)
        for _, (one, other, first, second) in zip(range(6), batches, strict=False):
            for a, b, c, d in zip(one, other, first, second, strict=True):
                assert len(c) == len(d)
                assert torch.equal(a, b)
                assert torch.equal(a[ranks[0].share(10)], c)
                assert torch.equal(a[ranks[1].share(10)], d)
