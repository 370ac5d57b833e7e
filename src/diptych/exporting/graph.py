"""A recognizer as one ONNX graph: pictures of any size in, all that it tells of them out.

::

    pictures (N, H, W, 3) uint8
      -> resized across, then down, as Pillow does, to (N, 3, S, S) uint8 -> [-1, 1]
      -> the network: logits, features
      -> probabilities, labels, unknown, sets

The three parts are made one by one, so that the network alone can be turned to int8.
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

#: As Pillow's bicubic: the kernel's parameter, widened where the picture shrinks, cut off at the border.
RESIZE = {
    "mode": "cubic",
    "cubic_coeff_a": -0.5,
    "antialias": 1,
    "exclude_outside": 1,
    "coordinate_transformation_mode": "half_pixel",
}


def preprocessing_graph(size: int) -> "ModelProto":
    """uint8 pictures of any size -> (N, 3, size, size) in [-1, 1]."""
    from onnx import TensorProto, helper

    def node(kind: str, inputs: Sequence[str], output: str, **attributes: Any) -> Any:
        return helper.make_node(kind, inputs, [output], name=f"prepare_{output}", **attributes)

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
        node("Sub", ["scaled", "one"], "prepared"),
    ]
    given = [helper.make_tensor_value_info("pictures", TensorProto.UINT8, ["n", "height", "width", 3])]
    made = [helper.make_tensor_value_info("prepared", TensorProto.FLOAT, ["n", 3, size, size])]
    constants = [
        helper.make_tensor("side", TensorProto.INT64, [1], [size]),
        helper.make_tensor("half", TensorProto.FLOAT, [], [127.5]),
        helper.make_tensor("one", TensorProto.FLOAT, [], [1.0]),
    ]
    graph = helper.make_graph(nodes, "prepare", given, made, constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR)


def network_graph(recognizer: "Recognizer") -> "ModelProto":
    """(n, 3, S, S) in [-1, 1] -> logits, features."""
    return onnx_backend.network_graph(recognizer.network_, recognizer.size_, recognizer.network_.tta)


def decision_graph(recognizer: "Recognizer") -> "ModelProto":
    """Pictures, logits and features -> what is told of them."""
    told = DecisionOutputs(recognizer.decision_rule_, recognizer.embedding_index_).eval()
    pictures = torch.rand(2, 3, recognizer.size_, recognizer.size_) * 2 - 1
    with torch.no_grad():
        logits, features = recognizer.network_.cpu().eval().logits_and_features(pictures)
    names = ["probabilities", "labels", "unknown", "sets"][: 3 + (recognizer.decision_rule_.cutoff is not None)]
    return onnx_backend.to_onnx(told, {"shown": pictures, "answers": logits, "sight": features}, names)


def join_graphs(prepare: "ModelProto", network: "ModelProto", reading: "ModelProto") -> "ModelProto":
    """The three parts as one graph that also tells the logits."""
    from onnx.compose import add_prefix, merge_models

    renamed = [add_prefix(part, name, rename_inputs=False, rename_outputs=False) for part, name in
               ((prepare, "prepare/"), (network, "network/"), (reading, "reading/"))]  # fmt: skip
    seen = merge_models(
        renamed[0], renamed[1], [("prepared", "inputs")], outputs=["prepared", "logits", "features"],
    )  # fmt: skip
    told = [output.name for output in reading.graph.output]
    links = [("prepared", "shown"), ("logits", "answers"), ("features", "sight")]
    return merge_models(seen, renamed[2], links, outputs=[*told, "logits"])


def describe(model: "ModelProto", facts: dict[str, Any]) -> None:
    """Write facts into the model's metadata, each as JSON under its own name."""
    from onnx import helper

    helper.set_model_props(model, {name: json.dumps(value, ensure_ascii=False) for name, value in facts.items()})
    model.producer_name, model.producer_version = "diptych", ""
    model.doc_string = "pictures: uint8 RGB, any size, (n, height, width, 3)"
