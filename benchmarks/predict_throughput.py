"""Pictures a second from a folder of JPEG photographs to a CSV: ``diptych predict`` and a plain timm loop, in one run.

Ten thousand photographs of about 300 px are made from real ones (crops, mirrored, recoloured, quality 90). Both
programs have the same network (timm's resnet18 at 224 px, from random weights in a local file, then fitted for an
epoch) and the same preprocessing, and are timed whole, from their start to the finished file. They take turns.

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
TRAINING_PICTURES = 200  # accuracy does not matter here, but predicted labels have to differ


def photographs(data: Path, folder: Path, count: int) -> None:
    """Write variants of the photographs in ``data``; the same ones each time."""
    originals = sorted(path for path in data.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
    rng = np.random.default_rng(0)
    folder.mkdir()
    for i in range(count):
        picture = Image.open(originals[i % len(originals)]).convert("RGB")
        width, height = picture.size
        crop = rng.uniform(0.8, 1.0)
        left, top = (int(rng.uniform(0, (1 - crop) * side)) for side in (width, height))
        picture = picture.crop((left, top, left + int(crop * width), top + int(crop * height)))
        scale = SIDE * rng.uniform(0.9, 1.1) / min(picture.size)
        picture = picture.resize(tuple(round(scale * side) for side in picture.size), Image.Resampling.LANCZOS)
        picture = ImageOps.mirror(picture) if rng.random() < 0.5 else picture
        picture = ImageEnhance.Color(picture).enhance(rng.uniform(0.7, 1.3))
        ImageEnhance.Brightness(picture).enhance(rng.uniform(0.8, 1.2)).save(folder / f"{i:05d}.jpg", quality=QUALITY)


def train_model(data: Path, folder: Path, network: str, size: int) -> Path:
    """A fitted recognizer on the network with random weights."""
    import timm
    import torch
    from safetensors.torch import save_file

    from diptych import Images, Recognizer

    torch.manual_seed(0)
    weights = folder / "weights.safetensors"
    save_file(timm.create_model(network).state_dict(), weights)
    images = Images.open(data)
    subset = images[np.random.default_rng(0).permutation(len(images))[:TRAINING_PICTURES]]
    Recognizer(f"timm:{network}@{weights}", size=size, epochs=1).fit(subset, into=folder / "model")
    return folder / "model"


def run_diptych(model: Path, pictures: Path, out: Path) -> measure.Measured:
    return measure.run([sys.executable, "-m", "diptych", "predict", str(model), str(pictures), "-o", str(out)], {})


def run_timm(model: Path, pictures: Path, out: Path) -> measure.Measured:
    return measure.run([sys.executable, str(HERE / "timm_loop.py"), str(model), str(pictures), str(out)], {})


PROGRAMS = {"timm + DataLoader": run_timm, "Diptych": run_diptych}


def measure_pairs(model: Path, pictures: Path, folder: Path, pairs: int) -> tuple[list[Row], Row]:
    """One row per run, the program that begins alternating; and the agreement of the last pair's predictions."""
    count = len(list(pictures.iterdir()))
    rows, predicted = [], {}
    for pair in range(pairs):
        for side in list(PROGRAMS)[:: 1 if pair % 2 == 0 else -1]:
            out = folder / f"{side.split()[0]}.csv"
            process = PROGRAMS[side](model, pictures, out)
            peak = process.peak_bytes / measure.MEGABYTE
            rows.append(
                {"side": side, "pair": pair, "seconds": process.seconds, "pictures": count, "peak_megabytes": peak}
            )
            predicted[side] = read_predictions(out)
            print(f"{side}: {count / process.seconds:.1f} pictures a second", file=sys.stderr)
    return rows, agreement(*predicted.values())


def read_predictions(out: Path) -> dict[str, tuple[str, float]]:
    """Label and confidence by file name."""
    with out.open(encoding="utf-8", newline="") as file:
        return {Path(row["path"]).name: (row["label"], float(row["confidence"])) for row in csv.DictReader(file)}


