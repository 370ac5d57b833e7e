import pytest
import torch

from diptych.synthesis.training.augmentation import (
    CHANGES,
    MILD,
    augmentations_for,
    crop_half,
    cutout,
    diff_augment,
    is_small_set,
    saturation,
    smallest_crop,
    translation,
)


def test_none_changes_nothing():
    pictures = torch.rand(2, 3, 8, 8)
    assert diff_augment(pictures, ()) is pictures


@pytest.mark.parametrize("changes", [*([name] for name in CHANGES), list(CHANGES)], ids="-".join)
def test_gradients_pass_and_pictures_move_apart(changes):
    torch.manual_seed(0)
    pictures = torch.rand(1, 3, 24, 24).repeat(8, 1, 1, 1).requires_grad_(True)
    changed = diff_augment(pictures, changes)
    assert changed.shape == pictures.shape
    assert len(torch.unique(changed.detach().flatten(1), dim=0)) > 6
    changed.sum().backward()
    assert pictures.grad is not None
    assert (pictures.grad != 0).any()


def test_the_fewer_pictures_the_more_changes():
    assert augmentations_for(50_000, 64) == ()
    assert augmentations_for(1800, 64) == MILD
    assert augmentations_for(200, 64) == tuple(CHANGES)
    assert augmentations_for(200, 16) == ()
    assert [smallest_crop(1800, 64), smallest_crop(50_000, 64), smallest_crop(1800, 16)] == [0.6, 1.0, 1.0]


def test_saturation_keeps_grey_and_each_pixel_s_mean():
    torch.manual_seed(0)
    grey = torch.rand(4, 1, 8, 8).expand(-1, 3, -1, -1)
    torch.testing.assert_close(saturation(grey), grey)
    coloured = torch.rand(4, 3, 8, 8)
    torch.testing.assert_close(saturation(coloured).mean(1), coloured.mean(1))


def test_a_shift_moves_what_is_there_and_the_edge_is_mirrored():
    torch.manual_seed(0)
    across = torch.arange(16.0).expand(64, 3, 16, 16)
    moved = translation(across)[:, 0, 0]
    first, last = moved[:, 0], moved[:, -1]
    assert set(first.tolist()) == {0, 1, 2}  # moved by up to an eighth, either way
    assert set(last.tolist()) == {13, 14, 15}
    assert ((moved[:, 1:] - moved[:, :-1]).abs() == 1).all()  # neighbours stay neighbours, there and back


def test_cutout_takes_a_square_of_half_the_side_at_most():
    torch.manual_seed(0)
    removed = cutout(torch.ones(500, 3, 16, 16))[:, 0] == 0
    areas = removed.sum(dim=(1, 2))
    assert areas.max() == 64
    assert areas.min() == 16  # a quarter of it is inside even in a corner
    assert removed.float().mean(0).min() > 0.02  # every place is removed at times


def test_a_batch_of_one_is_shown_whole():
    picture = torch.rand(1, 3, 16, 16)
    shown, _ = crop_half(picture)
    assert torch.equal(shown, picture)


def test_pictures_are_few_where_a_network_would_memorise_them():
    assert is_small_set(1800, 64)
    assert not is_small_set(45_000, 32)
    assert not is_small_set(1800, 8)
