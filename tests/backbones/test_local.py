"""The order in which pretrained weights on this machine are used, and which of several is the best."""

import pytest
from safetensors.torch import save_file

from diptych.backbones import builtin, local, weights
from diptych.errors import UsageError
from tests.backbones.conftest import NAME, fill_cache


def test_weights_in_the_variable_come_before_the_cache(tmp_path, state, hub, monkeypatch):
    fill_cache(hub, state)
    assert [w.file.parent.name for w in local.local_weights()] == ["abc"]
    save_file(state, tmp_path / f"{NAME}.safetensors")
    monkeypatch.setenv(weights.VARIABLE, str(tmp_path / f"{NAME}.safetensors"))
    assert [w.name for w in local.local_weights()] == [NAME]


def test_a_variable_that_names_no_weights_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv(weights.VARIABLE, str(tmp_path))
    with pytest.raises(UsageError, match=r"DIPTYCH_WEIGHTS names .* holds no weights"):
        local.local_weights()


def test_without_a_cache_and_without_the_package_there_are_none(hub):
    assert local.local_weights() == []


def test_the_built_in_weights_come_last(state, hub, tmp_path, monkeypatch):
    monkeypatch.setattr(builtin, "is_installed", lambda name: True)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (lite0,) = local.local_weights()
    assert (lite0.network, lite0.name) == ("lite0", "tf_efficientnet_lite0")
    fill_cache(hub, state)
    assert [w.file.parent.name for w in local.local_weights()] == ["abc"]


def test_the_largest_that_can_be_trained_is_the_best(tmp_path):
    def weights_of(name, megabytes):
        with (tmp_path / name).open("wb") as file:
            file.truncate(megabytes * 1_000_000)
        return weights.Weights(name, tmp_path / name)

    small, middle, large = weights_of("small", 5), weights_of("middle", 90), weights_of("large", 350)
    assert local.best_weights([small, large, middle], "cpu") is middle
    assert local.best_weights([small, large, middle], "cuda") is large
    assert local.best_weights([large], "cpu") is large
