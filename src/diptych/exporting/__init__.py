"""Recognizers as ONNX files: preprocessing in the graph, and predictions proved equal to the model's on pictures."""

from diptych.exporting.portable import Portable

__all__ = ["Portable"]
