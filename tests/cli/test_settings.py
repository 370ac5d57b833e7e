"""Where settings come from, and what a wrong one is answered."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

import diptych as package
from tests.cli.conftest import Terminal, folder


def test_flags_over_environment_over_file_over_defaults(diptych: Terminal, colours: Path, tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text(
        f"network: convnet\nepochs: 2\nseed: 5\nbatch: 8\nlr: 1e-3\ndata: {colours}\noutput: {tmp_path / 'm'}\n"
    )
    done = diptych("fit", "recognizer", "--config", file, "--seed", "9", "--json", DIPTYCH_SEED="7", DIPTYCH_EPOCHS="1")
    assert done.code == 0, done.err
    from diptych import artefact

    parameters = artefact.facts(tmp_path / "m")["parameters"]
    assert parameters == {
        "network": "convnet", "size": None, "minutes": None, "epochs": 1, "batch": 8, "lr": 0.001, "seed": 9,
        "imbalance": "auto",
    }  # fmt: skip


def test_wrong_settings_get_a_sentence_and_code_2(diptych: Terminal, colours: Path, tmp_path: Path) -> None:
    files = {"unknown": "epohcs: 3\n", "list": "- 3\n", "broken": "a: [\n"}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    fit = ["fit", "gan", colours, "-o", tmp_path / "m"]
    cases = {
        "epohcs": [*fit, "--config", tmp_path / "unknown"],
        "one setting a line": [*fit, "--config", tmp_path / "list"],
        "no YAML": [*fit, "--config", tmp_path / "broken"],
        "No such file": [*fit, "--config", tmp_path / "nowhere"],
        "--epochs": [*fit, "--epochs", "many"],
        "0.01": [*fit, "--minutes", 0],
        "No such option": [*fit, "--epohcs", 3],
        "No such command": ["fti"],
        "Missing argument": ["predict"],
        "not both": [*fit, "--minutes", 1, "--epochs", 1],
        "64 or 68": [*fit, "--size", 65],
        "minimax": [*fit, "--loss", "hinge"],
        "speednet": ["fit", "recognizer", colours, "-o", tmp_path / "m", "--network", "resnet"],
    }
    for told, done in zip(cases, diptych.several(*cases.values()), strict=True):
        assert done.code == 2, (told, done)
        assert told in done.err
        assert done.err.startswith("Error: ")
        assert done.err.count("\n") == 1
        assert done.out == ""
    assert not (tmp_path / "m").exists()


def test_data_that_cannot_be_trained_on(diptych: Terminal, tmp_path: Path) -> None:
    one = folder(tmp_path / "one", {"red": 12})
    rare = folder(tmp_path / "rare", {"red": 12, "green": 1})
    few = folder(tmp_path / "few", {"red": 3, "green": 2})
    (tmp_path / "empty").mkdir()
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "a.txt").write_text("a")
    cases = [
        (one, "one class"), (rare, "green"), (few, "5"), (tmp_path / "empty", "no picture"),
        (tmp_path / "text", "a.txt"), (tmp_path / "nowhere", "not there"),
    ]  # fmt: skip
    out = tmp_path / "m"
    told = diptych.several(*(["fit", "recognizer", data, "-o", out, "--epochs", 1] for data, _ in cases))
    for (_, words), done in zip(cases, told, strict=True):
        assert done.code == 3, done
        assert words in done.err
        assert "Traceback" not in done.err
    assert not (out / "model.json").exists()
    for kind in ("gan", "vae", "flow"):
        (done,) = diptych.several(["fit", kind, few, "-o", out, "--epochs", 1])
        assert done.code == 3, done
        assert "5 pictures" in done.err


def test_a_bug_is_told_in_a_sentence_and_shown_on_demand() -> None:
    code = (
        "import sys; from diptych.cli import app, inspect; from diptych.data.images import Images\n"
        "Images.open = lambda path: {}['nothing']\n"
        "sys.exit(app.run(sys.argv[1:]))"
    )
    quiet, loud = (
        subprocess.run(
            [sys.executable, "-c", code, *words, "inspect", "digits"], capture_output=True, text=True, check=False
        )
        for words in ([], ["--debug"])
    )
    assert (quiet.returncode, loud.returncode) == (1, 1)
    assert quiet.stderr.startswith("Error: This is a bug in Diptych (KeyError: 'nothing').")
    assert "DIPTYCH_DEBUG=1" in quiet.stderr
    assert "Traceback" not in quiet.stderr
    assert "Traceback" in loud.stderr


def test_help_and_version_come_at_once(diptych: Terminal) -> None:
    code = (
        "import sys; from diptych.cli.app import run; run(sys.argv[1:]); "
        "print(sorted({'torch', 'numpy', 'rich'} & set(sys.modules)))"
    )
    for verb in ([], ["fit"], ["fit", "flow"], ["predict"], ["evaluate"], ["sample"], ["inspect"], ["demo"]):
        told = subprocess.run(
            [sys.executable, "-c", code, *verb, "--help"], capture_output=True, text=True, check=True
        ).stdout
        assert told.startswith("Usage: diptych")
        assert told.endswith("[]\n")
        assert "xample: diptych" in told or not verb
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        assert diptych("--version").out == f"diptych {package.__version__}\n"
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 1  # 0.2 s on an idle machine; the tests run beside others


@pytest.mark.parametrize("arguments", [[], ["fit"]])
def test_no_verb_shows_the_verbs(diptych: Terminal, arguments: list[str]) -> None:
    done = diptych(*arguments)
    assert done.code == 0
    assert "recognizer" in done.out
