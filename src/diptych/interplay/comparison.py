"""Saved models side by side: scores, how they were trained, settings that differ, and which is better beyond chance."""

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diptych import artefact
from diptych.data.images import Images
from diptych.errors import UsageError
from diptych.interplay.paired import add_paired_evaluation
from diptych.metrics.intervals import difference_interval
from diptych.opening import read_file
from diptych.report import Report, Score, Table, Verdict
from diptych.report.text import display_name, format_fact
from diptych.sharing import hub

SAMPLES = "samples"  # the folder of a synthesizer's grids
IDENTITY = ("data", "validation", "layout", "kind")  # settings that have rows of their own, or are no choice


@dataclass(frozen=True)
class SavedModel:
    """What the folder of a model says of it: ``model.json`` and ``data.json``."""

    name: str
    facts: Mapping[str, Any]
    data: Mapping[str, Any]

    @classmethod
    def read(cls, folder: Path) -> "SavedModel":
        """The model in a folder, or on the hub; an :class:`~diptych.errors.ArtefactError` if there is none."""
        name = str(hub.Address.read(str(folder))) if hub.is_address(folder) else str(folder)
        folder = hub.local_folder(folder)
        return cls(name, artefact.facts(folder), artefact.data(folder))

    @property
    def panel(self) -> str:
        """``"recognizer"`` or ``"synthesizer"``."""
        return "recognizer" if self.facts["kind"] == "recognizer" else "synthesizer"

    @property
    def scores(self) -> dict[str, Score]:
        """The scores on its held-out pictures; those without an interval have the number of held-out pictures."""
        scores = {}
        for name, value in self.facts["scores"].items():
            record = value if isinstance(value, Mapping) else {"value": value, "low": None, "high": None}
            if record["value"] is not None:
                scores[name] = Score.of_json(name, {"n": self.held_out, **record})
        return scores

    @property
    def trained(self) -> int | None:
        """The number of training pictures."""
        counts = self.facts.get("training", {}).get("pictures", self.data.get("pictures"))
        return None if counts is None else int(counts)

    @property
    def held_out(self) -> int:
        """The number of pictures that its scores are from."""
        return int(self.facts.get("training", {}).get("validation_pictures", self.data.get("held_out", 0)))

    @property
    def validated_on(self) -> str:
        """What identifies these pictures; empty if it is not known."""
        if self.panel == "recognizer":  # by contents: a manifest's columns, say, do not make them others
            validation = self.data.get("validation", {})
            contents = validation.get("digests") or validation.get("fingerprint")
            return f"{contents} {validation.get('counts')}" if contents else ""
        return str(self.facts.get("settings", {}).get("validation", ""))


def compare(folders: Sequence[Path], images: Images | None = None) -> Report:
    """Compare saved models: recognizers with each other, or synthesizers.

    Parameters
    ----------
    images
        Labelled pictures that all recognizers are evaluated on, with a paired test; ``None``: by their own scores.

    Returns
    -------
    Report
        ``verdict.word`` is "better", "chance" (a difference within chance), "not_held_out" (a model was trained on the
        pictures) or "unlike" (nothing that all of them measured on the same pictures).

    Raises
    ------
    UsageError
        There are fewer than two models, they are of different panels, or pictures are given for synthesizers.
    """
    models = [SavedModel.read(folder) for folder in folders]
    _check(models, images)
    report = Report(f"Comparison of {' and '.join(model.name for model in models)}")
    report.tables["Scores on held-out pictures"] = _score_table(models)
    if images is not None:
        add_paired_evaluation(report, [model.name for model in models], images)
    elif models[0].panel == "recognizer":
        report.verdict = _recognizers_verdict(models)
    else:
        report.verdict = _synthesizers_verdict(models)
    _add_samples(report, folders, models)
    report.tables["How they were trained"] = _training_table(models)
    differing = _differing_settings(models)
    if differing.rows:
        report.tables["Settings that differ"] = differing
    return report


def _check(models: Sequence[SavedModel], images: Images | None) -> None:
    if len(models) < 2:
        raise UsageError("A comparison needs two models or more. Name another one.")
    panels = {model.panel for model in models}
    if len(panels) > 1:
        kinds = ", ".join(f"{model.name} is a {model.facts['kind']}" for model in models)
        raise UsageError(f"A recognizer cannot be compared with a synthesizer: {kinds}. Name models of one kind.")
    if images is not None and panels == {"synthesizer"}:
        raise UsageError(
            "--on evaluates recognizers. For synthesizers run, for each of them: "
            f"diptych score {shlex.quote(models[0].name)} --against PICTURES"
        )


def _score_table(models: Sequence[SavedModel]) -> Table:
    scores = [model.scores for model in models]
    names = dict.fromkeys(name for known in scores for name in known)
    rows: list[list[Any]] = [[display_name(name), *(known.get(name) for known in scores)] for name in names]
    counts = ["held-out pictures", *(model.held_out for model in models)]
    return Table(["", *(model.name for model in models)], [*rows, counts])


