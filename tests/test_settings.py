"""Settings: declared once, checked when a model is constructed and again when it is fitted."""

import dataclasses

import pytest
from sklearn.base import clone

from diptych import GAN, VAE, Flow, Images, Recognizer
from diptych.errors import UsageError

MODELS = (Recognizer, GAN, VAE, Flow)
REFUSED = (
    ("minutes", float("inf"), "a number, 0.001 or more"),
    ("minutes", float("nan"), "a number"),
    ("minutes", -1, "a number"),
    ("minutes", "5", "a number"),
    ("epochs", 0, "a number"),
    ("batch", 2.5, "a whole number, 1 or more"),
    ("batch", True, "a whole number"),
    ("lr", 0.0, "from 1e-12 to 100"),
    ("seed", -1, "from 0 to 4294967295"),
    ("size", 3, "8"),
)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(("name", "value", "range_"), REFUSED)
def test_a_value_out_of_range_is_refused_at_construction(model, name, value, range_):
    with pytest.raises(UsageError, match=f"{name} must be .*{range_}.*, not {value!r}"):
        model(**{name: value})


@pytest.mark.parametrize(
    ("model", "name", "value"),
    [
        (Flow, "guidance", float("inf")),
        (Flow, "steps", 0),
        (VAE, "beta", float("nan")),
        (VAE, "prior", "uniform"),
        (Recognizer, "imbalance", "smote"),
    ],
)
def test_so_is_a_setting_of_one_kind_of_model(model, name, value):
    with pytest.raises(UsageError, match=f"{name} must be .* It is .* where it is left out"):
        model(**{name: value})


@pytest.mark.parametrize(
    ("size", "nearest"),
    [(0, "is 8"), (4, "is 8"), (10, "are 8 and 12"), (33, "are 32 and 36"), (132, "is 128"), (1000, "is 128")],
)
def test_a_refused_size_names_the_nearest(size, nearest):
    with pytest.raises(UsageError, match=rf"The nearest {nearest}\. "):
        Flow(size=size)


def test_a_network_that_does_not_exist_is_refused_at_construction():
    with pytest.raises(UsageError, match="timm:resnet50"):
        Recognizer("resnet50")
    with pytest.raises(UsageError, match=r"no network 'resnet'\. Did you mean 'alexnet'"):
        Recognizer("resnet")
    with pytest.raises(UsageError, match="a name or a class"):
        Recognizer(3)
    with pytest.raises(UsageError, match="network must be one of dcgan, dcgan-classic"):
        GAN("unet")


def test_minutes_and_epochs_exclude_each_other():
    with pytest.raises(UsageError, match="not both"):
        Flow(minutes=1, epochs=1)


@pytest.mark.parametrize("model", MODELS)
def test_a_value_that_is_changed_later_is_checked_by_fit(model, tmp_path):
    estimator = model(epochs=1)
    estimator.epochs = float("inf")
    with pytest.raises(UsageError, match="epochs must be"):
        estimator.fit(Images.open("digits"), into=tmp_path / "model")
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("model", MODELS)
def test_scikit_learn_clones_a_model_with_its_values_unchanged(model):
    first = model(minutes=2, seed=7)
    copied = clone(first)
    assert copied.get_params() == first.get_params()
    assert copied.set_params(minutes=3).minutes == 3
    assert repr(first) == f"{model.__name__}(minutes=2, seed=7)"
    with pytest.raises(UsageError, match=r"no setting minute\. Did you mean minutes\?"):
        first.set_params(minute=3)


@pytest.mark.parametrize("model", MODELS)
def test_every_setting_has_a_meaning_and_an_option(model):
    for field in dataclasses.fields(model):
        assert field.metadata["rule"].help.endswith(".")
