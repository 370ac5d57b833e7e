import torch
from torch import nn

from diptych.engine.optim import Muon, adamw, filters, orthogonalise, sgd


def test_orthogonalise_brings_singular_values_near_1_and_keeps_the_directions():
    torch.manual_seed(0)
    for shape in [(4, 16, 48), (4, 48, 16)]:
        given = torch.randn(shape)
        found = orthogonalise(given, steps=5)
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
        optimizer.zero_grad()
        (found - wanted).square().sum().backward()
        optimizer.step()
    assert (found - wanted).norm() < 0.05 * wanted.norm()


def test_decay_falls_on_matrices_and_not_on_biases():
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    for optimizer in (adamw(network.parameters(), 1e-3, decay=0.1), sgd(network.parameters(), 1e-3, decay=0.1)):
        decays = {p.ndim: group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
        assert decays == {4: 0.1, 1: 0.0}
    assert filters(network) == [network[0].weight]
