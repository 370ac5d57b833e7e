"""Optimisers: AdamW, Nesterov SGD, and Muon for filter banks and matrices, on torch's fused kernels.

Not torch's own classes: making the first of those imports torch's compiler, over a second of every short run, and
they take half a millisecond of Python a step.
"""

from diptych.engine.optim.adam import AdamW, adamw
from diptych.engine.optim.base import Optimizer, ParameterGroup
from diptych.engine.optim.muon import Muon, filters, newton_schulz
from diptych.engine.optim.nesterov import SGD, sgd

__all__ = ["SGD", "AdamW", "Muon", "Optimizer", "ParameterGroup", "adamw", "filters", "newton_schulz", "sgd"]
