"""Planted leaks: whether `audit privacy` finds them, and is silent where nothing leaks.

by heart  a recognizer of tinted noise with labels at random: it can only learn each picture's own label. Its network is
          a linear layer on waves over the mean colour, and it has 100 training pictures; 300 others are unseen. Audited
          with two reference models and 100 canaries. Then the same with ε = 1: it must not be flagged, and the
          canaries' bound must stay under the ε of both accountants.

clean     a recognizer of 1,200 digits, fitted for eight epochs as usual, audited with the 597 others.

copying   a program that gives out its 200 training pictures (digits), a little brighter or darker; and one that gives
          out other pictures of the same kind, which must not be flagged.

flow      a flow that was shown 60 digits 400 times, and the same with ε = 1.

    python benchmarks/planted_privacy.py
    python benchmarks/planted_privacy.py --seeds 2 --only clean

A part that is not run keeps its rows from the previous run. Seeds below 10 were used while the rules of the audit were
made.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from typing import Any

import common
import measure
import numpy as np
import torch
from common import Row
from torch import nn

DELTA = 1e-5
FLOW_EPOCHS = 400
FLAGGED = ("leaks", "copies", "promise_broken")


class Waves(nn.Module):
    """A linear layer on waves over the mean colour, which says little of a colour that it was not trained on."""

    def __init__(self, classes: int, size: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.register_buffer("frequencies", 12 * torch.randn(3, 1024, generator=generator))
        self.register_buffer("phases", 2 * torch.pi * torch.rand(1024, generator=generator))
        self.head = nn.Linear(1024, classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(B, 3, S, S) pictures to (B, K) logits."""
        return self.head(torch.cos(images.mean((2, 3)) @ self.frequencies + self.phases))


class Repeating:
    """A program that gives out pictures of a set, a little brighter or darker."""

    def __init__(self, pictures: Any) -> None:
        self.pixels = pictures.pixels(8).permute(0, 2, 3, 1).numpy().astype(int)

    def sample(self, n: int, *, seed: int = 0) -> Any:
        """``n`` of them, by the seed."""
        from diptych import Images

        draw = np.random.default_rng(seed)
        pixels = self.pixels[draw.integers(0, len(self.pixels), n)] + draw.integers(-4, 5, (n, 1, 1, 1))
        return Images.from_arrays(pixels.clip(0, 255).astype(np.uint8), origins=np.full(n, "synthetic"))


def tinted(n: int, seed: int) -> Any:
    """Noise about a colour each, of four classes at random."""
    from diptych import Images

    draw = np.random.default_rng(seed)
    pixels = draw.integers(40, 216, (n, 1, 1, 3)) + draw.integers(-40, 40, (n, 8, 8, 3))
    return Images.from_arrays(pixels.astype(np.uint8), draw.integers(0, 4, n), classes=("a", "b", "c", "d"))


def digits(seed: int, *lengths: int) -> list[Any]:
    """Parts of the digits of these lengths, drawn by the seed."""
    from diptych import Images

    pictures = Images.open("digits")
    rows = np.split(np.random.default_rng(seed).permutation(len(pictures)), np.cumsum(lengths))
    return [pictures[part] for part in rows[: len(lengths)]]


def outcome(report: Any, promise: Row | None = None) -> Row:
    """The verdict and the scores that it rests on."""
    found, alarms = report.scores["training_pictures_found"], report.scores["false_alarms"]
    row = {"verdict": report.verdict.word, "found": found.json(), "false_alarms": alarms.json()}
    if "canaries" in report.facts:
        row |= {"canaries": report.facts["canaries"], "accountants": promise or {}}
    return row


def by_heart(seed: int, epsilon: float | None) -> Row:
    """A recognizer that can only learn by heart, without a promise or with one."""
    from diptych import Recognizer, audit

    pictures = tinted(600, seed)
    seen, unseen, validation = pictures[:100], pictures[100:400], pictures[400:]
    private = {} if epsilon is None else {"epsilon": epsilon, "delta": DELTA}
    options = {"size": 8, "epochs": 40, "batch": 50, "imbalance": "none", "seed": seed, **private}
    model = Recognizer(Waves, **options).fit(seen, validate=validation)
    report = audit.privacy(model, seen=seen, unseen=unseen, references=2, canaries=100, seed=seed)
    return outcome(report, model.facts_.get("privacy"))


def clean(seed: int, epsilon: float | None) -> Row:
    """A recognizer that is fitted as usual."""
    from diptych import Recognizer, audit

    seen, unseen = digits(seed, 1200, 597)
    model = Recognizer("convnet", size=8, epochs=8, seed=seed).fit(seen)
    return outcome(audit.privacy(model, seen=seen, unseen=unseen, references=2, seed=seed))


def copying(seed: int, epsilon: float | None) -> Row:
    """A program that repeats what it has seen."""
    from diptych import audit

    seen, unseen = digits(seed, 200, 400)
    return outcome(audit.privacy(Repeating(seen), seen=seen, unseen=unseen, seed=seed))


