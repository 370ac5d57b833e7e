"""Layers that would break the promise are refused with the reason."""

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from diptych.engine.privacy.layers import check_by_trial, check_layers, replace_batch_norm
from diptych.errors import UsageError


def network(*layers):
    return nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), *layers, nn.Flatten(), nn.Linear(16 * 64, 4))


class Centred(nn.Module):
    """Subtracts the mean of the batch, with no layer to do it."""

    def forward(self, features):
        return features - features.mean(0)


class Counting(nn.Module):
    """Follows the mean of what it is given."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.zeros(16))

    def forward(self, features):
        self.mean.lerp_(features.detach().mean((0, 2, 3)), 0.1)
        return features


@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        (nn.BatchNorm2d(16), "1 .BatchNorm2d. normalises each picture by the others of its batch"),
        (nn.InstanceNorm2d(16, affine=True, track_running_stats=True), "keeps running statistics"),
        (spectral_norm(nn.Conv2d(16, 16, 1)), "spectral norm"),
        (torch.nn.utils.spectral_norm(nn.Conv2d(16, 16, 1)), "spectral norm"),
        (nn.MultiheadAttention(16, 2), "no gradient of a single picture"),
        (nn.LSTM(16, 2), "no gradient of a single picture"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*spectral_norm.* is deprecated:FutureWarning")
def test_a_layer_on_the_list_is_named_with_the_reason(layer, reason):
    with pytest.raises(UsageError, match=reason):
        check_layers(network(layer))


@pytest.mark.parametrize(
    ("layer", "reason"), [(Centred(), "cannot be told from those of the others"), (Counting(), "keeps statistics")]
)
def test_what_is_on_no_list_is_found_by_a_trial_on_noise(layer, reason):
    check_layers(network(layer))
    with pytest.raises(UsageError, match=reason):
        check_by_trial(network(layer), 8)


@pytest.mark.parametrize("layer", [nn.GroupNorm(4, 16), nn.Dropout2d(0.5), nn.InstanceNorm2d(16, affine=True)])
def test_layers_that_keep_pictures_apart_pass(layer):
    check_layers(network(layer))
    check_by_trial(network(layer), 8)


def test_group_norm_takes_the_place_of_batch_norm():
    replaced = replace_batch_norm(network(nn.BatchNorm2d(16), nn.Sequential(nn.BatchNorm2d(16))))
    check_layers(replaced)
    check_by_trial(replaced, 8)
    assert [type(m) for m in replaced.modules()].count(nn.GroupNorm) == 2
