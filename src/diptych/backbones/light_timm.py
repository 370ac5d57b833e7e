"""Importing timm without torch's compiler, which takes 100 MB and more than half of the time that predicting takes."""

import sys
from types import ModuleType
from typing import Any

COMPILER, FUNCTIONS = "torch._dynamo", "torch._dynamo.utils"


def import_timm() -> Any:
    """The module timm, imported while stand-ins take the place of the compiler, which is imported once it is used.

    Two things of it are used at import: a decorator that keeps methods of timm's NaFlexVit, which are none the slower
    without, from being compiled, and a function that torchvision's ``roi_align`` calls, whose stand-in imports the
    compiler then.
    """
    if COMPILER not in sys.modules and "timm" not in sys.modules:
        _import_with_stand_ins()
    import timm

    return timm


def _import_with_stand_ins() -> None:
    compiler, functions = ModuleType(COMPILER), ModuleType(FUNCTIONS)
    vars(compiler).update(__path__=[], disable=_disable)
    vars(functions).update(is_compile_supported=_is_compile_supported)
    sys.modules |= {COMPILER: compiler, FUNCTIONS: functions}
    try:
        import timm  # noqa: F401
    finally:
        del sys.modules[COMPILER], sys.modules[FUNCTIONS]


def _disable(function: Any = None, *_: Any, **__: Any) -> Any:
    """The function as it is; without one, a decorator that does the same."""
    return _disable if function is None else function


def _is_compile_supported(device: str) -> Any:
    from torch._dynamo.utils import is_compile_supported

    return is_compile_supported(device)
