import os
import time

import pytest
import torch
from torch import nn

from diptych.engine import machine


@pytest.fixture(autouse=True)
def bf16_is_a_candidate(monkeypatch):
    """The steps of these tests only sleep, so bfloat16 can be tried on any processor."""
    monkeypatch.setattr(machine, "computes_bf16", lambda device: True)


@pytest.fixture(autouse=True)
def trials_as_long_as_in_the_program(monkeypatch):
    """Elsewhere in the tests they are shorter, see tests/conftest.py."""
    monkeypatch.setattr(machine, "MAX_TRIAL_SECONDS", 0.4)
    monkeypatch.setattr(machine, "MIN_TRIAL_STEPS", 3)


def test_the_fastest_candidate_is_chosen_and_its_rate_is_cached(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    calls: list[machine.Machine] = []

    def step(candidate: machine.Machine) -> None:
        calls.append(candidate)
        time.sleep(0.001 if candidate.bf16 and candidate.channels_last else 0.05)

    def choose() -> tuple[machine.Machine, float]:
        return machine.choose(step, 64, "net", torch.device("cpu"), lambda rate: 1.0, compilable=True)

    first, rate = choose()
    assert (first.bf16, first.channels_last, first.compile) == (True, True, False)
    assert rate > 64 / 0.05
    trial_steps = len(calls)
    assert choose() == (first, rate)
    assert len(calls) == trial_steps


def test_im2col_is_chosen_where_it_is_faster_and_gradients_are_needed(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    def step(candidate: machine.Machine) -> None:
        time.sleep(0.01 if candidate.im2col else 0.1 if candidate.bf16 else 0.2)

    def choose(**options: bool) -> machine.Machine:
        return machine.choose(
            step, 8, repr(options), torch.device("cpu"), lambda rate: 1.0, compilable=False, **options
        )[0]

    assert choose().im2col
    assert "im2col" in str(choose())
    assert machine.Machine.from_numbers(torch.device("cpu"), choose().numbers()) == choose()
    assert not machine.Machine.from_numbers(
        torch.device("cpu"), choose().numbers()[:4]
    ).im2col  # of a run begun with an earlier version
    assert not choose(training=False).im2col


def test_a_clearly_slower_candidate_takes_three_steps(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    calls: list[machine.Machine] = []

    def step(candidate: machine.Machine) -> None:
        calls.append(candidate)
        time.sleep(0.04 if candidate.bf16 and candidate.channels_last else 0.15)

    machine.choose(step, 8, "net", torch.device("cpu"), lambda rate: 1.0, compilable=False)
    slow = [call for call in calls if not call.bf16 and call.channels_last]
    assert len(slow) == 3


def test_old_rates_are_measured_again(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    steps = []

    def step(candidate: machine.Machine) -> None:
        steps.append(candidate)
        time.sleep(0.001 if candidate.bf16 and candidate.channels_last else 0.005)

    def choose() -> None:
        machine.choose(step, 8, "net", torch.device("cpu"), lambda rate: 1.0, compilable=False)

    choose()
    first_trial = len(steps)
    for file in (tmp_path / "diptych" / "rates").iterdir():
        os.utime(file, (0, 0))
    choose()
    assert set(steps[first_trial:]) == set(steps[:first_trial])


def test_cached_values_of_other_names_are_measured_again(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    cpu = torch.device("cpu")
    machine.cached_measurement("net", cpu, lambda: {"rate": 2.0}, {"rate"})
    (file,) = (tmp_path / "diptych" / "rates").iterdir()
    file.write_text('{"speed": 9.0}', encoding="utf-8")
    assert machine.cached_measurement("net", cpu, lambda: {"rate": 3.0}, {"rate"}) == {"rate": 3.0}
    assert machine.cached_measurement("net", cpu, lambda: {"rate": 4.0}, {"rate"}) == {"rate": 3.0}


def test_a_candidate_that_does_not_work_is_skipped(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    def step(candidate: machine.Machine) -> None:
        if candidate.bf16:
            raise RuntimeError("no such kernel")

    chosen, _ = machine.choose(step, 8, "net", torch.device("cpu"), lambda rate: 1.0, compilable=False)
    assert not chosen.bf16


def test_where_no_candidate_works_the_error_is_raised_and_not_cached(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    out_of_memory = True

    def step(candidate: machine.Machine) -> None:
        if out_of_memory:
            raise RuntimeError("out of memory")

    def choose() -> float:
        return machine.choose(step, 8, "net", torch.device("cpu"), lambda rate: 1.0, compilable=False)[1]

    with pytest.raises(RuntimeError, match="out of memory"):
        choose()
    out_of_memory = False
    assert choose() > 0


def test_compilation_is_tried_on_long_runs_only(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setitem(machine.COMPILE_MIN_RUN_SECONDS, "cpu", 1800)  # as on a GPU, which this machine may lack

    def step(candidate: machine.Machine) -> None:
        time.sleep(0.001 if candidate.compile else 0.01)

    def choose(seconds: float) -> machine.Machine:
        return machine.choose(step, 8, "net", torch.device("cpu"), lambda rate: seconds, compilable=True)[0]

    assert not choose(600).compile
    assert choose(3600).compile


def test_modules_are_compiled_and_uncompiled_without_new_names():
    module = nn.Sequential(nn.Linear(2, 2))
    names = list(module.state_dict())
    machine.Machine(torch.device("cpu"), compile=True).prepare([module], [module])
    assert list(module.state_dict()) == names
    with machine.without_compilation([module]):
        assert module._compiled_call_impl is None
    assert module._compiled_call_impl is not None
    machine.Machine(torch.device("cpu")).prepare([module], [module])
    assert module._compiled_call_impl is None


def test_a_model_that_is_fastest_on_one_thread_gets_one_thread(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    def step(candidate: machine.Machine) -> None:
        time.sleep(0.01 * torch.get_num_threads())

    two_threads = machine.Machine(torch.device("cpu"), threads=2)
    with two_threads.active():
        chosen, _ = machine.choose(step, 8, "net", torch.device("cpu"), lambda rate: 1.0, compilable=False)
        assert chosen.threads == 1
        with chosen.active():
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2


def test_a_candidate_first_timed_in_a_busy_moment_is_timed_again(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    steps = 0

    def step(candidate: machine.Machine) -> None:
        nonlocal steps
        steps += 1
        busy = steps < 20  # while the first candidate is timed for the first time
        time.sleep((0.04 if candidate.bf16 and candidate.channels_last else 0.05) + 0.05 * busy)

    chosen, _ = machine.choose(step, 8, "net", torch.device("cpu"), lambda rate: 1.0, compilable=False)
    assert (chosen.bf16, chosen.channels_last) == (True, True)


def test_a_processor_without_bf16_instructions_is_not_tried_with_it(monkeypatch):
    monkeypatch.undo()
    machine.computes_bf16.cache_clear()
    names = {"avx2": True, "avx512_bf16": False, "amx_bf16": False, "cpu_name": "bf16"}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: names, raising=False)
    (only,) = machine.candidate_machines(torch.device("cpu"))
    assert not only.bf16
    machine.computes_bf16.cache_clear()
    names["amx_bf16"] = True
    assert [candidate.bf16 for candidate in machine.candidate_machines(torch.device("cpu"))] == [True, False]
    machine.computes_bf16.cache_clear()
