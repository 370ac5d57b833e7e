"""A recognizer as one ONNX graph: from pictures of any size to its complete predictions.

::

    pictures (N, H, W, 3) uint8
      -> resized across, then down, as Pillow does, to (N, 3, S, S) uint8 -> [-1, 1]
      -> the network: logits, features
      -> probabilities, labels, unknown, sets

The three parts are built separately, so that the network alone can be quantised to int8.
"""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from diptych.exporting.decision_graph import DecisionOutputs
from diptych.recognition.inference import onnx_backend
from diptych.recognition.inference.onnx_backend import IR, OPSET

if TYPE_CHECKING:
    from onnx import ModelProto

    from diptych.recognition.recognizer import Recognizer

#: As Pillow's bicubic: its kernel parameter, the kernel widened for shrinking and cut off at the border.
RESIZE = {
    "mode": "cubic",
    "cubic_coeff_a": -0.5,
    "antialias": 1,
    "exclude_outside": 1,
    "coordinate_transformation_mode": "half_pixel",
}


#: Names of the links between the parts.
PREPROCESSED = "preprocessed"
DECISION_INPUTS = ("decision_pictures", "decision_logits", "decision_features")


def preprocessing_graph(size: int) -> "ModelProto":
    """uint8 pictures of any size -> (N, 3, size, size) in [-1, 1]."""
    from onnx import TensorProto, helper

    def node(kind: str, inputs: Sequence[str], output: str, **attributes: Any) -> Any:
        return helper.make_node(kind, inputs, [output], name=f"preprocess_{output}", **attributes)

    nodes = [
        node("Transpose", ["pictures"], "planes", perm=[0, 3, 1, 2]),
        node("Shape", ["planes"], "planes_and_rows", start=0, end=3),
        node("Shape", ["planes"], "planes_only", start=0, end=2),
        node("Concat", ["planes_and_rows", "side"], "size_across", axis=0),
        node("Concat", ["planes_only", "side", "side"], "size_down", axis=0),
        # Two steps, because the order of the directions changes pixels, and no runtime promises one.
        node("Resize", ["planes", "", "", "size_across"], "across", **RESIZE),
        node("Resize", ["across", "", "", "size_down"], "squares", **RESIZE),
        node("Cast", ["squares"], "levels", to=TensorProto.FLOAT),
        node("Div", ["levels", "half"], "scaled"),
        node("Sub", ["scaled", "one"], PREPROCESSED),
    ]
    inputs = [helper.make_tensor_value_info("pictures", TensorProto.UINT8, ["n", "height", "width", 3])]
    outputs = [helper.make_tensor_value_info(PREPROCESSED, TensorProto.FLOAT, ["n", 3, size, size])]
    constants = [
        helper.make_tensor("side", TensorProto.INT64, [1], [size]),
        helper.make_tensor("half", TensorProto.FLOAT, [], [127.5]),
        helper.make_tensor("one", TensorProto.FLOAT, [], [1.0]),
    ]
    graph = helper.make_graph(nodes, "preprocessing", inputs, outputs, constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR)


def network_graph(recognizer: "Recognizer") -> "ModelProto":
    """Pictures (n, 3, S, S) in [-1, 1] -> logits, features."""
    return onnx_backend.network_graph(recognizer.network_, recognizer.size_, recognizer.network_.tta)


def decision_graph(recognizer: "Recognizer") -> "ModelProto":
    """Pictures (n, 3, S, S) in [-1, 1], logits and features -> probabilities, labels, unknown and, if known, sets."""
    decision = DecisionOutputs(recognizer.decision_rule_, recognizer.embedding_index_).eval()
    pictures = torch.rand(2, 3, recognizer.size_, recognizer.size_) * 2 - 1
    with torch.no_grad():
        logits, features = recognizer.network_.cpu().eval().logits_and_features(pictures)
    outputs = ["probabilities", "labels", "unknown", "sets"][: 3 + (recognizer.decision_rule_.cutoff is not None)]
    return onnx_backend.to_onnx(
        decision, dict(zip(DECISION_INPUTS, (pictures, logits, features), strict=True)), outputs
    )


def join_graphs(preprocessing: "ModelProto", network: "ModelProto", decision: "ModelProto") -> "ModelProto":
    """The three parts as one graph, with the logits among its outputs."""
    from onnx.compose import add_prefix, merge_models

    preprocessing, network, decision = (
        add_prefix(part, prefix, rename_inputs=False, rename_outputs=False)
        for part, prefix in ((preprocessing, "preprocessing/"), (network, "network/"), (decision, "decision/"))
    )
    links = [(PREPROCESSED, network.graph.input[0].name)]
    backbone = merge_models(preprocessing, network, links, outputs=[PREPROCESSED, "logits", "features"])
    links = list(zip((PREPROCESSED, "logits", "features"), DECISION_INPUTS, strict=True))
    outputs = [output.name for output in decision.graph.output]
    return merge_models(backbone, decision, links, outputs=[*outputs, "logits"])


def join_preprocessing(preprocessing: "ModelProto", network: "ModelProto", outputs: list[str]) -> "ModelProto":
    """A network behind the preprocessing, with these outputs of the network."""
    from onnx.compose import add_prefix, merge_models

    first, second = (
        add_prefix(part, prefix, rename_inputs=False, rename_outputs=False)
        for part, prefix in ((preprocessing, "preprocessing/"), (network, "network/"))
    )
    return merge_models(first, second, [(PREPROCESSED, second.graph.input[0].name)], outputs=outputs)


def add_metadata(model: "ModelProto", facts: dict[str, Any]) -> None:
    """Write facts into the model's metadata, each as JSON under its own name."""
    from onnx import helper

    helper.set_model_props(model, {name: json.dumps(value, ensure_ascii=False) for name, value in facts.items()})
    model.producer_name, model.producer_version = "diptych", ""
    model.doc_string = "pictures: uint8 RGB, any size, (n, height, width, 3)"
