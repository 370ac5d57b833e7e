"""CIFAR-10 from scratch in equal minutes: the tutorials' DCGAN, and Diptych's GAN, VAE and flow.

Parts, each in fresh processes, one after the other:

judge   a recognizer (speednet) whose features all models are scored in; trained once, into the work folder;
dcgan   the tutorials' DCGAN, repaired so that it trains (tutorial_dcgan.py);
gan, vae, flow   ``diptych fit`` with the same minutes, from the process's start to the saved model;
tuned   that flow after ``diptych tune`` for a quarter of the minutes, sampled in two network calls and in one;
rate    training pictures a second of the flow's step, compared with torchcfm's (flow_rate.py).

    python benchmarks/cifar10_synthesis.py folder        # cifar10-train.parquet and cifar10-test.parquet
    python benchmarks/cifar10_synthesis.py folder --only gan flow --minutes 10

The score is the kernel distance between generated pictures and as many test pictures, in the judge's features scaled
to a mean square of one, with its interval; the floor is that of training pictures. Generated pictures are not selected
before they are scored. Parts that are not run keep their rows if they were scored by the same judge. The table goes to
benchmarks/results/, with a grid of the first 64 pictures of each model.
"""

import argparse
import json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import measure
from common import cifar10

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "cifar10_synthesis"
JUDGE = ("--network", "speednet", "--epochs")
JUDGE_EPOCHS = 8.0
PARTS = ("judge", "dcgan", "gan", "vae", "flow", "tuned", "rate")
MODELS = PARTS[1:-2]
TUNE_SHARE = 0.25  # of the minutes
TITLES = {"dcgan": "the tutorials' DCGAN", "gan": "Diptych GAN", "vae": "Diptych VAE", "flow": "Diptych Flow"}
GRID_PICTURES = 64
Row = dict[str, Any]
PROGRAM = [sys.executable, "-m", "diptych"]


def train_judge(train: Path, work: Path, epochs: float) -> Row:
    """Train the judge; an existing one is reused."""
    process = measure.run(
        [*PROGRAM, "fit", "recognizer", str(train), *JUDGE, f"{epochs:g}", "-o", str(work / "judge"), "--json"], {}
    )
    accuracy = json.loads(process.stdout)["scores"]["accuracy"]["value"]
    return {
        "part": "judge",
        "program": f"speednet, {epochs:g} epochs",
        "validation": accuracy,
        "seconds": process.seconds,
    }


def run_tutorial(train: Path, work: Path, minutes: float, samples: int) -> Row:
    """Train the tutorials' DCGAN; its samples go to the work folder."""
    command = [sys.executable, str(HERE / "tutorial_dcgan.py"), str(train), str(work / "dcgan.npz")]
    process = measure.run([*command, "--minutes", f"{minutes:g}", "--samples", str(samples)], {})
    result = json.loads(process.stdout.splitlines()[-1])
    return {**result, "calls": 1, "peak_megabytes": process.peak_bytes / measure.MEGABYTE}


def run_diptych(kind: str, train: Path, work: Path, minutes: float, samples: int) -> Row:
    """Train and sample through the command line, as a user does."""
    model = work / f"{kind}-{minutes:g}"
    fit = measure.run(
        [*PROGRAM, "fit", kind, str(train), "--minutes", f"{minutes:g}", "-o", str(model), "--json"],
        {"XDG_CACHE_HOME": str(work / "cache")},  # the machine's trial is part of the time
    )
    from diptych import load

    return {**_training_cost(fit), **_sample(model, work / f"{kind}.npz", samples), "calls": load(model).calls}


def run_few_step_sampling(train: Path, work: Path, minutes: float, samples: int) -> list[Row]:
    """Tune the trained flow, and sample in two network calls and in one."""
    flow, model = work / f"flow-{minutes:g}", work / f"tuned-{minutes:g}"
    tune_minutes = f"{minutes * TUNE_SHARE:g}"
    tune = measure.run(
        [*PROGRAM, "tune", str(flow), str(train), "--minutes", tune_minutes, "-o", str(model), "--json"], {}
    )
    rows = []
    for calls in (2, 1):
        program = f"{TITLES['flow']}, tuned for {tune_minutes} more minutes, in {calls} call{'s' if calls > 1 else ''}"
        sampling = _sample(model, work / f"tuned_{calls}.npz", samples, "--steps", str(calls))
        rows.append({"program": program, **_training_cost(tune), **sampling, "calls": calls})
    return rows


def _training_cost(fit: measure.Measured) -> Row:
    seen_pictures = json.loads(fit.stdout)["seen_pictures"]
    return {"seen_pictures": seen_pictures, "seconds": fit.seconds, "peak_megabytes": fit.peak_bytes / measure.MEGABYTE}


