"""The verdict of a bias audit of a recognizer, by fixed rules."""

import shlex
from collections.abc import Sequence

from diptych.audit.bias.answers import Answers
from diptych.audit.bias.group_report import TOO_FEW
from diptych.audit.bias.group_scores import MIN_PICTURES, Comparison
from diptych.audit.bias.groups import Grouping
from diptych.audit.bias.shortcut_report import cell_words, summary
from diptych.audit.bias.shortcuts import MIN_COUNTEREXAMPLES, Search, Suspect
from diptych.report import Verdict

REMEDY = "diptych fit recognizer DATA -o NEW-MODEL --group COLUMN --remedy balanced"
AGAIN = "diptych audit bias MODEL MORE-PICTURES"


def recognizer_verdict(
    answers: Answers, search: Search, compared: Sequence[Comparison], divisions: Sequence[Grouping]
) -> Verdict:
    """One of "shortcut", "worse_on_group", "too_few" and "fair"; the first that applies."""
    shortcuts = search.of_state("shortcut")
    if shortcuts:
        return _shortcut(search, shortcuts[0], [division.name for division in divisions])
    worse = [comparison for comparison in compared if comparison.is_worse]
    if worse:
        step = f"fit again with a remedy: {REMEDY}; or add pictures of that group"
        return Verdict("worse_on_group", "Worse on one group.", worse[0].sentence(), step)
    reasons = _too_few(answers, search, compared, divisions)
    if reasons:
        step = f"audit with more pictures: {AGAIN}"
        return Verdict("too_few", "Too few pictures to say.", " ".join(reasons), step)
    return Verdict(
        "fair", "Fair as far as can be told.", _fair(search, compared), f"audit it on other pictures: {AGAIN}"
    )


def _shortcut(search: Search, suspect: Suspect, columns: Sequence[str]) -> Verdict:
    remedy = REMEDY.replace("COLUMN", shlex.quote(suspect.name)) if suspect.name in columns else REMEDY
    step = (
        f"add pictures of {cell_words(search, suspect)}; or, where a metadata column tells them apart, fit again with "
        f"a remedy: {remedy}"
    )
    return Verdict("shortcut", f"Learned a shortcut: the {suspect.name}.", summary(search, suspect), step)


def _too_few(
    answers: Answers, search: Search, compared: Sequence[Comparison], divisions: Sequence[Grouping]
) -> list[str]:
    """Why nothing can be said, as sentences; empty: something can."""
    if len(answers) < MIN_PICTURES:
        return [
            f"{len(answers)} pictures are {TOO_FEW}; an audit needs {MIN_PICTURES} at least, and as many in a group."
        ]
    reasons = [
        f"The {suspect.name} alone predicts the label, and only {suspect.against.n if suspect.against else 0} pictures "
        f"show a class without it: {MIN_COUNTEREXAMPLES} are needed to say whether the recognizer goes by it."
        for suspect in search.of_state("too few")[:1]
    ]
    if divisions and not compared:
        reasons.append(f"No group has {MIN_PICTURES} pictures and as many to compare them with.")
    return reasons


def _fair(search: Search, compared: Sequence[Comparison]) -> str:
    groups = (
        f"{len(compared)} comparisons of groups, and of classes in them, show no difference beyond chance."
        if compared
        else "No groups were named."
    )
    return f"{groups} Of {len(search.suspects)} properties none is a shortcut that the recognizer goes by."
