"""Pictures a second from a folder of JPEG photographs to a CSV: ``diptych predict`` and a plain timm loop, in one run.

Ten thousand photographs of about 300 px are made from real ones (cut-outs, mirrored, recoloured, quality 90). Both
sides have the same network (timm's resnet18 at 224 px, from random weights in a local file, then fitted for an epoch)
and the same preparation, and are timed as whole programs, from their start to the finished file. They take turns.

    python benchmarks/predict_throughput.py data/cats-dogs
    python benchmarks/predict_throughput.py data/cats-dogs --pictures 1000 --pairs 1
"""

import csv
import shlex
import sys
import tempfile
from pathlib import Path
from statistics import median

import common
import measure
import numpy as np
from common import Row
from PIL import Image, ImageEnhance, ImageOps

HERE = Path(__file__).parent
SIDE = 300  # px, the shorter side
QUALITY = 90
FITTED_ON = 200  # pictures: what is fitted does not matter here, but that labels differ does


def photographs(data: Path, folder: Path, count: int) -> None:
    """Write variants of the photographs in ``data``; the same ones each time."""
    originals = sorted(path for path in data.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
    draw = np.random.default_rng(0)
    folder.mkdir()
    for i in range(count):
        picture = Image.open(originals[i % len(originals)]).convert("RGB")
        width, height = picture.size
        kept = draw.uniform(0.8, 1.0)
        left, top = (int(draw.uniform(0, (1 - kept) * side)) for side in (width, height))
        picture = picture.crop((left, top, left + int(kept * width), top + int(kept * height)))
        scale = SIDE * draw.uniform(0.9, 1.1) / min(picture.size)
        picture = picture.resize(tuple(round(scale * side) for side in picture.size), Image.Resampling.LANCZOS)
        picture = ImageOps.mirror(picture) if draw.random() < 0.5 else picture
        picture = ImageEnhance.Color(picture).enhance(draw.uniform(0.7, 1.3))
        ImageEnhance.Brightness(picture).enhance(draw.uniform(0.8, 1.2)).save(folder / f"{i:05d}.jpg", quality=QUALITY)


def model(data: Path, folder: Path, network: str, size: int) -> Path:
    """A fitted recognizer on the network with random weights."""
    import timm
    import torch
    from safetensors.torch import save_file

    from diptych import Images, Recognizer

    torch.manual_seed(0)
    weights = folder / "weights.safetensors"
    save_file(timm.create_model(network).state_dict(), weights)
    images = Images.open(data)
    few = images[np.random.default_rng(0).permutation(len(images))[:FITTED_ON]]
    Recognizer(f"timm:{network}@{weights}", size=size, epochs=1).fit(few, into=folder / "model")
    return folder / "model"


def diptych_side(trained: Path, pictures: Path, out: Path) -> measure.Measured:
    return measure.run([sys.executable, "-m", "diptych", "predict", str(trained), str(pictures), "-o", str(out)], {})


def timm_side(trained: Path, pictures: Path, out: Path) -> measure.Measured:
    return measure.run([sys.executable, str(HERE / "timm_loop.py"), str(trained), str(pictures), str(out)], {})


SIDES = {"timm + DataLoader": timm_side, "Diptych": diptych_side}


def measured(trained: Path, pictures: Path, folder: Path, pairs: int) -> tuple[list[Row], Row]:
    """One row a run; the side that begins changes from pair to pair. And how far the last pair's answers agree."""
    count = len(list(pictures.iterdir()))
    rows, told = [], {}
    for pair in range(pairs):
        for side in list(SIDES)[:: 1 if pair % 2 == 0 else -1]:
            out = folder / f"{side.split()[0]}.csv"
            done = SIDES[side](trained, pictures, out)
            peak = done.peak_bytes / measure.MEGABYTE
            rows.append(
                {"side": side, "pair": pair, "seconds": done.seconds, "pictures": count, "peak_megabytes": peak}
            )
            told[side] = answers(out)
            print(f"{side}: {count / done.seconds:.1f} pictures a second", file=sys.stderr)
    return rows, agreement(*told.values())


def answers(out: Path) -> dict[str, tuple[str, float]]:
    """Label and confidence by the picture's name."""
    with out.open(encoding="utf-8", newline="") as file:
        return {Path(row["path"]).name: (row["label"], float(row["confidence"])) for row in csv.DictReader(file)}


def agreement(one: dict[str, tuple[str, float]], other: dict[str, tuple[str, float]]) -> Row:
    """How many labels are the same, by how little the others were decided, and how far confidences are apart."""
    if one.keys() != other.keys():
        sys.exit("The two sides told of different pictures.")
    pairs = [(one[name], other[name]) for name in one]
    different = [max(a[1], b[1]) for a, b in pairs if a[0] != b[0]]
    counts: dict[str, int] = {}
    for (label, _), _ in pairs:
        counts[label] = counts.get(label, 0) + 1
    return {
        "pictures": len(pairs),
        "same_labels": len(pairs) - len(different),
        "surest_different": max(different, default=None),
        "confidence_apart": max(abs(a[1] - b[1]) for a, b in pairs if a[0] == b[0]),
        "labels": counts,
    }


def verdict(rows: list[Row], found: Row) -> str:
    """Both claims, in a sentence."""
    rates = {side: median(r["pictures"] / r["seconds"] for r in rows if r["side"] == side) for side in SIDES}
    theirs, ours = rates.values()
    told = ", ".join(f"{name} {count}" for name, count in sorted(found["labels"].items()))
    words = (
        f"Medians: {theirs:.1f} and {ours:.1f} pictures a second; Diptych is {ours / theirs:.2f} times as fast. The "
        f"same label on {found['same_labels']} of {found['pictures']} pictures ({told}), confidence at most "
        f"{found['confidence_apart']:.4f} apart."
    )
    if found["surest_different"] is not None:
        words += f" The surest answer where labels differ: {found['surest_different']:.4f}."
    return words


def table(rows: list[Row]) -> list[str]:
    """The runs as a Markdown table."""
    lines = []
    for row in rows:
        rate = f"{row['pictures'] / row['seconds']:.1f}"
        lines.append([row["side"], row["pair"], f"{row['seconds']:.1f}", rate, f"{row['peak_megabytes']:.0f}"])
    return common.table(["program", "pair", "seconds", "pictures a second", "peak MB"], lines)


def about(pictures: int, network: str) -> str:
    """What was done."""
    return (
        f"{pictures} JPEG photographs of about {SIDE} px (quality {QUALITY}), {network}; the timm loop in "
        "float32, Diptych as it does by itself (bfloat16 on a processor that is faster by it, float32 where a label is "
        "close). Seconds: of the whole program, from its start to the finished CSV. Peak: resident memory, with that "
        "of child processes."
    )


def main() -> None:
    parser = common.arguments(__doc__, "predict_throughput")
    parser.add_argument("data", type=Path, help="a folder of class folders of photographs")
    parser.add_argument("--pictures", type=int, default=10_000)
    parser.add_argument("--pairs", type=int, default=3, help="how often both sides are run")
    parser.add_argument("--network", default="resnet18", help="timm's name")
    parser.add_argument("--size", type=int, default=224)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="predict-throughput-") as name:
        folder = Path(name)
        photographs(asked.data, folder / "pictures", asked.pictures)
        trained = model(asked.data, folder, asked.network, asked.size)
        rows, found = measured(trained, folder / "pictures", folder, asked.pairs)
    dials = ["--pictures", str(asked.pictures), "--pairs", str(asked.pairs)]
    common.publish(
        asked.out,
        "Throughput of predict",
        about(found["pictures"], f"timm's {asked.network} at {asked.size} px"),
        [*table(rows), "", verdict(rows, found)],
        shlex.join(["python", "benchmarks/predict_throughput.py", asked.data.name, *dials]),
        machine=measure.hardware("torch", "torchvision", "timm", "onnxruntime", "pillow"),
        runs=rows,
        agreement=found,
    )


if __name__ == "__main__":
    main()
