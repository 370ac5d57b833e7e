"""Each edit on digits, with all three synthesizers."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch

import diptych
from diptych.data.images import Images
from diptych.errors import DataError, UsageError
from diptych.synthesis.editing import latents

MODELS = {
    "gan": lambda: diptych.GAN(epochs=25, batch=32),
    "vae": lambda: diptych.VAE(latent=12, epochs=14, batch=32),
    "flow": lambda: diptych.Flow(steps=6, epochs=15, batch=32),
}
HALF = np.broadcast_to(np.arange(8) >= 4, (8, 8))


@pytest.fixture(scope="module")
def digits() -> Images:
    """Zeros and ones, 150 of each."""
    images = Images.open("digits")
    rows = np.concatenate([np.flatnonzero(images.labels == k)[:150] for k in range(2)])
    return images[rows].relabel(images.classes)


@pytest.fixture(scope="module", autouse=True)
def short_search() -> Iterator[None]:
    """A third of the steps in which a GAN searches for the latents of a picture, each of which takes as long."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(latents, "INVERSION_STEPS", 50)
        yield


@pytest.fixture(scope="module", params=sorted(MODELS))
def model(request, digits):
    return MODELS[request.param]().fit(digits[: len(digits)])


@pytest.fixture(scope="module")
def held_out() -> Images:
    """Four zeros and four ones that the models were not trained on."""
    images = Images.open("digits")
    return images[np.concatenate([np.flatnonzero(images.labels == k)[-4:] for k in range(2)])]


@pytest.fixture(scope="module")
def reconstructed(model, held_out) -> Images:
    return model.reconstruct(held_out)


def array(images: Images) -> np.ndarray:
    return images.pixels(8).numpy().astype(float)


def difference(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.abs(first - second).mean())


def test_reconstructions_resemble_their_own_pictures(reconstructed, held_out):
    edited = reconstructed
    differences = np.abs(array(edited)[:, None] - array(held_out)).mean(axis=(2, 3, 4))
    assert (differences.argmin(axis=1) == np.arange(8)).mean() >= 0.5  # a GAN encodes roughly; chance is an eighth
    assert set(edited.origins) == {"synthetic"}
    assert edited.groups["source"].tolist() == held_out.paths.tolist()
    assert [edited.classes[k] for k in edited.labels] == ["0"] * 4 + ["1"] * 4


def test_a_label_can_be_given_for_pictures_without_one(model, held_out, reconstructed):
    plain = Images.from_arrays(held_out[:2].pixels(8).permute(0, 2, 3, 1).numpy())
    assert np.array_equal(array(model.reconstruct(plain, label="0")), array(reconstructed)[:2])
    if model.kind == "gan":
        with pytest.raises(UsageError, match="needs a label for each picture: 0, 1"):
            model.reconstruct(plain)


def test_interpolation_goes_from_the_first_to_the_second_picture(model, held_out, reconstructed):
    edited = model.interpolate(held_out[:2], held_out[4:6], steps=5)
    ends = array(reconstructed)
    assert np.array_equal(array(edited)[[0, 5]], ends[:2])
    assert np.array_equal(array(edited)[[4, 9]], ends[4:6])
    assert edited.groups["position"].tolist() == [0, 0.25, 0.5, 0.75, 1] * 2
    assert edited.groups["source"][0] == f"{held_out.paths[0]} + {held_out.paths[4]}"
    assert [edited.classes[k] for k in edited.labels[:5]] == ["0", "0", "1", "1", "1"]
    for row in (array(edited)[:5], array(edited)[5:]):
        assert difference(row[1], row[0]) < difference(row[4], row[0])


def test_the_middle_of_a_traversal_is_the_picture_and_its_ends_are_not(model, held_out, reconstructed):
    edited = array(model.traverse(held_out[:1], directions=3, steps=5)).reshape(3, 5, 3, 8, 8)
    middle = array(reconstructed)[0]
    for row in edited:
        assert difference(row[2], middle) < 2  # grey levels: 0 times a direction is not always +0
        assert difference(row[0], middle) > 1
        assert difference(row[0], row[4]) > 1


