"""Private training: what a promise costs, in accuracy and in seconds a step, beside the same without and beside Opacus.

digits     digits of 8 px, 1,400 to train on, the other 397 to test on. Recognizers with ε = 8 and 1, and without a
           promise; beside them Opacus' MNIST example (its network, and its loop with SGD, on the same pictures, with
           the same ε by the same accountant).

flows      the same digits: a flow with ε = 8 and 1, and without, of 25 epochs; accuracy on real digits of a recognizer
           trained on 400 of its samples alone (CAS).

steps      seconds of a private step of the network of Opacus' example on 256 pictures: in our loop and in Opacus',
           by turns; the ratio of the medians.

pets       cats and dogs, a fifth of them to test on: the last layer on the built-in backbone, with ε = 1 and by the
           plain last layer (logistic regression, the penalty by a fifth of the training pictures).

    python benchmarks/private_training.py folder     # cats-dogs/
    python benchmarks/private_training.py folder --seeds 2 --only pets

A part that is not run keeps its rows from the previous run. Seeds below 10 were used while the defaults of private
training were chosen. δ is 1e-5 throughout. Of Opacus' example batch and epochs
are as for 1,400 digits: batches of 64, 15 epochs, learning rate 0.1 and 0.5, whichever is better on average.
"""

import json
import sys
import time
import warnings
from pathlib import Path
from statistics import fmean, median
from typing import Any

import common
import measure
import numpy as np
import torch
from common import Row
from torch import nn
from torch.nn import functional as F

DELTA = 1e-5
TRAINING = 1400
EPSILONS = (8.0, 1.0)
PEER_BATCH, PEER_EPOCHS, PEER_RATES = 64, 15, (0.1, 0.5)
REPEATS, STEP_PICTURES = 9, 256
FLOW_EPOCHS, SAMPLES = 25, 400


class ExampleNetwork(nn.Module):
    """The network of Opacus' MNIST example, its kernels as large as 8 px allow."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 5, 1, padding=2)
        self.conv2 = nn.Conv2d(16, 32, 3, 1)
        self.fc1, self.fc2 = nn.Linear(32 * 1 * 1, 32), nn.Linear(32, 10)

    def forward(self, x: Any) -> Any:
        """Logits."""
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        return self.fc2(F.relu(self.fc1(x.flatten(1))))


class Task:
    """The example's network as a task of our loop."""

    def __init__(self, network: nn.Module) -> None:
        self.network = network

    def modules(self) -> Any:
        """As the engine asks."""
        return {"network": self.network}

    def players(self) -> Any:
        """As the engine asks."""
        return {"network": list(self.network.parameters())}

    def optimizers(self) -> Any:
        """Plain gradient descent."""
        return {"network": [torch.optim.SGD(self.network.parameters(), lr=0.1)]}

    def losses(self, images: Any, labels: Any) -> Any:
        """Cross-entropy."""
        yield "network", F.cross_entropy(self.network(images), labels)

    def compilable(self) -> Any:
        """None."""
        return []

    def before_step(self, progress: float) -> None:
        """Nothing depends on the progress."""


def split_digits(seed: int) -> tuple[Any, Any]:
    """Training pictures, and the others."""
    from diptych import Images

    digits = Images.open("digits")
    rows = np.random.default_rng(seed).permutation(len(digits))
    return digits[rows[:TRAINING]], digits[rows[TRAINING:]]


def tensors(images: Any) -> tuple[Any, Any]:
    return images.pixels(8).float() / 127.5 - 1, torch.tensor(images.labels)


def opacus_loop(training: Any, epsilon: float, epochs: int, batch: int, rate: float, seed: int) -> nn.Module:
    """Opacus' own loop: PrivacyEngine, SGD, Poisson batches; its noise by its PRV accountant."""
    from opacus import PrivacyEngine

    torch.manual_seed(seed)
    network = ExampleNetwork()
    data = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(*tensors(training)), batch_size=batch)
    private, optimizer, loader = PrivacyEngine(accountant="prv").make_private_with_epsilon(
        module=network,
        optimizer=torch.optim.SGD(network.parameters(), lr=rate),
        data_loader=data,
        target_epsilon=epsilon,
        target_delta=DELTA,
        epochs=epochs,
        max_grad_norm=1.0,
    )
    private.train()
    for _ in range(epochs):
        for images, labels in loader:
            optimizer.zero_grad()
            F.cross_entropy(private(images), labels).backward()
            optimizer.step()
    return network.eval()


def accuracy(network: nn.Module, images: Any) -> float:
    pixels, labels = tensors(images)
    with torch.no_grad():
        return float((network(pixels).argmax(1) == labels).float().mean())


