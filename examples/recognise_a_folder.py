"""Teach Diptych the classes of your own folder, see how far to trust it, and ask it about pictures.

    python examples/recognise_a_folder.py photos/ models/photos --minutes 5

``photos/`` holds one folder of pictures for each class. Without any argument the built-in digits are used. Run it
again after an interruption and it continues.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from diptych import Images, Recognizer, Report


def main(arguments: Sequence[str] | None = None) -> Report:
    """Inspect, train, judge on pictures that were locked away; returns that report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", default="digits")
    parser.add_argument("model", nargs="?", type=Path, default=Path("models/example"))
    parser.add_argument("--network", default="auto")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--minutes", type=float)
    length.add_argument("--epochs", type=int)
    asked = parser.parse_args(arguments)

    images = Images.open(asked.data)
    print(images.inspect())
    # A fifth is locked away: the recognizer validates on a part of the rest, and never sees these.
    train, test = images.split(0.8, 0.2, seed=0)
    recognizer = Recognizer(asked.network, minutes=asked.minutes, epochs=asked.epochs)
    recognizer.fit(train, into=asked.model)

    report = recognizer.evaluate(test)
    print(report)
    few = test[:8]
    told = recognizer.predict(few)
    for path, name, confidence in zip(few.paths, told.names, told.confidence, strict=True):
        print(f"{path}: {name} ({float(confidence):.0%} sure)")
    print(f"The model, with a report to look at, is in {asked.model}")
    return report


if __name__ == "__main__":
    main()
