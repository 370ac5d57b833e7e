import torch

from diptych.synthesis.editing.compositing import compose, multiband_blend


def test_known_pixels_stay_and_generated_ones_take_their_lighting():
    original = torch.full((1, 3, 12, 12), 0.4)
    generated = torch.zeros(1, 3, 12, 12)
    generated[..., 6, 6] = 0.3
    hole = torch.zeros(1, 1, 12, 12, dtype=torch.bool)
    hole[..., 4:9, 4:9] = True
    out = compose(generated, original, hole)
    known = ~hole.expand_as(out)
    assert torch.equal(out[known], original[known])
    torch.testing.assert_close(out[..., 6, 6], torch.full((1, 3), 0.7), atol=0.02, rtol=0)
    torch.testing.assert_close(out[..., 5, 5], torch.full((1, 3), 0.4), atol=0.02, rtol=0)


def test_the_membrane_is_linear_between_two_borders():
    original = torch.linspace(-0.5, 0.5, 16).expand(1, 3, 16, 16)
    hole = torch.zeros(1, 1, 16, 16, dtype=torch.bool)
    hole[..., 3:13] = True
    torch.testing.assert_close(compose(torch.zeros(1, 3, 16, 16), original, hole), original, atol=0.03, rtol=0)


def test_a_picture_without_known_pixels_is_generated_unchanged():
    generated = torch.rand(1, 3, 8, 8)
    whole = torch.ones(1, 1, 8, 8, dtype=torch.bool)
    assert torch.equal(compose(generated, torch.zeros(1, 3, 8, 8), whole), generated)


def test_bands_blend_softly_and_the_far_sides_stay():
    first, second = torch.full((1, 3, 32, 32), -0.8), torch.full((1, 3, 32, 32), 0.8)
    weight = torch.zeros(1, 1, 32, 32)
    weight[..., 16:] = 1
    out = multiband_blend(first, second, weight)
    torch.testing.assert_close(out[..., 0], first[..., 0], atol=0.1, rtol=0)
    torch.testing.assert_close(out[..., -1], second[..., 0], atol=0.1, rtol=0)
    steps = torch.diff(out[0, 0, 16])
    assert steps.max() < 0.4  # 1.6 at once without blending
    for weight in (torch.zeros(1, 1, 9, 9), torch.ones(1, 1, 9, 9)):
        one, two = torch.rand(1, 3, 9, 9), torch.rand(1, 3, 9, 9)
        torch.testing.assert_close(multiband_blend(one, two, weight), two if weight[0, 0, 0, 0] else one)
