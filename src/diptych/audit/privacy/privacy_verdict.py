"""The verdict of a privacy audit, by fixed rules."""

from collections.abc import Sequence

from diptych.audit.privacy.attacks import Attack, ClassRates
from diptych.audit.privacy.canary_run import CanaryRun
from diptych.audit.privacy.membership_report import strongest, true_positive_score
from diptych.report import Verdict

AGAIN = "diptych audit privacy MODEL --seen TRAIN --unseen HELD-OUT"
MORE = "diptych audit privacy MODEL --seen TRAIN --unseen MORE-PICTURES"
PRIVATE = "diptych fit recognizer DATA -o NEW-MODEL --epsilon 8 --delta 1e-5"
FEWER = "with more pictures, or for fewer epochs"


def too_few(reason: str) -> Verdict:
    """Nothing can be said."""
    return Verdict("too_few", "Too few pictures to say.", reason, f"audit with more pictures: {MORE}")


def sets_differ() -> Verdict:
    """The attack would find how the sets differ."""
    return Verdict(
        "sets_differ",
        "It cannot be told: the two sets are of different origins.",
        "Models that were trained on neither set tell them apart, so what an attack finds says nothing of this one.",
        f"divide the pictures of one source at random, fit on one part and audit with both: {AGAIN}",
    )


def promise_broken(run: CanaryRun) -> Verdict:
    """The lower bound lies above what the accountants promise."""
    return Verdict(
        "promise_broken",
        "Leaks more than was promised: this is a bug.",
        f"Canaries show ε = {run.epsilon:.2f} at least, with 95 % confidence; the promise is {run.promised:.2f}.",
        "do not give the model away, and report the bug with the settings of the run",
    )


def leaks(attacks: Sequence[Attack], classes: Sequence[ClassRates], kind: str) -> Verdict | None:
    """Training pictures are found beyond chance, of all or of a class; ``None``: they are not."""
    best = strongest(attacks)
    leaking = [row for row in classes if row.rates is not None and row.rates.leaks]
    if not best.leaks and not leaking:
        return None
    private = f"fit again with a promise: {PRIVATE}" if kind == "recognizer" else "fit again"
    step = f"{private}; or {FEWER}" if kind == "recognizer" else f"{private} {FEWER}; then audit again: {AGAIN}"
    reason = ""
    for rates in best.rates:
        if rates.leaks:
            reason += (
                f"An attacker finds {true_positive_score(rates)} of the training pictures at {rates.allowed:.1%} of "
                f"false alarms; by chance it would be {rates.allowed:.1%}. "
            )
    for row in [] if reason else leaking[:1]:
        assert row.rates is not None
        reason = (
            f"An attacker finds {true_positive_score(row.rates)} of the training pictures of the class {row.name}. "
        )
    return Verdict("leaks", "Leaks who was trained on.", reason.strip(), step)


def copies(sentence: str) -> Verdict:
    """A synthesizer gives its training pictures away themselves."""
    step = f"do not publish its samples unchecked; fit again {FEWER}; then audit again: {AGAIN}"
    return Verdict("copies", "Copies training pictures.", sentence, step)


def no_sign(attacks: Sequence[Attack], kind: str, *, private: bool) -> Verdict:
    """No attack finds more than chance would; ``private``: the model was trained with a promise."""
    most = max(one.rates[0].true_positive_interval[1] for one in attacks)
    step = "no sign is no proof, and other attacks may find more"
    if private:
        step += "; the promise holds against all of them, and a smaller --epsilon promises more"
    elif kind == "recognizer":
        step += f"; a promise that holds against all of them is {PRIVATE}"
    reason = (
        f"At 1 % of false alarms an attacker finds {most:.1%} of the training pictures at most, and no more of them "
    )
    return Verdict("no_sign", "No sign of leaking.", reason + "than of others beyond chance.", step)
