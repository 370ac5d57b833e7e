"""The machine: device, precision, memory format and compilation, chosen by a short timed trial whose rates are cached.

Which of them is fastest differs by processor, network and picture size, by a factor of three either way, so it is
measured with a few real steps each. The rates are cached in the user's cache folder for a day, keyed by all that they
depend on: a second run on the same machine chooses the same, and rates measured in a busy hour expire. (A resumed run
stays on the machine that it began on.)
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
from functools import cache
from statistics import median
from typing import Annotated, Self

import torch
from msgspec import Meta
from torch import Tensor, nn

from diptych import files, json_reader
from diptych.engine.processor import allocator
from diptych.engine.processor.im2col import Im2col
from diptych.errors import DataError

log = logging.getLogger("diptych")
MAX_TRIAL_SECONDS, MAX_TRIAL_STEPS = 0.4, 50  # for each candidate beside the best so far: whichever is over first
MIN_TRIAL_STEPS = 3
CLEARLY_SLOWER = 1.25  # ratio of step times at which two pairs of steps are enough to end the trial of a candidate
IM2COL_MIN_STEP_SECONDS = 0.05  # in longer steps im2col may gain more than it costs
THREADS_MAX_STEP_SECONDS = 0.1  # in longer steps threads do not wait for each other for long
# Compiling costs half a minute to minutes (beside four other trainings on one H200, 90 s out of 180); it is tried on
# longer runs only. Never on a CPU: with freed memory kept, compiled steps were a quarter slower (SpeedNet) to two
# thirds slower (ConvNet) than torch's own kernels.
COMPILE_MIN_RUN_SECONDS = {"cuda": 300}
Rate = Annotated[float, Meta(ge=0)]
CACHE_SECONDS = 24 * 3600


@dataclass(frozen=True)
class Machine:
    """How a model is run: all settings that change its speed and not its results (rounding aside)."""

    device: torch.device
    bf16: bool = False
    channels_last: bool = False
    compile: bool = False
    threads: int = 0  # on the CPU; 0: torch's own number
    im2col: bool = False  # on the CPU with bf16: weight gradients on small maps, see :mod:`.processor.im2col`

    @contextmanager
    def autocast(self) -> Iterator[None]:
        """The context in which a model computes its losses."""
        precision = torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16)
        with precision, Im2col() if self.im2col else nullcontext():
            yield

    @contextmanager
    def active(self) -> Iterator[None]:
        """Within the block torch works with this machine's number of threads, and freed memory is reused."""
        with self.thread_count(), allocator.keep_freed_memory():
            yield

    @contextmanager
    def thread_count(self) -> Iterator[None]:
        """Within the block torch works with this machine's number of threads."""
        before = torch.get_num_threads()
        torch.set_num_threads(self.threads or before)
        try:
            yield
        finally:
            torch.set_num_threads(before)

    def to_memory_format(self, tensor: Tensor) -> Tensor:
        """A batch of pictures in this machine's memory format."""
        return tensor.contiguous(memory_format=self._memory_format)

    def prepare(self, modules: Iterable[nn.Module], compilable: Iterable[nn.Module]) -> None:
        """Bring modules into this machine's memory format and turn compilation of ``compilable`` on or off."""
        for module in modules:
            module.to(memory_format=self._memory_format)
        for module in compilable:
            if not self.compile:
                module._compiled_call_impl = None
            elif module._compiled_call_impl is None:
                module.compile()

    @property
    def _memory_format(self) -> torch.memory_format:
        return torch.channels_last if self.channels_last else torch.contiguous_format

    def numbers(self) -> list[float]:
        """All but the device as numbers, for a checkpoint or a message."""
        return [self.bf16, self.channels_last, self.compile, self.threads, self.im2col]

    @classmethod
    def from_numbers(cls, device: torch.device, numbers: Sequence[float]) -> Self:
        """The machine on ``device`` from what :meth:`numbers` returned."""
        bf16, channels_last, compiled, threads, im2col, *_ = (
            *numbers,
            False,
        )  # checkpoints of earlier versions have no im2col
        return cls(device, bool(bf16), bool(channels_last), bool(compiled), round(threads), bool(im2col))

    def __str__(self) -> str:
        parts = [describe_device(self.device), "bf16" if self.bf16 else "fp32"]
        parts += ["channels last"] if self.channels_last else []
        parts += ["im2col"] if self.im2col else []
        parts += ["compiled"] if self.compile else []
        parts += [f"on {self.threads} of them"] if self.threads else []
        return ", ".join(parts)


