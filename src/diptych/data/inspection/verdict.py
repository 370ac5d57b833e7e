"""The verdict on a set of pictures: whether to train on it as it is, by fixed rules; pure."""

from collections.abc import Mapping

from diptych.report import Verdict

SPOILING = ("copies with different labels", "unreadable")  # kinds of issues that are mended before training
MAX_SUSPECTED_LABELS = 0.02  # share of the pictures with suspected labels, from which they are reviewed first


def inspection_verdict(
    pictures: int, classes: Mapping[str, int], issues: Mapping[str, int], leaks: int, small_class: int
) -> Verdict:
    """One of three verdicts: "ready", "look" or "mend".

    Parameters
    ----------
    classes
        Number of pictures by class; empty without labels.
    issues
        Number of issues by kind.
    leaks
        Pairs of copies across parts of the set.
    small_class
        A class of fewer pictures than this is hard to learn.
    """
    spoiling = _spoiling(pictures, classes, issues, leaks, small_class)
    found = [f"{kind} {count:,}" for kind, count in issues.items() if count]
    reason = f"{pictures:,} pictures" + (f" of {len(classes)} classes" if classes else "") + " were looked at."
    reason += f" Issues: {', '.join(found)}." if found else ""
    fit = "diptych fit recognizer DATA -o MODEL" if len(classes) > 1 else "diptych fit flow DATA -o MODEL"
    review = "write a table of all pictures, decide in it what to keep, and train with it: diptych inspect DATA "
    review += "--manifest FILE.csv"
    if spoiling:
        return Verdict("mend", f"Mend before training: {', '.join(spoiling)}.", reason, review)
    if found:
        return Verdict("look", "Fit to train on; a few pictures are worth a look first.", reason, f"train: {fit}")
    return Verdict("ready", "Ready to train on.", reason, f"train: {fit}")


def _spoiling(
    pictures: int, classes: Mapping[str, int], issues: Mapping[str, int], leaks: int, small_class: int
) -> list[str]:
    """What would spoil training or its scores, each in a few words."""
    words = [f"{kind} ({issues[kind]:,})" for kind in SPOILING if issues.get(kind)]
    if leaks:
        words.append(f"copies across the parts ({leaks:,})")
    suspected = issues.get("label error", 0)
    if suspected >= max(1, MAX_SUSPECTED_LABELS * pictures):
        words.append(f"labels that may be wrong ({suspected:,})")
    small = [name for name, count in classes.items() if count < small_class]
    if small:
        words.append(f"classes of fewer than {small_class} pictures ({len(small):,})")
    return words
