"""Evaluations of a run: what they record, what they decide, and that a run that was killed decides the same."""

import html
import json
import os
import signal
import threading

import numpy as np
import pytest
import torch
from torch import nn

import diptych
from diptych.data.images import Images
from diptych.engine.loop import Run
from diptych.engine.optim import adamw
from diptych.errors import Interrupted
from diptych.report import Verdict
from diptych.synthesis.datasets import GEOMETRY, prepare
from diptych.synthesis.synthesizer import Synthesizer
from diptych.synthesis.training import monitor
from diptych.synthesis.training.config import TrainingConfig, make_recipe
from diptych.synthesis.training.job import TrainingJob
from diptych.synthesis.training.monitor import Monitor
from diptych.synthesis.training.sample_grids import SampleGrids
from tests.marked import unsigned

CLASSES = 30


@pytest.fixture(autouse=True)
def evaluated_often(monkeypatch):
    """These runs take a second each: evaluate at every tick all the same."""
    monkeypatch.setattr(monitor, "MIN_RUN_SECONDS", 0.0)
    monkeypatch.setattr(monitor, "PLANNED_TIME_SHARE", 1e6)
    monkeypatch.setattr(monitor, "MAX_SAMPLES", 90)


def spots(n: int, seed: int) -> Images:
    """A soft bright spot each, at a random place, in a random colour; the classes take turns."""
    draw = np.random.default_rng(seed)
    centre, colour = draw.uniform(0, 8, (n, 2, 1, 1)), draw.uniform(60, 255, (n, 1, 1, 3))
    down, across = np.mgrid[:8, :8]
    far = (down - centre[:, 0]) ** 2 + (across - centre[:, 1]) ** 2
    pixels = (np.exp(-far / 6)[..., None] * colour).astype(np.uint8)
    return Images.from_arrays(pixels, np.arange(n) % CLASSES, classes=[f"{k:02}" for k in range(CLASSES)])


class Table(nn.Module):
    """A picture for each class."""

    def __init__(self) -> None:
        super().__init__()
        self.pictures = nn.Parameter(torch.randn(CLASSES, 3, 8, 8))

    def forward(self, labels):
        return self.pictures[labels]


class Parrot(Synthesizer):
    """Memorises one picture for each class."""

    kind = "parrot"
    networks = ("table",)

    def __init__(self):
        super().__init__("table", size=8, minutes=None, epochs=None, batch=None, lr=None, seed=0)

    def parameters(self):
        return {}

    def _configure(self, prepared, gpu):
        return TrainingConfig({}, batch=10, lr=0.03)

    def _build(self, layout):
        return {"table": Table()}

    def _task(self, modules, config):
        return TableTask(modules["table"], config.lr)

    def _noise_shape(self):
        return (1,)

    def _decode(self, modules, latents, labels):
        return modules["table"](labels)

    def _scores(self, modules, pictures, labels):
        return {}

    def _complete(self, training):
        pass


class TableTask:
    def __init__(self, table, lr):
        self.table, self.lr = table, lr

    def modules(self):
        return {"table": self.table}

    def players(self):
        return {"table": list(self.table.parameters())}

    def optimizers(self):
        return {"table": [adamw(self.table.parameters(), self.lr, 0.0, (0.9, 0.99))]}

    def losses(self, images, labels):
        yield "table", (self.table(labels) - images).square().mean()

    def compilable(self):
        return []

    def before_step(self, progress):
        pass


def begin(training: Images, held_out: Images, pictures: int) -> tuple[Run, Monitor]:
    parrot = Parrot()
    prepared = prepare(training, held_out, 8, 0)
    config, length = parrot._configure(prepared, gpu=False), {"pictures": pictures}
    job = TrainingJob(prepared, config, length, {}, 0, None, 0.0)
    parrot._describe(job)
    task = parrot._task(parrot._initial_networks(job), config)
    recipe = make_recipe(config, length, False, 0)  # not mirrored, so that it can memorise the pictures
    run = Run(task, prepared.training, size=8, geometry=GEOMETRY, recipe=recipe)
    return run, Monitor(parrot, prepared, run, SampleGrids(None, run.seen_pictures))


def test_a_run_that_begins_to_copy_ends_there_with_the_weights_from_before():
    run, monitored = begin(spots(CLASSES, 0), spots(200, 1).relabel([f"{k:02}" for k in range(CLASSES)]), 8000)
    for tick in run:
        monitored.evaluate_if_due(tick)
        last = tick
    rates = [record["scores"]["copy_rate"] for record in run.history.records]
    assert len(rates) < 20
    assert rates[0] < 0.1
    assert min(rates[-2:]) > 0.05
    assert rates[-1] > 0.2
    result = monitored.result(last)
    assert "begun to copy" in result.notes[0]
    assert result.seen_pictures < last.seen_pictures
    assert result.scores["copy_rate"] < 0.05
    difference = result.weights["table"]["pictures"] - run.modules["table"].pictures.detach()
    assert float(difference.abs().max()) > 0.05


def test_the_best_moment_is_kept_where_the_end_is_clearly_worse():
    many = spots(30 * CLASSES, 0)
    run, monitored = begin(many, spots(200, 1).relabel(many.classes), 3000)
    for tick in run:
        if tick.progress > 0.6:
            run.modules["table"].pictures.data.uniform_(-1, 1)
        monitored.evaluate_if_due(tick)
        last = tick
    assert last.done
    result = monitored.result(last)
    assert "clearly better" in result.notes[0]
    assert result.seen_pictures <= 0.6 * 3000
    values = [record["scores"]["kernel_distance"] for record in run.history.records]
    assert result.scores["kernel_distance"]["value"] == min(values)
    assert result.scores["kernel_distance"]["n"] == 200


