import os
import time

import pytest
import torch
from torch import nn

from diptych.engine import machine


def test_the_fastest_candidate_is_chosen_and_remembered(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    calls: list[machine.Machine] = []

    def step(on: machine.Machine) -> None:
        calls.append(on)
        time.sleep(0.001 if on.bf16 and on.channels_last else 0.05)

    def chosen() -> tuple[machine.Machine, float]:
        return machine.choose(step, 64, "net", torch.device("cpu"), lambda rate: 1.0, compilable=True)

    first, rate = chosen()
    assert (first.bf16, first.channels_last, first.compile) == (True, True, False)
    assert rate > 64 / 0.05
    tried = len(calls)
    assert chosen() == (first, rate)
    assert len(calls) == tried


def test_im2col_is_taken_where_it_is_faster_and_gradients_are_taken(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    def step(on: machine.Machine) -> None:
        time.sleep(0.01 if on.im2col else 0.1 if on.bf16 else 0.2)

    def chosen(**dials: bool) -> machine.Machine:
        return machine.choose(step, 8, repr(dials), torch.device("cpu"), lambda rate: 1.0, compilable=False, **dials)[0]

    assert chosen().im2col
    assert "im2col" in str(chosen())
    assert machine.Machine.of(torch.device("cpu"), chosen().numbers()) == chosen()
    assert not machine.Machine.of(torch.device("cpu"), chosen().numbers()[:4]).im2col  # of a run begun before
    assert not chosen(learning=False).im2col


def test_a_candidate_that_is_clearly_beaten_takes_three_steps(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    calls: list[machine.Machine] = []

    def step(on: machine.Machine) -> None:
        calls.append(on)
        time.sleep(0.04 if on.bf16 and on.channels_last else 0.15)

    machine.choose(step, 8, "net", torch.device("cpu"), lambda rate: 1.0, compilable=False)
    slow = [on for on in calls if not on.bf16 and on.channels_last]
    assert len(slow) == 3


def test_what_was_measured_long_ago_is_measured_again(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    steps = []

    def step(on: machine.Machine) -> None:
        steps.append(on)
        time.sleep(0.001 if on.bf16 and on.channels_last else 0.005)

    def choose() -> None:
        machine.choose(step, 8, "net", torch.device("cpu"), lambda rate: 1.0, compilable=False)

    choose()
    once = len(steps)
    for file in (tmp_path / "diptych" / "rates").iterdir():
        os.utime(file, (0, 0))
    choose()
    assert len(steps) > 1.5 * once


def test_a_candidate_that_does_not_work_is_passed_over(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    def step(on: machine.Machine) -> None:
        if on.bf16:
            raise RuntimeError("no such kernel")

    chosen, _ = machine.choose(step, 8, "net", torch.device("cpu"), lambda rate: 1.0, compilable=False)
    assert not chosen.bf16


def test_where_nothing_works_the_error_is_told_and_forgotten(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    full = True

    def step(on: machine.Machine) -> None:
        if full:
            raise RuntimeError("out of memory")

    def choose() -> float:
        return machine.choose(step, 8, "net", torch.device("cpu"), lambda rate: 1.0, compilable=False)[1]

    with pytest.raises(RuntimeError, match="out of memory"):
        choose()
    full = False
    assert choose() > 0


def test_compilation_is_tried_on_long_runs_only(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setitem(machine.WORTH_COMPILING_SECONDS, "cpu", 1800)  # as on a GPU, which may not be there

    def step(on: machine.Machine) -> None:
        time.sleep(0.001 if on.compile else 0.01)

    def chosen(seconds: float) -> machine.Machine:
        return machine.choose(step, 8, "net", torch.device("cpu"), lambda rate: seconds, compilable=True)[0]

    assert not chosen(600).compile
    assert chosen(3600).compile


def test_modules_are_compiled_and_back_without_new_names():
    module = nn.Sequential(nn.Linear(2, 2))
    names = list(module.state_dict())
    machine.Machine(torch.device("cpu"), compile=True).prepare([module], [module])
    assert list(module.state_dict()) == names
    with machine.without_compilation([module]):
        assert module._compiled_call_impl is None
    assert module._compiled_call_impl is not None
    machine.Machine(torch.device("cpu")).prepare([module], [module])
    assert module._compiled_call_impl is None


def test_a_model_that_one_thread_serves_best_gets_one_thread(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    def step(on: machine.Machine) -> None:
        time.sleep(0.01 * torch.get_num_threads())

    many = machine.Machine(torch.device("cpu"), threads=2)
    with many.at_work():
        chosen, _ = machine.choose(step, 8, "net", torch.device("cpu"), lambda rate: 1.0, compilable=False)
        assert chosen.threads == 1
        with chosen.at_work():
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2


def test_a_candidate_that_met_a_busy_moment_is_timed_again(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    steps = 0

    def step(on: machine.Machine) -> None:
        nonlocal steps
        steps += 1
        busy = steps < 20  # while the first candidate is timed for the first time
        time.sleep((0.04 if on.bf16 and on.channels_last else 0.05) + 0.05 * busy)

    chosen, _ = machine.choose(step, 8, "net", torch.device("cpu"), lambda rate: 1.0, compilable=False)
    assert (chosen.bf16, chosen.channels_last) == (True, True)
