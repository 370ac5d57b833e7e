"""Recognizers as ONNX files: preparation in the graph, and the same answers as the model's, proved on pictures."""

from diptych.exporting.portable import Portable

__all__ = ["Portable"]
