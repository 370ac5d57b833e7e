"""The benchmarks: measured seconds and memory, child processes included, counts and verdicts."""

import importlib
import json
import shlex
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from tests.noise import write_noise

FOLDER = Path(__file__).parents[1] / "benchmarks"
ALLOCATE = "import time; data = b'x' * 60_000_000; time.sleep(0.5)"


@pytest.fixture
def measure(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module("measure")


@pytest.fixture
def common(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module("common")


@pytest.fixture
def classic_cnn(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module("classic_cnn")


def test_a_process_is_timed_and_its_memory_measured(measure: ModuleType) -> None:
    measured = measure.run([sys.executable, "-c", f"{ALLOCATE}; print('done')"], {})
    assert measured.stdout == "done\n"
    assert 0.5 < measured.seconds < 10
    assert 60e6 < measured.peak_bytes < 120e6


def test_memory_of_child_processes_is_included(measure: ModuleType) -> None:
    child = f"subprocess.Popen([sys.executable, '-c', {ALLOCATE!r}])"
    parent = f"import subprocess, sys; child = {child}; {ALLOCATE}; child.wait()"
    assert measure.run([sys.executable, "-c", parent], {}).peak_bytes > 120e6


def test_a_program_that_fails_stops_the_benchmark(measure: ModuleType) -> None:
    with pytest.raises(SystemExit, match="exit code 3"):
        measure.run([sys.executable, "-c", "raise SystemExit(3)"], {})


def test_seconds_of_training_leave_out_what_comes_before(common: ModuleType, tmp_path: Path) -> None:
    records = [{"seconds": 5.0 + 10 * share, "progress": share} for share in (0.05, 0.5, 1.0)]
    (tmp_path / "history.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    assert common.training_seconds(tmp_path) == pytest.approx(10)


def test_parameters_are_counted_from_the_file(common: ModuleType, tmp_path: Path) -> None:
    tensors = {"a": torch.zeros(3, 4), "b": torch.zeros(5), "c": torch.zeros(())}
    save_file(tensors, tmp_path / "weights.safetensors")
    assert common.parameters(tmp_path) == 12 + 5 + 1


def test_the_verdict_compares_the_means_for_each_length(classic_cnn: ModuleType) -> None:
    base = {"seed": 0, "n": 1000, "training_seconds": 1.0, "peak_megabytes": 800.0, "parameters": 122_570}
    rows = [
        {**base, "side": "Keras", "epochs": 10, "hits": 680, "accuracy": 0.68, "seconds": 200.0},
        {**base, "side": "Diptych", "epochs": 10, "hits": 700, "accuracy": 0.70, "seconds": 80.0},
        {**base, "side": "Diptych", "epochs": 5, "hits": 690, "accuracy": 0.69, "seconds": 50.0},
    ]
    assert classic_cnn.verdict(rows).startswith(
        "Diptych takes in 10 epochs 40% of the time, +2.00 points of accuracy; "
        "in 5 epochs 25% of the time, +1.00 points of accuracy. Both"
    )
    assert classic_cnn.table(rows)[2].startswith("| Keras | 10 | 0 | 68.00% | 65.04% to 70.82% | 1000 | 200.0 |")


def test_a_page_contains_the_command_the_table_and_the_machine(
    common: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, runs = tmp_path / "deep" / "results", [{"side": "ours", "seconds": 1.5}]
    lines = common.table(["program", "seconds"], [[row["side"], row["seconds"]] for row in runs])
    common.publish(out, "Title", "About it.", lines, "python it.py", machine={"cores": "2"}, runs=runs)
    page = out.with_suffix(".md").read_text()
    assert page == (
        "# Title\n\n    python it.py\n\nAbout it.\n\n"
        "| program | seconds |\n| --- | --- |\n| ours | 1.5 |\n\n- cores: 2\n"
    )
    assert capsys.readouterr().out == page + "\n"
    stored = json.loads(out.with_suffix(".json").read_text())
    assert stored == {"command": "python it.py", "machine": {"cores": "2"}, "runs": runs}


@pytest.fixture
def throughput(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module("predict_throughput")


def test_photographs_are_variants_of_the_originals(throughput: ModuleType, tmp_path: Path) -> None:
    for name, colour in (("a", "red"), ("b", "blue")):
        Image.new("RGB", (60, 48), colour).save(tmp_path / f"{name}.png")
    throughput.photographs(tmp_path, tmp_path / "variants", 3)
    variants = [Image.open(path) for path in sorted((tmp_path / "variants").iterdir())]
    assert len(variants) == 3
    assert all(260 < min(picture.size) < 340 for picture in variants)
    reds = [picture.getpixel((5, 5))[0] > 100 for picture in variants]
    assert reds == [True, False, True]


def test_predictions_of_two_programs_are_compared(throughput: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "one.csv").write_text("path,label,confidence\nx/1.jpg,cat,0.9000\nx/2.jpg,dog,0.5001\n")
    one = throughput.read_predictions(tmp_path / "one.csv")
    assert one == {"1.jpg": ("cat", 0.9), "2.jpg": ("dog", 0.5001)}
    agreement = throughput.agreement(one, {"1.jpg": ("cat", 0.8999), "2.jpg": ("cat", 0.5)})
    assert (agreement["same_labels"], agreement["max_confidence_of_different"]) == (1, 0.5001)
    rows = [
        {"side": side, "pair": pair, "seconds": seconds, "pictures": 1000, "peak_megabytes": 900.0}
        for side, times in (("timm + DataLoader", (20.0, 25.0, 24.0)), ("Diptych", (10.0, 8.0, 12.0)))
        for pair, seconds in enumerate(times)
    ]
    sentence = throughput.verdict(rows, agreement)
    assert sentence.startswith("Medians: 41.7 and 100.0 pictures a second; Diptych is 2.40 times as fast.")
    assert "on 1 of 2 pictures (cat 1, dog 1)" in sentence
    with pytest.raises(SystemExit, match="different pictures"):
        throughput.agreement(one, {})


def test_rebalancing_of_imbalanced_classes_is_compared_run_by_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))
    imbalance = importlib.import_module("imbalance")
    base = {"frequent": 0.9, "rare": 0.7, "chosen": "", "seconds": 9.6}
    rows = [
        {**base, "seed": seed, "arm": arm, "balanced_accuracy": score}
        for seed, scores in enumerate(((0.80, 0.92), (0.86, 0.90)))
        for arm, score in zip(("plain", "rebalanced"), scores, strict=True)
    ]
    assert imbalance.table(rows)[2] == "| plain | 0 | 80.0% | 90.0% | 70.0% |  | 10 |"
    assert imbalance.verdict(rows).endswith("+8.0 points on average, +4.0 at least (not 5 points every time).")


@pytest.fixture
def cifar10(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module("cifar10_recognition")


@pytest.fixture
def photographs(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module("photographs_from_scratch")


def _row(part: str, program: str, hits: int, seconds: float) -> dict[str, object]:
    constants = {
        "n": 1000,
        "validation": None,
        "training_seconds": seconds / 2,
        "peak_megabytes": 900.0,
        "processor": "P",
    }
    return {"part": part, "program": program, "hits": hits, "seconds": seconds, **constants}


def test_parts_that_are_not_run_keep_their_rows_and_each_part_has_a_sentence(cifar10: ModuleType) -> None:
    old = [_row("quick", "Keras, 10 epochs", 670, 136.0), _row("92", "Diptych", 900, 2000.0)]
    new = [_row("quick", "Keras, 10 epochs", 671, 160.0), _row("quick", "Diptych a", 690, 16.0)]
    rows = cifar10.merge_rows(old, new)
    assert [row["hits"] for row in rows] == [671, 690, 900]
    quick, last = cifar10.verdicts(rows)
    assert quick.endswith(
        "Reached: 69.00% after 16 s; Keras, 10 epochs: 67.10% after 160 s, so that Diptych takes 1/10.00 of the "
        "time (of training alone 1/10.00)."
    )
    assert last.endswith("Reached: 90.00% after 2000 s.")
    first = cifar10.table(rows)[2]
    assert first.startswith("| quick | Keras, 10 epochs |  | 67.10% |")
    assert first.endswith(" | P |")


def test_a_dry_run_scales_only_the_length(cifar10: ModuleType) -> None:
    assert cifar10.scale_length(cifar10.PARTS["86"].options, 0.1) == ["--minutes", "0.38"]


def test_a_peer_gets_both_files_and_its_last_line_is_read(cifar10: ModuleType, tmp_path: Path) -> None:
    peer = tmp_path / "peer.py"
    peer.write_text("import sys; print('begun'); print('{\"hits\": %d, \"n\": 9}' % len(sys.argv[1:]))")
    row = cifar10.peer_row(f"{sys.executable} {peer}", tmp_path / "a", tmp_path / "b")
    assert (row["hits"], row["n"], row["training_seconds"]) == (2, 9, None)


def test_photographs_are_split_and_none_is_lost_or_repeated(photographs: ModuleType, tmp_path: Path) -> None:
    write_noise(tmp_path / "all", 20)
    photographs.lay_out(tmp_path / "all", tmp_path / "parts", 0)
    paths = [path.relative_to(tmp_path / "parts") for path in sorted((tmp_path / "parts").rglob("*.png"))]
    assert len(paths) == len({path.parts[1:] for path in paths}) == 40
    assert sum(path.parts[0] == "test" for path in paths) == 8


def test_the_verdict_compares_both_accuracies(photographs: ModuleType) -> None:
    rows = [{"program": "fastai resnet18", "hits": 78, "n": 100}, {"program": "Diptych speednet", "hits": 89, "n": 100}]
    assert photographs.verdict(rows) == "In equal minutes Diptych reaches 89.00%, fastai 78.00%: +11.00 points."


def test_runs_on_a_gpu_are_averaged_without_the_cold_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))
    recognition_gpu = importlib.import_module("cifar10_recognition_gpu")
    lines = [{"warmup": 60.0}, {"hits": 90, "n": 100, "seconds": 2.0}, {"hits": 92, "n": 100, "seconds": 4.0}]
    program = f"import json; print('epoch 1'); [print(json.dumps(line)) for line in {lines!r}]"
    row = recognition_gpu.measure_command(shlex.join([sys.executable, "-c", program]), "other", "94")
    assert recognition_gpu.table([row])[2] == "| 94 | other | 2 | 91.00% | 1.00% | 3.00 | 1.00 | 60 |"


def test_im2col_is_compared_with_torch_in_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))
    im2col = importlib.import_module("im2col")
    monkeypatch.setattr(im2col, "PICTURES", 16)
    turns: list[str] = []
    row = im2col.compare("both", lambda: turns.append("torch"), lambda: turns.append("im2col"), 2)
    assert turns == ["torch", "im2col"] * 3
    assert row["name"] == "both"
    rows = [im2col.gradient(8, 4, 2), im2col.step("speednet-s", 1)]
    assert all(row["torch"] > 0 and row["im2col"] > 0 for row in rows)
    assert len(im2col.table(rows)) == 2 + len(rows)


def test_planted_leaks_are_flagged_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))
    planted_privacy = importlib.import_module("planted_privacy")
    rows = [
        {"case": name, "part": "copying", "seed": 3, "seconds": 1.0, **case(3, None)}
        for name, case, _, _ in planted_privacy.PARTS["copying"]
    ]
    assert [row["verdict"] for row in rows] == ["copies", "no_sign"]
    lines = planted_privacy.table(rows)
    assert all("1 of 1" in line for line in lines[2:])
    assert planted_privacy.summary(rows) == "No private model was audited."
    canaries = {"canaries": {"epsilon at least": 0.5}, "accountants": {"epsilon_prv": 1.0, "epsilon_pld": 0.99}}
    assert "in 1 of 1 runs with ε = 1; the accountants differ by 1.0% at most" in planted_privacy.summary([canaries])


def test_a_planted_shortcut_is_found_and_a_remedy_raises_the_worst_group(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))
    planted_shortcuts = importlib.import_module("planted_shortcuts")
    monkeypatch.setattr(planted_shortcuts, "EPOCHS", 5)
    row = planted_shortcuts.planted(11, ("balanced",))
    assert row["even"]["verdict"] == row["biased"]["verdict"] == "shortcut"
    assert row["even"]["named"]
    assert row["worst"]["balanced"] >= row["worst"]["none"] + planted_shortcuts.AIM
    clean = {"set": "digits", "verdict": "fair", "accuracy": 0.9, "claimed": ""}
    assert planted_shortcuts.summary([], [clean]) == ["No shortcut is claimed on 1 of 1 clean sets."]
