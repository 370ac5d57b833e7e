import pytest
import torch
from torch import nn

from diptych.errors import UsageError
from diptych.recognition import networks


@pytest.mark.parametrize("name", networks.FAMILIES)
@pytest.mark.parametrize(("size", "classes"), [(8, 2), (13, 3), (32, 10), (47, 3), (64, 5), (100, 2), (130, 2)])
def test_every_network_works_at_any_size(name, size, classes):
    network = networks.build(name, classes=classes, size=size)
    pictures = torch.rand(4, 3, size, size) * 2 - 1
    network.adapt(pictures)
    logits = network(pictures)
    assert logits.shape == (4, classes)
    assert logits.isfinite().all()
    network.eval()
    features = network.features(pictures)
    assert features.ndim == 2
    assert torch.equal(network.head(features), network(pictures))


@pytest.mark.parametrize("name", networks.FAMILIES)
def test_recipes_choose_sensible_lengths_batches_and_augmentations(name):
    recipe = networks.recipe_of(name)
    assert recipe.default_epochs(50) == recipe.epochs[1]
    assert recipe.default_epochs(10**7) == recipe.epochs[0]
    assert recipe.default_batch(10) == 8
    assert recipe.default_batch(10**6) == recipe.batch
    assert recipe.default_batch(10, gpu=True) == 8
    assert recipe.default_batch(10**6, gpu=True) == (recipe.gpu_batch or recipe.batch) >= recipe.batch
    if name != "groupnet":  # with a privacy promise, noise is what keeps a network from learning by heart
        assert recipe.augment(8).shift == 1
        assert recipe.augment(96).crop < 1


def test_the_error_for_a_misspelt_name_suggests_the_closest():
    with pytest.raises(UsageError, match=r"Did you mean 'convnet'.*alexnet, groupnet, speednet-s, .*timm:NAME"):
        networks.build("convnets", classes=2, size=8)


def test_what_is_not_a_network_is_refused():
    with pytest.raises(UsageError, match="class of torch"):
        networks.check(3)
    with pytest.raises(UsageError, match="8 px or more"):
        networks.build("convnet", classes=2, size=4)


class WithSize(nn.Module):
    def __init__(self, classes, size):
        super().__init__()
        self.inner = nn.Sequential(nn.Flatten(), nn.Linear(3 * size * size, 5), nn.ReLU())
        self.out = nn.Linear(5, classes)

    def forward(self, pictures):
        return self.out(self.inner(pictures))


class WithoutSize(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.filters = nn.Conv2d(3, classes, 3)

    def forward(self, pictures):
        return self.filters(pictures).mean((2, 3))


class OneClassTooMany(WithSize):
    def __init__(self, classes, size):
        super().__init__(classes + 1, size)


class ForLargePictures(WithoutSize):
    def forward(self, pictures):
        return super().forward(pictures[:, :, 40:, 40:])


class WithFurtherArguments(nn.Module):
    def __init__(self, classes, size, depth):
        super().__init__()


def test_a_custom_network():
    network = networks.build(WithSize, classes=4, size=8)
    pictures = torch.rand(3, 3, 8, 8)
    assert network(pictures).shape == (3, 4)
    assert torch.equal(network.features(pictures), network.module.inner(pictures))
    assert networks.name_of(WithSize) == "custom:WithSize"
    assert not network.thread_safe
    assert not network.pretrained
    assert network.backbone_facts is None
    assert networks.recipe_of(WithSize) is networks.CUSTOM_RECIPE


def test_a_custom_network_without_a_linear_layer_is_its_own_head():
    network = networks.build(WithoutSize, classes=4, size=8)
    pictures = torch.rand(3, 3, 8, 8)
    assert torch.equal(network.features(pictures), network(pictures))


@pytest.mark.parametrize(
    ("module_class", "message"),
    [
        (OneClassTooMany, r"\(2, 5\).*should return \(2, 4\)"),
        (ForLargePictures, "cannot take"),
        (WithFurtherArguments, "could not be made"),
    ],
)
def test_a_custom_network_that_does_not_fit_is_refused_with_the_reason(module_class, message):
    with pytest.raises(UsageError, match=message):
        networks.build(module_class, classes=4, size=8)
