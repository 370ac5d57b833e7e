"""What each edit does to digits, by all three synthesizers."""

import numpy as np
import pytest
import torch

import diptych
from diptych.data.images import Images
from diptych.errors import DataError, UsageError

MODELS = {
    "gan": lambda: diptych.GAN(epochs=25, batch=32),
    "vae": lambda: diptych.VAE(latent=12, epochs=25, batch=32),
    "flow": lambda: diptych.Flow(steps=8, epochs=25, batch=32),
}
HALF = np.broadcast_to(np.arange(8) >= 4, (8, 8))


@pytest.fixture(scope="module")
def digits() -> Images:
    """Zeros and ones, 150 of each."""
    every = Images.open("digits")
    rows = np.concatenate([np.flatnonzero(every.labels == k)[:150] for k in range(2)])
    return every[rows].relabel(every.classes)


@pytest.fixture(scope="module", params=sorted(MODELS))
def model(request, digits):
    return MODELS[request.param]().fit(digits[: len(digits)])


@pytest.fixture(scope="module")
def unseen() -> Images:
    """Four zeros and four ones that were not among them."""
    every = Images.open("digits")
    return every[np.concatenate([np.flatnonzero(every.labels == k)[-4:] for k in range(2)])]


def array(images: Images) -> np.ndarray:
    return images.pixels(8).numpy().astype(float)


def apart(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.abs(first - second).mean())


def test_reconstructions_are_of_their_own_pictures(model, unseen):
    made = model.reconstruct(unseen)
    differences = np.abs(array(made)[:, None] - array(unseen)).mean(axis=(2, 3, 4))
    assert (differences.argmin(axis=1) == np.arange(8)).mean() >= 0.5  # a GAN encodes roughly; chance is an eighth
    assert set(made.origins) == {"synthetic"}
    assert made.groups["source"].tolist() == unseen.paths.tolist()
    assert [made.classes[k] for k in made.labels] == ["0"] * 4 + ["1"] * 4


def test_a_label_may_be_told_for_pictures_without_one(model, unseen):
    plain = Images.from_arrays(unseen[:2].pixels(8).permute(0, 2, 3, 1).numpy())
    assert np.array_equal(array(model.reconstruct(plain, label="0")), array(model.reconstruct(unseen[:2])))
    if model.kind == "gan":
        with pytest.raises(UsageError, match="needs a label for each picture: 0, 1"):
            model.reconstruct(plain)


def test_interpolation_goes_from_the_one_to_the_other(model, unseen):
    made = model.interpolate(unseen[:2], unseen[4:6], steps=5)
    ends = array(model.reconstruct(unseen))
    assert np.array_equal(array(made)[[0, 5]], ends[:2])
    assert np.array_equal(array(made)[[4, 9]], ends[4:6])
    assert made.groups["position"].tolist() == [0, 0.25, 0.5, 0.75, 1] * 2
    assert made.groups["source"][0] == f"{unseen.paths[0]} + {unseen.paths[4]}"
    assert [made.classes[k] for k in made.labels[:5]] == ["0", "0", "1", "1", "1"]
    for way in (array(made)[:5], array(made)[5:]):
        assert apart(way[1], way[0]) < apart(way[4], way[0])


def test_the_middle_of_a_traversal_is_the_picture_and_its_ends_are_not(model, unseen):
    made = array(model.traverse(unseen[:1], directions=3, steps=5)).reshape(3, 5, 3, 8, 8)
    middle = array(model.reconstruct(unseen[:1]))[0]
    for row in made:
        assert apart(row[2], middle) < 2  # grey levels: 0 times a direction is not always +0
        assert apart(row[0], middle) > 1
        assert apart(row[0], row[4]) > 1


