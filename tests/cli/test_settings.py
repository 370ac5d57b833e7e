"""Where settings come from, and the errors for wrong ones."""

import inspect
import subprocess
import sys
from pathlib import Path

import pytest
import typer

import diptych as package
from diptych.cli.app import app
from tests.cli.conftest import Terminal, folder


def test_options_override_environment_overrides_file_overrides_defaults(
    diptych: Terminal, colours: Path, tmp_path: Path
) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text(
        f"network: convnet\nepochs: 2\nseed: 5\nbatch: 8\nlr: 1e-3\ndata: {colours}\noutput: {tmp_path / 'm'}\n"
    )
    options = ["--config", file, "--seed", "9", "--imbalance", "none", "--json"]
    result = diptych("fit", "recognizer", *options, DIPTYCH_SEED="7", DIPTYCH_EPOCHS="1")
    assert result.code == 0, result.err
    from diptych import artefact

    parameters = artefact.facts(tmp_path / "m")["parameters"]
    assert parameters == {
        "network": "convnet", "size": None, "minutes": None, "epochs": 1, "batch": 8, "lr": 0.001, "seed": 9,
        "imbalance": "none",
        "group": None,
        "remedy": None,
        "epsilon": None,
        "delta": None,
    }  # fmt: skip


def test_wrong_settings_get_a_sentence_and_code_2(diptych: Terminal, colours: Path, tmp_path: Path) -> None:
    files = {"unknown": "epohcs: 3\n", "list": "- 3\n", "broken": "a: [\n"}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    fit = ["fit", "gan", colours, "-o", tmp_path / "m"]
    cases = {
        "epohcs": [*fit, "--config", tmp_path / "unknown"],
        "one setting per line": [*fit, "--config", tmp_path / "list"],
        "not valid YAML": [*fit, "--config", tmp_path / "broken"],
        "nowhere is not there": [*fit, "--config", tmp_path / "nowhere"],
        "--epochs": [*fit, "--epochs", "many"],
        "0.001": [*fit, "--minutes", 0],
        "No such option": [*fit, "--epohcs", 3],
        "No such command": ["fti"],
        "Missing argument": ["predict"],
        "not both": [*fit, "--minutes", 1, "--epochs", 1],
        "64 and 68": [*fit, "--size", 65],
        "greater than or equal to 8": [*fit, "--size", 3],
        "minimax": [*fit, "--loss", "hinge"],
        "imbalance must be one of": ["fit", "recognizer", colours, "-o", tmp_path / "m", "--imbalance", "smote"],
        "Did you mean 'fit'? See: diptych --help": ["fitt"],
        "speednet": ["fit", "recognizer", colours, "-o", tmp_path / "m", "--network", "resnet"],
    }
    for message, result in zip(cases, diptych.several(*cases.values()), strict=True):
        assert result.code == 2, (message, result)
        assert message in result.err
        said = [line for line in result.err.splitlines() if "Labels from the folder names" not in line]
        assert len(said) == 1
        assert said[0].startswith("Error: ")
        assert result.out == ""
    assert not (tmp_path / "m").exists()


def test_every_parameter_of_the_models_has_an_option() -> None:
    fit = typer.main.get_command(app).commands["fit"]
    models = {"recognizer": package.Recognizer, "gan": package.GAN, "vae": package.VAE, "flow": package.Flow}
    for kind, model in models.items():
        parameters = set(inspect.signature(model).parameters)
        assert parameters <= {option.name for option in fit.commands[kind].params}, kind


def test_data_that_cannot_be_trained_on_is_refused_with_the_reason(diptych: Terminal, tmp_path: Path) -> None:
    one = folder(tmp_path / "one", {"red": 12})
    rare = folder(tmp_path / "rare", {"red": 12, "green": 1})
    small = folder(tmp_path / "small", {"red": 3, "green": 2})
    (tmp_path / "empty").mkdir()
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "a.txt").write_text("a")
    cases = [
        (one, "one class"), (rare, "green"), (small, "5"), (tmp_path / "empty", "no picture"),
        (tmp_path / "text", "a.txt"), (tmp_path / "nowhere", "not there"),
    ]  # fmt: skip
    out = tmp_path / "m"
    results = diptych.several(*(["fit", "recognizer", data, "-o", out, "--epochs", 1] for data, _ in cases))
    for (_, message), result in zip(cases, results, strict=True):
        assert result.code == 3, result
        assert message in result.err
        assert "Traceback" not in result.err
    assert not (out / "model.json").exists()
    for result in diptych.several(*(["fit", kind, small, "-o", out, "--epochs", 1] for kind in ("gan", "vae", "flow"))):
        assert result.code == 3, result
        assert "5 pictures" in result.err


def test_a_bug_is_reported_in_a_sentence_and_its_traceback_on_demand() -> None:
    code = (
        "import sys; from diptych.cli import app, inspect; from diptych.data.images import Images\n"
        "Images.open = lambda *arguments: {}['nothing']\n"
        "sys.exit(app.run(sys.argv[1:]))"
    )
    default, debug = (
        subprocess.run(
            [sys.executable, "-c", code, *words, "inspect", "digits"], capture_output=True, text=True, check=False
        )
        for words in ([], ["--debug"])
    )
    assert (default.returncode, debug.returncode) == (1, 1)
    assert default.stderr.startswith("Error: This is a bug in Diptych (KeyError: 'nothing').")
    assert "DIPTYCH_DEBUG=1" in default.stderr
    assert "Traceback" not in default.stderr
    assert "Traceback" in debug.stderr


def test_help_and_version_come_without_what_takes_long_to_load(diptych: Terminal) -> None:
    code = (
        "import sys; from diptych.cli.app import run; run(sys.argv[1:]); "
        "print(sorted({'torch', 'numpy', 'rich'} & set(sys.modules)))"
    )
    for verb in ([], ["fit"], ["fit", "flow"], ["predict"], ["evaluate"], ["sample"], ["inspect"], ["demo"]):
        text = subprocess.run(
            [sys.executable, "-c", code, *verb, "--help"], capture_output=True, text=True, check=True
        ).stdout
        assert text.startswith("Usage: diptych")
        assert text.endswith("[]\n")
        assert "xample: diptych" in text or not verb
    assert diptych("--version").out == f"diptych {package.__version__}\n"


@pytest.mark.parametrize("arguments", [[], ["fit"]])
def test_no_verb_shows_the_verbs(diptych: Terminal, arguments: list[str]) -> None:
    result = diptych(*arguments)
    assert result.code == 0
    assert "recognizer" in result.out
