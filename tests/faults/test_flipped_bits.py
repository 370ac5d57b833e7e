"""Every file of a model, of a run that was killed, of edits and of a gallery with a flipped bit: in ``make faults``.

A command that reads it goes through with the same answer, or says in a sentence what is damaged; it is never a bug.
What came of each flip is written to benchmarks/results/flipped_bits.md.
"""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.cases import COMMANDS, FIT, Cases, no_sentence
from tests.faults.points import Fault, Run, role

pytestmark = pytest.mark.faults
READERS: dict[str, tuple[str, list[str]]] = {  # the folder whose files are damaged, and a command that reads them
    "predict": ("models/recognizer", ["predict", "models/recognizer", "more"]),
    "sample": ("models/vae", ["sample", "models/vae", "-n", "2", "-o", "out/samples"]),
    "fit again": ("models/vae", ["fit", "vae", "digits", "-o", "models/vae", "--latent", "4", *FIT]),
    "match": ("gallery", ["match", "gallery", "more"]),
    "edit again": ("edited", ["edit", "reconstruct", "models/vae", "digits/0", "-o", "edited"]),
}
FLIPS = ((0.02, 7), (0.5, 4), (0.98, 7))  # where in a file, as a share of it, and which bit

TABLE = "gallery/table"  # what the rows of the gallery's table hold
SAY = ("predict", "match")  # commands whose answer is what they print
RESULTS = Path(__file__).parents[2] / "benchmarks" / "results" / "flipped_bits.md"
HEAD = """# Files with a flipped bit

Measured by `make faults`: one bit of a file is flipped, near its start, in its middle or near its end, and a command
that reads it is run. It goes through with the same answer, or says in a sentence what is damaged.

| command | file | where | what came of it |
|---|---|---:|---|"""
WEIGHTS = "out/model/weights.safetensors"


@pytest.fixture(scope="module")
def cases(tmp_path_factory) -> Iterator[Cases]:
    cases = Cases(tmp_path_factory.mktemp("flips"))
    yield cases
    cases.runner.close()


def flip(path: Path, share: float, bit: int) -> None:
    content = bytearray(path.read_bytes())
    content[int(share * len(content))] ^= 1 << bit
    path.write_bytes(bytes(content))


def files_of(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.stat().st_size)


@pytest.fixture(scope="module")
def rows() -> Iterator[list[tuple[str, ...]]]:
    rows: list[tuple[str, ...]] = []
    yield rows
    lines = [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in dict.fromkeys(rows)]
    RESULTS.write_text("\n".join([HEAD, *lines]) + "\n", encoding="utf-8")


def answer(run: Run) -> str:
    """What a command has said, without the seconds that it took, and without the log of LanceDB."""
    return re.sub(r"[\d.,]+ s\b", "", re.sub(r"^\[.*WARN +lance.*\n", "", run.output, flags=re.MULTILINE))


@pytest.mark.parametrize("name", READERS)
def test_a_flipped_bit_is_named_or_does_no_harm(name, cases, rows):
    folder, command = READERS[name]
    ended, expected = cases.uninterrupted(command)
    cases.reset()
    wrong = []
    for path in files_of(cases.below / folder):
        file = str(path.relative_to(cases.below))
        for share, bit in FLIPS:
            cases.reset()
            flip(path, share, bit)
            damaged = cases.files().get(file)
            run = cases.runner.run(command)
            what, other_values = no_sentence(run), False
            if run.status == 0:
                there = cases.files()
                changed = {one for one, digest in expected.items() if digest and there.get(one) != digest} - {file}
                other_values = TABLE in changed and file.startswith("gallery/database")
                changed -= {TABLE} if other_values else set()  # which is read out of the very file
                what += [f"another answer: {', '.join(sorted(changed))}"] * bool(changed)
                what += ["another answer"] * (name in SAY and answer(run) != answer(ended))
            wrong += [f"{file} at {share}: {one}" for one in what]
            end = "written anew" if run.status == 0 and cases.files().get(file) != damaged else cases.words(run)
            end += ", with other values in the table, which has no checksum" * (run.status == 0 and other_values)
            rows.append((name, role(file), f"{share:.0%}", f"**wrong: {'; '.join(what)}**" if what else end))
    assert not wrong, "\n".join(wrong)


def test_a_run_whose_checkpoint_has_a_flipped_bit_goes_on(cases, rows, tmp_path):
    ended, expected = cases.uninterrupted(COMMANDS["fit recognizer"])
    latest = [point for point in ended.points if point.place.endswith("→ out/model/checkpoint/latest")]
    cases.reset()
    cases.runner.run(COMMANDS["fit recognizer"], Fault.KILL, latest[-1].number)
    shutil.copytree(cases.below / "out", tmp_path / "out")
    wrong = []
    for path in files_of(tmp_path / "out"):
        for share, bit in FLIPS:
            cases.reset()
            shutil.copytree(tmp_path / "out", cases.below / "out")
            flip(cases.below / path.relative_to(tmp_path), share, bit)
            again = cases.runner.run(COMMANDS["fit recognizer"])
            what = no_sentence(again)
            if again.status == 0 and cases.files()[WEIGHTS] != expected[WEIGHTS]:
                what.append("other weights")
            wrong += [f"{path.name} at {share}: {one}" for one in what]
            end = f"**wrong: {'; '.join(what)}**" if what else cases.words(again)
            rows.append(("fit, killed", role(str(path.relative_to(tmp_path))), f"{share:.0%}", end))
    assert not wrong, "\n".join(wrong)
