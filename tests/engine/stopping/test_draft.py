"""The model that a stopped run leaves, and what is said of how to go on."""

import signal

import pytest
import torch

from diptych import artefact
from diptych.engine import checkpoint
from diptych.engine.stopping import draft
from diptych.errors import Interrupted


def write(folder, **facts):
    artefact.write(folder, {"kind": "recognizer", "settings": {"seed": 0}, **facts}, {"w": torch.zeros(1)})


def explained(folder, stop):
    with pytest.raises(Interrupted) as error, draft.explained_stops(folder):
        raise stop
    return error.value


def test_before_anything_is_saved_the_same_command_starts_again(tmp_path):
    error = explained(tmp_path / "m", KeyboardInterrupt())
    assert str(error) == "Stopped. The same command starts it again."
    assert error.exit_code == 128 + signal.SIGINT


def test_a_begun_run_is_continued_by_the_same_command(tmp_path):
    checkpoint.claim(tmp_path, {"seed": 0})
    error = explained(tmp_path, Interrupted("Stopped after 7 pictures.", signal.SIGTERM, "In another folder."))
    assert str(error) == f"Stopped after 7 pictures. The same command continues it from {tmp_path}."
    assert error.exit_code == 128 + signal.SIGTERM


def test_the_draft_of_a_stopped_run_can_be_used_and_is_not_finished(tmp_path):
    checkpoint.claim(tmp_path, {"seed": 0, "network": "lite0"})
    write(tmp_path, unfinished={"measure": "accuracy", "score": 0.9, "pictures": 30})
    assert artefact.exists(tmp_path)
    assert not artefact.is_finished(tmp_path)
    assert checkpoint.stored_settings(tmp_path) == {"seed": 0, "network": "lite0"}
    assert not checkpoint.is_finished(tmp_path, {"seed": 0})
    text = str(explained(tmp_path, KeyboardInterrupt()))
    assert f"can be used (accuracy 90.0% on 30 held-out pictures): diptych predict {tmp_path} PICTURES." in text
    assert text.endswith("The same command continues the run.")


def test_a_draft_whose_checkpoints_were_deleted_does_not_stop_a_new_run(tmp_path):
    write(tmp_path, unfinished={"measure": "accuracy", "score": 0.9, "pictures": 30})
    checkpoint.claim(tmp_path, {"seed": 1})
    assert checkpoint.stored_settings(tmp_path) == {"seed": 1}


def test_a_finished_model_stays_usable_while_it_is_trained_further(tmp_path):
    write(tmp_path)
    assert f"the model in {tmp_path} can be used" in str(explained(tmp_path, KeyboardInterrupt()))


def test_only_a_better_draft_replaces_one(tmp_path):
    assert draft.is_best(tmp_path, 0.1)
    write(tmp_path, unfinished={"measure": "accuracy", "score": 0.9, "pictures": 30})
    assert draft.is_best(tmp_path, 0.95)
    assert not draft.is_best(tmp_path, 0.8)


def test_a_run_without_a_folder_or_of_an_extension_leaves_none(tmp_path):
    for folder, extension in ((None, False), (tmp_path, True)):
        with pytest.raises(KeyboardInterrupt):
            draft.begin(KeyboardInterrupt(), folder, extension=extension)
    assert draft.begin(KeyboardInterrupt(), tmp_path, extension=False).signal_number == signal.SIGINT
