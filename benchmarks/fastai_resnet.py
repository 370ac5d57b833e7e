"""resnet18 from scratch on folders of photographs, trained with fastai: the peer of photographs_from_scratch.py.

``vision_learner`` without pretrained weights, the usual augmentation (``aug_transforms``), one-cycle, 128 px. The
number of epochs is as many as fit into the minutes, from the time of some batches.

    python benchmarks/fastai_resnet.py fit TRAIN-FOLDER MODEL.pkl --minutes 10
    python benchmarks/fastai_resnet.py evaluate TEST-FOLDER MODEL.pkl
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

from fastai.callback import progress, schedule  # noqa: F401 - they add the progress bar and one-cycle to the learner
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
HELD_OUT = 0.15  # the same share as Diptych holds out
EXPORT_SECONDS = 10.0  # reserved for the export
TIMED_BATCHES = 4


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
    """resnet18 with random weights."""
    return vision_learner(loaders(folder, seed), resnet18, pretrained=False, metrics=accuracy)


def epoch_seconds(folder: Path, seed: int) -> float:
    """The estimated seconds of an epoch, from some batches after a warm-up one."""
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
        if len(times) > TIMED_BATCHES:
            break
    return sum(times[1:]) / (len(times) - 1) * len(trial.dls.train)


def fit(folder: Path, saved: Path, minutes: float, seed: int, started: float) -> dict[str, Any]:
    """Train for as many epochs as fit into the time, and save."""
    set_seed(seed)
    # Held-out pictures need the forward pass only, a third of a step.
    seconds_per_epoch = epoch_seconds(folder, seed) * (1 + HELD_OUT / 3)
    seconds_left = 60 * minutes - (time.perf_counter() - started) - EXPORT_SECONDS
    epochs = max(1, int(seconds_left / seconds_per_epoch))
    learn = learner(folder, seed)
    start = time.perf_counter()
    with learn.no_bar(), learn.no_logging():
        learn.fit_one_cycle(epochs)
    seconds = time.perf_counter() - start
    learn.export(saved)
    return {"training_seconds": seconds, "epochs": epochs}


def evaluate(folder: Path, saved: Path) -> dict[str, Any]:
    """How many of the pictures the saved model classifies correctly."""
    learn = load_learner(saved)
    test = learn.dls.test_dl(get_image_files(folder), with_labels=True)
    with learn.no_bar(), learn.no_logging():
        probabilities, targets = learn.get_preds(dl=test)
    return {"hits": int((probabilities.argmax(1) == targets).sum()), "n": len(targets)}


def main() -> None:
    started = time.perf_counter()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", choices=["fit", "evaluate"])
    parser.add_argument("data", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    if args.verb == "fit":
        result = fit(args.data, args.model, args.minutes, args.seed, started)
    else:
        result = evaluate(args.data, args.model)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
