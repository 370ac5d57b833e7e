import numpy as np
import torch

from diptych.data.images import Images
from diptych.synthesis.training.augmentation import smallest_crop
from diptych.synthesis.vae import VAE


def test_few_pictures_are_cropped_in_training_and_generated_whole():
    pixels = np.zeros((24, 20, 20, 3), np.uint8)
    pixels[:, :3] = pixels[:, -3:] = pixels[:, :, :3] = pixels[:, :, -3:] = 250  # a frame: a crop may lack it
    fitted = VAE(size=20, latent=4, epochs=80, batch=8).fit(Images.from_arrays(pixels))
    assert fitted.settings_["crop"] == smallest_crop(24, 20) == 0.6
    mean = fitted.sample(4).pixels(20).float().mean((0, 1))
    edge = torch.cat([mean[1], mean[-2], mean[:, 1], mean[:, -2]]).mean()
    assert edge > 160
    assert mean[8:12, 8:12].mean() < 60