def _sample(model: Path, file: Path, samples: int, *options: str) -> Row:
    file.unlink(missing_ok=True)
    process = measure.run([*PROGRAM, "sample", str(model), "-n", str(samples), "-o", str(file), *options], {})
    return {"sampling_seconds": process.seconds}


class Judge:
    """A recognizer whose features pictures are compared in."""

    def __init__(self, work: Path, test: Path, samples: int) -> None:
        from diptych import Images, load

        folder = work / "judge"
        self.recognizer = load(folder)
        self.hash = json.loads((folder / "model.json").read_text(encoding="utf-8"))["weights_sha256"][:12]
        self.real = self.features(Images.open(test)[:samples])

    def features(self, images: Any) -> Any:
        """(N, D) embeddings with a mean square of one."""
        embeddings = self.recognizer.embed(images)
        return embeddings * embeddings.shape[1] ** 0.5

    def score(self, images: Any) -> dict[str, Any]:
        """The kernel distance to the test pictures, times a thousand, with its interval."""
        from diptych.metrics.distribution import kernel_distance

        value, low, high = (1000 * figure for figure in kernel_distance(self.features(images), self.real))
        return {"distance": value, "low": low, "high": high, "n": len(images), "judge": self.hash}


def file_stem(row: Row) -> str:
    """The name of the files with a row's pictures."""
    return f"tuned_{row['calls']}" if row["part"] == "tuned" else str(row["part"])


def score_samples(part: str, row: Row, work: Path, judge: Judge, out: Path) -> Row:
    """A model's row with its score; its first pictures are saved as a grid."""
    from diptych import Images
    from diptych.report import figures

    row = {"part": part, "program": TITLES.get(part), **row}
    generated = Images.open(work / f"{file_stem(row)}.npz")
    pixels = generated[:GRID_PICTURES].pixels(32).permute(0, 2, 3, 1).numpy()
    out.parent.mkdir(parents=True, exist_ok=True)
    out.with_name(f"{out.name}_{file_stem(row)}.png").write_bytes(figures.grid(pixels, columns=8))
    return {**row, **judge.score(generated)}


def rates(train: Path, seconds: float, rounds: int) -> list[Row]:
    """The rates of both flows' training steps."""
    command = [sys.executable, str(HERE / "flow_rate.py"), str(train)]
    process = measure.run([*command, "--seconds", f"{seconds:g}", "--rounds", str(rounds)], {})
    return [json.loads(line) for line in process.stdout.splitlines() if line.startswith("{")]


def merge_rows(old: Sequence[Row], new: Sequence[Row], judge: str | None) -> list[Row]:
    """The new rows, and the old rows of parts not run again if they have the same judge, in the order of parts."""
    parts = {row["part"] for row in new}
    unchanged = [row for row in old if row["part"] not in parts and row.get("judge", judge) == judge]
    return sorted([*unchanged, *new], key=lambda row: [*PARTS[:1], "floor", *PARTS[1:]].index(row["part"]))


def table(rows: Sequence[Row]) -> list[str]:
    """The scores as a Markdown table."""
    columns = ["program", "kernel distance × 1000", "95 % interval", "n", "training s", "pictures seen"]
    columns += ["calls per picture", "s for 1,000 samples", "peak MB"]
    lines = [columns, ["---"] * len(columns)]
    for row in (row for row in rows if "distance" in row):
        cells = [row["program"], f"{row['distance']:.1f}", f"{row['low']:.1f} to {row['high']:.1f}", str(row["n"])]
        if "seconds" in row:
            cells += [f"{row['seconds']:.0f}", f"{row['seen_pictures']:,}", str(row["calls"])]
            cells += [f"{1000 * row['sampling_seconds'] / row['n']:.1f}", f"{row['peak_megabytes']:.0f}"]
        lines.append([*cells, *[""] * (len(columns) - len(cells))])
    return [f"| {' | '.join(cells)} |" for cells in lines]


