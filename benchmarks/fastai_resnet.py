"""resnet18 from scratch on folders of photographs, as a user of fastai trains it: the peer of photographs_from_scratch.

``vision_learner`` without pretrained weights, the usual augmentation (``aug_transforms``), one-cycle, 128 px. The
number of epochs is what the minutes hold, after an epoch's time has been measured on some batches.

    python benchmarks/fastai_resnet.py fit TRAIN-FOLDER MODEL.pkl --minutes 10
    python benchmarks/fastai_resnet.py evaluate TEST-FOLDER MODEL.pkl
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

from fastai.callback import progress, schedule  # noqa: F401 - they give the learner its bar and its one-cycle
from fastai.data.core import DataLoaders
from fastai.data.transforms import get_image_files
from fastai.learner import Learner, load_learner
from fastai.metrics import accuracy
from fastai.torch_core import set_seed
from fastai.vision.augment import Resize, aug_transforms
from fastai.vision.data import ImageDataLoaders
from fastai.vision.learner import vision_learner
from torchvision.models import resnet18

SIZE, BATCH, WORKERS = 128, 64, 2
HELD_OUT = 0.15  # as much as the other side keeps back
LAST_SECONDS = 10.0  # kept for the export
TIMED = 4  # batches


def loaders(folder: Path, seed: int) -> DataLoaders:
    """Batches from class folders."""
    return ImageDataLoaders.from_folder(
        folder,
        valid_pct=HELD_OUT,
        seed=seed,
        item_tfms=Resize(SIZE),
        batch_tfms=aug_transforms(),
        bs=BATCH,
        num_workers=WORKERS,
    )


def learner(folder: Path, seed: int) -> Learner:
    """resnet18 at its start."""
    return vision_learner(loaders(folder, seed), resnet18, pretrained=False, metrics=accuracy)


def epoch_seconds(folder: Path, seed: int) -> float:
    """About how long an epoch takes, from some batches after a first one."""
    trial = learner(folder, seed)
    trial.create_opt()
    trial.model.train()
    start, times = time.perf_counter(), []
    for inputs, labels in trial.dls.train:
        trial.loss_func(trial.model(inputs), labels).backward()
        trial.opt.step()
        trial.opt.zero_grad()
        times.append(time.perf_counter() - start)
        start = time.perf_counter()
        if len(times) > TIMED:
            break
    return sum(times[1:]) / (len(times) - 1) * len(trial.dls.train)


def fit(folder: Path, saved: Path, minutes: float, seed: int, started: float) -> dict[str, Any]:
    """Train for as many epochs as the time holds, and save."""
    set_seed(seed)
    each = epoch_seconds(folder, seed) * (1 + HELD_OUT / 3)  # the held-out pictures are looked at, not learned
    left = 60 * minutes - (time.perf_counter() - started) - LAST_SECONDS
    epochs = max(1, int(left / each))
    learn = learner(folder, seed)
    start = time.perf_counter()
    with learn.no_bar(), learn.no_logging():
        learn.fit_one_cycle(epochs)
    seconds = time.perf_counter() - start
    learn.export(saved)
    return {"training_seconds": seconds, "epochs": epochs}


def evaluate(folder: Path, saved: Path) -> dict[str, Any]:
    """How many of the pictures the saved model reads right."""
    learn = load_learner(saved)
    shown = learn.dls.test_dl(get_image_files(folder), with_labels=True)
    with learn.no_bar(), learn.no_logging():
        told, truth = learn.get_preds(dl=shown)
    return {"hits": int((told.argmax(1) == truth).sum()), "n": len(truth)}


def main() -> None:
    started = time.perf_counter()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", choices=["fit", "evaluate"])
    parser.add_argument("data", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    if asked.verb == "fit":
        told = fit(asked.data, asked.model, asked.minutes, asked.seed, started)
    else:
        told = evaluate(asked.data, asked.model)
    print(json.dumps(told))


if __name__ == "__main__":
    main()
