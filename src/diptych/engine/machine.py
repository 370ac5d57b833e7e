"""The machine: device, precision, memory format and compilation, chosen by a short timed trial and remembered.

Which of them is fastest differs by processor, network and picture size, by a factor of three either way, so it is
measured: a few real steps each. The rates are kept in the user's cache folder for a day, keyed by all that they
depend on: a second run on the same machine chooses the same, and a busy hour is not remembered for ever. (A run that
is continued keeps the machine that it began on.)
"""

import hashlib
import json
import logging
import math
import os
import platform
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Self

import torch
from torch import Tensor, nn

from diptych import files
from diptych.engine import allocator
from diptych.engine.im2col import Im2col

log = logging.getLogger("diptych")
TRIAL_SECONDS, TRIAL_STEPS = 0.4, 50  # for each candidate beside the best so far: whichever is over first
LEAST_STEPS = 3
BEATEN = 1.25  # where two steps on one machine take so many times those on the other, the trial of both ends
WORTH_IM2COL = 0.05  # seconds of a step, from which on im2col may gain more than it costs
LONG_STEP = 0.1  # seconds, from which on threads do not wait for each other for long
# Compiling costs half a minute to minutes (beside four other trainings on one H200, 90 s out of 180); it is tried on
# longer runs only. Never on a CPU: once freed memory is kept, compiled steps were a quarter slower (SpeedNet) to two
# thirds slower (ConvNet) than torch's own kernels.
WORTH_COMPILING_SECONDS = {"cuda": 300}
REMEMBERED_SECONDS = 24 * 3600


@dataclass(frozen=True)
class Machine:
    """How a model is run: all that changes speed and not meaning."""

    device: torch.device
    bf16: bool = False
    channels_last: bool = False
    compile: bool = False
    threads: int = 0  # on the CPU; 0: as many as torch takes by itself
    im2col: bool = False  # on the CPU with bf16: how convolutions on small maps learn, see :mod:`diptych.engine.im2col`

    @contextmanager
    def autocast(self) -> Iterator[None]:
        """The context in which a model computes its losses."""
        half = torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16)
        with half, Im2col() if self.im2col else nullcontext():
            yield

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Within the block torch works with this machine's number of threads, and freed memory is kept for reuse."""
        with self.threaded(), allocator.keep_freed_memory():
            yield

    @contextmanager
    def threaded(self) -> Iterator[None]:
        """Within the block torch works with this machine's number of threads."""
        before = torch.get_num_threads()
        torch.set_num_threads(self.threads or before)
        try:
            yield
        finally:
            torch.set_num_threads(before)

    def place(self, tensor: Tensor) -> Tensor:
        """A batch of pictures in the memory format chosen."""
        return tensor.contiguous(memory_format=self._format)

    def prepare(self, modules: Iterable[nn.Module], compilable: Iterable[nn.Module]) -> None:
        """Bring modules into the memory format chosen and turn compilation of ``compilable`` on or off."""
        for module in modules:
            module.to(memory_format=self._format)
        for module in compilable:
            if not self.compile:
                module._compiled_call_impl = None
            elif module._compiled_call_impl is None:
                module.compile()

    @property
    def _format(self) -> torch.memory_format:
        return torch.channels_last if self.channels_last else torch.contiguous_format

    def numbers(self) -> list[float]:
        """All but the device as numbers, for a checkpoint or a message."""
        return [self.bf16, self.channels_last, self.compile, self.threads, self.im2col]

    @classmethod
    def of(cls, where: torch.device, numbers: Sequence[float]) -> Self:
        """The machine on ``where`` that :meth:`numbers` gave."""
        bf16, channels_last, compiled, threads, im2col, *_ = *numbers, False  # checkpoints of old have no im2col
        return cls(where, bool(bf16), bool(channels_last), bool(compiled), round(threads), bool(im2col))

    def __str__(self) -> str:
        parts = [describe(self.device), "bf16" if self.bf16 else "fp32"]
        parts += ["channels last"] if self.channels_last else []
        parts += ["im2col"] if self.im2col else []
        parts += ["compiled"] if self.compile else []
        parts += [f"on {self.threads} of them"] if self.threads else []
        return ", ".join(parts)