def test_directions_that_come_first_change_most(model, unseen):
    count = min(12, model._latent_length())
    made = array(model.traverse(unseen[:4], directions=count, steps=2)).reshape(4, count, 2, -1)
    moved = np.abs(made[:, :, 0] - made[:, :, 1]).mean(axis=(0, 2))
    assert moved[: count // 3].mean() > moved[-(count // 3) :].mean()


def test_a_hole_is_filled_with_what_suits(model, unseen):
    made = model.inpaint(unseen, HALF)
    hidden = array(unseen)[..., HALF]
    mean = array(Images.open("digits")[:500])[..., HALF].mean(axis=0)
    assert apart(array(made)[..., HALF], hidden) < apart(np.broadcast_to(mean, hidden.shape), hidden)
    assert set(made.origins) == {"composite"}


def test_the_seed_decides_how_a_hole_is_filled(model, unseen):
    whole = np.ones((8, 8), bool)
    first, again, other = (array(model.inpaint(unseen[:1], whole, seed=seed)) for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    if model.kind != "vae":  # which seeks the likeliest picture from every start
        assert not np.array_equal(first, other)


def test_what_is_part_made_is_told_from_what_is_all_made(model, unseen):
    masks = np.stack([np.zeros((8, 8), bool), HALF, np.ones((8, 8), bool)])
    made = model.inpaint(unseen[:3], masks)
    assert made.origins.tolist() == ["real", "composite", "synthetic"]
    assert np.array_equal(array(made)[0], array(unseen)[0])
    again = model.inpaint(made[1:], HALF)
    assert again.origins.tolist() == ["composite", "synthetic"]
    assert model.blend(unseen[:1], unseen[1:2]).origins.tolist() == ["composite"]
    assert model.blend(made[2:], model.sample(1)).origins.tolist() == ["synthetic"]
    assert model.restyle(unseen[:1], "1", strength=0).origins.tolist() == ["real"]


def test_blending_takes_each_side_from_its_own(model, unseen):
    first, second = unseen[:1], unseen[4:5]
    made = array(model.blend(first, second, mask=HALF))
    assert apart(made[..., :2], array(first)[..., :2]) < apart(made[..., :2], array(second)[..., :2])
    assert apart(made[..., 6:], array(second)[..., 6:]) < apart(made[..., 6:], array(first)[..., 6:])
    alone = model.blend(first, mask=HALF, seed=9)
    other = model.sample(1, label="0", seed=9)
    assert np.array_equal(array(alone), array(model.blend(first, other, mask=HALF)))
    assert alone.groups["source"].tolist() == [f"{first.paths[0]} + {model.kind}#9"]


def test_restyling_turns_towards_the_other_class(model, unseen, digits):
    zeros, one = unseen[:4], array(digits[150:]).mean(axis=0)
    before = apart(array(model.reconstruct(zeros)), one)
    half, full = (array(model.restyle(zeros, "1", strength=strength)) for strength in (0.5, 1.0))
    assert apart(full, one) < before
    assert apart(half, array(zeros)) < apart(full, array(zeros))
    made = model.restyle(zeros, "1")
    assert [made.classes[k] for k in made.labels] == ["1"] * 4


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (lambda model, images: model.inpaint(images, np.zeros((9, 8), bool)), r"mask .* has 8 × 9 pixels"),
        (lambda model, images: model.inpaint(images, np.zeros((2, 8, 8), bool)), "one mask, or as many, not 2"),
        (lambda model, images: model.inpaint(images, np.zeros((8, 8))), "of bool"),
        (lambda model, images: model.inpaint(images, HALF, seed=-1), "seed is from 0"),
        (lambda model, images: model.interpolate(images, images[:1]), "paired"),
        (lambda model, images: model.interpolate(images, images, steps=1), "2 steps or more"),
        (lambda model, images: model.traverse(images, directions=0), "a direction or more"),
        (lambda model, images: model.blend(images, images[:1]), "as many pictures on both sides"),
        (lambda model, images: model.restyle(images, "9"), "no class '9' here.*: 0, 1"),
        (lambda model, images: model.restyle(images, "1", strength=1.5), "from 0 to 1, not 1.5"),
    ],
)
def test_what_cannot_be_is_refused_with_the_cure(model, unseen, edit, told):
    with pytest.raises(UsageError, match=told):
        edit(model, unseen)


def test_no_pictures_are_refused(model, unseen):
    with pytest.raises(DataError, match="no picture"):
        model.reconstruct(unseen[:0])


def test_a_model_without_labels_edits_all_but_the_class(digits):
    plain = Images.from_arrays(digits.pixels(8).permute(0, 2, 3, 1).numpy())
    model = diptych.GAN(epochs=1, batch=32).fit(plain)
    assert (model.interpolate(plain[:1], plain[1:2], steps=3).labels == -1).all()
    assert len(model.blend(plain[:2])) == 2
    assert len(model.traverse(plain[:1], directions=2, steps=3)) == 6
    with pytest.raises(UsageError, match="fitted without labels"):
        model.restyle(plain, "1")


def test_large_pictures_and_masks_are_seen_alike(model):
    picture = np.random.default_rng(0).integers(0, 255, (20, 32, 3), np.uint8)
    mask = np.zeros((20, 32), bool)
    mask[:, 20:] = True
    images = Images.from_arrays(picture[None], [0], classes=("0",))
    made, given = model.inpaint(images, mask).pixels(8), images.pixels(8, "crop")
    # The middle square is 20 px from the 6th: the hole begins at 14 of 20, so in the 6th of 8 columns.
    assert torch.equal(made[..., :5], given[..., :5])
    assert not torch.equal(made[..., 6:], given[..., 6:])
