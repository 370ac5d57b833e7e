"""CIFAR-10 on a GPU: how good the pictures of a GAN, a VAE and a flow are after 1, 3 and 10 minutes of training.

Each maker is trained through the command line, in a fresh process, from its start to the saved model; then 5,000
pictures are drawn, none chosen. The flow of the middle length is tuned for sampling in one or two calls. All are judged
in the eyes of one recognizer (speednet), trained just before: kernel distance to test pictures, times a thousand.
The classification accuracy score is that of a speednet that learned from the made pictures alone, on the test set.

    python benchmarks/cifar10_synthesis_gpu.py folder               # cifar10-train.parquet and cifar10-test.parquet
    python benchmarks/cifar10_synthesis_gpu.py folder --lanes 5     # so many at a time on the one card

With several lanes each has a part of the card only: what a maker reaches in its minutes is then less than it would be
alone. Models and pictures stay in the work folder; the same command again goes on from what is there.
"""

import json
import os
import queue
import shlex
import sys
import threading
import time
from pathlib import Path
from typing import Any

import common
import measure
from cifar10_synthesis import Eyes
from common import Row

PROGRAM = [sys.executable, "-m", "diptych"]
TITLES = {"flow": "Flow", "gan": "GAN", "vae": "VAE"}
JUDGE_EPOCHS = 8
SHOWN, COLUMNS = 32, 16
PEAK_FLOPS = 989e12  # of an H100 or H200 (SXM), dense bfloat16, by the maker's datasheet