def agreement(one: dict[str, tuple[str, float]], other: dict[str, tuple[str, float]]) -> Row:
    """How many labels are the same, the highest confidence among the others, and the difference of confidences."""
    if one.keys() != other.keys():
        sys.exit("The two programs predicted different pictures.")
    pairs = [(one[name], other[name]) for name in one]
    different = [max(a[1], b[1]) for a, b in pairs if a[0] != b[0]]
    counts: dict[str, int] = {}
    for (label, _), _ in pairs:
        counts[label] = counts.get(label, 0) + 1
    return {
        "pictures": len(pairs),
        "same_labels": len(pairs) - len(different),
        "max_confidence_of_different": max(different, default=None),
        "max_confidence_difference": max(abs(a[1] - b[1]) for a, b in pairs if a[0] == b[0]),
        "labels": counts,
    }


def verdict(rows: list[Row], agreement: Row) -> str:
    """Speed and agreement, in a sentence."""
    rates = {side: median(r["pictures"] / r["seconds"] for r in rows if r["side"] == side) for side in PROGRAMS}
    theirs, ours = rates.values()
    labels = ", ".join(f"{name} {count}" for name, count in sorted(agreement["labels"].items()))
    sentence = (
        f"Medians: {theirs:.1f} and {ours:.1f} pictures a second; Diptych is {ours / theirs:.2f} times as fast. The "
        f"same label on {agreement['same_labels']} of {agreement['pictures']} pictures ({labels}); confidences differ "
        f"by at most {agreement['max_confidence_difference']:.4f}."
    )
    highest = agreement["max_confidence_of_different"]
    if highest is not None:
        sentence += f" The highest confidence where labels differ: {highest:.4f}."
    return sentence


def table(rows: list[Row]) -> list[str]:
    """The runs as a Markdown table."""
    lines = []
    for row in rows:
        rate = f"{row['pictures'] / row['seconds']:.1f}"
        lines.append([row["side"], row["pair"], f"{row['seconds']:.1f}", rate, f"{row['peak_megabytes']:.0f}"])
    return common.table(["program", "pair", "seconds", "pictures a second", "peak MB"], lines)


def about(pictures: int, network: str) -> str:
    """How it was measured."""
    return (
        f"{pictures} JPEG photographs of about {SIDE} px (quality {QUALITY}), {network}; the timm loop in "
        "float32, Diptych with its defaults (bfloat16 on a CPU that is faster with it, float32 where a "
        "label is close). Seconds: of the whole program, from its start to the finished CSV. Peak: resident memory, "
        "child processes included."
    )


def main() -> None:
    parser = common.arguments(__doc__, "predict_throughput")
    parser.add_argument("data", type=Path, help="a folder of class folders of photographs")
    parser.add_argument("--pictures", type=int, default=10_000)
    parser.add_argument("--pairs", type=int, default=3, help="how often both programs are run")
    parser.add_argument("--network", default="resnet18", help="timm's name")
    parser.add_argument("--size", type=int, default=224)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="predict-throughput-") as name:
        folder = Path(name)
        photographs(args.data, folder / "pictures", args.pictures)
        recognizer = train_model(args.data, folder, args.network, args.size)
        rows, agreed = measure_pairs(recognizer, folder / "pictures", folder, args.pairs)
    options = ["--pictures", str(args.pictures), "--pairs", str(args.pairs)]
    common.publish(
        args.out,
        "Throughput of predict",
        about(agreed["pictures"], f"timm's {args.network} at {args.size} px"),
        [*table(rows), "", verdict(rows, agreed)],
        shlex.join(["python", "benchmarks/predict_throughput.py", args.data.name, *options]),
        machine=measure.hardware("torch", "torchvision", "timm", "onnxruntime", "pillow"),
        runs=rows,
        agreement=agreed,
    )


if __name__ == "__main__":
    main()