@contextmanager
def without_compilation(modules: Iterable[nn.Module]) -> Iterator[None]:
    """Within the block the modules run uncompiled: scoring in other shapes must not start the compiler again."""
    held = [(module, module._compiled_call_impl) for module in modules]
    for module, _ in held:
        module._compiled_call_impl = None
    try:
        yield
    finally:
        for module, compiled in held:
            module._compiled_call_impl = compiled


def device() -> torch.device:
    """The fastest device at hand; under ``torchrun`` each process takes the GPU of its local rank."""
    if torch.cuda.is_available():
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def describe(where: torch.device) -> str:
    """The device in words, as reports name it."""
    if where.type == "cuda":
        return torch.cuda.get_device_name(where)
    return f"{where.type.upper()}, {torch.get_num_threads()} threads"


def candidate_machines(where: torch.device) -> list[Machine]:
    """What the trial begins with: likely the fastest first, so that the next is soon seen to be beaten."""
    if where.type == "mps":
        return [Machine(where)]
    return [Machine(where, bf16, channels_last=True) for bf16 in (True, False)]


Step = Callable[[Machine], None]


def choose(
    step: Step,
    batch: int,
    key: str,
    where: torch.device,
    expected: Callable[[float], float],
    compilable: bool,
    *,
    learning: bool = True,
) -> tuple[Machine, float]:
    """The fastest machine for ``step``, and its rate.

    Parameters
    ----------
    step
        Runs one step on a machine, changing nothing that lasts.
    batch
        Pictures in such a step.
    key
        All that the rates depend on, besides the device and torch: the network's layout, the shapes.
    expected
        From a rate (pictures a second) to the seconds that the whole run will take.
    compilable
        Whether the model has modules that may be compiled.
    learning
        Whether the step takes gradients.

    Returns
    -------
    tuple
        The machine, and its rate in pictures a second.

    Raises
    ------
    RuntimeError
        The step fails on every machine; this is the first one's error.
    """
    rates = _Remembered(key, where)
    best = rates.best(candidate_machines(where), step, batch)
    if where.type == "cpu":
        best = rates.best([best, replace(best, channels_last=False)], step, batch)
    if where.type == "cpu" and torch.get_num_threads() > 1 and batch / rates.of(best) < LONG_STEP:
        # Small networks wait longer for each other's threads than they gain by them.
        best = rates.best([best, replace(best, threads=1)], step, batch)
    if where.type == "cpu" and learning and best.bf16 and batch / rates.of(best) > WORTH_IM2COL:
        best = rates.best([best, replace(best, im2col=True)], step, batch)
    if compilable and expected(rates.of(best)) > WORTH_COMPILING_SECONDS.get(where.type, math.inf):
        best = rates.best([best, replace(best, compile=True)], step, batch)
    log.info("Machine: %s, about %.0f pictures a second", best, rates.of(best))
    return best, rates.of(best)


def cached_measurement(key: str, where: torch.device, measure: Callable[[], dict[str, float]]) -> dict[str, float]:
    """What ``measure`` finds, kept like the rates: the same ``key`` on the same machine is not measured again."""
    return _Remembered(key, where).all(measure)


