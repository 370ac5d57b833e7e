"""A stranger's ONNX graph is given no file of this machine."""

from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper

from diptych.engine.runtime import inference_session


def graph(location: str | None) -> bytes:
    """``y = x + w`` of three numbers, whose ``w`` lies in a file of this name, or in the graph."""
    weights = helper.make_tensor("w", TensorProto.FLOAT, [3], [1.0, 2.0, 3.0])
    if location is not None:
        weights.ClearField("float_data")
        weights.data_location = TensorProto.EXTERNAL
        entry = weights.external_data.add()
        entry.key, entry.value = "location", location
    shapes = {name: helper.make_tensor_value_info(name, TensorProto.FLOAT, [3]) for name in "xy"}
    node = helper.make_node("Add", ["x", "w"], ["y"])
    whole = helper.make_graph([node], "sum", [shapes["x"]], [shapes["y"]], [weights])
    return helper.make_model(whole, opset_imports=[helper.make_opsetid("", 17)], ir_version=10).SerializeToString()


def test_weights_in_the_graph_are_taken() -> None:
    (y,) = inference_session(graph(None)).run(None, {"x": np.zeros(3, np.float32)})
    assert y.tolist() == [1.0, 2.0, 3.0]


@pytest.mark.parametrize("way", ["beside it", "absolute", "through a folder above"])
def test_weights_in_a_file_of_this_machine_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    (tmp_path / "secret.bin").write_bytes(np.arange(3, dtype=np.float32).tobytes())
    monkeypatch.chdir(tmp_path)
    names = {"beside it": "secret.bin", "absolute": tmp_path / "secret.bin"}
    location = str(names.get(way, f"../{tmp_path.name}/secret.bin"))
    with pytest.raises(Exception, match="External data path"):
        inference_session(graph(location))