def _training_table(models: Sequence[SavedModel]) -> Table:
    rows: dict[str, Callable[[SavedModel], Any]] = {
        "kind": lambda model: model.facts["kind"],
        "network": lambda model: model.facts["network"],
        "size in px": lambda model: model.facts["size"],
        "classes": lambda model: len(model.facts["classes"]),
        "training pictures": lambda model: model.trained,
        "pictures seen": lambda model: model.facts.get("seen_pictures"),
        "minutes": lambda model: f"{model.facts.get('seconds', 0) / 60:.1f}",
        "trained further": lambda model: len(model.facts.get("extensions", ())),
        "verdict": lambda model: (model.facts.get("verdict") or {}).get("sentence"),
    }
    return Table(["", *(model.name for model in models)], [[name, *map(of, models)] for name, of in rows.items()])


def _differing_settings(models: Sequence[SavedModel]) -> Table:
    """What was chosen, by the person or by default, where it is not the same for all."""
    chosen = [
        {**model.facts["parameters"], **model.facts.get("training", {}), **model.facts.get("settings", {})}
        for model in models
    ]
    shown = [name for name in dict.fromkeys(key for known in chosen for key in known) if name not in IDENTITY]
    measured = {"seconds", "seen_pictures", "notes", "pictures", "validation_pictures", "network"}
    rows = [
        [display_name(name), *(format_fact(known.get(name)) for known in chosen)]
        for name in shown
        if name not in measured and len({format_fact(known.get(name)) for known in chosen}) > 1
    ]
    return Table(["", *(model.name for model in models)], rows)


def _recognizers_verdict(models: Sequence[SavedModel]) -> Verdict:
    """By the accuracy on the pictures that each held out."""
    ranked = sorted(((model.scores["accuracy"], model) for model in models), key=lambda pair: -pair[0].value)
    (ours, best), (theirs, second) = ranked[:2]
    low, high = difference_interval(round(ours.value * ours.n), ours.n, round(theirs.value * theirs.n), theirs.n)
    same = len({model.validated_on for model in models}) == 1 and bool(best.validated_on)
    pictures = (
        f"All were validated on the same {ours.n:,} pictures."
        if same
        else "They were validated on different pictures, which may be easier for one than for the other."
    )
    reason = (
        f"{best.name} is right in {ours.value:.1%} of {ours.n:,} held-out pictures, {second.name} in "
        f"{theirs.value:.1%} of {theirs.n:,}: a difference of {100 * (ours.value - theirs.value):.1f} points "
        f"({100 * low:.1f} to {100 * high:.1f}). {pictures}"
    )
    on_others = f"evaluate all on the same pictures: diptych compare {_names(models)} --on TEST-PICTURES"
    if low <= 0:
        return Verdict("chance", "The difference is within chance.", reason, on_others)
    step = f"use it: diptych predict {shlex.quote(best.name)} PICTURES" if same else on_others
    return Verdict("better", f"{best.name} is better.", reason, step)


def _synthesizers_verdict(models: Sequence[SavedModel]) -> Verdict:
    """By the distance of their samples from the same held-out pictures, if all have measured it."""
    distances = [model.scores.get("kernel_distance") for model in models]
    same = len({(model.validated_on, model.facts["size"]) for model in models}) == 1 and bool(models[0].validated_on)
    step = f"score each of them: diptych score {shlex.quote(models[0].name)} --against REAL-PICTURES"
    known = [(score, model) for score, model in zip(distances, models, strict=True) if score and score.low is not None]
    if not same or len(known) < len(models):
        reason = (
            "Not all of them have measured how far their samples are from real pictures."
            if same
            else "They were evaluated on different held-out pictures, or at different sizes."
        )
        return Verdict("unlike", "Which is better cannot be told from what they measured.", reason, step)
    (ours, best), (theirs, second) = sorted(known, key=lambda pair: pair[0].value)[:2]
    reason = (
        f"The kernel distance of its samples from the same {ours.n:,} held-out pictures (lower is better) is {ours}; "
        f"that of {second.name} is {theirs}."
    )
    if ours.high is None or theirs.low is None or ours.high >= theirs.low:
        reason = reason.replace("its samples", f"the samples of {best.name}")
        return Verdict("chance", "The difference is within chance.", reason, step)
    use = f"use it: diptych sample {shlex.quote(best.name)} -n 64 -o SAMPLES"
    return Verdict("better", f"The samples of {best.name} are closer to real pictures.", reason, use)


def _names(models: Sequence[SavedModel]) -> str:
    return " ".join(shlex.quote(model.name) for model in models)


def _add_samples(report: Report, folders: Sequence[Path], models: Sequence[SavedModel]) -> None:
    """The grid of samples of each synthesizer at the moment whose weights it has, or at the last one."""
    for folder, model in zip(folders, models, strict=True):
        grids = sorted((folder / SAMPLES).glob("[0-9]*.png"))
        chosen = folder / SAMPLES / f"{model.facts.get('seen_pictures', 0):09d}.png"
        if grids:
            data = read_file(chosen if chosen in grids else grids[-1])
            report.figures[f"Generated by {model.name}, not selected"] = data
