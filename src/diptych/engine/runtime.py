"""onnxruntime on a processor; apart from torch, which its users may do without."""

from typing import TYPE_CHECKING

from diptych.errors import UsageError

if TYPE_CHECKING:
    from onnxruntime import InferenceSession


def session(graph: bytes) -> "InferenceSession":
    """A graph ready to be asked; each call takes one thread, and several may call it side by side.

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
    options.log_severity_level = 4  # what goes wrong is raised
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
