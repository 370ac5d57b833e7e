"""CIFAR-10 from scratch in equal minutes: the tutorials' DCGAN, and Diptych's GAN, VAE and flow.

Parts, each in fresh processes, one after the other:

judge   a recognizer (speednet) is trained, in whose eyes all are judged; once, and kept in the work folder;
dcgan   the tutorials' DCGAN, repaired so that it trains (tutorial_dcgan.py);
gan, vae, flow   ``diptych fit`` with the same minutes, from the process's start to the saved model;
tuned   that flow after ``diptych tune`` for a quarter of the minutes, in two calls and in one;
rate    training pictures a second of the flow's step beside torchcfm's (flow_rate.py).

    python benchmarks/cifar10_synthesis.py folder        # cifar10-train.parquet and cifar10-test.parquet
    python benchmarks/cifar10_synthesis.py folder --only gan flow --minutes 10

The score is the kernel distance between made pictures and as many test pictures, in the judge's embedding scaled to a
mean square of one, with its interval; the floor is that of training pictures. Nothing made is chosen before
it is scored. Parts that are not run keep their rows if they were judged by the same judge. The table goes to
benchmarks/results/, with a grid of the first 64 pictures of each.
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
MAKERS = PARTS[1:-2]
TUNED_SHARE = 0.25  # of the minutes
TITLES = {"dcgan": "the tutorials' DCGAN", "gan": "Diptych GAN", "vae": "Diptych VAE", "flow": "Diptych Flow"}
SHOWN = 64
Row = dict[str, Any]
Program = [sys.executable, "-m", "diptych"]


def train_judge(train: Path, work: Path, epochs: float) -> Row:
    """The recognizer that judges; one that is there already is kept."""
    done = measure.run(
        [*Program, "fit", "recognizer", str(train), *JUDGE, f"{epochs:g}", "-o", str(work / "judge"), "--json"], {}
    )
    accuracy = json.loads(done.stdout)["scores"]["accuracy"]["value"]
    return {"part": "judge", "program": f"speednet, {epochs:g} epochs", "validation": accuracy, "seconds": done.seconds}


def made_by_tutorial(train: Path, work: Path, minutes: float, samples: int) -> Row:
    """Train the tutorials' DCGAN; its samples go to the work folder."""
    command = [sys.executable, str(HERE / "tutorial_dcgan.py"), str(train), str(work / "dcgan.npz")]
    done = measure.run([*command, "--minutes", f"{minutes:g}", "--samples", str(samples)], {})
    told = json.loads(done.stdout.splitlines()[-1])
    return {**told, "calls": 1, "peak_megabytes": done.peak_bytes / measure.MEGABYTE}


def made_by_diptych(kind: str, train: Path, work: Path, minutes: float, samples: int) -> Row:
    """Train and sample through the command line, as a person does."""
    model = work / f"{kind}-{minutes:g}"
    fit = measure.run(
        [*Program, "fit", kind, str(train), "--minutes", f"{minutes:g}", "-o", str(model), "--json"],
        {"XDG_CACHE_HOME": str(work / "cache")},  # the machine's trial is part of the time
    )
    from diptych import load

    return {**_trained(fit), **_sampled(model, work / f"{kind}.npz", samples), "calls": load(model).calls}


def made_in_few_calls(train: Path, work: Path, minutes: float, samples: int) -> list[Row]:
    """Tune the flow, which must be there, and sample in two calls and in one."""
    flow, model = work / f"flow-{minutes:g}", work / f"tuned-{minutes:g}"
    lasts = f"{minutes * TUNED_SHARE:g}"
    tune = measure.run([*Program, "tune", str(flow), str(train), "--minutes", lasts, "-o", str(model), "--json"], {})
    rows = []
    for calls in (2, 1):
        told = f"{TITLES['flow']}, tuned for {lasts} minutes more, by {calls} call{'s' if calls > 1 else ''}"
        sampled = _sampled(model, work / f"tuned_{calls}.npz", samples, "--steps", str(calls))
        rows.append({"program": told, **_trained(tune), **sampled, "calls": calls})
    return rows


def _trained(fit: measure.Measured) -> Row:
    seen = json.loads(fit.stdout)["seen_pictures"]
    return {"seen_pictures": seen, "seconds": fit.seconds, "peak_megabytes": fit.peak_bytes / measure.MEGABYTE}


