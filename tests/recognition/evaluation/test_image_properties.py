import numpy as np
import pytest
import torch
from PIL import Image

from diptych.data.images import Images
from diptych.recognition.evaluation.image_properties import image_properties, measure_pixels


def test_extremes_measure_as_they_look():
    black, white = torch.zeros(3, 16, 16), torch.full((3, 16, 16), 255.0)
    red = torch.stack((white[0], black[0], black[0]))
    board = torch.where((torch.arange(16)[:, None] + torch.arange(16)) % 2 == 0, white, black)
    found = measure_pixels(torch.stack((black, white, red, board)).to(torch.uint8))
    assert found["brightness"].tolist() == pytest.approx([0, 1, 0.299, 0.5], abs=1e-4)
    assert found["contrast"].tolist() == pytest.approx([0, 0, 0, 0.5], abs=1e-4)
    assert found["sharpness"].argmax() == 3
    assert found["colourfulness"].argmax() == 2
    # Hasler & Süsstrunk's equation for one plain colour: 0.3 times the length of (R - G, (R + G)/2 - B).
    assert float(found["colourfulness"][2]) == pytest.approx(0.3 * (1 + 0.25) ** 0.5, abs=1e-4)


def test_shape_and_size_are_those_of_the_file(tmp_path):
    Image.fromarray(np.zeros((20, 80, 3), np.uint8)).save(tmp_path / "wide.png")
    found = image_properties(Images.of_files([tmp_path / "wide.png"]), 8)
    assert found["width to height"].tolist() == [4]
    assert found["pixels a side"].tolist() == [40]
