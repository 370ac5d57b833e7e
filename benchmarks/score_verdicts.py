"""The verdicts of ``score`` on folders whose answer is known: real pictures, noise, one repeated, copies, a poor model.

Each set of pictures is divided into training pictures, held-out ones and real ones to compare with; near-duplicates
stay on one side. Then five folders of as many pictures as there are held-out ones, up to 300, are scored through the
command line, each in a fresh process: the held-out pictures, uniform noise, one held-out picture repeated, the first
training pictures, and samples of a flow that was fitted for one minute.

    python benchmarks/score_verdicts.py cats-dogs groceries/train cifar10-test.parquet

Models, pictures and scores stay in the work folder; the same command again continues from there.
"""

import json
import resource
import shlex
import sys
from pathlib import Path

import common
import measure
from common import Row

EXPECTED = {
    "held-out": ("close",),
    "noise": ("noise",),
    "one-repeated": ("repetitive",),
    "copies": ("copies",),
    "flow": ("noise", "recognisable"),  # after a minute a flow of photographs generates blurs
}
PICTURES, MAX_PICTURES = 300, 2000  # in each folder; of a set
MAX_SIZE = 64  # px
PROGRAM = [sys.executable, "-m", "diptych"]


def lay_out(data: Path, work: Path) -> int:
    """Write the folders "train", "real" and all but the flow's to ``work``; returns the side of the pictures in px."""
    import numpy as np

    from diptych import Images
    from diptych.synthesis.datasets import default_size, random_subset

    images = random_subset(Images.open(data), MAX_PICTURES, 0)
    size = min(MAX_SIZE, default_size(images))
    parts = (part.pixels(size, "crop").permute(0, 2, 3, 1).numpy() for part in images.split(0.5, 0.25, 0.25, seed=0))
    train, held_out, real = parts
    count = min(PICTURES, len(held_out))
    noise = np.random.default_rng(0).integers(0, 256, (count, size, size, 3)).astype(np.uint8)
    folders = {
        "train": train,
        "real": real,
        "held-out": held_out[:count],
        "noise": noise,
        "one-repeated": held_out[:1].repeat(count, 0),
        "copies": train[:count],
    }
    for name, pixels in folders.items():
        save(pixels, work / name)
    return size


def save(pixels, folder: Path) -> None:  # type: ignore[no-untyped-def]
    """Write pictures (N, S, S, 3) as PNG files."""
    from PIL import Image

    folder.mkdir(parents=True, exist_ok=True)
    for i, picture in enumerate(pixels):
        Image.fromarray(picture).save(folder / f"{i:04}.png")


def sample_flow(work: Path, size: int, minutes: float) -> None:
    """Fit a flow to the training pictures, unless it is there, and sample from it."""
    model = work / "model"
    options = ["--size", str(size), "--minutes", f"{minutes:g}", "-o", str(model), "--quiet"]
    measure.run([*PROGRAM, "fit", "flow", str(work / "train"), *options], {})
    count = len(list((work / "held-out").glob("*.png")))
    measure.run([*PROGRAM, "sample", str(model), "-n", str(count), "-o", str(work / "flow"), "--quiet"], {})


def score(work: Path, name: str) -> Row:
    """The verdict on one folder, its figures, and what it cost, which are noted in a file beside it."""
    note = work / f"{name}.json"
    if note.exists():
        row: Row = json.loads(note.read_text(encoding="utf-8"))
        return row
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [*PROGRAM, "score", str(work / name), "--against", str(work / "real"), "--seen", str(work / "train")]
    process = measure.run([*command, "--json"], {})
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    report = json.loads(process.stdout)
    keys = ("verdict", "verdict_text", "precision", "recall", "coverage", "kernel_distance", "pictures", "extractor")
    row = {
        "set": work.name,
        "folder": name,
        **{key: report[key] for key in keys},
        "right": report["verdict"] in EXPECTED[name],
        "seconds": process.seconds,
        "cpu_seconds": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
    }
    note.write_text(json.dumps(row), encoding="utf-8")
    return row


def table(rows: list[Row]) -> list[str]:
    """A row for each folder."""
    columns = [
        "set",
        "folder",
        "n",
        "verdict",
        "right",
        "precision",
        "recall",
        "coverage",
        "kernel distance",
        "s",
        "CPU s",
    ]
    return common.table(
        columns,
        [
            [
                row["set"],
                row["folder"],
                f"{row['pictures']['generated']} against {row['pictures']['real']}",
                row["verdict"],
                "yes" if row["right"] else "NO",
                *(f"{row[key]['value']:.2f}" for key in ("precision", "recall", "coverage", "kernel_distance")),
                f"{row['seconds']:.0f}",
                f"{row['cpu_seconds']:.0f}",
            ]
            for row in rows
        ],
    )


def summary(rows: list[Row]) -> list[str]:
    """How many verdicts are right, and the time of five."""
    right, sets = sum(row["right"] for row in rows), {row["set"] for row in rows}
    seconds = {name: sum(row["seconds"] for row in rows if row["set"] == name) for name in sorted(sets)}
    times = ", ".join(f"{value:.0f} s ({name})" for name, value in seconds.items())
    return [f"- {right} of {len(rows)} verdicts are right. Aim: all, five in three minutes. The five took {times}."]


ABOUT = (
    "Training pictures, held-out pictures and those to compare with are disjoint, near-duplicates on one side. Each "
    "score in a fresh process, from its start to its report. The thresholds are in `src/diptych/synthesis/verdict.py`. "
    "What else the machine does changes the seconds, and hardly the processor's seconds (CPU s)."
)


def main() -> None:
    parser = common.arguments(__doc__, "score_verdicts")
    parser.add_argument("data", type=Path, nargs="+", help="folders or files of pictures")
    parser.add_argument("--minutes", type=float, default=1, help="of the flow's training")
    parser.add_argument("--work", type=Path, default=Path("build/score_verdicts"), help="for models and pictures")
    args = parser.parse_args()
    rows = []
    for data in args.data:
        work = args.work / (data.parent.name if data.name == "train" else data.stem)
        sample_flow(work, lay_out(data, work), args.minutes)
        for name in EXPECTED:
            rows.append(score(work, name))
            print(f"{work.name}, {name}: {rows[-1]['verdict_text']}", file=sys.stderr)
    command = f"python benchmarks/score_verdicts.py {shlex.join(common.names(args.data))} --minutes {args.minutes:g}"
    lines = [*table(rows), "", *summary(rows)]
    machine = measure.hardware("torch", "timm")
    common.publish(args.out, "Verdicts of score", ABOUT, lines, command, machine=machine, runs=rows)


if __name__ == "__main__":
    main()
