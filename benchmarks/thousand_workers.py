"""A simulation of a thousand workers: jobs of a billion pictures while workers die, lag behind, and shards are lost.

What cannot be tried on two cores is simulated, event by event and seeded, with the constants that the program really
uses: the size of a job, the retries of a job, when a copy of a late job is started, the size of a shard, and the share
of the time that checkpoints take. The rate of a worker and what a job costs this side are measured: see scale.md.

    python benchmarks/thousand_workers.py
"""

import heapq
import math
import statistics
from dataclasses import dataclass

import common
import numpy as np
from measure import hardware

from diptych.cluster.ray_jobs import RETRIES, STRAGGLER
from diptych.data.packing.pack import SHARD_PICTURES
from diptych.engine.loop import MAX_CHECKPOINT_SHARE
from diptych.engine.row_jobs import ROWS_PER_JOB

WORKERS = 1_000
COMMANDS = 50  # that a billion pictures are divided among
PICTURES = 1_000_000_000 // COMMANDS  # of one command
RATE = 22.0  # pictures a second of a worker of one core: lite0 at 224 px (ray_jobs.py)
RESTART = 30.0  # s until a dead worker has been replaced: the process, the model
SPREAD = 0.15  # standard deviation of the logarithm of a job's time
SLOW_SHARE, SLOWNESS = 0.01, 10.0  # workers that lag behind, and by which factor
HOUR, DAY = 3600.0, 86_400.0
SEEDS = 3


@dataclass(frozen=True)
class Policy:
    """How work is cut and repeated."""

    rows: int = ROWS_PER_JOB
    retries: int = RETRIES
    straggler: float = STRAGGLER  # times the median after which a late job is copied; infinite: never


@dataclass
class Outcome:
    """What came of a run."""

    seconds: float  # infinite: a job lost its worker too often
    ideal: float  # seconds without a fault, a lag or a remainder
    wasted: float  # share of the work that was done for nothing
    deaths: int


class Simulation:
    """All jobs of one command, each on the first worker that is free.

    Parameters
    ----------
    mean_life
        Of a worker, in seconds; lives are exponential.
    slow_share
        Of the workers, that are ten times slower.
    """

    def __init__(self, policy: Policy, mean_life: float, slow_share: float, seed: int) -> None:
        self.policy, self.mean_life = policy, mean_life
        self.random = np.random.default_rng(seed)
        self.slow = self.random.permutation(WORKERS) < slow_share * WORKERS
        self.dies = (
            self.random.exponential(mean_life, WORKERS) if math.isfinite(mean_life) else np.full(WORKERS, math.inf)
        )
        self.free = [(0.0, worker) for worker in range(WORKERS)]  # from when on
        self.running: dict[int, list[float]] = {}  # job -> when each copy of it was started
        self.ends: list[tuple[float, int, int, float, bool]] = []  # when, worker, job, seconds of work, whether it died
        self.durations: list[float] = []
        self.now = 0.0

    def start(self, job: int) -> None:
        """Give a job to the worker that is free first."""
        free, worker = heapq.heappop(self.free)
        begin = max(free, self.now)
        if self.dies[worker] < begin:  # while it had nothing to do
            self.dies[worker] = begin + self.random.exponential(self.mean_life)
        seconds = self.policy.rows / RATE * self.random.lognormal(0, SPREAD) * (SLOWNESS if self.slow[worker] else 1)
        end = min(begin + seconds, self.dies[worker])
        heapq.heappush(self.ends, (end, worker, job, end - begin, end == self.dies[worker]))
        self.running.setdefault(job, []).append(begin)

    def copy_late_jobs(self) -> None:
        """Where workers have nothing to do, start a second copy of jobs that take too long."""
        late = self.now - self.policy.straggler * statistics.median(self.durations[-1001:])
        for job, starts in self.running.items():
            if self.free and self.free[0][0] <= self.now and len(starts) == 1 and starts[0] < late:
                self.start(job)

    def run(self) -> Outcome:
        """Until all jobs are done, or one lost its worker too often."""
        jobs = math.ceil(PICTURES / self.policy.rows)
        waiting, attempts = list(range(jobs))[::-1], np.zeros(jobs, np.int64)
        work = wasted = 0.0
        deaths = 0
        while waiting or self.running:
            while waiting and self.free:
                self.start(waiting.pop())
            if not waiting and self.durations and math.isfinite(self.policy.straggler):
                self.copy_late_jobs()
            self.now, worker, job, seconds, died = heapq.heappop(self.ends)
            heapq.heappush(self.free, (self.now + (RESTART if died else 0.0), worker))
            work += seconds
            if died:
                deaths, wasted = deaths + 1, wasted + seconds
                self.dies[worker] = self.now + RESTART + self.random.exponential(self.mean_life)
                attempts[job] += 1
                if attempts[job] > self.policy.retries:
                    return Outcome(math.inf, 1.0, wasted / work, deaths)
                copies = self.running.get(job, [])
                if len(copies) == 1:
                    del self.running[job]
                    waiting.append(job)
                elif copies:
                    copies.pop()
            elif self.running.pop(job, None) is None:  # a copy of it was faster
                wasted += seconds
            else:
                self.durations.append(seconds)
        return Outcome(self.now, PICTURES / RATE / WORKERS, wasted / work, deaths)


