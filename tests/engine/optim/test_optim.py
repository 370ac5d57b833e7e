import subprocess
import sys

import pytest
import torch
from torch import nn

from diptych.engine.optim import SGD, AdamW, Muon, adamw, filters, sgd


def test_weight_decay_applies_to_matrices_and_not_to_biases():
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    for optimizer in (adamw(network.parameters(), 1e-3, decay=0.1), sgd(network.parameters(), 1e-3, decay=0.1)):
        decays = {p.ndim: group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
        assert decays == {4: 0.1, 1: 0.0}
    assert filters(network) == [network[0].weight]


def train(optimizer, network, steps=4, layout=torch.contiguous_format):
    draw = torch.Generator().manual_seed(0)
    for _ in range(steps):
        x = torch.randn(8, 3, 6, 6, generator=draw).contiguous(memory_format=layout)
        network(x).square().mean().backward()
        optimizer.step()
        for p in network.parameters():
            p.grad = None


def small_network(layout=torch.contiguous_format):
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 3)).to(memory_format=layout)


@pytest.mark.parametrize("kind", ["adamw", "sgd"])
def test_steps_equal_those_of_torch(kind):
    ours, theirs = small_network(), small_network()
    if kind == "adamw":
        train(AdamW([{"params": ours.parameters()}], lr=0.01, betas=(0.8, 0.95), weight_decay=0.1), ours)
        train(torch.optim.AdamW(theirs.parameters(), lr=0.01, betas=(0.8, 0.95), weight_decay=0.1), theirs)
    else:
        train(SGD([{"params": ours.parameters()}], lr=0.01, weight_decay=0.1), ours)
        train(torch.optim.SGD(theirs.parameters(), lr=0.01, momentum=0.9, weight_decay=0.1, nesterov=True), theirs)
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize(
    "make",
    [
        lambda network: adamw(network.parameters(), 0.01, 0.1),
        lambda network: sgd(network.parameters(), 0.01, 0.1),
        lambda network: Muon(filters(network), 0.01),
    ],
)
def test_a_restored_optimizer_continues_unchanged_in_any_memory_format(make):
    whole = small_network()
    train(make(whole), whole, steps=3)
    optimizer = make(whole)
    train(optimizer, whole, steps=2)
    state, weights = optimizer.state_dict(), {k: v.clone() for k, v in whole.state_dict().items()}
    state = {
        "groups": state["groups"],
        "state": [[{k: v.clone() for k, v in s.items()} for s in g] for g in state["state"]],
    }
    train(optimizer, whole)
    resumed = small_network(torch.channels_last)
    resumed.load_state_dict(weights)
    restored = make(resumed)
    restored.load_state_dict(state)
    train(restored, resumed, layout=torch.channels_last)
    for a, b in zip(whole.parameters(), resumed.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-5)


def test_a_step_does_not_import_the_compiler():
    program = (
        "import sys, torch; from diptych.engine.optim import adamw; p = torch.nn.Parameter(torch.ones(2, 2)); "
        "p.sum().backward(); adamw([p], 0.1).step(); assert 'torch._dynamo' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
