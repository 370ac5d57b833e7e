import torch

from diptych.synthesis.editing.compositing import compose, multiband_blend


def test_what_is_given_stays_and_what_is_made_takes_its_light():
    given = torch.full((1, 3, 12, 12), 0.4)
    made = torch.zeros(1, 3, 12, 12)
    made[..., 6, 6] = 0.3
    hole = torch.zeros(1, 1, 12, 12, dtype=torch.bool)
    hole[..., 4:9, 4:9] = True
    out = compose(made, given, hole)
    kept = ~hole.expand_as(out)
    assert torch.equal(out[kept], given[kept])
    torch.testing.assert_close(out[..., 6, 6], torch.full((1, 3), 0.7), atol=0.02, rtol=0)
    torch.testing.assert_close(out[..., 5, 5], torch.full((1, 3), 0.4), atol=0.02, rtol=0)


def test_the_membrane_goes_evenly_from_one_border_to_the_other():
    given = torch.linspace(-0.5, 0.5, 16).expand(1, 3, 16, 16)
    hole = torch.zeros(1, 1, 16, 16, dtype=torch.bool)
    hole[..., 3:13] = True
    torch.testing.assert_close(compose(torch.zeros(1, 3, 16, 16), given, hole), given, atol=0.03, rtol=0)


def test_a_picture_without_a_known_part_is_all_made():
    made = torch.rand(1, 3, 8, 8)
    assert torch.equal(compose(made, torch.zeros(1, 3, 8, 8), torch.ones(1, 1, 8, 8, dtype=torch.bool)), made)


def test_bands_meet_softly_and_the_sides_stay():
    first, second = torch.full((1, 3, 32, 32), -0.8), torch.full((1, 3, 32, 32), 0.8)
    share = torch.zeros(1, 1, 32, 32)
    share[..., 16:] = 1
    out = multiband_blend(first, second, share)
    torch.testing.assert_close(out[..., 0], first[..., 0], atol=0.1, rtol=0)
    torch.testing.assert_close(out[..., -1], second[..., 0], atol=0.1, rtol=0)
    steps = torch.diff(out[0, 0, 16])
    assert steps.max() < 0.4  # 1.6 at once without blending
    for share in (torch.zeros(1, 1, 9, 9), torch.ones(1, 1, 9, 9)):
        one, two = torch.rand(1, 3, 9, 9), torch.rand(1, 3, 9, 9)
        torch.testing.assert_close(multiband_blend(one, two, share), two if share[0, 0, 0, 0] else one)
