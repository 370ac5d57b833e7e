"""What ``diptych demo`` does: digits in, a recognizer and three synthesizers out, each judged."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from diptych.cli import console
from diptych.cli.sample import stacked_pixels
from diptych.data.images import Images
from diptych.engine import history
from diptych.files import write_bytes
from diptych.interplay import Agreement, agreement
from diptych.recognition.recognizer import Recognizer
from diptych.report import Report, Score, Table, figures
from diptych.synthesis.flow import Flow
from diptych.synthesis.gan import GAN
from diptych.synthesis.vae import VAE

JUDGED = 50  # pictures of each digit that the recognizer reads
SHOWN = 8  # of each digit on the sheets
# Epochs for two minutes in all on two cores, where each model is as good as the digits let it be.
RECOGNIZER_EPOCHS = 40
SYNTHESIZERS = {"gan": (GAN, 40), "vae": (VAE, 40), "flow": (Flow, 30)}
TITLES = {"gan": "GAN", "vae": "VAE", "flow": "Flow"}
READ_AS = "read as the digit asked for"


@dataclass(frozen=True)
class Shown:
    """What the demo found, and where it is."""

    folder: Path
    accuracy: Score
    agreements: dict[str, Score]

    def json(self) -> dict[str, Any]:
        """One object."""
        return {
            "accuracy": self.accuracy.json(),
            "agreement": {kind: score.json() for kind, score in self.agreements.items()},
            "report": str(self.folder / "report.html"),
            "models": {kind: str(self.folder / kind) for kind in ("recognizer", *self.agreements)},
            "grids": {kind: str(self.folder / f"{kind}.png") for kind in self.agreements},
        }

    def text(self) -> str:
        """For a person."""
        lines = [f"The recognizer reads {self.accuracy} of {self.accuracy.n} digits that it had not seen."]
        lines.append(f"Of what each synthesizer makes, {READ_AS}:")
        lines += [f"  {TITLES[kind]:<5} {score}" for kind, score in self.agreements.items()]
        lines += [
            f"Look at {self.folder}/report.html",
            "Try next:",
            *(f"  {command}" for _, command in tries(self.folder)),
        ]
        return "\n".join(lines)


def tries(folder: Path) -> list[tuple[str, str]]:
    """What to try after the demo, and the command that does it."""
    return [
        ("make 64 sevens", f"diptych sample {folder}/flow -n 64 --label 7 -o sevens"),
        ("let the recognizer read them", f"diptych predict {folder}/recognizer sevens"),
        ("look at your own pictures, in one folder for each class", "diptych inspect PHOTOS"),
        ("train on them", "diptych fit recognizer PHOTOS --minutes 10"),
    ]


@contextmanager
def _one_thread() -> Iterator[None]:
    """Pictures of 8 px give threads more waiting than work, and the more so beside other programs."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@_one_thread()
def run(folder: Path) -> Shown:
    """Do all of it in ``folder``, or what is left of it."""
    digits = Images.open("digits")
    console.log.info("Inspecting %d pictures of handwritten digits", len(digits))
    inspection = digits.inspect()
    train, validation, test = digits.split(0.7, 0.1, 0.2, seed=0)
    console.log.info("Training the recognizer on %d, holding out %d", len(train), len(test))
    recognizer = Recognizer("convnet", epochs=RECOGNIZER_EPOCHS).fit(
        train, validate=validation, into=folder / "recognizer"
    )
    tested = recognizer.evaluate(test)
    tested.title = f"The recognizer on {len(test)} digits that it had not seen"
    judged: dict[str, Agreement] = {}
    for kind, (maker, epochs) in SYNTHESIZERS.items():
        console.log.info("Training the %s", TITLES[kind])
        synthesizer = maker(epochs=epochs).fit(train, validate=validation, into=folder / kind)
        judged[kind] = agreement(synthesizer, recognizer, per_class=JUDGED)
        write_bytes(folder / f"{kind}.png", _sheet(judged[kind]))
    shown = Shown(folder, tested.scores["accuracy"], {kind: found.total for kind, found in judged.items()})
    _report(shown, inspection, tested, judged, test).save(folder / "report.html")
    return shown


def _sheet(found: Agreement) -> bytes:
    """A column for each class."""
    classes = len(found.per_class)
    pixels = stacked_pixels(found.images)
    by_class = pixels.reshape(classes, -1, *pixels.shape[1:])[:, :SHOWN]
    return figures.grid(by_class.swapaxes(0, 1).reshape(-1, *pixels.shape[1:]), columns=classes)


def _real(digits: Images) -> bytes:
    """The same for real ones."""
    rows = [np.flatnonzero(digits.labels == label)[:SHOWN] for label in range(len(digits.classes))]
    return figures.grid(stacked_pixels(digits[np.stack(rows, axis=1).ravel()]), columns=len(rows))


def _report(shown: Shown, inspection: Report, tested: Report, judged: dict[str, Agreement], test: Images) -> Report:
    page = Report("Diptych: a recognizer and three synthesizers of handwritten digits")
    page.scores["recognizer_accuracy"] = shown.accuracy
    page.scores |= {f"{TITLES[kind]} {READ_AS}": score for kind, score in shown.agreements.items()}
    best = max(shown.agreements, key=lambda kind: shown.agreements[kind].value)
    page.findings = [
        f"The recognizer was trained on other digits than the {shown.accuracy.n} that it is scored on here.",
        f"Asked for each digit {JUDGED} times, the {TITLES[best]} obeys best. The recognizer is the judge, so these "
        "scores say whether a sample is legible, not whether the samples are varied.",
    ]
    page.tables["Try next"] = Table(["to", "run"], [list(pair) for pair in tries(shown.folder)])
    page.figures = {"Real digits that no model was trained on": _real(test)}
    page.figures |= {
        f"{TITLES[kind]}: samples, a column for each digit asked for": _sheet(found) for kind, found in judged.items()
    }
    page.parts = [tested, *(_part(shown.folder, kind, found) for kind, found in judged.items()), inspection]
    inspection.title = "The pictures"
    return page


def _part(folder: Path, kind: str, found: Agreement) -> Report:
    rows: list[list[Any]] = [[name, score] for name, score in found.per_class.items()]
    part = Report(TITLES[kind], tables={f"Samples {READ_AS}": Table(["digit", "share"], rows)})
    records = history.read(folder / kind / "history.jsonl")
    part.figures["Losses and scores as training went"] = figures.curves(records)
    return part