class _Remembered:
    """Rates by machine, in one small file in the cache folder."""

    def __init__(self, key: str, where: torch.device) -> None:
        facts = f"{key}|{describe(where)}|{platform.processor()}|{os.cpu_count()}|{torch.__version__}"
        name = hashlib.sha256(facts.encode()).hexdigest()[:24]
        self._path = cache_folder() / "rates" / f"{name}.json"
        self._rates: dict[str, float] = {}
        self._errors: list[RuntimeError] = []  # of machines that do not work
        try:
            if time.time() - self._path.stat().st_mtime < REMEMBERED_SECONDS:
                self._rates = json.loads(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            log.debug("no rates are known yet for this network on this machine")
        if not any(self._rates.values()):
            self._rates = {}

    def of(self, machine: Machine) -> float:
        return self._rates[str(machine)]

    def all(self, measure: Callable[[], dict[str, float]]) -> dict[str, float]:
        """All that is known, measured now if nothing is."""
        if not self._rates:
            self._rates = measure()
            self._keep()
        return self._rates

    def best(self, machines: Iterable[Machine], step: Step, batch: int) -> Machine:
        """The fastest of some; each is measured and remembered, unless it is known; the first error if none works."""
        best, *rivals = machines
        if str(best) not in self._rates:
            self._note(best, self._alone(best, step, batch))
        for rival in rivals:
            if str(rival) not in self._rates:
                self._measure(rival, best, step, batch)
            best = max(best, rival, key=self.of)  # the first of equals
        if not self.of(best):
            self._path.unlink(missing_ok=True)  # such as a GPU that another program filled: it may be free next time
            raise self._errors[0]
        return best

    def _measure(self, rival: Machine, best: Machine, step: Step, batch: int) -> None:
        """Note a machine's rate as its ratio to that of the best so far tells it."""
        if not self.of(best):
            self._note(rival, self._alone(rival, step, batch))
            return
        try:
            pairs = _pairs(best, rival, step)
        except RuntimeError as error:
            self._note(rival, self._none(rival, error))
            return
        self._note(best, max(self.of(best), batch / median(one for one, _ in pairs)))
        self._note(rival, self.of(best) * median(one / other for one, other in pairs))

    def _alone(self, machine: Machine, step: Step, batch: int) -> float:
        """The rate of a machine by itself; 0 if it does not work."""
        try:
            with machine.at_work():
                _timed(machine, step)
                return batch / median(_timed(machine, step) for _ in range(LEAST_STEPS))
        except RuntimeError as error:
            return self._none(machine, error)

    def _none(self, machine: Machine, error: RuntimeError) -> float:
        """The rate of a machine that does not work: its compiler is not installed, or a kernel is not there."""
        log.info("%s does not work here: %s", machine, str(error).splitlines()[0])
        self._errors.append(error)
        return 0.0

    def _note(self, machine: Machine, rate: float) -> None:
        self._rates[str(machine)] = rate
        self._keep()

    def _keep(self) -> None:
        try:
            files.write_text(self._path, json.dumps(self._rates))
        except OSError as error:
            log.info("The cache folder cannot be written (%s); the trial will be run again.", error)


def _pairs(best: Machine, rival: Machine, step: Step) -> list[tuple[float, float]]:
    """Seconds of steps on both in turn, after a first one that is not counted; two are enough where one is far behind.

    In turn, because other work on a shared machine makes it twice as slow from one second to the next.
    """
    pairs: list[tuple[float, float]] = []
    with allocator.keep_freed_memory():
        _timed(rival, step)
        _timed(best, step)
        start = time.perf_counter()
        while len(pairs) < LEAST_STEPS or (time.perf_counter() - start < TRIAL_SECONDS and len(pairs) < TRIAL_STEPS):
            pairs.append((_timed(best, step), _timed(rival, step)))
            ratios = [other / one for one, other in pairs]
            if len(pairs) == 2 and (min(ratios) > BEATEN or max(ratios) < 1 / BEATEN):
                break
    return pairs


def _timed(machine: Machine, step: Step) -> float:
    """Seconds that a step takes."""
    with machine.threaded():
        start = time.perf_counter()
        step(machine)
        if machine.device.type == "cuda":
            torch.cuda.synchronize(machine.device)
        return time.perf_counter() - start


def cache_folder() -> Path:
    """Where Diptych keeps what can be made again: ``$XDG_CACHE_HOME/diptych``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "diptych"
