"""Photographs at 64 px in equal minutes: samples of a GAN, a VAE and a flow, and their reconstructions.

Eight photographs of each class are held out; each model is trained on the others through the command line, in a fresh
process, one after the other. Then 48 samples of each are drawn, without selection, and each model encodes and decodes
the held-out photographs.

    python benchmarks/photographs_synthesis.py folder --minutes 30

Models and pictures stay in the work folder; the same command again continues from there. The page goes to
benchmarks/results/, with a grid of each model's samples and a grid of the reconstructions, a row for each model.
"""

import json
import shlex
import shutil
import sys
from pathlib import Path
from typing import Any

import common
import measure
from common import Row

TITLES = {"flow": "Flow", "gan": "GAN", "vae": "VAE"}
HELD_OUT_FIRST, HELD_OUT_EVERY, MAX_HELD_OUT = 49, 100, 8  # of each class, in the order of names
GRID_PICTURES, GRID_COLUMNS = 48, 12
PROGRAM = [sys.executable, "-m", "diptych"]


def lay_out(folder: Path, work: Path) -> tuple[Path, Path]:
    """Folders of class folders: for training, and held out."""
    train, held_out = work / "train", work / "held-out"
    for class_folder in sorted(path for path in folder.iterdir() if path.is_dir()):
        files = sorted(class_folder.iterdir())
        chosen = files[HELD_OUT_FIRST::HELD_OUT_EVERY][:MAX_HELD_OUT]
        for file in files:
            target = (held_out if file in chosen else train) / class_folder.name
            target.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, target)
    return train, held_out


def fit(kind: str, train: Path, model: Path, size: int, minutes: float) -> Row:
    """Train a model, unless it is trained already; its cost is noted in a file next to it."""
    note = model.with_name(f"{model.name}.json")
    if not note.exists():
        options = ["--size", str(size), "--minutes", f"{minutes:g}", "-o", str(model), "--json"]
        process = measure.run([*PROGRAM, "fit", kind, str(train), *options], {})
        seen_pictures, peak = json.loads(process.stdout)["seen_pictures"], process.peak_bytes / measure.MEGABYTE
        cost = {"seconds": process.seconds, "seen_pictures": seen_pictures, "peak_megabytes": peak}
        note.write_text(json.dumps(cost), encoding="utf-8")
    return {"program": TITLES[kind], **json.loads(note.read_text(encoding="utf-8"))}


def sample(model: Path, size: int) -> Any:
    """The first samples, (N, S, S, 3) uint8."""
    samples = model.with_name(f"{model.name}.npz")
    samples.unlink(missing_ok=True)
    measure.run([*PROGRAM, "sample", str(model), "-n", str(GRID_PICTURES), "-o", str(samples)], {})
    return pixels(samples, size)


def reconstruct(model: Path, held_out: Path, size: int) -> tuple[Any, float]:
    """The reconstructions, (N, S, S, 3) uint8, and the seconds that they took."""
    out = model.with_name(f"{model.name}-reconstructed")
    process = measure.run([*PROGRAM, "edit", "reconstruct", str(model), str(held_out), "-o", str(out)], {})
    return pixels(sorted(out.glob("0*.png")), size), process.seconds


def pixels(source: Any, size: int) -> Any:
    """Pictures of a folder or of files, cropped as a synthesizer of this size crops them: (N, S, S, 3) uint8."""
    from diptych import Images  # it imports torch, so not before every run is measured

    images = Images.open(source) if isinstance(source, Path) else Images.of_files(source)
    return images.pixels(size, "crop").permute(0, 2, 3, 1).numpy()


def rms_difference(one: Any, other: Any) -> float:
    """Root mean square difference, in levels of 255."""
    return float(((one.astype(float) - other.astype(float)) ** 2).mean() ** 0.5)


def save_grid(path: Path, groups: list[Any], columns: int) -> None:
    """Write groups of pictures (N, S, S, 3), one after the other, as a PNG."""
    import numpy as np

    from diptych.report import figures

    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(figures.grid(np.concatenate(groups), columns=columns))


def table(rows: list[Row]) -> list[str]:
    """Cost and reconstruction error of each model, as a Markdown table."""
    columns = ["program", "training s", "pictures seen", "peak MB", "reconstruction error (RMS, of 255)", "n", "s"]
    keys = ("program", "seconds", "seen_pictures", "peak_megabytes", "error", "n", "reconstruction_seconds")
    formats = ("{}", "{:.0f}", "{:,}", "{:.0f}", "{:.1f}", "{}", "{:.0f}")
    return common.table(
        columns, [[cell.format(row[key]) for key, cell in zip(keys, formats, strict=True)] for row in rows]
    )


def pictures(out: Path) -> list[str]:
    """Markdown lines that show the grids."""
    samples = [f"- {TITLES[kind]}, samples, not selected: ![]({out.name}_{kind}.png)" for kind in TITLES]
    grid = f"![]({out.name}_reconstructed.png)"
    return [*samples, f"- Held-out photographs, then their reconstructions by {', '.join(TITLES.values())}: {grid}"]


ABOUT = (
    "Each model in a fresh process, from its start to the saved model; no pretrained weights. Reconstruction: the "
    "held-out photographs are encoded and decoded."
)


def main() -> None:
    parser = common.arguments(__doc__, "photographs_synthesis")
    parser.add_argument("data", type=Path, help="a folder of class folders")
    parser.add_argument("--minutes", type=float, default=30, help="of each model")
    parser.add_argument("--size", type=int, default=64, help="side of the pictures in px")
    parser.add_argument("--work", type=Path, default=Path("build/photographs_synthesis"), help="for models and samples")
    args = parser.parse_args()
    train, held_out = lay_out(args.data, args.work)
    models = {kind: args.work / f"{kind}-{args.size}-{args.minutes:g}" for kind in TITLES}
    rows = []
    for kind, model in models.items():
        rows.append(fit(kind, train, model, args.size, args.minutes))
        print(f"{TITLES[kind]}: {rows[-1]['seen_pictures']:,} in {rows[-1]['seconds']:.0f} s", file=sys.stderr)
    groups = [pixels(held_out, args.size)]
    for (kind, model), row in zip(models.items(), rows, strict=True):
        samples = sample(model, args.size)
        save_grid(args.out.with_name(f"{args.out.name}_{kind}.png"), [samples], GRID_COLUMNS)
        reconstructions, seconds = reconstruct(model, held_out, args.size)
        error = rms_difference(reconstructions, groups[0])
        row.update(error=error, n=len(reconstructions), reconstruction_seconds=seconds)
        groups.append(reconstructions)
    save_grid(args.out.with_name(f"{args.out.name}_reconstructed.png"), groups, len(groups[0]))
    options = ["--minutes", f"{args.minutes:g}", "--size", str(args.size)]
    common.publish(
        args.out,
        "Photographs by a GAN, a VAE and a flow",
        ABOUT,
        [*table(rows), "", *pictures(args.out)],
        shlex.join(["python", "benchmarks/photographs_synthesis.py", args.data.name, *options]),
        machine=measure.hardware("torch", "numpy"),
        runs=rows,
    )


if __name__ == "__main__":
    main()
