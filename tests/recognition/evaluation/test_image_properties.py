import numpy as np
import pytest
import torch
from PIL import Image

from diptych.data.images import Images
from diptych.recognition.evaluation.image_properties import image_properties, measure_pixels


def test_extreme_pictures_have_extreme_properties():
    black, white = torch.zeros(3, 16, 16), torch.full((3, 16, 16), 255.0)
    red = torch.stack((white[0], black[0], black[0]))
    checkerboard = torch.where((torch.arange(16)[:, None] + torch.arange(16)) % 2 == 0, white, black)
    properties = measure_pixels(torch.stack((black, white, red, checkerboard)).to(torch.uint8))
    assert properties["brightness"].tolist() == pytest.approx([0, 1, 0.299, 0.5], abs=1e-4)
    assert properties["contrast"].tolist() == pytest.approx([0, 0, 0, 0.5], abs=1e-4)
    assert properties["sharpness"].argmax() == 3
    assert properties["colourfulness"].argmax() == 2
    # Hasler & Süsstrunk's equation for a plain colour: 0.3 times the length of (R - G, (R + G)/2 - B).
    assert float(properties["colourfulness"][2]) == pytest.approx(0.3 * (1 + 0.25) ** 0.5, abs=1e-4)


def test_aspect_ratio_and_resolution_are_those_of_the_file(tmp_path):
    Image.fromarray(np.zeros((20, 80, 3), np.uint8)).save(tmp_path / "wide.png")
    properties = image_properties(Images.of_files([tmp_path / "wide.png"]), 8)
    assert properties["aspect ratio"].tolist() == [4]
    assert properties["resolution"].tolist() == [40]
