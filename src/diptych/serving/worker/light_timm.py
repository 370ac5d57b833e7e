"""Importing timm without torch's compiler, which takes 100 MB and more than a second, and compiles nothing here."""

import sys
from types import ModuleType
from typing import Any

COMPILER, FUNCTIONS = "torch._dynamo", "torch._dynamo.utils"


def import_timm() -> None:
    """Import timm and torchvision while stand-ins take the compiler's place.

    Two things of it are used at import: a decorator that keeps functions from being compiled, and a function that
    torchvision's ``roi_align`` calls, whose stand-in imports the compiler then.
    """
    if COMPILER in sys.modules or "timm" in sys.modules:
        return
    compiler, functions = ModuleType(COMPILER), ModuleType(FUNCTIONS)
    vars(compiler).update(__path__=[], disable=_disable)
    vars(functions).update(is_compile_supported=_is_compile_supported)
    sys.modules |= {COMPILER: compiler, FUNCTIONS: functions}
    try:
        import timm  # noqa: F401
    finally:
        del sys.modules[COMPILER], sys.modules[FUNCTIONS]


def _disable(function: Any = None, *_: Any, **__: Any) -> Any:
    """The function as it is, which nothing compiles; without one, a decorator that does the same."""
    return _disable if function is None else function


def _is_compile_supported(device: str) -> Any:
    from torch._dynamo.utils import is_compile_supported

    return is_compile_supported(device)
