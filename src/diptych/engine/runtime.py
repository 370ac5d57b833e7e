"""onnxruntime on the CPU; kept apart from torch, so that its users need not import torch."""

import os
from typing import TYPE_CHECKING

from diptych.errors import UsageError

if TYPE_CHECKING:
    from onnxruntime import InferenceSession


def inference_session(graph: bytes) -> "InferenceSession":
    """An inference session of a serialised graph; each call uses one thread, and several threads may call it at once.

    Raises
    ------
    UsageError
        onnxruntime is not installed.
    Exception
        The graph is damaged: onnxruntime's own errors, of several kinds.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise UsageError("onnxruntime is not installed. Install it with: pip install 'diptych[export]'") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4  # errors are raised, not logged
    # A stranger's graph can name a file to take its weights from, by default below the current folder: none is there.
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", os.devnull)
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
