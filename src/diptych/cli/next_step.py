"""The next step of a verdict as a command that works when it is typed."""

import importlib
import shlex
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from diptych import artefact
from diptych.loading import MODEL_CLASSES
from diptych.report import Verdict
from diptych.settings import changed

_LONGER = "; or train longer"  # what a step that can be taken at once ends with
_NO_GAIN = "more minutes gain nothing; add pictures, or "
_CHECK_LABELS = "look for wrong labels: diptych inspect DATA"
_MEASURE = "measure it: diptych score MODEL --against PICTURES"


def after_no_gain(verdict: Verdict, facts: Mapping[str, Any]) -> Verdict:
    """The verdict without the proposal to train further, where that would gain nothing by the model's ``facts``.

    So it is if the last extension gained nothing, or the run ended early for that reason.
    """
    from diptych.engine.warm_start.extension import UNCHANGED

    results = [record["result"] for record in facts.get("extensions", ())]
    gains = results[-1] != UNCHANGED if results else "untuned" not in facts
    if gains or "--more" not in verdict.next_step:
        return verdict
    at_once, longer, _ = verdict.next_step.partition(_LONGER)
    advice = _NO_GAIN + (_CHECK_LABELS if facts["kind"] == "recognizer" else _MEASURE)
    return replace(verdict, next_step=f"{at_once}; {advice}" if longer else advice)


def with_run_options(verdict: Verdict, folder: Path, **options: Any) -> Verdict:
    """The verdict whose command to train the model in ``folder`` further repeats what the model was fitted with.

    Without them that command would be refused, as another run's. ``options`` are those of the run that are not in
    ``model.json``, by name; ``None`` where they were not given.
    """
    facts = artefact.facts(folder)
    if not facts["parameters"]:  # a gallery, which is not fitted
        return verdict
    home, name = MODEL_CLASSES[facts["kind"]]
    settings = changed(getattr(importlib.import_module(home), name), facts["parameters"])
    given = {key: value for key, value in {**settings, **options}.items() if value is not None}
    words = [word for key, value in given.items() for word in (f"--{key}", str(value).removesuffix(".0"))]
    target = ["-o", str(folder)]
    short, whole = (shlex.join([*target, *between, "--more"]) for between in ([], words))
    return replace(verdict, next_step=verdict.next_step.replace(short, whole))
