"""Train a recognizer on your own folder, evaluate it, and predict pictures.

    python examples/recognise_a_folder.py photos/ models/photos --minutes 5

``photos/`` holds one folder of pictures for each class. Without any argument the built-in digits are used. Run it
again after an interruption and it continues.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from diptych import Images, Recognizer, Report


def main(arguments: Sequence[str] | None = None) -> Report:
    """Inspect, train, evaluate on a held-out test set; returns that report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", default="digits")
    parser.add_argument("model", nargs="?", type=Path, default=Path("models/example"))
    parser.add_argument("--network", default="auto")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--minutes", type=float)
    length.add_argument("--epochs", type=int)
    args = parser.parse_args(arguments)

    images = Images.open(args.data)
    print(images.inspect())
    # A fifth is held out for the test: the recognizer validates on a part of the rest, and never sees these.
    train, test = images.split(0.8, 0.2, seed=0)
    recognizer = Recognizer(args.network, minutes=args.minutes, epochs=args.epochs)
    recognizer.fit(train, into=args.model)

    report = recognizer.evaluate(test)
    print(report)
    sample = test[:8]
    predictions = recognizer.predict(sample)
    for path, name, confidence in zip(sample.paths, predictions.names, predictions.confidence, strict=True):
        print(f"{path}: {name} (confidence {float(confidence):.0%})")
    print(f"The model and its report.html are in {args.model}")
    return report


if __name__ == "__main__":
    main()