def not_copying(seed: int, epsilon: float | None) -> Row:
    """A program that gives out pictures of the same kind that it has not seen."""
    from diptych import audit

    seen, unseen, others = digits(seed, 200, 400, 1197)
    return outcome(audit.privacy(Repeating(others), seen=seen, unseen=unseen, seed=seed))


def flow(seed: int, epsilon: float | None) -> Row:
    """A flow that is shown few pictures very often."""
    from diptych import Flow, audit

    seen, unseen, validation = digits(seed, 60, 300, 40)
    private = {} if epsilon is None else {"epsilon": epsilon, "delta": DELTA}
    model = Flow(size=8, epochs=FLOW_EPOCHS, steps=8, seed=seed, **private).fit(seen, validate=validation)
    report = audit.privacy(model, seen=seen, unseen=unseen, references=2, number=200, seed=seed)
    return outcome(report, None)


Case = tuple[str, Callable[[int, float | None], Row], float | None, bool]
PARTS: dict[str, list[Case]] = {  # of each part its cases: name, run, ε, whether it is to be flagged
    "heart": [("by heart", by_heart, None, True), ("by heart, ε = 1", by_heart, 1.0, False)],
    "clean": [("clean", clean, None, False)],
    "copying": [("copying", copying, None, True), ("not copying", not_copying, None, False)],
    "flow": [("flow, few pictures", flow, None, True), ("flow, ε = 1", flow, 1.0, False)],
}
CASES = {name: flagged for cases in PARTS.values() for name, _, _, flagged in cases}


def run(args: argparse.Namespace) -> list[Row]:
    """All seeds of the parts that were asked for."""
    rows = []
    for part in [args.only] if args.only else PARTS:
        for name, case, epsilon, _ in PARTS[part]:
            for seed in range(args.first, args.first + args.seeds):
                started = time.monotonic()
                rows.append({"case": name, "part": part, "seed": seed, **case(seed, epsilon)})
                rows[-1]["seconds"] = time.monotonic() - started
                print(rows[-1], file=sys.stderr, flush=True)
    return rows


def table(rows: list[Row]) -> list[str]:
    """A line for each case."""
    lines = []
    for name, flagged in CASES.items():
        own = [row for row in rows if row["case"] == name]
        if not own:
            continue
        right = sum((row["verdict"] in FLAGGED) == flagged for row in own)
        verdicts = ", ".join(sorted({row["verdict"] for row in own}))
        rates = [f"{row['found']['value']:.1%}" for row in own]
        bounds = [row["canaries"]["epsilon at least"] for row in own if "canaries" in row]
        seconds = f"{np.mean([row['seconds'] for row in own]):.0f}"
        canaries = f"{min(bounds):.2f} to {max(bounds):.2f}" if bounds else ""
        words = "flagged" if flagged else "not flagged"
        found = f"{min(rates, key=_share)} to {max(rates, key=_share)}"
        lines.append([name, words, f"{right} of {len(own)}", verdicts, found, canaries, seconds])
    columns = ["case", "to be", "so it is", "verdicts", "training pictures found", "ε at least, by canaries", "seconds"]
    return common.table(columns, lines)


def _share(text: str) -> float:
    return float(text.removesuffix("%"))


def summary(rows: list[Row]) -> str:
    """What it comes to on promises, in sentences."""
    private = [row for row in rows if row.get("accountants")]
    if not private:
        return "No private model was audited."
    under = 0
    gaps = []
    for row in private:
        promise = row["accountants"]
        both = promise["epsilon_prv"], promise["epsilon_pld"]
        under += row["canaries"]["epsilon at least"] <= min(both)
        gaps.append(abs(both[0] - both[1]) / max(both))
    return (
        f"The canaries' bound lies under the ε of both accountants in {under} of {len(private)} runs with ε = 1; the "
        f"accountants differ by {max(gaps):.1%} at most."
    )


def main() -> None:
    parser = common.arguments(__doc__, "planted_privacy")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first", type=int, default=10, help="the first seed; those below 10 were used in development")
    parser.add_argument("--only", choices=tuple(PARTS))
    args = parser.parse_args()
    rows = run(args)
    stored = args.out.with_suffix(".json")
    if args.only and stored.exists():
        earlier = json.loads(stored.read_text(encoding="utf-8"))["runs"]
        rows = [row for row in earlier if row["part"] != args.only] + rows
    about, _, rules = (__doc__ or "").partition("\n\n    python")
    parts = [" ".join(text.split()) for text in (*about.split("\n\n")[1:], rules.split("\n\n", 1)[1])]
    common.publish(
        args.out,
        "Planted leaks",
        "\n\n".join(parts),
        [*table(rows), "", summary(rows)],
        f"python benchmarks/planted_privacy.py --first {args.first} --seeds {args.seeds}",
        machine=measure.hardware("torch", "numpy", "opacus"),
        runs=rows,
    )


if __name__ == "__main__":
    main()
