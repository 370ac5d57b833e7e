"""A plain timm + DataLoader loop that predicts a folder of pictures to CSV: the peer of ``predict_throughput.py``.

As a careful user writes it in an hour: timm's network in inference mode, torchvision's transforms on Pillow's
pictures, two worker processes, batches of 64. It takes the weights, the class names and the temperature of a Diptych
folder, so that both programs have to predict the same.

    python benchmarks/timm_loop.py MODEL FOLDER OUT.csv --workers 2
"""

import argparse
import csv
import json
from pathlib import Path

import timm
import torch
from PIL import Image
from safetensors.torch import load_file
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms


class Pictures(Dataset):
    """The pictures of a folder, resized to a square and normalised as in training."""

    def __init__(self, paths: list[Path], size: int, mean: list[float], std: list[float]) -> None:
        self.paths = paths
        self.transform = transforms.Compose(
            [
                transforms.Resize((size, size), transforms.InterpolationMode.BICUBIC),
                transforms.ToTensor(),
                transforms.Normalize(mean, std),
            ]
        )

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, i: int) -> torch.Tensor:
        return self.transform(Image.open(self.paths[i]).convert("RGB"))


def network(name: str, weights: dict[str, torch.Tensor], classes: int) -> torch.nn.Module:
    """The network of timm itself with the weights of a folder."""
    classifier = timm.create_model(name, num_classes=classes)
    head = classifier.pretrained_cfg["classifier"]
    backbone = {key.removeprefix("backbone."): value for key, value in weights.items() if key.startswith("backbone.")}
    head_weights = {f"{head}.weight": weights["head.weight"], f"{head}.bias": weights["head.bias"]}
    classifier.load_state_dict({**backbone, **head_weights})
    return classifier.eval()


@torch.inference_mode()
def predict(model: Path, folder: Path, out: Path, workers: int, batch: int) -> None:
    facts = json.loads((model / "model.json").read_text(encoding="utf-8"))
    weights = load_file(model / "weights.safetensors")
    name = facts["network"].removeprefix("timm:").partition("@")[0]
    classifier = network(name, weights, len(facts["classes"]))
    paths = sorted(folder.rglob("*.jpg"))
    mean, std = weights["mean"].flatten().tolist(), weights["std"].flatten().tolist()
    loader = DataLoader(Pictures(paths, facts["size"], mean, std), batch, num_workers=workers)
    with out.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label", "confidence"])
        done = 0
        for pictures in loader:
            probabilities = (classifier(pictures) / facts["calibration"]["temperature"]).softmax(1)
            for confidence, label in zip(*(part.tolist() for part in probabilities.max(1)), strict=True):
                writer.writerow([paths[done], facts["classes"][label], f"{confidence:.4f}"])
                done += 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="the folder of a Diptych recognizer with a timm backbone")
    parser.add_argument("folder", type=Path, help="JPEG pictures")
    parser.add_argument("out", type=Path)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--batch", type=int, default=64)
    args = parser.parse_args()
    predict(args.model, args.folder, args.out, args.workers, args.batch)


if __name__ == "__main__":
    main()
