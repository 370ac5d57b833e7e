"""Diptych: recognise pictures, make pictures, and let each check the other.

The names below are the public interface. They are imported on first use, so that ``import diptych`` costs
milliseconds and does not load torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from diptych import audit, errors, interplay
    from diptych.data.images import Images
    from diptych.data.inspection import manifest
    from diptych.exporting.export import export
    from diptych.loading import load
    from diptych.recognition.gallery.gallery import Gallery
    from diptych.recognition.label_errors import find_label_errors
    from diptych.recognition.predictions import Prediction, Predictions
    from diptych.recognition.recognizer import Recognizer
    from diptych.report import Report
    from diptych.sharing.hub import push
    from diptych.signing.verify import sign, verify
    from diptych.synthesis.flow import Flow
    from diptych.synthesis.gan import GAN
    from diptych.synthesis.vae import VAE

__version__ = "0.1.0"
__all__ = [
    "GAN",
    "VAE",
    "Flow",
    "Gallery",
    "Images",
    "Prediction",
    "Predictions",
    "Recognizer",
    "Report",
    "audit",
    "errors",
    "export",
    "find_label_errors",
    "interplay",
    "load",
    "manifest",
    "push",
    "sign",
    "verify",
]

_MODULES = {
    "audit": "diptych.audit",
    "errors": "diptych.errors",
    "interplay": "diptych.interplay",
    "manifest": "diptych.data.inspection.manifest",
}
_HOMES = {
    "Images": "diptych.data.images",
    "Gallery": "diptych.recognition.gallery.gallery",
    "Recognizer": "diptych.recognition.recognizer",
    "Prediction": "diptych.recognition.predictions",
    "Predictions": "diptych.recognition.predictions",
    "find_label_errors": "diptych.recognition.label_errors",
    "GAN": "diptych.synthesis.gan",
    "VAE": "diptych.synthesis.vae",
    "Flow": "diptych.synthesis.flow",
    "Report": "diptych.report",
    "export": "diptych.exporting.export",
    "load": "diptych.loading",
    "push": "diptych.sharing.hub",
    "sign": "diptych.signing.verify",
    "verify": "diptych.signing.verify",
}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(_MODULES[name])
    if name not in _HOMES:
        raise AttributeError(f"module 'diptych' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