@contextmanager
def without_compilation(modules: Iterable[nn.Module]) -> Iterator[None]:
    """Within the block the modules run uncompiled: evaluation in other shapes must not start the compiler again."""
    compiled_calls = [(module, module._compiled_call_impl) for module in modules]
    for module, _ in compiled_calls:
        module._compiled_call_impl = None
    try:
        yield
    finally:
        for module, compiled in compiled_calls:
            module._compiled_call_impl = compiled


def device() -> torch.device:
    """The fastest device available; under ``torchrun`` each process takes the GPU of its local rank."""
    if torch.cuda.is_available():
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


@cache
def computes_bf16(device: torch.device) -> bool:
    """Whether the device has instructions for bfloat16; a processor without them emulates it, many times slower."""
    if device.type != "cpu" or not hasattr(torch.cpu, "get_capabilities"):  # an older torch does not say
        return True
    return any(supported is True for name, supported in torch.cpu.get_capabilities().items() if name.endswith("bf16"))


def describe_device(device: torch.device) -> str:
    """The device in words, as reports name it."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type.upper()}, {torch.get_num_threads()} threads"


def candidate_machines(device: torch.device) -> list[Machine]:
    """The first candidates of the trial: the likely fastest first, so that the next is soon known to be slower."""
    if device.type == "mps":
        return [Machine(device)]
    return [Machine(device, bf16, channels_last=True) for bf16 in (True, False) if computes_bf16(device) or not bf16]


Step = Callable[[Machine], None]


def choose(
    step: Step,
    batch: int,
    key: str,
    device: torch.device,
    expected_seconds: Callable[[float], float],
    compilable: bool,
    *,
    training: bool = True,
) -> tuple[Machine, float]:
    """The fastest machine for ``step``, and its rate.

    Parameters
    ----------
    step
        Runs one step on a machine without lasting changes.
    batch
        Pictures in such a step.
    key
        All that the rates depend on besides the device and torch: the network's layout, the shapes.
    expected_seconds
        From a rate (pictures a second) to the seconds that the whole run will take.
    compilable
        Whether the model has modules that may be compiled.
    training
        Whether the step computes gradients.

    Returns
    -------
    tuple
        The machine, and its rate in pictures a second.

    Raises
    ------
    RuntimeError
        The step fails on every machine; this is the first one's error.
    """
    rates = _RateCache(key, device)
    best = rates.best(candidate_machines(device), step, batch)
    if device.type == "cpu":
        best = rates.best([best, replace(best, channels_last=False)], step, batch)
    if device.type == "cpu" and torch.get_num_threads() > 1 and batch / rates.of(best) < THREADS_MAX_STEP_SECONDS:
        # In small networks threads wait for each other longer than they gain.
        best = rates.best([best, replace(best, threads=1)], step, batch)
    if device.type == "cpu" and training and best.bf16 and batch / rates.of(best) > IM2COL_MIN_STEP_SECONDS:
        best = rates.best([best, replace(best, im2col=True)], step, batch)
    if compilable and expected_seconds(rates.of(best)) > COMPILE_MIN_RUN_SECONDS.get(device.type, math.inf):
        best = rates.best([best, replace(best, compile=True)], step, batch)
    log.info("Machine: %s, about %.0f pictures a second", best, rates.of(best))
    return best, rates.of(best)


def cached_measurement(
    key: str, device: torch.device, measure: Callable[[], dict[str, float]], names: set[str]
) -> dict[str, float]:
    """The result of ``measure``, which has these names, cached like the rates by ``key`` and machine."""
    return _RateCache(key, device).get_or_measure(measure, names)


class _RateCache:
    """Rates by machine, in one small file in the cache folder."""

    def __init__(self, key: str, device: torch.device) -> None:
        facts = f"{key}|{describe_device(device)}|{platform.processor()}|{os.cpu_count()}|{torch.__version__}"
        name = hashlib.sha256(facts.encode()).hexdigest()[:24]
        self._path = files.cache_folder() / "rates" / f"{name}.json"
        self._rates: dict[str, float] = {}
        self._errors: list[RuntimeError] = []  # of machines that do not work
        try:
            if time.time() - self._path.stat().st_mtime < CACHE_SECONDS:
                self._rates = json_reader.read(self._path, dict[str, Rate])
        except (OSError, DataError):
            log.debug("no rates are cached yet for this network on this machine")
        if not any(self._rates.values()):
            self._rates = {}

    def of(self, machine: Machine) -> float:
        return self._rates[str(machine)]

    def get_or_measure(self, measure: Callable[[], dict[str, float]], names: set[str]) -> dict[str, float]:
        """The cached values; if they are not there, or are others, they are measured now."""
        if self._rates.keys() != names:
            self._rates = measure()
            self._save()
        return self._rates

    def best(self, machines: Iterable[Machine], step: Step, batch: int) -> Machine:
        """The fastest of these; those not cached are measured. Raises the first error if none works."""
        best, *candidates = machines
        if str(best) not in self._rates:
            self._record(best, self._measure_alone(best, step, batch))
        for candidate in candidates:
            if str(candidate) not in self._rates:
                self._measure_against(best, candidate, step, batch)
            best = max(best, candidate, key=self.of)  # the first of equals
        if not self.of(best):
            self._path.unlink(missing_ok=True)  # such as a full GPU, which may be free next time
            raise self._errors[0]
        return best

    def _measure_against(self, best: Machine, candidate: Machine, step: Step, batch: int) -> None:
        """Record a machine's rate, computed from its ratio to the best one so far."""
        if not self.of(best):
            self._record(candidate, self._measure_alone(candidate, step, batch))
            return
        try:
            pairs = _time_pairs(best, candidate, step)
        except RuntimeError as error:
            self._record(candidate, self._failed(candidate, error))
            return
        self._record(best, max(self.of(best), batch / median(one for one, _ in pairs)))
        self._record(candidate, self.of(best) * median(one / other for one, other in pairs))

    def _measure_alone(self, machine: Machine, step: Step, batch: int) -> float:
        """The rate of a machine by itself; 0 if it does not work."""
        try:
            with machine.active():
                _step_seconds(machine, step)
                return batch / median(_step_seconds(machine, step) for _ in range(MIN_TRIAL_STEPS))
        except RuntimeError as error:
            return self._failed(machine, error)

    def _failed(self, machine: Machine, error: RuntimeError) -> float:
        """The rate of a machine that does not work: 0. Its compiler may not be installed, or a kernel is missing."""
        log.info("%s does not work here: %s", machine, str(error).splitlines()[0])
        self._errors.append(error)
        return 0.0

    def _record(self, machine: Machine, rate: float) -> None:
        self._rates[str(machine)] = rate
        self._save()

    def _save(self) -> None:
        try:
            files.write_text(self._path, json.dumps(self._rates))
        except OSError as error:
            log.info("The cache folder cannot be written to (%s); the next run repeats the trial.", error)


def _time_pairs(best: Machine, candidate: Machine, step: Step) -> list[tuple[float, float]]:
    """Seconds of alternating steps on both, after a warm-up step each; two pairs if one machine is clearly slower.

    They alternate because other work on a shared machine may make it twice as slow from one second to the next.
    """
    pairs: list[tuple[float, float]] = []
    with allocator.keep_freed_memory():
        _step_seconds(candidate, step)
        _step_seconds(best, step)
        start = time.perf_counter()
        while len(pairs) < MIN_TRIAL_STEPS or (
            time.perf_counter() - start < MAX_TRIAL_SECONDS and len(pairs) < MAX_TRIAL_STEPS
        ):
            pairs.append((_step_seconds(best, step), _step_seconds(candidate, step)))
            ratios = [other / one for one, other in pairs]
            if len(pairs) == 2 and (min(ratios) > CLEARLY_SLOWER or max(ratios) < 1 / CLEARLY_SLOWER):
                break
    return pairs


def _step_seconds(machine: Machine, step: Step) -> float:
    """Seconds that one step takes."""
    with machine.thread_count():
        start = time.perf_counter()
        step(machine)
        if machine.device.type == "cuda":
            torch.cuda.synchronize(machine.device)
        return time.perf_counter() - start
