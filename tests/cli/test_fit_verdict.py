"""The verdict on a synthesizer that was just fitted, as ``diptych fit`` prints it."""

import json
import shlex
from dataclasses import replace
from pathlib import Path

import pytest

import diptych as library
from diptych import artefact
from diptych.cli.next_step import with_run_options
from diptych.report import Verdict
from diptych.synthesis.training import monitor
from tests.cli.conftest import Terminal
from tests.docs.test_commands import parse
from tests.killing import write_few_digits


def test_fit_of_a_synthesizer_begins_with_its_verdict(
    diptych: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(monitor, "MIN_RUN_SECONDS", 0.0)  # evaluated however short
    folder, data = tmp_path / "vae", write_few_digits(tmp_path / "digits.npz")
    vae = library.VAE(epochs=1, latent=4).fit(data, into=folder)
    assert vae.verdict_ is not None
    named = vae.verdict_.with_names(model=str(folder), data=data)
    options = f"-o {folder} --epochs 1 --latent 4 --more"
    named = replace(named, next_step=named.next_step.replace(f"-o {folder} --more", options))
    assert f"diptych fit vae {data} {options} 10" in named.next_step
    command = ["fit", "vae", data, "-o", folder, "--epochs", 1, "--latent", 4]
    proposed = shlex.split(named.next_step.split("diptych ")[1].replace("--more 10", "--more 0.02"))
    text, printed, more = diptych.several(command, [*command, "--json"], [*proposed, "--json"])
    assert text.code == 0, text.err
    assert text.out.splitlines()[0] == named.sentence
    assert (printed.json["verdict"], printed.json["verdict_text"]) == (named.word, str(named))
    assert more.code == 0, more.err  # the next step as it was printed, but for its length
    assert len(more.json["extensions"]) == 1
    assert "Next: " in more.json["verdict_text"]


def test_the_next_step_repeats_the_options_of_the_run(tmp_path: Path) -> None:
    folder = tmp_path / "my model"
    folder.mkdir()
    facts = {"format": artefact.FORMAT, "kind": "flow", "parameters": library.Flow(size=16, minutes=0.5).parameters()}
    (folder / "model.json").write_text(json.dumps(facts))
    step = "train longer: diptych fit flow DATA -o MODEL --more 10"
    verdict = Verdict("noise", "Noise.", "", step).with_names(model=str(folder), data="photos")
    proposed = with_run_options(verdict, folder, validate="test", manifest=None).next_step
    first, options = ["fit", "flow", "photos", "-o", folder], ["--minutes", 0.5, "--size", 16, "--validate", "test"]
    expected = [*first, *options, "--more", 10]
    assert proposed == f"train longer: diptych {shlex.join(map(str, expected))}"
    parse([str(word) for word in expected])
