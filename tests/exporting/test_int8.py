"""Networks quantised to 8-bit integers stay close to the originals, in every int8 variant."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from diptych.engine.runtime import inference_session
from diptych.exporting import graph, int8


def run(network, pictures, name="logits"):
    return inference_session(network.SerializeToString()).run([name], {network.graph.input[0].name: pictures})[0]


@pytest.fixture(scope="module")
def uneven():
    """Four dense layers; one channel of the third one's input is a thousand times larger than the others."""
    rng = np.random.default_rng(0)
    weights = {name: rng.normal(0, 0.2, (48, 48)).astype(np.float32) for name in "abcd"}
    weights["c"][0] /= 1000
    weights |= {"large": np.where(np.arange(48) == 0, 1000, 1).astype(np.float32), "flat": np.array([-1, 48])}
    nodes = [helper.make_node("Reshape", ["pictures", "flat"], ["in_a"])]
    for name, following in zip("abcd", ["in_b", "plain", "in_d", "logits"], strict=True):
        nodes.append(helper.make_node("MatMul", [f"in_{name}", name], [following]))
        if following == "plain":
            nodes.append(helper.make_node("Mul", ["plain", "large"], ["in_c"]))
    nodes.append(helper.make_node("Identity", ["in_d"], ["features"]))
    network = helper.make_graph(
        nodes, "uneven", [helper.make_tensor_value_info("pictures", TensorProto.FLOAT, ["n", 3, 4, 4])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 48]) for name in ("logits", "features")],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )  # fmt: skip
    return helper.make_model(network, opset_imports=[helper.make_opsetid("", 19)], ir_version=10)


@pytest.fixture(scope="module")
def inputs():
    return np.random.default_rng(1).uniform(-1, 1, (32, 3, 4, 4)).astype(np.float32)


def test_the_most_sensitive_layer_is_the_first_with_weights_only(uneven, inputs):
    candidates = dict(int8.int8_candidates(uneven, inputs))
    static, one_layer, two_layers, weights = candidates
    assert static == "int8 (static)"
    assert one_layer == "int8 (static, 1 of 4 layers weights only)"
    assert two_layers == "int8 (static, 2 of 4 layers weights only)"
    assert weights == "int8 (weights only)"
    exact = run(uneven, inputs)
    errors = [
        float(np.abs(run(network, inputs) - exact).mean() / np.abs(exact).mean()) for network in candidates.values()
    ]
    assert errors[0] > 5 * errors[1]
    for network in candidates.values():
        onnx.checker.check_model(network)
        assert network.ByteSize() < 0.6 * uneven.ByteSize()


def test_a_prediction_does_not_depend_on_the_other_pictures_of_the_batch(uneven, inputs):
    batch = inputs.copy()
    batch[1:] *= 3
    for name, network in int8.int8_candidates(uneven, inputs):
        alone, batched = run(network, inputs[:1])[0], run(network, batch)[0]
        assert np.allclose(alone, batched, rtol=1e-4, atol=1e-3), name


def test_weights_in_int8_take_a_quarter_and_give_nearly_the_same_features(pretrained):
    network, size = graph.network_graph(pretrained), pretrained.size_
    inputs = np.random.default_rng(0).uniform(-1, 1, (8, 3, size, size)).astype(np.float32)
    quantized = int8._quantize_weights(network)  # the last candidate; those before it take half a minute
    onnx.checker.check_model(quantized)
    assert (
        quantized.ByteSize() < 0.6 * network.ByteSize()
    )  # other parameters, such as position embeddings, stay in float32
    features, approximate = (run(model, inputs, "features") for model in (network, quantized))
    assert np.abs(approximate - features).max() < 0.05 * np.abs(features).max()
    assert not np.array_equal(approximate, features)
