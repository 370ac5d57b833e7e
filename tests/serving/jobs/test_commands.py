"""What a job may run: the command line of each request, and what is refused."""

import pytest

from diptych.cli.app import _command_tree
from diptych.errors import UsageError
from diptych.serving.jobs.commands import command, models_of
from diptych.serving.jobs.option_words import Places
from diptych.serving.refusals import RefusedError
from diptych.serving.storage.datasets import DataSets

FIT = {"kind": "recognizer", "data": "pets", "output": "pets-1"}
REQUESTS = {
    "fit": {
        **FIT,
        "validate": "more",
        "from": "old",
        "labels": "folders",
        "minutes": 2.5,
        "seed": 7,
        "network": "auto",
    },
    "inspect": {"data": ["pets", "more"], "minutes": 1, "labels": "folders", "seed": 3},
    "score": {"model": "old", "against": "pets", "judge": "old", "seen": "more", "number": 10, "minutes": 1, "seed": 1},
    "balance": {
        "data": "pets",
        "model": "old",
        "output": "fuller",
        "per_class": 50,
        "recognizer": "old",
        "labels": "folders",
        "seed": 3,
    },
    "verdict": {
        "data": "pets",
        "model": "old",
        "test": "more",
        "labels": "folders",
        "minutes": 2,
        "seeds": 6,
        "seed": 1,
    },
    "evaluate": {"model": "old", "data": "pets", "unknown": "more", "labels": "names"},
    "audit": {"model": "old", "data": "pets", "groups": ["camera", "light"], "seen": "more", "number": 60, "seed": 2},
    "export": {"model": "old", "int8": True, "check": "pets"},
    "enroll": {"output": "things", "data": "pets", "model": "old", "label": "--as", "adapt": True},
}
MAP = {"data": ["pets", "more"], "model": "old", "labels": "folders", "seed": 3}


@pytest.fixture
def places(tmp_path):
    home = tmp_path / "home"
    for folder in ("data/pets", "data/more", "old", "no-model"):
        (home / folder).mkdir(parents=True)
    (home / "old" / "model.json").write_text("{}")
    (home / "linked").symlink_to(tmp_path)
    (tmp_path / "outside").mkdir()
    return Places(home, DataSets(home, [tmp_path / "outside"], quota_bytes=1000))


@pytest.mark.parametrize("verb", REQUESTS)
def test_the_command_line_takes_every_option_of_a_job(places, tmp_path, verb):
    words = command(verb, REQUESTS[verb], places, tmp_path / "job")
    assert words[1:5] == ["-P", "-m", "diptych", verb]
    parsed = _command_tree().commands[verb]
    arguments = words[5:]
    if verb in ("fit", "audit"):
        parsed, arguments = parsed.commands[arguments[0]], arguments[1:]
    values = parsed.make_context(verb, arguments, resilient_parsing=False).params
    for name in ("minutes", "seed", "seeds", "number", "labels", "int8", "adapt", "per_class"):
        if name in REQUESTS[verb]:
            assert values[name] == REQUESTS[verb][name]
    assert values["json"]


def test_the_command_of_a_map_takes_its_options(places, tmp_path):
    words = command("map", MAP, places, tmp_path / "job")
    assert words[1:4] == ["-P", "-m", "diptych.serving.jobs.map_command"]
    options = ["--model=old", "--labels=folders", "--seed=3"]
    assert words[4:] == [f"--output={tmp_path}/job/map.json", *options, "--", "data/pets", "data/more"]
    assert command("map", {"model": "old"}, places, tmp_path / "job")[4:] == [words[4], "--model=old", "--"]


def test_an_audit_is_for_bias_or_for_privacy(places, tmp_path):
    options = {"kind": "privacy", "model": "old", "seen": "pets", "unseen": "more", "references": 2, "canaries": 40}
    words = command("audit", options, places, tmp_path / "job")
    named = ["--seen=data/pets", "--unseen=data/more", "--references=2", "--canaries=40"]
    assert words[4:] == ["audit", "privacy", "--json", f"--output={tmp_path}/job", *named, "--", "old"]
    values = _command_tree().commands["audit"].commands["privacy"].make_context("privacy", words[6:]).params
    assert (values["seen"], values["references"], values["canaries"]) == ("data/pets", 2, 40)
    for wrong in ({"kind": "secrets"}, {"kind": "privacy", "groups": "camera"}, {"kind": "privacy", "model": "old"}):
        with pytest.raises(UsageError):
            command("audit", wrong, places, tmp_path / "job")


def test_enroll_has_the_command_lines_own_names_for_the_model_and_the_label(places, tmp_path):
    words = command("enroll", REQUESTS["enroll"], places, tmp_path / "job")
    assert words[5:] == ["--json", "--recognizer=old", "--as=--as", "--adapt", "--", "things", "data/pets"]


def test_files_go_to_the_job_and_models_to_the_servers_folder(places, tmp_path):
    words = command("fit", FIT, places, tmp_path / "job")
    assert words[5:] == ["recognizer", "--json", "--output=pets-1", "--", "data/pets"]
    words = command("export", {"model": "old", "int8": False}, places, tmp_path / "job")
    assert words[5:] == ["--json", f"--output={tmp_path}/job/model.onnx", "--", "old"]
    words = command("evaluate", {"model": "old", "data": "outside"}, places, tmp_path / "job")
    assert words[-2:] == ["old", str(tmp_path / "outside")]


