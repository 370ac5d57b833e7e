import torch
from torch import nn

from diptych.engine.optim import Muon, newton_schulz


def test_newton_schulz_brings_singular_values_near_1_and_preserves_the_directions():
    torch.manual_seed(0)
    for shape in [(4, 16, 48), (4, 48, 16)]:
        matrices = torch.randn(shape)
        orthogonal = newton_schulz(matrices, steps=5)
        assert torch.linalg.svdvals(orthogonal).sub(1).abs().max() < 0.5
        u, _, vt = torch.linalg.svd(matrices, full_matrices=False)
        cosine = nn.functional.cosine_similarity(orthogonal.flatten(1), (u @ vt).flatten(1))
        assert cosine.min() > 0.95


def test_muon_updates_banks_of_one_shape_as_it_updates_each_alone():
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
    target = torch.randn(8, 4, 3, 3)
    weights = nn.Parameter(torch.zeros(8, 4, 3, 3))
    optimizer = Muon([weights], lr=0.1)
    for step in range(300):
        optimizer.param_groups[0]["lr"] = 0.1 * (1 - step / 300)
        weights.grad = None
        (weights - target).square().sum().backward()
        optimizer.step()
    assert (weights - target).norm() < 0.05 * target.norm()