def digits(seed: int) -> list[Row]:
    """One seed: a row for each ε, and one without."""
    from diptych import Recognizer

    training, test = split_digits(seed)
    rows = []
    for epsilon in (*EPSILONS, None):
        start = time.monotonic()
        ours = Recognizer("groupnet", size=8, seed=seed, epsilon=epsilon, delta=epsilon and DELTA).fit(training)
        seconds = time.monotonic() - start
        row: Row = {"seed": seed, "epsilon": epsilon, "recognizer": ours.score(test), "seconds": seconds}
        if epsilon is not None:
            row["budget"] = ours.facts_["privacy"]
            row["opacus"] = [
                accuracy(opacus_loop(training, epsilon, PEER_EPOCHS, PEER_BATCH, rate, seed), test)
                for rate in PEER_RATES
            ]
        print(row, file=sys.stderr, flush=True)
        rows.append(row)
    return rows


def flows(seed: int) -> list[Row]:
    """One seed: a flow for each ε, and one without."""
    from diptych import Flow
    from diptych.interplay.cas import classification_accuracy_score

    training, test = split_digits(seed)
    rows = []
    for epsilon in (*EPSILONS, None):
        start = time.monotonic()
        flow = Flow(size=8, seed=seed, epsilon=epsilon, delta=epsilon and DELTA, epochs=FLOW_EPOCHS).fit(training)
        seconds = time.monotonic() - start
        score = classification_accuracy_score(flow.sample(SAMPLES, seed=1), test, 8, seeds=1)
        cas = None if score is None else score.total.value
        rows.append({"seed": seed, "epsilon": epsilon, "cas": cas, "seconds": seconds})
        print(rows[-1], file=sys.stderr, flush=True)
    return rows


def steps() -> Row:
    """Seconds of a private step in our loop and in Opacus', by turns."""
    from opacus import PrivacyEngine

    from diptych.engine.privacy.budget import Budget
    from diptych.engine.privacy.private_run import PrivateRun
    from diptych.engine.task import Recipe

    training, _ = split_digits(0)
    pixels, labels = tensors(training)
    drawn, wanted = pixels[:STEP_PICTURES], labels[:STEP_PICTURES]
    network = ExampleNetwork()
    data = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(pixels, labels), batch_size=STEP_PICTURES)
    private, optimizer, _ = PrivacyEngine().make_private(
        module=network,
        optimizer=torch.optim.SGD(network.parameters(), lr=0.1),
        data_loader=data,
        noise_multiplier=1.0,
        max_grad_norm=1.0,
    )

    def theirs() -> None:
        optimizer.zero_grad()
        F.cross_entropy(private(drawn), wanted).backward()
        optimizer.step()

    count = 10_000
    budget = Budget(8.0, DELTA, 8.0, 8.0, STEP_PICTURES / TRAINING, 1.0, count, 1.0)
    recipe = Recipe(batch=STEP_PICTURES, pictures=count * STEP_PICTURES)
    run = PrivateRun(Task(ExampleNetwork()), training, size=8, recipe=recipe, budget=budget)
    bytes_drawn, turns = training.pixels(8)[:STEP_PICTURES], torch.zeros(STEP_PICTURES, dtype=torch.int64)

    def ours() -> None:
        run._train_step(bytes_drawn, wanted, turns)

    from diptych.engine.privacy.gradients import gradients_of_pictures

    seconds: dict[str, list[float]] = {"ours": [], "opacus": []}
    with gradients_of_pictures(run.modules.values()):
        run._set_training(True)
        for repeat in range(REPEATS + 1):
            for name, step in (("ours", ours), ("opacus", theirs)):
                start = time.perf_counter()
                for _ in range(5):
                    step()
                if repeat:  # the first warms up
                    seconds[name].append((time.perf_counter() - start) / 5)
    return {name: median(times) for name, times in seconds.items()}