@pytest.mark.parametrize("value", ["../pets", "/etc", "data/pets", "..", "", "--output=/tmp/x", "pets\0", "digits",
                                   "https://example.org/x.zip", "．．/x", 7, True, ["pets"]])  # fmt: skip
@pytest.mark.parametrize(("verb", "option"), [
    ("fit", "data"), ("fit", "validate"), ("fit", "from"), ("evaluate", "unknown"), ("evaluate", "model"),
    ("score", "against"), ("score", "judge"), ("export", "check"), ("inspect", "model"), ("enroll", "data"),
    ("enroll", "model"), ("balance", "data"), ("balance", "model"), ("balance", "recognizer"),
    ("verdict", "test"), ("verdict", "model"),
])  # fmt: skip
def test_an_input_is_a_data_set_or_a_model_of_the_server_and_no_path(places, tmp_path, verb, option, value):
    with pytest.raises((UsageError, RefusedError)):
        command(verb, {**REQUESTS[verb], option: value}, places, tmp_path / "job")


@pytest.mark.parametrize("value", ["../x", "/tmp/x", "a/b", "..", ".jobs", "data", "", "-o", "linked", "a\n", 3, None])
def test_a_model_goes_to_a_name_and_nowhere_else(places, tmp_path, value):
    with pytest.raises((UsageError, RefusedError)):
        command("fit", {**FIT, "output": value}, places, tmp_path / "job")


@pytest.mark.parametrize("value", ["../x", "/tmp/x", "a/b", "..", "", "-o", "outside", "linked", "a\n", 3, None])
def test_a_balanced_set_goes_to_a_data_set_of_the_server_and_nowhere_else(places, tmp_path, value):
    (places.datasets.root / "linked").symlink_to(tmp_path)
    words = command("balance", REQUESTS["balance"], places, tmp_path / "job")
    assert "--output=data/fuller" in words
    assert f"--report={tmp_path}/job/report.html" in words
    with pytest.raises((UsageError, RefusedError)):
        command("balance", {**REQUESTS["balance"], "output": value}, places, tmp_path / "job")


@pytest.mark.parametrize(
    ("verb", "options"),
    [
        ("serve", {}), ("cache", {}), ("fit; rm -rf /", {}), ("--help", {}),
        ("fit", {**FIT, "kind": "os"}), ("fit", {"data": "pets", "output": "x"}),
        ("fit", {**FIT, "config": "/etc/passwd"}), ("fit", {**FIT, "manifest": "/etc/passwd"}),
        ("fit", {**FIT, "network": "timm:resnet@/etc/passwd"}), ("fit", {**FIT, "network": "../x"}),
        ("fit", {**FIT, "network": "-o"}), ("fit", {**FIT, "network": 5}),
        ("fit", {**FIT, "minutes": 1, "epochs": 1}), ("fit", {**FIT, "minutes": -1}), ("fit", {**FIT, "seed": "1"}),
        ("fit", {**FIT, "minutes": float("nan")}), ("fit", {**FIT, "imbalance": "--x"}),
        ("fit", {**FIT, "labels": "/etc/passwd:x"}), ("fit", {**FIT, "labels": "../t.csv"}),
        ("inspect", {"data": "pets", "output": "/tmp/x.html"}), ("inspect", {"data": "pets", "manifest": "x.csv"}),
        ("inspect", {"data": []}), ("inspect", {}), ("inspect", {"data": "pets", "minutes": "1"}),
        ("export", {"model": "old", "output": "/tmp/x"}), ("export", {"model": "old", "int8": "--debug"}),
        ("export", {"model": "no-model"}), ("score", {"against": "pets"}),
        ("score", {"against": "pets", "model": "old", "generated": "more"}),
        ("balance", {**REQUESTS["balance"], "per_class": 0}), ("balance", {**REQUESTS["balance"], "report": "/tmp/x"}),
        ("verdict", {"data": "pets", "model": "old"}), ("verdict", {**REQUESTS["verdict"], "seeds": 4}),
        ("verdict", {**REQUESTS["verdict"], "output": "/tmp/x"}),
        ("map", {}), ("map", {"data": []}), ("map", {"data": "absent"}), ("map", {**MAP, "output": "/tmp/x"}),
        ("map", {**MAP, "model": "../x"}), ("enroll", {"data": "pets"}), ("enroll", {"output": "things"}),
        ("enroll", {**REQUESTS["enroll"], "output": "../x"}), ("enroll", {**REQUESTS["enroll"], "label": "a\nb"}),
        ("enroll", {**REQUESTS["enroll"], "table": "s3://x"}), ("enroll", {**REQUESTS["enroll"], "as": "x"}),
    ],
)  # fmt: skip
def test_other_verbs_options_and_values_are_refused(places, tmp_path, verb, options):
    with pytest.raises((UsageError, RefusedError)):
        command(verb, options, places, tmp_path / "job")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home", "outside"]


def test_the_models_that_a_job_uses_are_known():
    assert models_of("fit", REQUESTS["fit"]) == {"pets-1", "old"}
    assert models_of("score", REQUESTS["score"]) == {"old"}
    assert models_of("verdict", REQUESTS["verdict"]) == {"old"}
    assert models_of("enroll", REQUESTS["enroll"]) == {"things", "old"}
    assert models_of("map", MAP) == {"old"}
