import torch
from torch import nn

from diptych.engine.optim import AdamW, Muon
from diptych.synthesis.networks.unet import UNet
from diptych.synthesis.training.optimizers import muon_and_adamw


def test_each_parameter_has_one_optimiser_and_weights_inside_have_muon():
    network = UNet(size=8, classes=2, width=16, multiples=[1, 2], windows=True)
    adamw, muon = muon_and_adamw([network], network.boundary_weights(), 1e-3)
    assert isinstance(adamw, AdamW)
    assert isinstance(muon, Muon)
    parameters = [{id(p) for group in one.param_groups for p in group["params"]} for one in (adamw, muon)]
    assert not parameters[0] & parameters[1]
    assert parameters[0] | parameters[1] == {id(p) for p in network.parameters()}
    for end in (network.first.weight, network.last.weight, network.window.weight, network.label.vectors.weight):
        assert id(end) in parameters[0]
    for inside in (network.downs[0].conv1.weight, network.downs[0].code.weight, network.time[1].weight):
        assert id(inside) in parameters[1]


def test_both_move_and_only_matrices_of_adamw_decay():
    torch.manual_seed(0)
    first, inner = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3)
    before = [p.clone() for p in (first.weight, first.bias, inner.weight)]
    optimizers = muon_and_adamw([first, inner], [first.weight], 0.1, decay=1.0)
    for p in (first.weight, first.bias, inner.weight):
        p.grad = torch.zeros_like(p)
    inner.weight.grad.normal_()
    for optimizer in optimizers:
        optimizer.step()
    torch.testing.assert_close(first.weight, 0.9 * before[0])
    torch.testing.assert_close(first.bias, before[1])
    moved = (inner.weight - before[2]).permute(0, 2, 3, 1).flatten(1) / 0.5  # five times the rate
    values = torch.linalg.svdvals(moved)
    assert values.min() > 0.5
    assert values.max() < 1.5