def rate_table(rows: Sequence[Row]) -> list[str]:
    """The rates as a Markdown table."""
    lines = [
        "| step | parameters | pictures a second, each round | median | machine |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, rounds in _by_program(rows).items():
        rates, median = ", ".join(f"{row['rate']:.1f}" for row in rounds), _median(rounds)
        lines.append(f"| {name} | {rounds[0]['parameters']:,} | {rates} | {median:.1f} | {rounds[-1]['machine']} |")
    return lines if len(lines) > 2 else []


def verdicts(rows: Sequence[Row]) -> list[str]:
    """A sentence for each aim and its result."""
    scored = {row["part"]: row for row in rows if "distance" in row and row["part"] != "tuned"}
    sentences, ours = [], [scored[kind] for kind in ("gan", "vae", "flow") if kind in scored]
    if ours and "dcgan" in scored:
        best = min(ours, key=lambda row: row["distance"])
        share = best["distance"] / scored["dcgan"]["distance"]
        sentences.append(f"- Aim: at most half of the tutorials' distance. {best['program']}: {share:.2f} of it.")
    tuned = [row for row in rows if row["part"] == "tuned"]
    for row in tuned if "flow" in scored else []:
        times, calls = row["distance"] / scored["flow"]["distance"], scored["flow"]["calls"]
        sentences.append(f"- {row['program']}: {times:.2f} times the flow's distance in {calls}.")
    steps = _by_program(rows)
    for name in steps.keys() - {"torchcfm"} if "torchcfm" in steps else ():
        times = _median(steps[name]) / _median(steps["torchcfm"])
        sentences.append(f"- Aim: 1.3 times torchcfm's training pictures a second. {name}: {times:.2f} times.")
    return sorted(sentences)


def _by_program(rows: Sequence[Row]) -> dict[str, list[Row]]:
    steps: dict[str, list[Row]] = {}
    for row in rows:
        if row["part"] == "rate":
            steps.setdefault(row["program"], []).append(row)
    return steps


def _median(rows: Sequence[Row]) -> float:
    return float(sorted(row["rate"] for row in rows)[len(rows) // 2])


def measure_parts(args: argparse.Namespace, train: Path, test: Path) -> tuple[list[Row], str | None]:
    """The rows of the parts named by --only, and the judge's hash."""
    work, rows = args.work, []
    parts = [part for part in PARTS if part in args.only]
    if set(parts) & {"judge", "tuned", *MODELS}:
        rows.append(train_judge(train, work, args.judge_epochs))
    judge = Judge(work, test, args.samples) if rows else None
    if judge is not None:
        from diptych import Images

        rows.append(
            {"part": "floor", "program": "training pictures", **judge.score(Images.open(train)[: args.samples])}
        )
    for part in parts:
        if part in MODELS and judge is not None:
            settings = (train, work, args.minutes, args.samples)
            row = run_tutorial(*settings) if part == "dcgan" else run_diptych(part, *settings)
            rows.append(score_samples(part, row, work, judge, args.out))
            print(f"{part}: {rows[-1]['distance']:.1f} after {row['seconds']:.0f} s", file=sys.stderr)
        if part == "tuned" and judge is not None:
            for row in run_few_step_sampling(train, work, args.minutes, args.samples):
                rows.append(score_samples(part, row, work, judge, args.out))
        if part == "rate":
            rows += rates(train, args.rate_seconds, rounds=3)
    return rows, judge.hash if judge else None


def page(rows: Sequence[Row], machine: dict[str, str], command: str) -> str:
    """The results as a Markdown page."""
    sampled = [row for row in rows if row["part"] in (*MODELS, "tuned")]
    grids = [f"- {row['program']}: ![](cifar10_synthesis_{file_stem(row)}.png)" for row in sampled]
    facts = [f"- {name}: {value}" for name, value in machine.items()]
    judges = [f"- judge: {row['program']}, validation accuracy {row['validation']:.2%}" for row in rows[:1]]
    parts = [[f"# {__doc__.splitlines()[0].rstrip('.')}", "", f"    {command}"], table(rows), rate_table(rows)]
    parts += [verdicts(rows), judges if rows and rows[0]["part"] == "judge" else [], grids, facts]
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="+", help="a folder with both Parquet files, or the two files")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="the parts to run")
    parser.add_argument("--minutes", type=float, default=20.0, help="of each model")
    parser.add_argument("--samples", type=int, default=5000, help="scored of each model")
    parser.add_argument("--judge-epochs", type=float, default=JUDGE_EPOCHS)
    parser.add_argument("--rate-seconds", type=float, default=20.0, help="of each step and round")
    parser.add_argument("--work", type=Path, default=Path("build/cifar10_synthesis"), help="for models and samples")
    parser.add_argument("-o", "--out", type=Path, default=RESULTS, help="results are written to OUT.md and OUT.json")
    args = parser.parse_args()
    train, test = cifar10(args.data)
    args.work.mkdir(parents=True, exist_ok=True)
    stored = args.out.with_suffix(".json")
    old = json.loads(stored.read_text(encoding="utf-8"))["runs"] if stored.exists() else []
    new, judge = measure_parts(args, train, test)
    rows = merge_rows(old, new, judge or next((row["judge"] for row in old if "judge" in row), None))
    machine = measure.hardware("torch", "torchcfm", "numpy")
    names = [path.name for path in args.data]  # without the machine's paths
    command = shlex.join(["python", "benchmarks/cifar10_synthesis.py", *names, "--minutes", f"{args.minutes:g}"])
    text = page(rows, machine, command)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.with_suffix(".md").write_text(text, encoding="utf-8")
    stored.write_text(json.dumps({"command": command, "machine": machine, "runs": rows}, indent=1) + "\n", "utf-8")
    print(text)


if __name__ == "__main__":
    main()
