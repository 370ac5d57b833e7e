"""The convolutional network of the Keras image tutorial, on CIFAR-10 in Parquet: the peer of ``classic_cnn.py``.

As the tutorial in everything that affects the result (network, Adam at 1e-3, batches of 32, logits, pixels over 255,
the whole training file), without what would only cost it time: the test file is not evaluated during training.

    python benchmarks/keras_cnn.py fit TRAIN.parquet MODEL.keras --epochs 10
    python benchmarks/keras_cnn.py evaluate TEST.parquet MODEL.keras
"""

import argparse
import io
import json
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pyarrow.parquet as pq
from keras import layers
from PIL import Image


def read(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Pictures (N, 32, 32, 3) float32 in 0..1 and labels (N,) of a file in the Hugging Face image layout."""
    table = pq.read_table(path)
    encoded = table["image"].combine_chunks().field("bytes")
    pixels = np.empty((len(table), 32, 32, 3), np.uint8)
    for row, data in enumerate(encoded):
        pixels[row] = Image.open(io.BytesIO(data.as_py())).convert("RGB")
    return pixels / np.float32(255), table["label"].to_numpy()


def network(classes: int = 10) -> keras.Model:
    """Convolutions of 32, 64 and 64 filters of 3 × 3, pooling after the first two, dense 64, logits."""
    model = keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(64, 3, activation="relu"),
            layers.Flatten(),
            layers.Dense(64, activation="relu"),
            layers.Dense(classes),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=keras.optimizers.Adam(1e-3), loss=loss, metrics=["accuracy"])
    return model


def fit(data: Path, saved: Path, epochs: int, seed: int) -> dict[str, Any]:
    """Train as the tutorial does and save the model; returns the seconds of training alone."""
    keras.utils.set_random_seed(seed)
    pixels, labels = read(data)
    model = network()
    start = time.perf_counter()
    model.fit(pixels, labels, batch_size=32, epochs=epochs, verbose=0)
    seconds = time.perf_counter() - start
    model.save(saved)
    return {"training_seconds": seconds, "parameters": model.count_params()}


def evaluate(data: Path, saved: Path) -> dict[str, Any]:
    """How many of the pictures the saved model classifies correctly."""
    pixels, labels = read(data)
    logits = keras.saving.load_model(saved).predict(pixels, batch_size=500, verbose=0)
    return {"hits": int((logits.argmax(1) == labels).sum()), "n": len(labels)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", choices=["fit", "evaluate"])
    parser.add_argument("data", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    if args.verb == "fit":
        result = fit(args.data, args.model, args.epochs, args.seed)
    else:
        result = evaluate(args.data, args.model)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
