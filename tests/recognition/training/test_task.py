import dataclasses

import pytest
import torch
from torch.nn import functional as F

from diptych.recognition import networks
from diptych.recognition.training.task import ClassificationTask, SelectionViaProxy, optimizers


@pytest.mark.parametrize("name", networks.FAMILIES)
def test_every_trainable_weight_is_moved_by_one_optimiser(name):
    network = networks.build(name, classes=3, size=16)
    network.before_step(0.0)
    built = optimizers(network, networks.recipe_of(name), 0.1)
    optimized = [id(p) for optimizer in built for group in optimizer.param_groups for p in group["params"]]
    assert sorted(optimized) == sorted(id(p) for p in network.parameters() if p.requires_grad)


def test_a_head_of_its_own_rate():
    network = networks.build("convnet", classes=3, size=16)
    recipe = dataclasses.replace(networks.recipe_of("convnet"), head_factor=10.0)
    body, head = optimizers(network, recipe, 0.1)
    assert {id(p) for g in head.param_groups for p in g["params"]} == {id(p) for p in network.head.parameters()}
    assert head.param_groups[0]["lr"] == 10 * body.param_groups[0]["lr"]


def test_the_loss_is_the_cross_entropy_with_smoothed_labels():
    network = networks.build("convnet", classes=3, size=8)
    recipe = networks.recipe_of("convnet")
    task = ClassificationTask(network, recipe, 0.1, multi_label=False)
    images, labels = torch.rand(5, 3, 8, 8), torch.tensor([0, 1, 2, 1, 0])
    ((player, loss),) = task.losses(images, labels)
    share = recipe.label_smoothing
    expected = F.one_hot(labels, 3) * (1 - share) + share / 3
    assert player == "network"
    assert torch.allclose(loss, -(expected * network(images).log_softmax(1)).sum(1).mean())


def test_each_of_several_labels_has_a_loss_of_its_own():
    network = networks.build("convnet", classes=3, size=8)
    task = ClassificationTask(network, networks.recipe_of("convnet"), 0.1, multi_label=True)
    images, labels = torch.rand(5, 3, 8, 8), (torch.rand(5, 3) < 0.5).float()
    ((_, loss),) = task.losses(images, labels)
    probability = network(images).sigmoid()
    assert torch.allclose(
        loss, -(labels * probability.log() + (1 - labels) * (1 - probability).log()).mean(), atol=1e-6
    )


def test_a_frozen_part_is_no_longer_trained():
    network = networks.build("speednet", classes=3, size=8)
    task = ClassificationTask(network, networks.recipe_of("speednet"), 0.1, multi_label=False)
    early = len(task.players()["network"])
    task.before_step(0.9)
    assert len(task.players()["network"]) == early - 1


@pytest.mark.parametrize("multi_label", [False, True])
def test_training_uses_the_half_of_each_batch_that_is_harder_for_the_proxy(multi_label):
    network, proxy = (networks.build(name, classes=3, size=8) for name in ("convnet", "alexnet"))
    task = SelectionViaProxy(network, networks.recipe_of("convnet"), 0.1, multi_label=multi_label, proxy=proxy)
    for module in task.modules().values():
        module.eval()  # the same answers each time
    images, labels = torch.rand(9, 3, 8, 8), torch.arange(9) % 3
    labels = F.one_hot(labels, 3).float() if multi_label else labels
    losses = dict(task.losses(images, labels))
    each = {name: task.per_picture_loss(module, images, labels) for name, module in task.modules().items()}
    harder = each["proxy"] >= each["proxy"].median()  # five of nine
    assert torch.allclose(losses["network"], each["network"][harder].mean())
    assert torch.allclose(losses["proxy"], each["proxy"][:2].mean())
    assert list(task.modules()) == list(task.players()) == list(task.optimizers()) == ["network", "proxy"]
