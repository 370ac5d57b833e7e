"""Networks in 8-bit integers keep their answers, each way as nearly as it can."""

import numpy as np
import onnx
import pytest
import timm
import torch
from safetensors.torch import save_file

from diptych import Images, Recognizer
from diptych.engine.runtime import session
from diptych.exporting import graph, quantised


@pytest.mark.parametrize(("name", "size"), [("test_resnet", 64), ("test_vit", 160)])
def test_rounded_weights_take_a_quarter_and_tell_nearly_the_same(name, size, pictures, tmp_path):
    torch.manual_seed(0)
    save_file(timm.create_model(name).state_dict(), tmp_path / "weights.safetensors")
    images = Images.open(pictures)[::3]
    network = graph.network(
        Recognizer(f"timm:{name}@{tmp_path / 'weights.safetensors'}", size=size, epochs=1).fit(images)
    )
    shown = np.random.default_rng(0).uniform(-1, 1, (8, 3, size, size)).astype(np.float32)
    *_, (way, rounded) = quantised.ways(network, shown)
    assert way == "int8 (weights)"
    onnx.checker.check_model(rounded)
    assert rounded.ByteSize() < 0.6 * network.ByteSize()  # what is no weight, such as positions, stays as it is
    features, ours = (session(g.SerializeToString()).run(["features"], {"seen": shown})[0] for g in (network, rounded))
    assert np.abs(ours - features).max() < 0.05 * np.abs(features).max()
    assert not np.array_equal(ours, features)