def pets(folder: Path, seeds: range) -> list[Row]:
    """Each seed: accuracy of the private last layer and of the plain one, on the same features."""
    from diptych import Images
    from diptych.engine.privacy.budget import Budget
    from diptych.engine.privacy.secret_randomness import new_secret
    from diptych.recognition.inference.embedder import Embedder
    from diptych.recognition.training.private.private_config import CLIP, HEAD_STEPS
    from diptych.recognition.training.private.private_last_layer import private_regression
    from diptych.recognition.training.transfer.logistic_regression import LabelledFeatures, LogisticRegression

    images = Images.open(folder / "cats-dogs")
    embedder = Embedder.from_backbone("lite0")
    features = F.normalize(embedder.outputs(images).features, dim=1)
    everything = LabelledFeatures(features, torch.tensor(images.labels))
    count = round(0.8 * len(images))
    budget = Budget.plan(1.0, DELTA, pictures=count, batch=count, steps=HEAD_STEPS, clip=CLIP)
    rows = []
    for seed in seeds:
        order = torch.from_numpy(np.random.default_rng(seed).permutation(len(images)))
        training, test = everything[order[:count]], everything[order[count:]]
        private = private_regression(training.features, training.labels, 2, budget, new_secret())
        penalty, _ = LogisticRegression(training[torch.arange(count // 5, count)], 2).search(
            training[torch.arange(count // 5)]
        )
        plain = LogisticRegression(training, 2).fit(penalty)
        hits = [
            float((head.logits(test.features).argmax(1) == test.labels).float().mean()) for head in (private, plain)
        ]
        rows.append({"seed": seed, "private": hits[0], "plain": hits[1], "n": len(test.labels)})
        print(rows[-1], file=sys.stderr, flush=True)
    return rows


def spread(values: list[float]) -> str:
    """The mean, with the lowest and the highest."""
    return f"{fmean(values):.1%} ({min(values):.1%} to {max(values):.1%})"


def digits_table(rows: list[Row]) -> list[str]:
    lines = []
    for epsilon in (*EPSILONS, None):
        of = [row for row in rows if row["epsilon"] == epsilon]
        peers = [max(fmean(column) for column in zip(*(row["opacus"] for row in of), strict=True))] if epsilon else []
        budget = of[0].get("budget")
        lines.append(
            [
                "none" if epsilon is None else f"{epsilon:g}",
                f"{budget['epsilon_prv']:.3f}, {budget['epsilon_pld']:.3f}" if budget else "",
                spread([row["recognizer"] for row in of]),
                f"{peers[0]:.1%}" if peers else "",
                f"{median([row['seconds'] for row in of]):.0f}",
                len(of),
            ]
        )
    return common.table(["ε", "PRV, PLD", "recognizer", "Opacus' example", "seconds of fit", "seeds"], lines)


def flows_table(rows: list[Row]) -> list[str]:
    lines = []
    for epsilon in (*EPSILONS, None):
        of = [row for row in rows if row["epsilon"] == epsilon]
        name = "none" if epsilon is None else f"{epsilon:g}"
        cas = spread([row["cas"] for row in of if row["cas"] is not None])
        lines.append([name, cas, f"{median([row['seconds'] for row in of]):.0f}"])
    return common.table(["ε", "flow: CAS", "seconds of fit"], lines)


def main() -> None:
    parser = common.arguments(__doc__, "private_training")
    parser.add_argument("folder", type=Path, help="the folder with cats-dogs/")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first", type=int, default=10, help="the first seed")
    parser.add_argument("--only", choices=("digits", "flows", "steps", "pets"))
    args = parser.parse_args()
    warnings.filterwarnings("ignore", module="opacus|torch")
    stored = args.out.with_suffix(".json")
    earlier = json.loads(stored.read_text(encoding="utf-8")) if args.only and stored.exists() else {}
    seeds = range(args.first, args.first + args.seeds)
    parts = {
        "pets": lambda: pets(args.folder, seeds),
        "steps": steps,
        "runs": lambda: [row for seed in seeds for row in digits(seed)],
        "flows": lambda: [row for seed in seeds for row in flows(seed)],
    }
    wanted = {"digits": "runs"}.get(args.only, args.only)
    results = {name: part() if wanted in (None, name) else earlier.get(name) for name, part in parts.items()}
    lines = []
    if results["runs"]:
        lines += [*digits_table(results["runs"]), ""]
    if results["flows"]:
        lines += [*flows_table(results["flows"]), ""]
    if results["steps"]:
        ours, theirs = results["steps"]["ours"], results["steps"]["opacus"]
        lines += [
            f"A private step takes {1000 * ours:.0f} ms in our loop and {1000 * theirs:.0f} ms in Opacus': "
            f"{ours / theirs:.2f} times as long.",
            "",
        ]
    if results["pets"]:
        of = results["pets"]
        lines.append(
            f"Cats and dogs with ε = 1: {spread([row['private'] for row in of])} of {of[0]['n']} pictures are right, "
            f"and {spread([row['plain'] for row in of])} by the plain last layer ({len(of)} draws)."
        )
    about, _, rules = (__doc__ or "").partition("\n\n    python")
    texts = [" ".join(text.split()) for text in (*about.split("\n\n")[1:], rules.split("\n\n", 1)[1])]
    common.publish(
        args.out,
        "Private training",
        "\n\n".join(texts),
        lines,
        f"python benchmarks/private_training.py folder --seeds {args.seeds}",
        machine=measure.hardware("torch", "opacus", "dp-accounting", "numpy"),
        **results,
    )


if __name__ == "__main__":
    main()
