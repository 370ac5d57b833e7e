import torch

from diptych.synthesis.networks.blocks import Attention, LabelEmbedding, ResidualBlock, TimeEmbedding, grid_sides


def test_grids_are_halved_down_to_4_to_6_cells():
    assert grid_sides(64) == [64, 32, 16, 8, 4]
    assert grid_sides(28) == [28, 14, 7, 4]
    assert all(4 <= grid_sides(size)[-1] <= 6 for size in range(8, 129, 4))


def test_new_residual_and_attention_blocks_are_the_identity():
    features = torch.randn(2, 16, 5, 5)
    torch.testing.assert_close(ResidualBlock(16, 16, 4)(features, torch.randn(2, 4)), features + 0, atol=0.1, rtol=0)
    torch.testing.assert_close(Attention(16)(features), features, atol=0.3, rtol=0)


def test_a_missing_label_has_its_own_vector():
    embed = LabelEmbedding(3, 8)
    vectors = embed(torch.tensor([0, 1, 2, -1]))
    assert len(torch.unique(vectors, dim=0)) == 4
    torch.testing.assert_close(vectors[3], embed.vectors.weight[3])


def test_embeddings_distinguish_times():
    codes = TimeEmbedding(32)(torch.linspace(0, 1, 50))
    assert codes.shape == (50, 32)
    assert torch.cdist(codes, codes).fill_diagonal_(9).min() > 0.1
