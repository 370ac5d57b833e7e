"""CIFAR-10 on a GPU: the quality of pictures by a GAN, a VAE and a flow after 1, 3 and 10 minutes of training.

Each model is trained through the command line, in a fresh process, from its start to the saved model; then 5,000
pictures are sampled, without selection. The flow of the middle length is tuned for sampling in one or two calls. The
score is the kernel distance to test pictures, times a thousand, in the features of one recognizer (speednet), trained
just before. The classification accuracy score (CAS) is the test accuracy of a speednet trained on the generated
pictures alone.

    python benchmarks/cifar10_synthesis_gpu.py folder               # cifar10-train.parquet and cifar10-test.parquet
    python benchmarks/cifar10_synthesis_gpu.py folder --lanes 5     # five at a time on the one GPU

With several lanes each has only a part of the GPU, so that a model reaches less in its minutes than it would alone.
Models and pictures stay in the work folder; the same command again continues from there.
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
from cifar10_synthesis import Judge
from common import Row

PROGRAM = [sys.executable, "-m", "diptych"]
TITLES = {"flow": "Flow", "gan": "GAN", "vae": "VAE"}
JUDGE_EPOCHS = 8
GRID_PICTURES, GRID_COLUMNS = 32, 16
PEAK_FLOPS = 989e12  # of an H100 or H200 (SXM), dense bfloat16, by the manufacturer's datasheet


class Work:
    """Trains the models into a work folder, several at a time, and notes each result there."""

    def __init__(self, train: Path, test: Path, folder: Path, samples: int, lanes: int) -> None:
        self.train, self.test, self.folder, self.samples, self.lanes = train, test, folder, samples, lanes
        self.started = time.monotonic()

    def run(self, name: str, *command: object) -> measure.Measured:
        """Run Diptych with a cache of its own and its share of the CPU."""
        threads = str(max(1, (os.cpu_count() or 1) // self.lanes))
        environment = {"XDG_CACHE_HOME": str(self.folder / f"cache-{name}"), "OMP_NUM_THREADS": threads}
        process = measure.run([*PROGRAM, *map(str, command)], environment)
        print(
            f"[{time.monotonic() - self.started:.0f} s] {name}: {command[0]} {process.seconds:.0f} s", file=sys.stderr
        )
        return process

    def noted(self, name: str) -> Row | None:
        """The noted result of a part; ``None`` if it is not done yet."""
        note = self.folder / f"{name}.json"
        return json.loads(note.read_text(encoding="utf-8")) if note.exists() else None

    def note(self, name: str, row: Row) -> None:
        """Note the result of a part."""
        (self.folder / f"{name}.json").write_text(json.dumps(row), encoding="utf-8")

    def judge(self) -> None:
        """Train the recognizer whose features models are scored in."""
        if self.noted("judge") is None:
            options = ("--network", "speednet", "--epochs", JUDGE_EPOCHS, "-o", self.folder / "judge", "--json")
            result = json.loads(self.run("judge", "fit", "recognizer", self.train, *options).stdout)
            self.note("judge", {"validation": result["scores"]["accuracy"]["value"]})

    def model(self, kind: str, minutes: float) -> None:
        """Train a model and sample from it."""
        name = f"{kind}-{minutes:g}"
        if self.noted(name) is None:
            fit = self.run(name, "fit", kind, self.train, "--minutes", minutes, "-o", self.folder / name, "--json")
            self._note_training(name, {"kind": kind, "minutes": minutes}, fit)

    def tuned(self, flow_minutes: float, minutes: float) -> None:
        """Tune the flow that was trained for ``flow_minutes``."""
        name = f"flow-{flow_minutes:g}-tuned"
        if self.noted(name) is None:
            options = ("--minutes", minutes, "-o", self.folder / name, "--json")
            tune = self.run(name, "tune", self.folder / f"flow-{flow_minutes:g}", self.train, *options)
            self._note_training(name, {"kind": "flow", "minutes": flow_minutes, "tuned": minutes, "steps": 2}, tune)
        if self.noted(f"{name}-1") is None:
            scores = self._sample(name, f"{name}-1", "--steps", 1)
            self.note(f"{name}-1", {"kind": "flow", "minutes": flow_minutes, "tuned": minutes, "steps": 1, **scores})

    def _note_training(self, name: str, facts: Row, fit: measure.Measured) -> None:
        model, result = self.folder / name, json.loads(fit.stdout)
        cost = {"seconds": fit.seconds, "seen_pictures": result["seen_pictures"]}
        rate = result["seen_pictures"] / common.training_seconds(model)
        self.note(name, {**facts, **cost, "rate": rate, **self._sample(name, name)})

    def _sample(self, model: str, name: str, *options: object) -> Row:
        """Sample to NAME.npz; returns the CAS of these pictures."""
        file = self.folder / f"{name}.npz"
        self.run(name, "sample", self.folder / model, "-n", self.samples, "-o", file, *options)
        return self._cas(name)

    def floor(self) -> None:
        """As many training pictures, to be scored like generated ones."""
        if self.noted("real-pictures") is None:
            from diptych import Images

            Images.open(self.train)[: self.samples].save(self.folder / "real-pictures.npz")
            self.note("real-pictures", self._cas("real-pictures"))

    def _cas(self, name: str) -> Row:
        """The classification accuracy score of pictures: the test accuracy of a speednet trained on them."""
        recognizer = self.folder / f"{name}-recognizer"
        options = ("--network", "speednet", "-o", recognizer, "--json")
        self.run(name, "fit", "recognizer", self.folder / f"{name}.npz", *options)
        accuracy = json.loads(self.run(name, "evaluate", recognizer, self.test, "--json").stdout)["accuracy"]
        return {"cas": accuracy["value"], "cas_n": accuracy["n"]}


def train_all(work: Work, minutes: list[float], tune_minutes: float) -> None:
    """Train everything, the longest first, in ``work.lanes`` threads.

    Raises
    ------
    SystemExit
        A part failed; the others were done nevertheless.
    """
    middle = sorted(minutes)[len(minutes) // 2]
    waiting: queue.SimpleQueue[tuple[Any, ...]] = queue.SimpleQueue()
    longest, *others = sorted(minutes, reverse=True)
    for kind in TITLES:
        waiting.put((work.model, kind, longest))
    waiting.put((work.judge,))
    waiting.put((work.floor,))
    for length in others:
        for kind in TITLES:
            waiting.put((work.model, kind, length))

    failures: list[str] = []

    def lane() -> None:
        while True:
            try:
                task, *arguments = waiting.get_nowait()
            except queue.Empty:
                return
            try:
                task(*arguments)
                if arguments == ["flow", middle]:
                    work.tuned(middle, tune_minutes)
            except SystemExit as error:  # the other parts go on
                failures.append(str(error))

    lanes = [threading.Thread(target=lane) for _ in range(work.lanes)]
    for thread in lanes:
        thread.start()
    for thread in lanes:
        thread.join()
    if failures:
        sys.exit("\n".join(failures))


def score_all(work: Work) -> list[Row]:
    """The rows with their distance and sampling rate; each is noted when it is done."""
    from diptych import Images

    judge, rows = Judge(work.folder, work.test, work.samples), []
    for note in sorted(work.folder.glob("*-*.json")):
        row = {"name": note.stem, **json.loads(note.read_text(encoding="utf-8"))}
        if "distance" not in row:
            row |= judge.score(Images.open(work.folder / f"{note.stem}.npz"))
            work.note(note.stem, row)
        if "kind" in row and "calls" not in row:
            row |= sampling_rate(work.folder, row)
            work.note(note.stem, row)
        rows.append(row)
        print(f"{row['name']}: {row['distance']:.1f}", file=sys.stderr)
    return rows


def sampling_rate(folder: Path, row: Row) -> Row:
    """Network calls per picture, and sampled pictures a second with the model loaded."""
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
        size, classes, training, private = 32, tuple("0123456789"), range(45_000), False

    model = getattr(diptych, TITLES[row["kind"]])(minutes=float(row["minutes"]))
    config = model._configure(Prepared, True)
    task = model._task(model._build(config.layout), config)
    task.before_step(0.5)
    count = 2
    with Counter() as counter:
        for player, loss in task.losses(torch.rand(count, 3, 32, 32) * 2 - 1, torch.arange(count)):
            torch.autograd.backward(loss, inputs=list(task.players()[player]))
    return counter.total / count


def table(rows: list[Row]) -> list[str]:
    """The scores as a Markdown table."""
    columns = ["model", "minutes", "kernel distance × 1000", "95 % interval", "CAS", "pictures seen", "seen a second"]
    columns += ["FLOP utilisation", "calls per picture", "samples a second"]
    lines = []
    for row in sorted(rows, key=lambda row: (row.get("kind", ""), row.get("minutes", 0), -row.get("steps", 99))):
        cells = [f"{row['distance']:.1f}", f"{row['low']:.1f} to {row['high']:.1f}", f"{row['cas']:.1%}"]
        if "kind" not in row:
            lines.append(["training pictures", "", *cells, "", "", "", "", ""])
            continue
        tuned = f", tuned {row['tuned']:g} more" if "tuned" in row else ""
        training = [f"{row['seen_pictures']:,}", f"{row['rate']:,.0f}"] if "rate" in row else ["", ""]
        utilisation = f"{row['rate'] * flops(row) / PEAK_FLOPS:.1%}" if "rate" in row and "tuned" not in row else ""
        rates = [str(row["calls"]), f"{row['samples_a_second']:,.0f}"]
        lines.append([TITLES[row["kind"]], f"{row['minutes']:g}{tuned}", *cells, *training, utilisation, *rates])
    return common.table(columns, lines)


def draw_figures(out: Path, work: Work, rows: list[Row]) -> list[str]:
    """Draw the curve, and a grid per family with two lines of pictures per length; returns Markdown that shows them."""
    import matplotlib.pyplot as plt
    import numpy as np

    from diptych import Images
    from diptych.report import figures

    out.parent.mkdir(parents=True, exist_ok=True)
    lines, (figure, axes) = [], plt.subplots(figsize=(6, 4), layout="constrained")
    for kind, title in TITLES.items():
        of_kind = sorted(
            (r for r in rows if r.get("kind") == kind and "tuned" not in r), key=lambda row: row["minutes"]
        )
        spread = np.array([[r["distance"] - r["low"], r["high"] - r["distance"]] for r in of_kind]).T
        axes.errorbar(
            [r["minutes"] for r in of_kind], [r["distance"] for r in of_kind], spread, marker="o", label=title
        )
        pictures = [Images.open(work.folder / f"{r['name']}.npz")[:GRID_PICTURES].pixels(32) for r in of_kind]
        sheet = figures.grid(np.concatenate([m.permute(0, 2, 3, 1).numpy() for m in pictures]), columns=GRID_COLUMNS)
        out.with_name(f"{out.name}_{kind}.png").write_bytes(sheet)
        lengths = ", ".join(f"{r['minutes']:g}" for r in of_kind)
        lines.append(f"- {title} after {lengths} minutes, two lines each: ![]({out.name}_{kind}.png)")
    axes.set(xscale="log", yscale="log", xlabel="minutes of training", ylabel="kernel distance × 1000")
    axes.set_xticks([r["minutes"] for r in of_kind], [f"{r['minutes']:g}" for r in of_kind])
    axes.minorticks_off()
    axes.legend()
    figure.savefig(out.with_name(f"{out.name}_curve.png"), dpi=100)
    return [f"![]({out.name}_curve.png)", "", *lines]


def verdicts(rows: list[Row]) -> list[str]:
    """A sentence for each aim and its result."""
    by_name = {row["name"]: row for row in rows}
    longest = max((row for row in rows if row.get("kind") == "flow" and "tuned" not in row), key=lambda r: r["minutes"])
    sentences = [
        f"- Aim: CAS of 75 % by the flow after 10 minutes. After {longest['minutes']:g} it is {longest['cas']:.1%}."
    ]
    for row in (row for row in rows if row.get("steps") == 2):
        untuned = by_name[f"flow-{row['minutes']:g}"]
        times = row["distance"] / untuned["distance"]
        sentences.append(
            f"- Aim: 1.3 times the distance in 2 calls. It is {times:.2f} times that in {untuned['calls']}."
        )
    return sentences


ABOUT = (
    "Each model in a fresh process, from its start to the saved model, the choice of precision and any compilation "
    "within its minutes. n = {samples:,} generated pictures and as many test pictures; CAS on 10,000 test pictures, of "
    "a speednet trained on those {samples:,} (on as many real ones: the first line). FLOP utilisation: matrix "
    "products and convolutions of the training steps, over 989 TFLOP/s. {lanes}"
)
SHARED = "**{n} at a time on the one GPU:** each had only a part of it, so that alone each would reach more."


def main() -> None:
    parser = common.arguments(__doc__, "cifar10_synthesis_gpu")
    parser.add_argument("data", type=Path, nargs="+", help="a folder with both Parquet files, or the two files")
    parser.add_argument("--minutes", type=float, nargs="+", default=[1.0, 3.0, 10.0], help="lengths of training")
    parser.add_argument("--tune-minutes", type=float, default=2.0, help="of the flow of the middle length")
    parser.add_argument("--samples", type=int, default=5000, help="scored of each model")
    parser.add_argument("--lanes", type=int, default=1, help="models at a time on the GPU")
    parser.add_argument("--work", type=Path, default=Path("build/cifar10_synthesis_gpu"), help="for models and samples")
    args = parser.parse_args()
    train, test = common.cifar10(args.data)
    args.work.mkdir(parents=True, exist_ok=True)
    work = Work(train, test, args.work, args.samples, args.lanes)
    train_all(work, args.minutes, args.tune_minutes)
    rows = score_all(work)
    import torch

    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    lanes = SHARED.format(n=args.lanes) if args.lanes > 1 else ""
    options = ["--lanes", str(args.lanes)] if args.lanes > 1 else []
    common.publish(
        args.out,
        "CIFAR-10 on a GPU: distance against minutes of training",
        ABOUT.format(samples=args.samples, lanes=lanes).strip(),
        [*table(rows), "", *verdicts(rows), "", *draw_figures(args.out, work, rows)],
        shlex.join(["python", "benchmarks/cifar10_synthesis_gpu.py", *common.names(args.data), *options]),
        machine={"GPU": gpu, **measure.hardware("torch", "numpy")},
        runs=rows,
    )


if __name__ == "__main__":
    main()
