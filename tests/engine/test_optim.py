import subprocess
import sys

import pytest
import torch
from torch import nn

from diptych.engine.optim import SGD, AdamW, Muon, adamw, filters, newton_schulz, sgd


def test_orthogonalise_brings_singular_values_near_1_and_keeps_the_directions():
    torch.manual_seed(0)
    for shape in [(4, 16, 48), (4, 48, 16)]:
        given = torch.randn(shape)
        found = newton_schulz(given, steps=5)
        assert torch.linalg.svdvals(found).sub(1).abs().max() < 0.5
        u, _, vt = torch.linalg.svd(given, full_matrices=False)
        cosine = nn.functional.cosine_similarity(found.flatten(1), (u @ vt).flatten(1))
        assert cosine.min() > 0.95


def test_muon_works_on_banks_of_one_shape_as_on_each_alone():
    torch.manual_seed(0)
    start = [torch.randn(8, 4, 3, 3), torch.randn(8, 4, 3, 3), torch.randn(6, 4, 1, 1)]
    grads = [torch.randn_like(p) for p in start]

    def moved(groups):
        parameters = [nn.Parameter(p.clone()) for p in start]
        for index in groups:
            optimizer = Muon([parameters[i] for i in index], lr=0.1, unit_norm=True)
            for _ in range(3):
                for i in index:
                    parameters[i].grad = grads[i]
                optimizer.step()
        return parameters

    together, alone = moved([[0, 1, 2]]), moved([[0], [1], [2]])
    for a, b in zip(together, alone, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-2, atol=1e-3)


def test_muon_finds_the_minimum_of_a_matrix_problem():
    torch.manual_seed(0)
    wanted = torch.randn(8, 4, 3, 3)
    found = nn.Parameter(torch.zeros(8, 4, 3, 3))
    optimizer = Muon([found], lr=0.1)
    for step in range(300):
        optimizer.param_groups[0]["lr"] = 0.1 * (1 - step / 300)
        found.grad = None
        (found - wanted).square().sum().backward()
        optimizer.step()
    assert (found - wanted).norm() < 0.05 * wanted.norm()


def test_decay_falls_on_matrices_and_not_on_biases():
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    for optimizer in (adamw(network.parameters(), 1e-3, decay=0.1), sgd(network.parameters(), 1e-3, decay=0.1)):
        decays = {p.ndim: group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
        assert decays == {4: 0.1, 1: 0.0}
    assert filters(network) == [network[0].weight]


def trained(optimizer, network, steps=4, layout=torch.contiguous_format):
    draw = torch.Generator().manual_seed(0)
    for _ in range(steps):
        x = torch.randn(8, 3, 6, 6, generator=draw).contiguous(memory_format=layout)
        network(x).square().mean().backward()
        optimizer.step()
        for p in network.parameters():
            p.grad = None


def small(layout=torch.contiguous_format):
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 3)).to(memory_format=layout)


@pytest.mark.parametrize("kind", ["adamw", "sgd"])
def test_steps_are_those_of_torch(kind):
    ours, theirs = small(), small()
    if kind == "adamw":
        trained(AdamW([{"params": ours.parameters()}], lr=0.01, betas=(0.8, 0.95), weight_decay=0.1), ours)
        trained(torch.optim.AdamW(theirs.parameters(), lr=0.01, betas=(0.8, 0.95), weight_decay=0.1), theirs)
    else:
        trained(SGD([{"params": ours.parameters()}], lr=0.01, weight_decay=0.1), ours)
        trained(torch.optim.SGD(theirs.parameters(), lr=0.01, momentum=0.9, weight_decay=0.1, nesterov=True), theirs)
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
def test_a_restored_optimizer_goes_on_as_if_nothing_had_been_in_any_memory_format(make):
    whole = small()
    trained(make(whole), whole, steps=3)
    optimizer = make(whole)
    trained(optimizer, whole, steps=2)
    state, weights = optimizer.state_dict(), {k: v.clone() for k, v in whole.state_dict().items()}
    state = {
        "groups": state["groups"],
        "state": [[{k: v.clone() for k, v in s.items()} for s in g] for g in state["state"]],
    }
    trained(optimizer, whole)
    again = small(torch.channels_last)
    again.load_state_dict(weights)
    restored = make(again)
    restored.load_state_dict(state)
    trained(restored, again, layout=torch.channels_last)
    for a, b in zip(whole.parameters(), again.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-5)


def test_a_step_does_not_import_the_compiler():
    program = (
        "import sys, torch; from diptych.engine.optim import adamw; p = torch.nn.Parameter(torch.ones(2, 2)); "
        "p.sum().backward(); adamw([p], 0.1).step(); assert 'torch._dynamo' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