def _sampled(model: Path, made: Path, samples: int, *options: str) -> Row:
    made.unlink(missing_ok=True)
    done = measure.run([*Program, "sample", str(model), "-n", str(samples), "-o", str(made), *options], {})
    return {"sampling_seconds": done.seconds}


class Eyes:
    """The judge's view of pictures."""

    def __init__(self, work: Path, test: Path, samples: int) -> None:
        from diptych import Images, load

        folder = work / "judge"
        self.judge = load(folder)
        self.hash = json.loads((folder / "model.json").read_text(encoding="utf-8"))["weights_sha256"][:12]
        self.real = self.features(Images.open(test)[:samples])

    def features(self, images: Any) -> Any:
        """(N, D) embeddings with a mean square of one."""
        seen = self.judge.embed(images)
        return seen * seen.shape[1] ** 0.5

    def score(self, images: Any) -> dict[str, Any]:
        """How far from the test pictures; times a thousand."""
        from diptych.metrics.distribution import kernel_distance

        value, low, high = (1000 * figure for figure in kernel_distance(self.features(images), self.real))
        return {"distance": value, "low": low, "high": high, "n": len(images), "judge": self.hash}


def made_as(row: Row) -> str:
    """What the files of a row's pictures are called."""
    return f"tuned_{row['calls']}" if row["part"] == "tuned" else str(row["part"])


def judged(part: str, row: Row, work: Path, eyes: Eyes, out: Path) -> Row:
    """A maker's row with its score; its first pictures are saved as a grid."""
    from diptych import Images
    from diptych.report import figures

    row = {"part": part, "program": TITLES.get(part), **row}
    made = Images.open(work / f"{made_as(row)}.npz")
    pixels = made[:SHOWN].pixels(32).permute(0, 2, 3, 1).numpy()
    out.parent.mkdir(parents=True, exist_ok=True)
    out.with_name(f"{out.name}_{made_as(row)}.png").write_bytes(figures.grid(pixels, columns=8))
    return {**row, **eyes.score(made)}


def rates(train: Path, seconds: float, rounds: int) -> list[Row]:
    """The two flows' steps."""
    command = [sys.executable, str(HERE / "flow_rate.py"), str(train)]
    done = measure.run([*command, "--seconds", f"{seconds:g}", "--rounds", str(rounds)], {})
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def together(old: Sequence[Row], new: Sequence[Row], judge: str | None) -> list[Row]:
    """Rows of this run, and those of parts that it left out if the same judge judged them, in the order of parts."""
    fresh = {row["part"] for row in new}
    kept = [row for row in old if row["part"] not in fresh and row.get("judge", judge) == judge]
    return sorted([*kept, *new], key=lambda row: [*PARTS[:1], "floor", *PARTS[1:]].index(row["part"]))


def table(rows: Sequence[Row]) -> list[str]:
    """The scores as a Markdown table."""
    columns = ["program", "kernel distance × 1000", "95 % interval", "n", "training s", "pictures shown"]
    columns += ["calls a picture", "s for 1,000 samples", "peak MB"]
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
    for name, some in _by_program(rows).items():
        every, middle = ", ".join(f"{row['rate']:.1f}" for row in some), _median(some)
        lines.append(f"| {name} | {some[0]['parameters']:,} | {every} | {middle:.1f} | {some[-1]['machine']} |")
    return lines if len(lines) > 2 else []


def verdicts(rows: Sequence[Row]) -> list[str]:
    """What was aimed at, and what came."""
    scored = {row["part"]: row for row in rows if "distance" in row and row["part"] != "tuned"}
    told, ours = [], [scored[kind] for kind in ("gan", "vae", "flow") if kind in scored]
    if ours and "dcgan" in scored:
        best = min(ours, key=lambda row: row["distance"])
        share = best["distance"] / scored["dcgan"]["distance"]
        told.append(f"- Aim: half of the tutorials' distance at most. {best['program']} comes to {share:.2f} of it.")
    few = [row for row in rows if row["part"] == "tuned"]
    for row in few if "flow" in scored else []:
        times, calls = row["distance"] / scored["flow"]["distance"], scored["flow"]["calls"]
        told.append(f"- {row['program']}: {times:.2f} times the flow's distance by {calls}.")
    steps = _by_program(rows)
    for name in steps.keys() - {"torchcfm"} if "torchcfm" in steps else ():
        times = _median(steps[name]) / _median(steps["torchcfm"])
        told.append(f"- Aim: 1.3 times torchcfm's training pictures a second. {name}: {times:.2f} times.")
    return sorted(told)