def jobs_table() -> list[str]:
    """Sizes of jobs and copies of late ones, under deaths and stragglers."""
    rows = []
    for life, slow in ((math.inf, 0.0), (30 * DAY, SLOW_SHARE), (DAY, SLOW_SHARE), (HOUR, SLOW_SHARE)):
        for policy in (
            Policy(),
            Policy(straggler=math.inf),
            Policy(rows=16 * ROWS_PER_JOB),
            Policy(rows=16 * ROWS_PER_JOB, straggler=math.inf),
        ):
            runs = [Simulation(policy, life, slow, seed).run() for seed in range(SEEDS)]
            rows.append(
                [
                    "never" if life == math.inf else f"{life / HOUR:,.0f} h",
                    f"{slow:.0%}",
                    policy.rows,
                    "yes" if math.isfinite(policy.straggler) else "no",
                    f"{statistics.median(run.seconds / run.ideal for run in runs):.2f}",
                    f"{statistics.median(run.wasted for run in runs):.1%}",
                    f"{statistics.median(run.deaths for run in runs):,.0f}",
                ]
            )
    header = ["a worker dies every", "ten times slower", "pictures a job", "copies", "time / ideal", "wasted", "deaths"]
    return common.table(header, rows)


def shards_table(seed: int = 0) -> list[str]:
    """Shards that are lost for good: how many commands of a billion pictures meet one, and what is packed again."""
    random, shards, rows = np.random.default_rng(seed), 1_000_000_000 // SHARD_PICTURES, []
    for chance in (1e-6, 1e-5, 1e-4, 1e-3):
        lost = random.binomial(shards // COMMANDS, chance, (1_000, COMMANDS))
        counts = [f"{lost.sum(1).mean():,.1f}", f"{(lost > 0).sum(1).mean():.1f} of {COMMANDS}"]
        rows.append([f"{chance:g}", *counts, f"{lost.sum(1).mean() * SHARD_PICTURES:,.0f}"])
    header = ["chance that a shard is lost", "shards lost", "commands that stop at one", "pictures packed again"]
    return common.table(header, rows)


def checkpoints_table() -> list[str]:
    """The share of the time that trains, of processes of which each death stops all: by the interval of checkpoints."""
    rows = []
    for processes, life in ((8, 30 * DAY), (64, 30 * DAY), (1_000, 30 * DAY), (1_000, 365 * DAY)):
        mean, write = life / processes, 10.0
        ours = write / MAX_CHECKPOINT_SHARE
        best = math.sqrt(2 * write * mean)  # Young 1974; Daly 2006 adds terms that do not matter here
        rows.append(
            [
                processes,
                f"{life / DAY:,.0f} d",
                f"{mean / HOUR:.1f} h",
                *(
                    f"{interval:,.0f} s: {efficiency(interval, write, mean):.1%}"
                    for interval in (ours, best, 10 * ours)
                ),
            ]
        )
    header = ["processes", "each dies every", "one dies every", "Diptych's interval", "Young's", "ten times Diptych's"]
    return common.table(header, rows)


def efficiency(interval: float, write: float, mean: float, restart: float = 60.0) -> float:
    """Of training that writes for ``write`` s after each ``interval`` s, and loses what it has not written.

    Daly, A higher order estimate of the optimum checkpoint interval, 2006, eq. 20: the expected time of a segment is
    mean e^(restart/mean) (e^((interval + write)/mean) - 1).
    """
    return interval / (mean * math.exp(restart / mean) * math.expm1((interval + write) / mean))


def main() -> None:
    """Simulate, print, and write the tables."""
    options = common.arguments(__doc__, "thousand_workers").parse_args()
    jobs = (
        f"Jobs of {ROWS_PER_JOB} pictures, {RETRIES} retries, a copy of a job that takes {STRAGGLER:g} times the "
        f"median once nothing else is left: what the program does, beside jobs of {16 * ROWS_PER_JOB:,} and no copies. "
        f"{WORKERS:,} workers embed {PICTURES:,} pictures at {RATE:g} a second each; a dead worker is replaced after "
        f"{RESTART:g} s. Medians of {SEEDS} seeds. *Ideal* is the time without faults and remainders. No row is lost: "
        "a job is done when its result is a file."
    )
    shards = (
        f"A billion pictures in shards of {SHARD_PICTURES:,}, in {COMMANDS} commands. A shard that is gone or changed "
        "is an error that names it: that command stops, its finished jobs stay, and it goes on once the shard is "
        "packed again. Means of 1,000 draws."
    )
    checkpoints = (
        "A death stops all processes of a training run, which restart within a minute from the last checkpoint. The "
        "share of the time that trains, where a checkpoint takes ten seconds. Diptych writes one so often that writing "
        f"takes at most {MAX_CHECKPOINT_SHARE:.1%} of the time; Young's interval is the best where lives are "
        "exponential."
    )
    lines = [
        *jobs_table(), "", "## Lost shards", "", shards, "", *shards_table(),
        "", "## Checkpoints", "", checkpoints, "", *checkpoints_table(),
    ]  # fmt: skip
    command = "python benchmarks/thousand_workers.py"
    common.publish(options.out, "A thousand workers, simulated", jobs, lines, command, machine=hardware())


if __name__ == "__main__":
    main()
