import numpy as np
import pytest
import torch

from diptych.data import transforms
from diptych.data.transforms import Augment, to_float, to_uint8
from diptych.errors import UsageError


@pytest.fixture
def pixels():
    return torch.randint(0, 256, (16, 3, 9, 12), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_uint8_to_float_and_back(pixels):
    floats = to_float(pixels)
    assert floats.dtype == torch.float32
    assert (float(to_float(torch.tensor([0], dtype=torch.uint8))), float(to_float(torch.tensor([255])))) == (-1, 1)
    assert torch.equal(to_uint8(floats), pixels)
    assert to_uint8(torch.tensor([-7.0, 7.0])).tolist() == [0, 255]


def test_off_by_default(pixels):
    assert torch.equal(Augment()(pixels, torch.arange(16)), to_float(pixels))


def test_alternating_flip_follows_the_turn(pixels):
    out = to_uint8(Augment("alternating")(pixels, torch.arange(16)))
    for i in range(16):
        assert torch.equal(out[i], pixels[i].flip(-1) if i % 2 else pixels[i])


def test_random_flip_flips_about_half():
    pixels = torch.zeros(2000, 3, 1, 2, dtype=torch.uint8)
    pixels[..., 1] = 255
    torch.manual_seed(0)
    flipped = Augment("random")(pixels, torch.zeros(2000, dtype=torch.int64))[:, 0, 0, 0] > 0
    assert 900 < int(flipped.sum()) < 1100


def test_shift_is_a_reflected_window(pixels):
    torch.manual_seed(3)
    out = to_uint8(Augment("alternating", shift=3)(pixels, torch.arange(16)))
    offsets = set()
    for i in range(16):
        padded = np.pad(pixels[i].numpy(), ((0, 0), (3, 3), (3, 3)), "reflect")
        windows = {}
        for down in range(7):
            for across in range(7):
                window = padded[:, down : down + 9, across : across + 12]
                windows[(down, across)] = window[..., ::-1] if i % 2 else window
        matches = [offset for offset, window in windows.items() if np.array_equal(out[i].numpy(), window)]
        assert len(matches) == 1
        offsets.add(matches[0])
    assert len(offsets) > 8


@pytest.mark.parametrize("side", [1, 2, 5])
def test_shift_beyond_a_small_picture(side):
    pixels = torch.arange(side * side, dtype=torch.uint8).view(1, 1, side, side).expand(4, 3, -1, -1)
    out = to_uint8(Augment(shift=8)(pixels, torch.zeros(4, dtype=torch.int64)))
    assert out.shape == (4, 3, side, side)
    assert set(out.unique().tolist()) <= set(range(side * side))


def test_cutout_greys_one_whole_square(pixels):
    pixels = pixels.clamp(min=130)
    torch.manual_seed(0)
    out = Augment(cutout=4)(pixels, torch.zeros(16, dtype=torch.int64))
    plain = to_float(pixels)
    for i in range(16):
        grey = out[i, 0] == 0
        assert int(grey.sum()) == 16
        rows, columns = np.nonzero(grey.numpy())
        assert (np.ptp(rows), np.ptp(columns)) == (3, 3)
        assert torch.equal(out[i][:, ~grey], plain[i][:, ~grey])


def test_crop_of_a_ramp_is_a_gentler_ramp():
    ramp = torch.linspace(-1, 1, 64).expand(200, 3, 64, 64)
    torch.manual_seed(0)
    out = transforms.random_crop(ramp, 0.25)
    slope = (out[:, 0, 32, 40] - out[:, 0, 32, 24]) / (ramp[:, 0, 32, 40] - ramp[:, 0, 32, 24])
    assert float(slope.min()) > 0.42  # the narrowest: sqrt(0.25 * 3/4)
    assert float(slope.max()) <= 1.001
    assert float(slope.max() - slope.min()) > 0.3
    mirrored = transforms.random_crop(ramp, 0.25, torch.arange(200) % 2 == 1)
    assert ((mirrored[:, 0, 32, 40] > mirrored[:, 0, 32, 24]) == (torch.arange(200) % 2 == 0)).all()


def test_a_crop_of_all_is_the_picture(pixels):
    floats = to_float(pixels)
    torch.manual_seed(0)
    whole = transforms.random_crop(floats, 1.0)
    assert whole.shape == floats.shape
    assert float((whole - floats).abs().mean()) < 0.6  # only the aspect may change


def test_colour_jitter_equals_a_loop_over_pictures(pixels):
    floats = to_float(pixels)
    torch.manual_seed(5)
    out = transforms.jitter(floats, 0.4)
    torch.manual_seed(5)
    scales = [torch.empty(16, 1, 1, 1).uniform_(0.6, 1.4) for _ in range(3)]
    for i in range(16):
        bright, contrast, saturation = (float(scale[i]) for scale in scales)
        lit = (floats[i].numpy() + 1) * bright
        grey = 0.299 * lit[0] + 0.587 * lit[1] + 0.114 * lit[2]
        vivid = grey + (lit - grey) * saturation
        expected = np.clip(grey.mean() + (vivid - grey.mean()) * contrast - 1, -1, 1)
        assert np.allclose(out[i].numpy(), expected, atol=1e-5)


def test_everything_together_is_seeded_and_in_range(pixels):
    augment = Augment("random", shift=2, crop=0.5, cutout=3, colour=0.5)
    runs = []
    for _ in range(2):
        torch.manual_seed(11)
        runs.append(augment(pixels, torch.arange(16)))
    assert torch.equal(*runs)
    assert float(runs[0].abs().max()) <= 1.0
    assert runs[0].shape == pixels.shape


@pytest.mark.parametrize(
    "wrong", [{"flip": "up"}, {"shift": -1}, {"crop": 0.0}, {"crop": 2}, {"cutout": -1}, {"colour": 3}]
)
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(UsageError):
        Augment(**wrong)