def _by_program(rows: Sequence[Row]) -> dict[str, list[Row]]:
    steps: dict[str, list[Row]] = {}
    for row in rows:
        if row["part"] == "rate":
            steps.setdefault(row["program"], []).append(row)
    return steps


def _median(rows: Sequence[Row]) -> float:
    return float(sorted(row["rate"] for row in rows)[len(rows) // 2])


def measured(asked: argparse.Namespace, train: Path, test: Path) -> tuple[list[Row], str | None]:
    """The rows of the parts that were asked for, and the judge's hash."""
    work, rows = asked.work, []
    wanted = [part for part in PARTS if part in asked.only]
    if set(wanted) & {"judge", "tuned", *MAKERS}:
        rows.append(train_judge(train, work, asked.judge_epochs))
    eyes = Eyes(work, test, asked.samples) if rows else None
    if eyes is not None:
        from diptych import Images

        rows.append(
            {"part": "floor", "program": "training pictures", **eyes.score(Images.open(train)[: asked.samples])}
        )
    for part in wanted:
        if part in MAKERS and eyes is not None:
            minutes = (train, work, asked.minutes, asked.samples)
            row = made_by_tutorial(*minutes) if part == "dcgan" else made_by_diptych(part, *minutes)
            rows.append(judged(part, row, work, eyes, asked.out))
            print(f"{part}: {rows[-1]['distance']:.1f} after {row['seconds']:.0f} s", file=sys.stderr)
        if part == "tuned" and eyes is not None:
            for row in made_in_few_calls(train, work, asked.minutes, asked.samples):
                rows.append(judged(part, row, work, eyes, asked.out))
        if part == "rate":
            rows += rates(train, asked.rate_seconds, rounds=3)
    return rows, eyes.hash if eyes else None


def page(rows: Sequence[Row], machine: dict[str, str], command: str) -> str:
    """The results as a Markdown page."""
    shown = [row for row in rows if row["part"] in (*MAKERS, "tuned")]
    grids = [f"- {row['program']}: ![](cifar10_synthesis_{made_as(row)}.png)" for row in shown]
    facts = [f"- {name}: {value}" for name, value in machine.items()]
    judges = [f"- judge: {row['program']}, validation accuracy {row['validation']:.2%}" for row in rows[:1]]
    parts = [[f"# {__doc__.splitlines()[0].rstrip('.')}", "", f"    {command}"], table(rows), rate_table(rows)]
    parts += [verdicts(rows), judges if rows and rows[0]["part"] == "judge" else [], grids, facts]
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="+", help="a folder with both Parquet files, or the two files")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="the parts to run")
    parser.add_argument("--minutes", type=float, default=20.0, help="of each maker")
    parser.add_argument("--samples", type=int, default=5000, help="pictures judged of each")
    parser.add_argument("--judge-epochs", type=float, default=JUDGE_EPOCHS)
    parser.add_argument("--rate-seconds", type=float, default=20.0, help="of each step and round")
    parser.add_argument("--work", type=Path, default=Path("build/cifar10_synthesis"), help="for models and samples")
    parser.add_argument("-o", "--out", type=Path, default=RESULTS, help="written with .md and .json after it")
    asked = parser.parse_args()
    train, test = cifar10(asked.data)
    asked.work.mkdir(parents=True, exist_ok=True)
    stored = asked.out.with_suffix(".json")
    old = json.loads(stored.read_text(encoding="utf-8"))["runs"] if stored.exists() else []
    new, judge = measured(asked, train, test)
    rows = together(old, new, judge or next((row["judge"] for row in old if "judge" in row), None))
    machine = measure.hardware("torch", "torchcfm", "numpy")
    names = [path.name for path in asked.data]  # where the data lies is nobody's business
    command = shlex.join(["python", "benchmarks/cifar10_synthesis.py", *names, "--minutes", f"{asked.minutes:g}"])
    text = page(rows, machine, command)
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    asked.out.with_suffix(".md").write_text(text, encoding="utf-8")
    stored.write_text(json.dumps({"command": command, "machine": machine, "runs": rows}, indent=1) + "\n", "utf-8")
    print(text)


if __name__ == "__main__":
    main()
