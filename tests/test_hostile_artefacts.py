"""Damaged and hostile models and records: a sentence with the place, exit code 3, at once and in little memory."""

import hashlib
import json
import os
import re
import resource
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save

from diptych.cli import app

KINDS = ("recognizer", "gan", "vae", "flow")
MAX_SECONDS, MAX_GROWTH = 2.0, 10**9  # of processor time; bytes
Damage = Callable[[Path], object]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny model of each kind, and the pictures that they were fitted on."""
    root = tmp_path_factory.mktemp("models")
    for i, name in enumerate(("red", "green")):
        (root / "colours" / name).mkdir(parents=True)
        for j in range(8):
            pixels = np.random.default_rng(100 * i + j).integers(0, 90, (8, 8, 3)).astype(np.uint8)
            pixels[..., i] += 150
            Image.fromarray(pixels).save(root / "colours" / name / f"{j}.png")
    for kind in KINDS:
        network = ["--network", "convnet"] if kind == "recognizer" else []
        fit = ["fit", kind, str(root / "colours"), "-o", str(root / kind), "--size", "8", "--epochs", "1", "-q"]
        assert app.run([*fit, *network]) == 0
    return root


def _facts(place: str, value: Any = ..., file: str = "model.json") -> Damage:
    """Sets what is at a place of the file, as "layout.width"; ``...``: removes it."""

    def damage(model: Path) -> None:
        record = json.loads((model / file).read_text(encoding="utf-8"))
        *parents, last = place.split(".")
        inside = record
        for name in parents:
            inside = inside[int(name) if isinstance(inside, list) else name]
        key = int(last) if isinstance(inside, list) else last
        if value is ...:
            del inside[key]
        else:
            inside[key] = value
        (model / file).write_text(json.dumps(record), encoding="utf-8")

    return damage


def _text(text: str | bytes, file: str = "model.json") -> Damage:
    return lambda model: (model / file).write_bytes(text if isinstance(text, bytes) else text.encode())


def _replaced(old: str, new: str, file: str = "model.json") -> Damage:
    def damage(model: Path) -> None:
        text = (model / file).read_text(encoding="utf-8")
        assert old in text
        (model / file).write_text(text.replace(old, new, 1), encoding="utf-8")

    return damage


def _tensors(change: Callable[[dict[str, torch.Tensor]], object], file: str = "weights.safetensors") -> Damage:
    """Changes tensors, and the checksum with them, as somebody would who means harm."""

    def damage(model: Path) -> None:
        tensors = load_file(model / file)
        change(tensors)
        _bytes(save(tensors), file)(model)

    return damage


def _bytes(packed: bytes, file: str = "weights.safetensors") -> Damage:
    def damage(model: Path) -> None:
        (model / file).write_bytes(packed)
        digest = hashlib.sha256(packed).hexdigest()
        place = "weights_sha256" if file == "weights.safetensors" else "extra_sha256"
        _facts(place, digest if place == "weights_sha256" else {file: digest})(model)

    return damage


def _linked(target: str, file: str) -> Damage:
    def damage(model: Path) -> None:
        (model / file).unlink()
        (model / file).symlink_to(target)

    return damage


def _pipe(file: str) -> Damage:
    def damage(model: Path) -> None:
        (model / file).unlink()
        os.mkfifo(model / file)

    return damage


def _folder(file: str) -> Damage:
    def damage(model: Path) -> None:
        (model / file).unlink()
        (model / file).mkdir()

    return damage


def _first(tensors: dict[str, torch.Tensor]) -> str:
    return next(name for name in sorted(tensors) if tensors[name].is_floating_point() and tensors[name].dim() > 1)


def _filled(value: float) -> Callable[[dict[str, torch.Tensor]], object]:
    return lambda tensors: tensors[_first(tensors)].fill_(value)


def _renamed(tensors: dict[str, torch.Tensor]) -> None:
    for name in list(tensors):
        tensors[name.rpartition(".")[2] + "." + name] = tensors.pop(name)


def _halved(tensors: dict[str, torch.Tensor]) -> None:
    tensors[_first(tensors)] = tensors[_first(tensors)].half()


def _transposed(tensors: dict[str, torch.Tensor]) -> None:
    tensors[_first(tensors)] = tensors[_first(tensors)].transpose(0, 1).contiguous().clone()[:1]


EVERY_KIND = {
    "no list of classes": (_facts("classes", "red"), r'\$\.classes is "red", not a list'),
    "a class that is a number": (_facts("classes.0", 3), r"\$\.classes\[0\] is 3, not a text"),
    "one class more": (_facts("classes", ["a", "b", "c"]), r"classes|head"),
    "a class twice": (_facts("classes", ["a", "a"]), "classes"),
    "a size below all": (_facts("size", -3), r"\$\.size is -3, not a whole number ≥ 8"),
    "a size that is a text": (_facts("size", "8"), r'\$\.size is "8", not a whole number'),
    "a size that is true": (_facts("size", True), r"\$\.size is true"),
    "a size of a billion": (_facts("size", 10**9), r"\$\.size is 1000000000"),
    "a number without end": (_replaced('"size": 8', '"size": 1' + "0" * 5000), "too large"),
    "a number that no float holds": (_replaced('"seconds": ', '"seconds": 1e999, "x": '), "1e999 is too large"),
    "not a number": (_replaced('"seconds": ', '"seconds": NaN, "x": '), "NaN is no number of JSON"),
    "infinite": (_replaced('"seconds": ', '"seconds": -Infinity, "x": '), "Infinity is no number"),
    "a key twice": (_replaced('"size": 8', '"size": 8, "size": 64'), '"size" is there twice'),
    "no size": (_facts("size"), r"\$\.size is missing"),
    "a setting that there is not": (_facts("parameters.frobnicate", 1), r"\$\.parameters\.frobnicate"),
    "a setting out of range": (_facts("parameters.seed", "x"), r"\$\.parameters: seed"),
    "no settings": (_facts("parameters", [1]), r"\$\.parameters is a list, not an object"),
    "no network": (_facts("network"), r"\$\.network is missing"),
    "scores that are a text": (_facts("scores", "good"), r'\$\.scores is "good"'),
    "a verdict that is a list": (_facts("verdict", [1]), r"\$\.verdict is a list"),
    "pictures below none": (_facts("seen_pictures", -1), r"\$\.seen_pictures is -1"),
    "extensions of nothing": (_facts("extensions", [{}]), r"\$\.extensions\[0\]\.minutes is missing"),
    "files outside the folder": (_facts("extra_sha256", {"../x": "0"}), r"\$\.extra_sha256"),
    "no format": (_facts("format", None), "format and kind are missing"),
    "a kind that is a list": (_facts("kind", ["gan"]), "format and kind are missing"),
    "data that is a list": (_text("[]", "data.json"), "data.json: it is not a JSON object"),
    "a name that is no name": (_facts("skipped", [3], "data.json"), r"data\.json: \$\.skipped\[0\] is 3"),
    "nothing": (_text(""), "not valid JSON"),
    "a list": (_text("[]"), "not a JSON object"),
    "lists without end": (_text("[" * 10**6), "more than 64 levels"),
    "objects without end": (_text('{"a":' * 10**5 + "1" + "}" * 10**5), "more than 64 levels"),
    "bytes": (_text(b"\xff\xfe\x00\x01"), "not UTF-8"),
    "half a file": (lambda model: os.truncate(model / "model.json", 99), "not valid JSON"),
    "no bytes of weights": (_bytes(b""), "weights.safetensors"),
    "a header of 2⁶³ bytes": (_bytes(b"\xff" * 7 + b"\x7f" + b"{}"), "weights.safetensors"),
    "a header of lists": (_bytes((10**5).to_bytes(8, "little") + b"[" * 10**5), "weights.safetensors"),
    "no tensor at all": (_tensors(dict.clear), r"tensor \S+ is missing|far larger"),
    "a tensor missing": (_tensors(lambda t: t.pop(_first(t))), r"tensor \S+ is missing"),
    "a tensor too many": (_tensors(lambda t: t.update(other=torch.ones(1))), r"tensor \S+ belongs to no network"),
    "other names": (_tensors(_renamed), r"tensor \S+ (is missing|belongs to no)"),
    "not numbers": (_tensors(_filled(float("nan"))), r"tensor \S+ has values that are no numbers"),
    "infinite weights": (_tensors(_filled(float("inf"))), r"tensor \S+ has values that are no numbers"),
    "another type": (_tensors(_halved), r"tensor \S+ is of float16, not float32"),
    "another shape": (_tensors(_transposed), r"tensor \S+ has the shape"),
    "weights that are a pipe": (_pipe("weights.safetensors"), "not a file"),
    "weights without end": (_linked("/dev/zero", "weights.safetensors"), "not a file"),
    "a model.json without end": (_linked("/dev/zero", "model.json"), "not a file"),
}
SYNTHESIZERS = {
    "a width of a billion": ("gan", _facts("layout.width", 10**9), r"\$\.layout\.width is 1000000000"),
    "a width far beyond the weights": ("flow", _facts("layout.width", 4096), "far larger than the one"),
    "wide layers of a decoder": ("vae", _facts("layout.width", 4096), "far larger than the one"),
    "a latent of a billion": ("gan", _facts("layout.latent", 10**9), r"\$\.layout\.latent is 1000000000"),
    "components without end": ("vae", _facts("layout.components", 2**16), "far larger than the one"),
    "3,000 levels": ("flow", _facts("layout.multiples", [1] * 3000), r"\$\.layout\.multiples is a list, not .*8"),
    "no level": ("flow", _facts("layout.multiples", []), r"\$\.layout\.multiples"),
    "blocks of nothing": ("flow", _facts("layout.blocks", 0), r"\$\.layout\.blocks is 0"),
    "a patch of 3": ("vae", _facts("layout.patch", 3), r"\$\.layout"),
    "no layout": ("vae", _facts("layout"), r"\$\.layout is missing"),
    "a layout of another size": ("gan", _facts("layout.size", 16), r"\$\.layout\.size is 16, and \$\.size 8"),
    "shares of one class": ("gan", _facts("shares", [1.0]), r"\$\.shares"),
    "shares of nothing": ("gan", _facts("shares", [0, 0]), r"\$\.shares has zeros alone"),
    "a learning rate of 0": ("flow", _facts("settings.learning_rate", 0), r"\$\.settings\.learning_rate is 0"),
    "guidance of a text": ("flow", _facts("parameters.guidance", "x"), r"\$\.parameters: guidance"),
    "an epsilon that a GAN cannot have": ("gan", _facts("parameters.epsilon", 1.0), r"\$\.parameters"),
    "no steps": ("flow", _facts("parameters.steps", 0), r"\$\.parameters: steps"),
    "a prior of another name": ("vae", _facts("parameters.prior", "flat"), r"\$\.parameters: prior"),
    "a module missing": (
        "vae",
        _tensors(lambda t: [t.pop(name) for name in list(t) if name.startswith("decoder.")]),
        r"tensor decoder\.\S+ is missing",
    ),
}
INDEX = "embeddings.safetensors"
RECOGNIZERS = {
    "no calibration": (_facts("calibration"), r"\$\.calibration is missing"),
    "a temperature of 0": (_facts("calibration.temperature", 0), r"\$\.calibration\.temperature is 0"),
    "a temperature of none": (_facts("calibration.temperature", None), r"\$\.calibration\.temperature is null"),
    "two means": (_facts("calibration.familiarity.mean", [1.0, 2.0]), r"\$\.calibration\.familiarity\.mean"),
    "a deviation of 0": (_facts("calibration.familiarity.std.1", 0), r"\$\.calibration\.familiarity\.std\[1\] is 0"),
    "familiarity of nothing": (_facts("calibration.familiarity.n", 0), r"\$\.calibration\.familiarity\.n is 0"),
    "thresholds of other classes": (_facts("calibration.label_thresholds", [0.5]), "label_thresholds has 1 numbers"),
    "several labels that are a text": (_facts("multi_label", "no"), r'\$\.multi_label is "no", not true or false'),
    "another network": (_facts("network", "alexnet"), "weights.safetensors|model.json"),
    "a network that there is not": (_facts("network", "../x"), "no network can be built"),
    "views that are a list": (_facts("tta", [1]), r"\$\.tta is a list"),
    "a million shifts": (_facts("tta", {"mirror": True, "shift": 10**6}), r"\$\.tta\.shift"),
    "a backbone without a name": (_facts("backbone", {}), r"\$\.backbone"),
    "a size far beyond the weights": (_facts("size", 8000), "weights|far larger"),
    "an index of 32 bits": (_tensors(lambda t: t.update(embeddings=t["embeddings"].float()), INDEX), "of 16 bits"),
    "an index of other features": (
        _tensors(lambda t: t.update(embeddings=t["embeddings"][:, :3].contiguous()), INDEX),
        "embeddings are not this network's",
    ),
    "an index of other pictures": (_tensors(lambda t: t.update(labels=t["labels"][:-1]), INDEX), "different pictures"),
    "an index of classes that there are not": (_tensors(lambda t: t["labels"].fill_(7), INDEX), "of the 2 classes"),
    "an index without labels": (_tensors(lambda t: t.pop("labels"), INDEX), "tensor labels is missing"),
    "an index that is a folder": (_folder(INDEX), "not a file"),
    "digests that are none": (_facts("indexed_digests", "§", "data.json"), "digests of the training pictures"),
}
CASES = [
    *((kind, name, *case) for i, (name, case) in enumerate(EVERY_KIND.items()) for kind in (KINDS[i % 4],)),
    *((kind, name, damage, words) for name, (kind, damage, words) in SYNTHESIZERS.items()),
    *(("recognizer", name, *case) for name, case in RECOGNIZERS.items()),
]


@pytest.mark.parametrize(("kind", "name", "damage", "words"), CASES, ids=[f"{c[0]}: {c[1]}" for c in CASES])
def test_a_damaged_model_is_refused_at_once_with_the_place(
    models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str, name: str, damage: Damage, words: str
) -> None:
    shutil.copytree(models / kind, tmp_path / kind)
    damage(tmp_path / kind)
    picture, out = models / "colours" / "red" / "0.png", tmp_path / "out"
    verb = ["predict", tmp_path / kind, picture] if kind == "recognizer" else ["sample", tmp_path / kind, "-o", out]
    memory, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    code = app.run([str(word) for word in verb])
    seconds, grown = time.process_time() - started, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory
    message = " ".join(capsys.readouterr().err.split())
    assert code == 3, message
    assert re.search(words, message), message
    assert str(tmp_path / kind) in message or "data.json" in message
    assert seconds < MAX_SECONDS
    assert grown * 1024 < MAX_GROWTH
