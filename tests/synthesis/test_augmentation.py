import torch

from diptych.synthesis.augmentation import diff_augment


def test_off_changes_nothing():
    pictures = torch.rand(2, 3, 8, 8)
    assert diff_augment(pictures, 0.0) is pictures


def test_gradients_pass_and_pictures_move_apart():
    torch.manual_seed(0)
    pictures = torch.rand(1, 3, 16, 16).repeat(8, 1, 1, 1).requires_grad_(True)
    changed = diff_augment(pictures, 1.0)
    assert changed.shape == pictures.shape
    assert len(torch.unique(changed.detach().flatten(1), dim=0)) == 8
    changed.sum().backward()
    assert pictures.grad is not None
    assert (pictures.grad != 0).any()
