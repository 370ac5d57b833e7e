import torch

from diptych.data.mirror_symmetry import is_mirror_symmetric


def _noise() -> torch.Tensor:
    return torch.randint(0, 256, (200, 3, 8, 8), generator=torch.Generator().manual_seed(0)).byte()


def test_noise_is_symmetric_and_pictures_with_a_darker_column_on_one_side_are_not():
    pixels, every = _noise(), torch.arange(200)
    assert is_mirror_symmetric(pixels, [every])
    pixels[:, :, :, 5] //= 2
    assert not is_mirror_symmetric(pixels, [every])


def test_one_asymmetric_group_is_enough():
    pixels, rows = _noise(), torch.arange(200) < 50
    pixels[:50, :, :, 5] //= 4
    assert not is_mirror_symmetric(pixels, [~rows, rows])
    assert is_mirror_symmetric(pixels, [~rows])


def test_an_empty_group_is_symmetric():
    assert is_mirror_symmetric(_noise(), [torch.zeros(200, dtype=torch.bool)])
