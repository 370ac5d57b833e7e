"""Make pictures of each class and let a recognizer, trained on the same pictures, judge them.

    python examples/make_and_judge.py photos/ models/ --minutes 10

The recognizer's word is only as good as the recognizer: its own score on real pictures is printed beside.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from diptych import GAN, VAE, Flow, Images, Recognizer, interplay

METHODS = {"flow": Flow, "gan": GAN, "vae": VAE}


def main(arguments: Sequence[str] | None = None) -> float:
    """Train both, make pictures, and print how many are read as asked for; returns that share."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", default="digits")
    parser.add_argument("folder", nargs="?", type=Path, default=Path("models"))
    parser.add_argument("--method", choices=METHODS, default="flow")
    parser.add_argument("--per-class", type=int, default=20)
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--minutes", type=float)
    length.add_argument("--epochs", type=int)
    asked = parser.parse_args(arguments)
    dials = {"minutes": asked.minutes, "epochs": asked.epochs}

    train, test = Images.open(asked.data).split(0.8, 0.2, seed=0)
    recognizer = Recognizer(**dials).fit(train, into=asked.folder / "judge")
    synthesizer = METHODS[asked.method](**dials).fit(train, into=asked.folder / asked.method)

    agreement = interplay.agreement(synthesizer, recognizer, per_class=asked.per_class, seed=0)
    agreement.images.save(asked.folder / f"{asked.method}-made")
    print(f"Real pictures read right:          {recognizer.evaluate(test).scores['accuracy']}")
    print(f"Made pictures read as asked for:   {agreement.total}")
    for name, score in agreement.per_class.items():
        print(f"  {name}: {score}")
    print(f"They are in {asked.folder / f'{asked.method}-made'}")
    return agreement.total.value


if __name__ == "__main__":
    main()