def test_the_first_directions_change_most(model, held_out):
    count = min(12, model._latent_length())
    edited = array(model.traverse(held_out[:4], directions=count, steps=2)).reshape(4, count, 2, -1)
    moved = np.abs(edited[:, :, 0] - edited[:, :, 1]).mean(axis=(0, 2))
    assert moved[: count // 3].mean() > moved[-(count // 3) :].mean()


def test_a_hole_is_filled_with_matching_content(model, held_out):
    edited = model.inpaint(held_out, HALF)
    hidden = array(held_out)[..., HALF]
    mean = array(Images.open("digits")[:500])[..., HALF].mean(axis=0)
    assert difference(array(edited)[..., HALF], hidden) < difference(np.broadcast_to(mean, hidden.shape), hidden)
    assert set(edited.origins) == {"composite"}


def test_the_seed_decides_how_a_hole_is_filled(model, held_out):
    whole = np.ones((8, 8), bool)
    first, again, other = (array(model.inpaint(held_out[:1], whole, seed=seed)) for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    if model.kind != "vae":  # which seeks the likeliest picture from every start
        assert not np.array_equal(first, other)


def test_origins_distinguish_partly_from_fully_generated_pictures(model, held_out):
    masks = np.stack([np.zeros((8, 8), bool), HALF, np.ones((8, 8), bool)])
    edited = model.inpaint(held_out[:3], masks)
    assert edited.origins.tolist() == ["real", "composite", "synthetic"]
    assert np.array_equal(array(edited)[0], array(held_out)[0])
    again = model.inpaint(edited[1:], HALF)
    assert again.origins.tolist() == ["composite", "synthetic"]
    assert model.blend(held_out[:1], held_out[1:2]).origins.tolist() == ["composite"]
    assert model.blend(edited[2:], model.sample(1)).origins.tolist() == ["synthetic"]
    assert model.restyle(held_out[:1], "1", strength=0).origins.tolist() == ["real"]


def test_blending_takes_each_side_from_its_own_picture(model, held_out):
    first, second = held_out[:1], held_out[4:5]
    blended = array(model.blend(first, second, mask=HALF))
    assert difference(blended[..., :2], array(first)[..., :2]) < difference(blended[..., :2], array(second)[..., :2])
    assert difference(blended[..., 6:], array(second)[..., 6:]) < difference(blended[..., 6:], array(first)[..., 6:])
    alone = model.blend(first, mask=HALF, seed=9)
    other = model.sample(1, label="0", seed=9)
    assert np.array_equal(array(alone), array(model.blend(first, other, mask=HALF)))
    assert alone.groups["source"].tolist() == [f"{first.paths[0]} + {model.kind}#9"]


def test_restyling_moves_towards_the_other_class(model, held_out, reconstructed, digits):
    zeros, one = held_out[:4], array(digits[150:]).mean(axis=0)
    before = difference(array(reconstructed)[:4], one)
    half, edited = (model.restyle(zeros, "1", strength=strength) for strength in (0.5, 1.0))
    half, full = array(half), array(edited)
    assert difference(full, one) < before
    assert difference(half, array(zeros)) < difference(full, array(zeros))
    assert [edited.classes[k] for k in edited.labels] == ["1"] * 4


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda model, images: model.inpaint(images, np.zeros((9, 8), bool)), r"mask .* has 8 × 9 pixels"),
        (
            lambda model, images: model.inpaint(images, np.zeros((2, 8, 8), bool)),
            "one mask, or one for each picture: there are 8 pictures and 2 masks",
        ),
        (lambda model, images: model.inpaint(images, np.zeros((8, 8))), "of bool"),
        (lambda model, images: model.inpaint(images, HALF, seed=-1), "seed must be a whole number from 0"),
        (lambda model, images: model.interpolate(images, images[:1]), "Interpolation .*: 8 cannot be paired with 1"),
        (
            lambda model, images: model.interpolate(images, images, steps=1),
            "steps must be a whole number, 2 or more, not 1",
        ),
        (lambda model, images: model.traverse(images, directions=0), "directions must be a whole number, 1 or more"),
        (lambda model, images: model.traverse(images, reach=float("nan")), "reach must be a number from 0.001 to 100"),
        (lambda model, images: model.traverse(images, reach=float("inf")), "reach must be a number from 0.001 to 100"),
        (lambda model, images: model.blend(images, images[:1]), "Blending .*: 8 cannot be paired with 1"),
        (lambda model, images: model.restyle(images, "9"), "no class '9' here.*: 0, 1"),
        (lambda model, images: model.restyle(images, "1", strength=1.5), "from 0 to 1, not 1.5"),
    ],
)
def test_invalid_edits_are_refused_with_the_cure(model, held_out, edit, message):
    with pytest.raises(UsageError, match=message):
        edit(model, held_out)


def test_no_pictures_are_refused(model, held_out):
    with pytest.raises(DataError, match="no picture"):
        model.reconstruct(held_out[:0])


def test_a_model_without_labels_can_do_every_edit_but_restyle(digits):
    plain = Images.from_arrays(digits.pixels(8).permute(0, 2, 3, 1).numpy())
    model = diptych.GAN(epochs=1, batch=32).fit(plain)
    assert (model.interpolate(plain[:1], plain[1:2], steps=3).labels == -1).all()
    assert len(model.blend(plain[:2])) == 2
    assert len(model.traverse(plain[:1], directions=2, steps=3)) == 6
    with pytest.raises(UsageError, match="fitted without labels"):
        model.restyle(plain, "1")


def test_large_pictures_and_masks_are_cropped_alike(model):
    picture = np.random.default_rng(0).integers(0, 255, (20, 32, 3), np.uint8)
    mask = np.zeros((20, 32), bool)
    mask[:, 20:] = True
    images = Images.from_arrays(picture[None], [0], classes=("0",))
    inpainted, original = model.inpaint(images, mask).pixels(8), images.pixels(8, "crop")
    # The middle square is 20 px from the 6th: the hole begins at 14 of 20, so in the 6th of 8 columns.
    assert torch.equal(inpainted[..., :5], original[..., :5])
    assert not torch.equal(inpainted[..., 6:], original[..., 6:])