def digits(n: int) -> Images:
    every = Images.open("digits")
    return every[np.random.default_rng(0).permutation(len(every))[:n]]


def test_evaluations_are_in_history_scores_and_report(tmp_path):
    diptych.VAE(epochs=6, batch=32, latent=8).fit(digits(400), into=tmp_path / "vae")
    records = [json.loads(line) for line in (tmp_path / "vae" / "history.jsonl").read_text().splitlines()]
    values = [record["scores"]["kernel_distance"] for record in records]
    assert len(values) == 20
    assert values[-1] < 0.5 * values[0]
    assert {"kernel_distance_low", "kernel_distance_high", "copy_rate"} < records[3]["scores"].keys()
    facts = json.loads((tmp_path / "vae" / "model.json").read_text())
    assert facts["scores"]["kernel_distance"]["value"] in values
    assert facts["scores"]["kernel_distance"]["n"] == 20
    assert len(list((tmp_path / "vae" / "samples").iterdir())) == 20
    page = (tmp_path / "vae" / "report.html").read_text()
    assert page.count('type="radio"') == 12
    assert "copy rate" in page
    verdict = Verdict(**facts["verdict"])
    assert "the judge is weak (features of colours and textures alone" in verdict.reason
    assert f"<b>{html.escape(verdict.sentence)}</b><p>{html.escape(verdict.reason)}" in page
    assert f"**{verdict.sentence}** {verdict.reason}" in (tmp_path / "vae" / "README.md").read_text()
    assert diptych.load(tmp_path / "vae").verdict_ == verdict
    assert "<script" not in page
    assert "kernel distance" in (tmp_path / "vae" / "README.md").read_text()


def test_where_there_is_time_for_one_evaluation_only_it_is_the_one_at_the_end(tmp_path, monkeypatch):
    monkeypatch.setattr(monitor, "PLANNED_TIME_SHARE", 0.0)
    monkeypatch.setattr(monitor, "MAX_TIME_SHARE", 1e6)
    diptych.VAE(minutes=0.1, batch=32, latent=8).fit(digits(300), into=tmp_path / "vae")
    records = [json.loads(line) for line in (tmp_path / "vae" / "history.jsonl").read_text().splitlines()]
    assert len(records) > 2
    assert diptych.load(tmp_path / "vae").verdict_ is not None
    assert ["kernel_distance" in record["scores"] for record in records] == [False] * (len(records) - 1) + [True]


def test_a_run_without_time_for_evaluations_still_ends_with_a_verdict(monkeypatch):
    monkeypatch.setattr(monitor, "PLANNED_TIME_SHARE", 0.0)
    monkeypatch.setattr(monitor, "MAX_TIME_SHARE", 0.0)
    vae = diptych.VAE(epochs=1, batch=32, latent=8).fit(digits(300))
    assert "kernel_distance" not in vae.scores_
    assert vae.verdict_ is not None
    assert vae.report_.verdict == vae.verdict_
    monkeypatch.setattr(monitor, "MIN_RUN_SECONDS", 1e6)
    short = diptych.VAE(epochs=1, batch=32, latent=8).fit(digits(300))
    assert short.verdict_ is None
    assert short.report_.verdict is None


def test_an_interrupted_run_evaluates_and_decides_as_one_that_was_not(tmp_path, monkeypatch):
    monkeypatch.setattr(monitor, "MAX_SAMPLES", 32)
    images = digits(300)

    def fit(name: str) -> None:
        diptych.GAN(epochs=2, batch=16).fit(images, into=tmp_path / name)

    fit("whole")
    for records in (4, 14):
        with interrupted(tmp_path / "stopped" / "history.jsonl", records) as stopped:
            fit("stopped")
        assert stopped.is_set()
    fit("stopped")
    for name in ("weights.safetensors", "samples"):
        assert contents(tmp_path / "stopped" / name) == contents(tmp_path / "whole" / name)
    scores = [
        [json.loads(line)["scores"] for line in (tmp_path / name / "history.jsonl").read_text().splitlines()]
        for name in ("whole", "stopped")
    ]
    assert scores[0] == scores[1]
    assert all("kernel_distance" in tick for tick in scores[0])
    verdicts = [json.loads((tmp_path / name / "model.json").read_text())["verdict"] for name in ("whole", "stopped")]
    assert verdicts[0] == verdicts[1]
    assert verdicts[0] is not None


class interrupted:  # noqa: N801 - reads as a verb
    """Ctrl-C once the history has so many records; the exception ends here, and sets ``stopped``."""

    def __init__(self, history, records: int) -> None:
        self.history, self.records = history, records
        self.wrap, self.stopped = threading.Event(), threading.Event()

    def __enter__(self):
        self.thread = threading.Thread(target=self._press)
        self.thread.start()
        return self.stopped

    def __exit__(self, kind, error, trace):
        self.wrap.set()
        self.thread.join()
        if kind is not None and issubclass(kind, Interrupted):
            self.stopped.set()
            return True
        return False

    def _press(self) -> None:
        while not self.wrap.is_set():
            if self.history.exists() and self.history.read_text().count("\n") >= self.records:
                os.kill(os.getpid(), signal.SIGINT)
                return
            self.wrap.wait(0.002)


def contents(path) -> dict[str, bytes]:
    return {p.name: unsigned(p) for p in ([path] if path.is_file() else path.iterdir())}
