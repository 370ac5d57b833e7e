"""Networks in 8-bit integers keep their answers, each way as nearly as it can."""

import numpy as np
import onnx
import pytest
import timm
import torch
from onnx import TensorProto, helper, numpy_helper
from safetensors.torch import save_file

from diptych import Images, Recognizer
from diptych.engine.runtime import session
from diptych.exporting import graph, int8


def told(network, pictures, name="logits"):
    return session(network.SerializeToString()).run([name], {"inputs": pictures})[0]


@pytest.fixture(scope="module")
def uneven():
    """Four dense layers; what flows into the third is a thousand times larger in one channel than in the others."""
    draw = np.random.default_rng(0)
    weights = {name: draw.normal(0, 0.2, (48, 48)).astype(np.float32) for name in "abcd"}
    weights["c"][0] /= 1000
    weights |= {"large": np.where(np.arange(48) == 0, 1000, 1).astype(np.float32), "flat": np.array([-1, 48])}
    nodes = [helper.make_node("Reshape", ["inputs", "flat"], ["in_a"])]
    for name, following in zip("abcd", ["in_b", "plain", "in_d", "logits"], strict=True):
        nodes.append(helper.make_node("MatMul", [f"in_{name}", name], [following]))
        if following == "plain":
            nodes.append(helper.make_node("Mul", ["plain", "large"], ["in_c"]))
    nodes.append(helper.make_node("Identity", ["in_d"], ["features"]))
    made = helper.make_graph(
        nodes, "uneven", [helper.make_tensor_value_info("inputs", TensorProto.FLOAT, ["n", 3, 4, 4])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 48]) for name in ("logits", "features")],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )  # fmt: skip
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 19)], ir_version=10)


@pytest.fixture(scope="module")
def shown():
    return np.random.default_rng(1).uniform(-1, 1, (32, 3, 4, 4)).astype(np.float32)


def test_the_layer_that_bears_rounding_worst_is_spared_first(uneven, shown):
    ways = dict(int8.int8_candidates(uneven, shown))
    static, spared, half, weights = ways
    assert static == "int8 (static)"
    assert spared == "int8 (static, but 1 of 4 layers by their weights)"
    assert half == "int8 (static, but 2 of 4 layers by their weights)"
    assert weights == "int8 (weights)"
    truth = told(uneven, shown)
    off = [float(np.abs(told(one, shown) - truth).mean() / np.abs(truth).mean()) for one in ways.values()]
    assert off[0] > 5 * off[1]
    for one in ways.values():
        onnx.checker.check_model(one)
        assert one.ByteSize() < 0.6 * uneven.ByteSize()


def test_an_answer_does_not_depend_on_the_pictures_beside(uneven, shown):
    beside = shown.copy()
    beside[1:] *= 3
    for way, network in int8.int8_candidates(uneven, shown):
        alone, among = told(network, shown[:1])[0], told(network, beside)[0]
        assert np.allclose(alone, among, rtol=1e-4, atol=1e-3), way


@pytest.mark.parametrize(("name", "size"), [("test_resnet", 64), ("test_vit", 160)])
def test_rounded_weights_take_a_quarter_and_tell_nearly_the_same(name, size, pictures, tmp_path):
    torch.manual_seed(0)
    save_file(timm.create_model(name).state_dict(), tmp_path / "weights.safetensors")
    images = Images.open(pictures)[::3]
    network = graph.network_graph(
        Recognizer(f"timm:{name}@{tmp_path / 'weights.safetensors'}", size=size, epochs=1).fit(images)
    )
    shown = np.random.default_rng(0).uniform(-1, 1, (8, 3, size, size)).astype(np.float32)
    *_, (way, rounded) = int8.int8_candidates(network, shown)
    assert way == "int8 (weights)"
    onnx.checker.check_model(rounded)
    assert rounded.ByteSize() < 0.6 * network.ByteSize()  # what is no weight, such as positions, stays as it is
    features, ours = (told(one, shown, "features") for one in (network, rounded))
    assert np.abs(ours - features).max() < 0.05 * np.abs(features).max()
    assert not np.array_equal(ours, features)
