"""The verdict on a synthesizer that was just fitted, as ``diptych fit`` prints it."""

from dataclasses import replace
from pathlib import Path

import pytest

import diptych as library
from diptych.synthesis.training import monitor
from tests.cli.conftest import Terminal


def test_fit_of_a_synthesizer_begins_with_its_verdict(
    diptych: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(monitor, "MIN_RUN_SECONDS", 0.0)  # evaluated however short
    folder = tmp_path / "vae"
    vae = library.VAE(epochs=1, latent=4).fit(library.Images.open("digits"), into=folder)
    assert vae.verdict_ is not None
    named = vae.verdict_.with_names(model=str(folder), data="digits")
    options = f"-o {folder} --latent 4 --epochs 1 --more"
    named = replace(named, next_step=named.next_step.replace(f"-o {folder} --more", options))
    assert f"diptych fit vae digits {options} 10" in named.next_step
    command = ["fit", "vae", "digits", "-o", folder, "--epochs", 1, "--latent", 4]
    text, json, more = diptych.several(command, [*command, "--json"], [*command, "--more", 0.02, "--json"])
    assert text.code == 0, text.err
    assert text.out.splitlines()[0] == named.sentence
    assert (json.json["verdict"], json.json["verdict_text"]) == (named.word, str(named))
    assert "Next: " in more.json["verdict_text"]
