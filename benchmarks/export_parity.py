"""Whether a recognizer and its ONNX files predict the same labels: a CNN and a ViT of timm, offline, on real pictures.

Each backbone starts from random weights in a local file, is trained through the command line for some minutes, and is
exported in float32 and in int8. The labels of ``diptych predict`` for the folder and for each file
are then compared, picture by picture, on pictures that the network was not trained on.

    python benchmarks/export_parity.py folder --minutes 4
"""

import argparse
import csv
import json
import shlex
import shutil
import sys
import tempfile
from pathlib import Path

import common
import measure
from common import Row

NETWORKS = ("resnet18", "vit_tiny_patch16_224")
SIZE = 96  # px: small enough for two cores to train in minutes
PROGRAM = [sys.executable, "-m", "diptych"]


def lay_out(data: Path, target: Path, count: int) -> None:
    """Copy pictures of ``data`` into ``target``/train and ``target``/test, ``count`` of them into the second."""
    from diptych import Images  # it imports torch, so not in the process that measures

    images = Images.open(data)
    share = count / len(images)
    for name, part in zip(("train", "test"), images.split(1 - share, share), strict=True):
        for path, label in zip(part.paths, part.labels, strict=True):
            class_folder = target / name / part.classes[label]
            class_folder.mkdir(parents=True, exist_ok=True)
            shutil.copy(data / path, class_folder)


def weights(name: str, file: Path) -> None:
    """Random weights of a backbone, as timm lays them out."""
    import timm
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(0)
    save_file(timm.create_model(name, **_size_options(name)).state_dict(), file)


def _size_options(name: str) -> dict[str, int]:
    return {"img_size": SIZE} if name.startswith("vit") else {}


def compare(name: str, pictures: Path, folder: Path, minutes: float) -> list[Row]:
    """Train and export one backbone; a row per precision."""
    file, model = folder / f"{name}.safetensors", folder / name
    weights(name, file)
    options = ["--network", f"timm:{name}@{file}", "--size", str(SIZE), "--minutes", f"{minutes:g}"]
    fit = measure.run(
        [*PROGRAM, "fit", "recognizer", str(pictures / "train"), *options, "-o", str(model), "--json"], {}
    )
    validation = json.loads(fit.stdout)["scores"]["accuracy"]
    expected = labels(model, pictures / "test", folder)
    rows = []
    for precision, precision_options in (("float32", []), ("int8", ["--int8"])):
        out = folder / f"{name}-{precision}.onnx"
        export = measure.run([*PROGRAM, "export", str(model), *precision_options, "-o", str(out), "--json"], {})
        exported = labels(out, pictures / "test", folder)
        same = sum(exported[path] == label for path, label in expected.items())
        rows.append(
            {
                "network": name,
                "precision": precision,
                "validation": validation["value"],
                "same": same,
                "n": len(expected),
                "labels": {label: list(expected.values()).count(label) for label in sorted(set(expected.values()))},
                "megabytes": json.loads(export.stdout)["bytes"] / measure.MEGABYTE,
                "seconds": fit.seconds,
            }
        )
        print(f"{name}, {precision}: {same} of {len(expected)} labels the same", file=sys.stderr)
    return rows


def labels(model: Path, pictures: Path, folder: Path) -> dict[str, str]:
    """The label that a model predicts for every picture, by ``diptych predict``."""
    out = folder / "predictions.csv"
    measure.run([*PROGRAM, "predict", str(model), str(pictures), "-o", str(out)], {})
    with out.open(encoding="utf-8", newline="") as file:
        return {row["path"]: row["label"] for row in csv.DictReader(file)}


def table(rows: list[Row]) -> list[str]:
    """The runs as a Markdown table."""
    columns = ["network", "precision", "validation accuracy", "same label", "n", "predicted labels", "file, MB"]
    lines = []
    for row in rows:
        predicted = ", ".join(f"{label} {count}" for label, count in row["labels"].items())
        share = f"{row['same']} = {row['same'] / row['n']:.2%}"
        lines.append([row["network"], row["precision"], f"{row['validation']:.1%}", share, row["n"], predicted,
                      f"{row['megabytes']:.1f}"])  # fmt: skip
    return common.table(columns, lines)


def main() -> None:
    parser = common.arguments(__doc__, "export_parity")
    parser.add_argument("data", type=Path, help="a folder of class folders of photographs")
    parser.add_argument("--minutes", type=float, default=4, help="of training for each network")
    parser.add_argument("--pictures", type=int, default=1000, help="to compare on")
    parser.add_argument("--lay-out", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.lay_out:
        lay_out(args.data, args.lay_out, args.pictures)
        return
    with tempfile.TemporaryDirectory(prefix="export-parity-") as name:
        folder = Path(name)
        program = [sys.executable, __file__, str(args.data), "--pictures", str(args.pictures)]
        measure.run([*program, "--lay-out", str(folder / "pictures")], {})
        rows = [row for net in NETWORKS for row in compare(net, folder / "pictures", folder, args.minutes)]
    options = ["--minutes", f"{args.minutes:g}", "--pictures", str(args.pictures)]
    common.publish(
        args.out,
        "Labels of a recognizer and of its ONNX files",
        f"timm's backbones from random weights in a local file, at {SIZE} px, {args.minutes:g} minutes of training "
        "each; pictures that were not used in training or validation.",
        table(rows),
        shlex.join(["python", "benchmarks/export_parity.py", args.data.name, *options]),
        machine=measure.hardware("torch", "timm", "onnx", "onnxruntime"),
        runs=rows,
    )


if __name__ == "__main__":
    main()