class Work:
    """What is to be trained, where, and how many at a time."""

    def __init__(self, train: Path, test: Path, folder: Path, samples: int, lanes: int) -> None:
        self.train, self.test, self.folder, self.samples, self.lanes = train, test, folder, samples, lanes
        self.began = time.monotonic()

    def run(self, name: str, *command: object) -> measure.Measured:
        """Run Diptych with a cache of its own, and with its share of the processor."""
        threads = str(max(1, (os.cpu_count() or 1) // self.lanes))
        environment = {"XDG_CACHE_HOME": str(self.folder / f"cache-{name}"), "OMP_NUM_THREADS": threads}
        done = measure.run([*PROGRAM, *map(str, command)], environment)
        print(f"[{time.monotonic() - self.began:.0f} s] {name}: {command[0]} {done.seconds:.0f} s", file=sys.stderr)
        return done

    def kept(self, name: str) -> Row | None:
        """What was noted of a part that is done."""
        note = self.folder / f"{name}.json"
        return json.loads(note.read_text(encoding="utf-8")) if note.exists() else None

    def note(self, name: str, row: Row) -> None:
        """Keep what a part took."""
        (self.folder / f"{name}.json").write_text(json.dumps(row), encoding="utf-8")

    def judge(self) -> None:
        """Train the recognizer that judges."""
        if self.kept("judge") is None:
            dials = ("--network", "speednet", "--epochs", JUDGE_EPOCHS, "-o", self.folder / "judge", "--json")
            told = json.loads(self.run("judge", "fit", "recognizer", self.train, *dials).stdout)
            self.note("judge", {"validation": told["scores"]["accuracy"]["value"]})

    def maker(self, kind: str, minutes: float) -> None:
        """Train a maker and draw its pictures."""
        name = f"{kind}-{minutes:g}"
        if self.kept(name) is None:
            fit = self.run(name, "fit", kind, self.train, "--minutes", minutes, "-o", self.folder / name, "--json")
            self._noted(name, {"kind": kind, "minutes": minutes}, fit)

    def tuned(self, of: float, minutes: float) -> None:
        """Tune the flow of so many minutes."""
        name = f"flow-{of:g}-tuned"
        if self.kept(name) is None:
            dials = ("--minutes", minutes, "-o", self.folder / name, "--json")
            tune = self.run(name, "tune", self.folder / f"flow-{of:g}", self.train, *dials)
            self._noted(name, {"kind": "flow", "minutes": of, "tuned": minutes, "steps": 2}, tune)
        if self.kept(f"{name}-1") is None:
            sampled = self._sampled(name, f"{name}-1", "--steps", 1)
            self.note(f"{name}-1", {"kind": "flow", "minutes": of, "tuned": minutes, "steps": 1, **sampled})

    def _noted(self, name: str, told: Row, fit: measure.Measured) -> None:
        model, found = self.folder / name, json.loads(fit.stdout)
        took = {"seconds": fit.seconds, "seen_pictures": found["seen_pictures"]}
        rate = found["seen_pictures"] / common.training_seconds(model)
        self.note(name, {**told, **took, "rate": rate, **self._sampled(name, name)})

    def _sampled(self, model: str, name: str, *dials: object) -> Row:
        made = self.folder / f"{name}.npz"
        self.run(name, "sample", self.folder / model, "-n", self.samples, "-o", made, *dials)
        return self._taught(name)

    def floor(self) -> None:
        """As many training pictures, to be judged like made ones."""
        if self.kept("real-pictures") is None:
            from diptych import Images

            Images.open(self.train)[: self.samples].save(self.folder / "real-pictures.npz")
            self.note("real-pictures", self._taught("real-pictures"))

    def _taught(self, name: str) -> Row:
        """The classification accuracy score of pictures: on the test set, of a speednet that learned from them."""
        taught = self.folder / f"{name}-taught"
        dials = ("--network", "speednet", "-o", taught, "--json")
        self.run(name, "fit", "recognizer", self.folder / f"{name}.npz", *dials)
        told = json.loads(self.run(name, "evaluate", taught, self.test, "--json").stdout)["accuracy"]
        return {"cas": told["value"], "cas_n": told["n"]}


def train_all(work: Work, minutes: list[float], tune_minutes: float) -> None:
    """Everything that trains, the longest first, in as many lanes as there are.

    Raises
    ------
    SystemExit
        Some of it failed; the rest was done all the same, and is kept.
    """
    middle = sorted(minutes)[len(minutes) // 2]
    waiting: queue.SimpleQueue[tuple[Any, ...]] = queue.SimpleQueue()
    longest, *others = sorted(minutes, reverse=True)
    for kind in TITLES:
        waiting.put((work.maker, kind, longest))
    waiting.put((work.judge,))
    waiting.put((work.floor,))
    for length in others:
        for kind in TITLES:
            waiting.put((work.maker, kind, length))

    failures: list[str] = []

    def lane() -> None:
        while True:
            try:
                do, *asked = waiting.get_nowait()
            except queue.Empty:
                return
            try:
                do(*asked)
                if asked == ["flow", middle]:
                    work.tuned(middle, tune_minutes)
            except SystemExit as failed:  # the others need not suffer
                failures.append(str(failed))

    lanes = [threading.Thread(target=lane) for _ in range(work.lanes)]
    for thread in lanes:
        thread.start()
    for thread in lanes:
        thread.join()
    if failures:
        sys.exit("\n".join(failures))


def judged(work: Work) -> list[Row]:
    """The rows with their distance and rate of sampling; each is noted as it comes."""
    from diptych import Images

    eyes, rows = Eyes(work.folder, work.test, work.samples), []
    for note in sorted(work.folder.glob("*-*.json")):
        row = {"name": note.stem, **json.loads(note.read_text(encoding="utf-8"))}
        if "distance" not in row:
            row |= eyes.score(Images.open(work.folder / f"{note.stem}.npz"))
            work.note(note.stem, row)
        if "kind" in row and "calls" not in row:
            row |= rate_of_sampling(work.folder, row)
            work.note(note.stem, row)
        rows.append(row)
        print(f"{row['name']}: {row['distance']:.1f}", file=sys.stderr)
    return rows


def rate_of_sampling(folder: Path, row: Row) -> Row:
    """Calls of the network a picture, and pictures a second with the model at hand."""
    from diptych import load

    name = row["name"].removesuffix("-1") if row.get("tuned") else row["name"]
    model = load(folder / name)
    if "steps" in row:
        model.steps = row["steps"]
    count = 512 if model.calls > 2 else 4096
    model.sample(64)
    start = time.perf_counter()
    model.sample(count)
    return {"calls": model.calls, "samples_a_second": count / (time.perf_counter() - start)}


def flops(row: Row) -> float:
    """Floating-point operations of matrix products and convolutions in a training step, for each picture."""
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils.flop_counter import flop_registry

    import diptych

    class Counter(TorchDispatchMode):
        total = 0

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
            out = func(*args, **(kwargs or {}))
            if func._overloadpacket in flop_registry:
                self.total += flop_registry[func._overloadpacket](*args, **(kwargs or {}), out_val=out)
            return out

    class Prepared:
        size, classes, training = 32, tuple("0123456789"), range(45_000)

    model = getattr(diptych, TITLES[row["kind"]])(minutes=float(row["minutes"]))
    config = model._configure(Prepared, True)
    task = model._task(model._build(config.layout), config)
    task.before_step(0.5)
    count = 4
    with Counter() as counter:
        for player, loss in task.losses(torch.rand(count, 3, 32, 32) * 2 - 1, torch.arange(count)):
            torch.autograd.backward(loss, inputs=list(task.players()[player]))
    return counter.total / count


def table(rows: list[Row]) -> list[str]:
    """What was reached, as a Markdown table."""
    columns = ["maker", "minutes", "kernel distance × 1000", "95 % interval", "CAS", "pictures shown", "shown a second"]
    columns += ["FLOP utilisation", "calls a picture", "samples a second"]
    lines = []
    for row in sorted(rows, key=lambda row: (row.get("kind", ""), row.get("minutes", 0), -row.get("steps", 99))):
        cells = [f"{row['distance']:.1f}", f"{row['low']:.1f} to {row['high']:.1f}", f"{row['cas']:.1%}"]
        if "kind" not in row:
            lines.append(["training pictures", "", *cells, "", "", "", "", ""])
            continue
        tuned = f", tuned {row['tuned']:g} more" if "tuned" in row else ""
        shown = [f"{row['seen_pictures']:,}", f"{row['rate']:,.0f}"] if "rate" in row else ["", ""]
        used = f"{row['rate'] * flops(row) / PEAK_FLOPS:.1%}" if "rate" in row and "tuned" not in row else ""
        rates = [str(row["calls"]), f"{row['samples_a_second']:,.0f}"]
        lines.append([TITLES[row["kind"]], f"{row['minutes']:g}{tuned}", *cells, *shown, used, *rates])
    return common.table(columns, lines)


def draw(out: Path, work: Work, rows: list[Row]) -> list[str]:
    """The curve, and a sheet for each family with two lines of pictures for each length; the lines that show them."""
    import matplotlib.pyplot as plt
    import numpy as np

    from diptych import Images
    from diptych.report import figures

    out.parent.mkdir(parents=True, exist_ok=True)
    shown, (figure, axes) = [], plt.subplots(figsize=(6, 4), layout="constrained")
    for kind, title in TITLES.items():
        mine = sorted((r for r in rows if r.get("kind") == kind and "tuned" not in r), key=lambda row: row["minutes"])
        spread = np.array([[r["distance"] - r["low"], r["high"] - r["distance"]] for r in mine]).T
        axes.errorbar([r["minutes"] for r in mine], [r["distance"] for r in mine], spread, marker="o", label=title)
        made = [Images.open(work.folder / f"{r['name']}.npz")[:SHOWN].pixels(32) for r in mine]
        sheet = figures.grid(np.concatenate([m.permute(0, 2, 3, 1).numpy() for m in made]), columns=COLUMNS)
        out.with_name(f"{out.name}_{kind}.png").write_bytes(sheet)
        lengths = ", ".join(f"{r['minutes']:g}" for r in mine)
        shown.append(f"- {title} after {lengths} minutes, two lines each: ![]({out.name}_{kind}.png)")
    axes.set(xscale="log", yscale="log", xlabel="minutes of training", ylabel="kernel distance × 1000")
    axes.set_xticks([r["minutes"] for r in mine], [f"{r['minutes']:g}" for r in mine])
    axes.minorticks_off()
    axes.legend()
    figure.savefig(out.with_name(f"{out.name}_curve.png"), dpi=100)
    return [f"![]({out.name}_curve.png)", "", *shown]


def verdicts(rows: list[Row]) -> list[str]:
    """What was aimed at, and what came."""
    known = {row["name"]: row for row in rows}
    longest = max((row for row in rows if row.get("kind") == "flow" and "tuned" not in row), key=lambda r: r["minutes"])
    told = [
        f"- Aim: CAS of 75 % by the flow after 10 minutes. After {longest['minutes']:g} it is {longest['cas']:.1%}."
    ]
    for row in (row for row in rows if row.get("steps") == 2):
        whole = known[f"flow-{row['minutes']:g}"]
        times = row["distance"] / whole["distance"]
        told.append(f"- Aim: 1.3 times the distance in 2 calls. It is {times:.2f} times that in {whole['calls']}.")
    return told


ABOUT = (
    "Each maker in a fresh process, from its start to the saved model, the choice of precision and any compilation "
    "within its minutes. n = {samples:,} made pictures and as many test pictures; CAS on 10,000 test pictures, of a "
    "speednet that learned from those {samples:,} (of as many real ones: the first line). FLOP utilisation: matrix "
    "products and convolutions of the training steps, over 989 TFLOP/s. {lanes}"
)
SHARED = "**{n} at a time on the one card:** each had a part of it, so that alone each would come farther."


def main() -> None:
    parser = common.arguments(__doc__, "cifar10_synthesis_gpu")
    parser.add_argument("data", type=Path, nargs="+", help="a folder with both Parquet files, or the two files")
    parser.add_argument("--minutes", type=float, nargs="+", default=[1.0, 3.0, 10.0], help="lengths of training")
    parser.add_argument("--tune-minutes", type=float, default=2.0, help="of the flow of the middle length")
    parser.add_argument("--samples", type=int, default=5000, help="pictures judged of each")
    parser.add_argument("--lanes", type=int, default=1, help="makers at a time on the card")
    parser.add_argument("--work", type=Path, default=Path("build/cifar10_synthesis_gpu"), help="for models and samples")
    asked = parser.parse_args()
    train, test = common.cifar10(asked.data)
    asked.work.mkdir(parents=True, exist_ok=True)
    work = Work(train, test, asked.work, asked.samples, asked.lanes)
    train_all(work, asked.minutes, asked.tune_minutes)
    rows = judged(work)
    import torch

    card = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    lanes = SHARED.format(n=asked.lanes) if asked.lanes > 1 else ""
    dials = ["--lanes", str(asked.lanes)] if asked.lanes > 1 else []
    common.publish(
        asked.out,
        "CIFAR-10 on a GPU: distance against minutes of training",
        ABOUT.format(samples=asked.samples, lanes=lanes).strip(),
        [*table(rows), "", *verdicts(rows), "", *draw(asked.out, work, rows)],
        shlex.join(["python", "benchmarks/cifar10_synthesis_gpu.py", *common.names(asked.data), *dials]),
        machine={"GPU": card, **measure.hardware("torch", "numpy")},
        runs=rows,
    )


if __name__ == "__main__":
    main()
