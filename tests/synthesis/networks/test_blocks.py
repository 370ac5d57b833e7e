import torch

from diptych.synthesis.networks.blocks import Attention, LabelEmbedding, ResidualBlock, TimeEmbedding, grids


def test_grids_halve_down_to_a_few_cells():
    assert grids(64) == [64, 32, 16, 8, 4]
    assert grids(28) == [28, 14, 7, 4]
    assert all(4 <= grids(size)[-1] <= 6 for size in range(8, 129, 4))


def test_a_new_block_is_the_identity_and_a_new_attention_too():
    features = torch.randn(2, 16, 5, 5)
    torch.testing.assert_close(ResidualBlock(16, 16, 4)(features, torch.randn(2, 4)), features + 0, atol=0.1, rtol=0)
    torch.testing.assert_close(Attention(16)(features), features, atol=0.3, rtol=0)


def test_a_missing_label_has_a_vector_of_its_own():
    embed = LabelEmbedding(3, 8)
    vectors = embed(torch.tensor([0, 1, 2, -1]))
    assert len(torch.unique(vectors, dim=0)) == 4
    torch.testing.assert_close(vectors[3], embed.vectors.weight[3])


def test_times_are_told_apart():
    codes = TimeEmbedding(32)(torch.linspace(0, 1, 50))
    assert codes.shape == (50, 32)
    assert torch.cdist(codes, codes).fill_diagonal_(9).min() > 0.1
