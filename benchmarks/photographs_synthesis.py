"""Photographs at 64 px in equal minutes: what a GAN, a VAE and a flow make, and what each says of photographs unseen.

Eight photographs of each class are set aside; each maker is trained on the others through the command line, in a fresh
process, one after the other. Then 48 samples of each are drawn, none chosen, and the photographs set aside are
encoded and decoded by each.

    python benchmarks/photographs_synthesis.py folder --minutes 30

Models and pictures stay in the work folder; the same command again goes on from what is there. The page goes to
benchmarks/results/, with a grid of each maker's samples and a sheet of the reconstructions, a row for each maker.
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
EVERY, FROM, ASIDE = 100, 49, 8  # of each class, in the order of names
SHOWN, COLUMNS = 48, 12
PROGRAM = [sys.executable, "-m", "diptych"]


def lay_out(folder: Path, work: Path) -> tuple[Path, Path]:
    """Folders of class folders: to train on, and set aside."""
    train, aside = work / "train", work / "held-out"
    for shelf in sorted(path for path in folder.iterdir() if path.is_dir()):
        files = sorted(shelf.iterdir())
        chosen = files[FROM::EVERY][:ASIDE]
        for file in files:
            place = (aside if file in chosen else train) / shelf.name
            place.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, place)
    return train, aside


def fitted(kind: str, train: Path, model: Path, size: int, minutes: float) -> Row:
    """Train a maker; what it took is kept beside it, for a run that goes on."""
    kept = model.with_name(f"{model.name}.json")
    if not kept.exists():
        dials = ["--size", str(size), "--minutes", f"{minutes:g}", "-o", str(model), "--json"]
        fit = measure.run([*PROGRAM, "fit", kind, str(train), *dials], {})
        shown = json.loads(fit.stdout)["seen_pictures"]
        took = {"seconds": fit.seconds, "seen_pictures": shown, "peak_megabytes": fit.peak_bytes / measure.MEGABYTE}
        kept.write_text(json.dumps(took), encoding="utf-8")
    return {"program": TITLES[kind], **json.loads(kept.read_text(encoding="utf-8"))}


def sampled(model: Path, size: int) -> Any:
    """The first samples, (N, S, S, 3) uint8."""
    samples = model.with_name(f"{model.name}.npz")
    samples.unlink(missing_ok=True)
    measure.run([*PROGRAM, "sample", str(model), "-n", str(SHOWN), "-o", str(samples)], {})
    return pixels(samples, size)


def reconstructed(model: Path, aside: Path, size: int) -> tuple[Any, float]:
    """(N, S, S, 3) uint8 and the seconds that they took."""
    out = model.with_name(f"{model.name}-reconstructed")
    done = measure.run([*PROGRAM, "edit", "reconstruct", str(model), str(aside), "-o", str(out)], {})
    return pixels(sorted(out.glob("0*.png")), size), done.seconds


def pixels(source: Any, size: int) -> Any:
    """Pictures of a folder or of files, as a synthesizer of this size sees them: (N, S, S, 3) uint8."""
    from diptych import Images  # torch comes with it: not before every run has been measured

    images = Images.open(source) if isinstance(source, Path) else Images.of_files(source)
    return images.pixels(size, "crop").permute(0, 2, 3, 1).numpy()


def error(one: Any, other: Any) -> float:
    """Root mean square difference, in levels of 255."""
    return float(((one.astype(float) - other.astype(float)) ** 2).mean() ** 0.5)


def save_grid(path: Path, lines: list[Any], columns: int) -> None:
    """Sets of pictures (N, S, S, 3), one after the other, as a PNG."""
    import numpy as np

    from diptych.report import figures

    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(figures.grid(np.concatenate(lines), columns=columns))


def table(rows: list[Row]) -> list[str]:
    """What each took and how near its reconstructions are, as a Markdown table."""
    columns = ["program", "training s", "pictures shown", "peak MB", "reconstruction error (RMS, of 255)", "n", "s"]
    told = ("program", "seconds", "seen_pictures", "peak_megabytes", "error", "n", "reconstruction_seconds")
    shapes = ("{}", "{:.0f}", "{:,}", "{:.0f}", "{:.1f}", "{}", "{:.0f}")
    return common.table(
        columns, [[shape.format(row[name]) for name, shape in zip(told, shapes, strict=True)] for row in rows]
    )


def pictures(out: Path) -> list[str]:
    """The lines that show the pictures."""
    shown = [f"- {TITLES[kind]}, samples, none chosen: ![]({out.name}_{kind}.png)" for kind in TITLES]
    again = f"![]({out.name}_reconstructed.png)"
    return [*shown, f"- Photographs that none was trained on, then by {', '.join(TITLES.values())}: {again}"]


ABOUT = (
    "Each maker in a fresh process, from its start to the saved model; no pretrained weights. Reconstruction: the "
    "photographs set aside are encoded and decoded again."
)


def main() -> None:
    parser = common.arguments(__doc__, "photographs_synthesis")
    parser.add_argument("data", type=Path, help="a folder of class folders")
    parser.add_argument("--minutes", type=float, default=30, help="of each maker")
    parser.add_argument("--size", type=int, default=64, help="side of the pictures in px")
    parser.add_argument("--work", type=Path, default=Path("build/photographs_synthesis"), help="for models and samples")
    asked = parser.parse_args()
    train, aside = lay_out(asked.data, asked.work)
    models = {kind: asked.work / f"{kind}-{asked.size}-{asked.minutes:g}" for kind in TITLES}
    rows = []
    for kind, model in models.items():
        rows.append(fitted(kind, train, model, asked.size, asked.minutes))
        print(f"{TITLES[kind]}: {rows[-1]['seen_pictures']:,} in {rows[-1]['seconds']:.0f} s", file=sys.stderr)
    lines = [pixels(aside, asked.size)]
    for (kind, model), row in zip(models.items(), rows, strict=True):
        drawn = sampled(model, asked.size)
        save_grid(asked.out.with_name(f"{asked.out.name}_{kind}.png"), [drawn], COLUMNS)
        again, seconds = reconstructed(model, aside, asked.size)
        row.update(error=error(again, lines[0]), n=len(again), reconstruction_seconds=seconds)
        lines.append(again)
    save_grid(asked.out.with_name(f"{asked.out.name}_reconstructed.png"), lines, len(lines[0]))
    dials = ["--minutes", f"{asked.minutes:g}", "--size", str(asked.size)]
    common.publish(
        asked.out,
        "Photographs by a GAN, a VAE and a flow",
        ABOUT,
        [*table(rows), "", *pictures(asked.out)],
        shlex.join(["python", "benchmarks/photographs_synthesis.py", asked.data.name, *dials]),
        machine=measure.hardware("torch", "numpy"),
        runs=rows,
    )


if __name__ == "__main__":
    main()
