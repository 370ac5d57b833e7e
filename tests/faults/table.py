"""The table of faults, places and outcomes, as JSON and Markdown, in which the rows of other commands stay."""

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import astuple
from pathlib import Path

from tests.faults.cases import COMMANDS, Outcome
from tests.faults.points import Fault

WORDS = {
    Fault.KILL: "killed before it",
    Fault.KILL_HALFWAY: "killed halfway",
    Fault.FULL_DISK: "full disk",
    Fault.READ_ONLY_DISK: "read-only disk",
}
HEAD = """# Faults at every place where a command writes

Measured by `make faults`: each command is killed at a call that writes, before it or after half of the bytes, or from
that call on the disk is full or read-only. Then the same command is run again, and must end as if nothing had happened:
with the same files, and the same bytes where they are the same in every run; or it says in a sentence why not. Models
that were there before can be loaded after every fault. A *place* is a call and the kind of file that it changes.
"""


def keep(outcomes: Sequence[Outcome], folder: Path) -> None:
    """Put these outcomes in place of those that their commands had, into faults.json and faults.md."""
    file = folder / "faults.json"
    before = [of_row(row) for row in json.loads(file.read_text())] if file.exists() else []
    again = {one.command for one in outcomes}
    order = list(COMMANDS)
    kept = [one for one in before if one.command not in again and one.command in order]
    merged = sorted([*kept, *outcomes], key=lambda one: order.index(one.command))
    rows = ",\n".join(json.dumps(astuple(one), ensure_ascii=False) for one in merged)
    file.write_text(f"[\n{rows}\n]\n", encoding="utf-8")
    (folder / "faults.md").write_text(table(merged), encoding="utf-8")


def of_row(row: list[str | int]) -> Outcome:
    command, fault, *words = row
    return Outcome(command, Fault(fault), *words)


def table(outcomes: Sequence[Outcome]) -> str:
    """All outcomes: their numbers by command, then each place, alike ones together."""
    crashes = {(o.command, o.place, o.fault) for o in outcomes if o.fault in (Fault.KILL, Fault.KILL_HALFWAY)}
    full = {(o.command, o.place) for o in outcomes if o.fault is Fault.FULL_DISK}
    wrong = sum(bool(o.wrong) for o in outcomes)
    lines = [
        HEAD,
        f"{len({o.command for o in outcomes})} of {len(COMMANDS)} commands, {len(outcomes):,} faults: "
        f"{len(crashes):,} distinct crash points, {len(full):,} distinct points with a full disk; "
        f"{wrong:,} of all went wrong.\n",
        "| command | places | faults | went through again | refused in a sentence | wrong |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    by_command: dict[str, list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        by_command[outcome.command].append(outcome)
    for command, here in by_command.items():
        done = sum(o.again == "done" and not o.wrong for o in here)
        bad = sum(bool(o.wrong) for o in here)
        places = len({o.place for o in here})
        lines.append(f"| {command} | {places} | {len(here)} | {done} | {len(here) - done - bad} | {bad} |")
    for command, here in by_command.items():
        lines += [
            "",
            f"## {command}",
            "",
            "| place | fault | the command | the same command again |",
            "|---|---|---|---|",
        ]
        rows = [(o.place, WORDS[o.fault], o.first, f"**wrong: {o.wrong}**" if o.wrong else o.again) for o in here]
        lines += [f"| {' | '.join(_cell(part) for part in row)} |" for row in dict.fromkeys(rows)]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())
