"""Whether a recognizer and its ONNX files tell the same labels: a CNN and a ViT of timm, offline, on real pictures.

Each backbone starts from random weights in a local file, is trained through the command line for some minutes, and
exported in single precision and in 8-bit integers. The labels of ``diptych predict`` for the folder and for each file
are then compared on pictures that the network was not trained on, one by one.

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
SIZE = 96  # px: what two cores train at in minutes
PROGRAM = [sys.executable, "-m", "diptych"]


def lay_out(data: Path, target: Path, count: int) -> None:
    """Copy pictures of ``data`` into ``target``/train and ``target``/test, ``count`` of them into the second."""
    from diptych import Images  # not in the process that measures: torch comes with it

    images = Images.open(data)
    share = count / len(images)
    for name, part in zip(("train", "test"), images.split(1 - share, share), strict=True):
        for path, label in zip(part.paths, part.labels, strict=True):
            place = target / name / part.classes[label]
            place.mkdir(parents=True, exist_ok=True)
            shutil.copy(data / path, place)


def weights(name: str, file: Path) -> None:
    """Random weights of a backbone, as timm lays them out."""
    import timm
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(0)
    save_file(timm.create_model(name, **_sized(name)).state_dict(), file)


def _sized(name: str) -> dict[str, int]:
    return {"img_size": SIZE} if name.startswith("vit") else {}


def compared(name: str, pictures: Path, folder: Path, minutes: float) -> list[Row]:
    """Train and export one backbone; a row a precision."""
    file, model = folder / f"{name}.safetensors", folder / name
    weights(name, file)
    dials = ["--network", f"timm:{name}@{file}", "--size", str(SIZE), "--minutes", f"{minutes:g}"]
    fit = measure.run([*PROGRAM, "fit", "recognizer", str(pictures / "train"), *dials, "-o", str(model), "--json"], {})
    validation = json.loads(fit.stdout)["scores"]["accuracy"]
    wanted = labels(model, pictures / "test", folder)
    rows = []
    for precision, dial in (("float32", []), ("int8", ["--int8"])):
        out = folder / f"{name}-{precision}.onnx"
        told = json.loads(measure.run([*PROGRAM, "export", str(model), *dial, "-o", str(out), "--json"], {}).stdout)
        found = labels(out, pictures / "test", folder)
        same = sum(found[path] == label for path, label in wanted.items())
        rows.append(
            {
                "network": name,
                "precision": precision,
                "validation": validation["value"],
                "same": same,
                "n": len(wanted),
                "told": {label: list(wanted.values()).count(label) for label in sorted(set(wanted.values()))},
                "megabytes": told["bytes"] / measure.MEGABYTE,
                "seconds": fit.seconds,
            }
        )
        print(f"{name}, {precision}: {same} of {len(wanted)} labels the same", file=sys.stderr)
    return rows


def labels(model: Path, pictures: Path, folder: Path) -> dict[str, str]:
    """What a model tells of every picture, by ``diptych predict``."""
    out = folder / "told.csv"
    measure.run([*PROGRAM, "predict", str(model), str(pictures), "-o", str(out)], {})
    with out.open(encoding="utf-8", newline="") as file:
        return {row["path"]: row["label"] for row in csv.DictReader(file)}


def table(rows: list[Row]) -> list[str]:
    """The runs as a Markdown table."""
    columns = ["network", "precision", "validation accuracy", "the same label", "n", "labels told", "file, MB"]
    lines = []
    for row in rows:
        told = ", ".join(f"{label} {count}" for label, count in row["told"].items())
        share = f"{row['same']} = {row['same'] / row['n']:.2%}"
        lines.append([row["network"], row["precision"], f"{row['validation']:.1%}", share, row["n"], told,
                      f"{row['megabytes']:.1f}"])  # fmt: skip
    return common.table(columns, lines)


def main() -> None:
    parser = common.arguments(__doc__, "export_parity")
    parser.add_argument("data", type=Path, help="a folder of class folders of photographs")
    parser.add_argument("--minutes", type=float, default=4, help="of training, each network")
    parser.add_argument("--pictures", type=int, default=1000, help="compared")
    parser.add_argument("--lay-out", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.lay_out:
        lay_out(asked.data, asked.lay_out, asked.pictures)
        return
    with tempfile.TemporaryDirectory(prefix="export-parity-") as name:
        folder = Path(name)
        program = [sys.executable, __file__, str(asked.data), "--pictures", str(asked.pictures)]
        measure.run([*program, "--lay-out", str(folder / "pictures")], {})
        rows = [row for net in NETWORKS for row in compared(net, folder / "pictures", folder, asked.minutes)]
    dials = ["--minutes", f"{asked.minutes:g}", "--pictures", str(asked.pictures)]
    common.publish(
        asked.out,
        "Labels of a recognizer and of its ONNX files",
        f"timm's backbones from random weights in a local file, at {SIZE} px, {asked.minutes:g} minutes of training "
        "each; pictures that were neither trained on nor looked at in training.",
        table(rows),
        shlex.join(["python", "benchmarks/export_parity.py", asked.data.name, *dials]),
        machine=measure.hardware("torch", "timm", "onnx", "onnxruntime"),
        runs=rows,
    )


if __name__ == "__main__":
    main()
