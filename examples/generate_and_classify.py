"""Generate pictures of each class and let a recognizer, trained on the same pictures, classify them.

    python examples/generate_and_classify.py photos/ models/ --minutes 10

The result is only as good as the recognizer: its own accuracy on real pictures is printed, too.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from diptych import GAN, VAE, Flow, Images, Recognizer, interplay

METHODS = {"flow": Flow, "gan": GAN, "vae": VAE}


def main(arguments: Sequence[str] | None = None) -> float:
    """Train both, generate, and print the share classified as the requested class; returns that share."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", default="digits")
    parser.add_argument("folder", nargs="?", type=Path, default=Path("models"))
    parser.add_argument("--method", choices=METHODS, default="flow")
    parser.add_argument("--per-class", type=int, default=20)
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--minutes", type=float)
    length.add_argument("--epochs", type=int)
    args = parser.parse_args(arguments)
    length_options = {"minutes": args.minutes, "epochs": args.epochs}

    train, test = Images.open(args.data).split(0.8, 0.2, seed=0)
    recognizer = Recognizer(**length_options).fit(train, into=args.folder / "recognizer")
    synthesizer = METHODS[args.method](**length_options).fit(train, into=args.folder / args.method)

    agreement = interplay.agreement(synthesizer, recognizer, per_class=args.per_class, seed=0)
    agreement.images.save(args.folder / f"{args.method}-generated")
    print(f"Accuracy on real pictures:                 {recognizer.evaluate(test).scores['accuracy']}")
    print(f"Generated pictures of the requested class: {agreement.total}")
    for name, score in agreement.per_class.items():
        print(f"  {name}: {score}")
    print(f"They are in {args.folder / f'{args.method}-generated'}")
    return agreement.total.value


if __name__ == "__main__":
    main()
