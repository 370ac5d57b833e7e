"""The model card: what a recognizer is, how good it is, and its limits, as Markdown."""

from collections.abc import Mapping
from typing import Any

from diptych.engine.privacy import budget
from diptych.engine.warm_start.extension import with_extensions
from diptych.escaping import for_markdown
from diptych.recognition.confidence.calibrate import describe_coverage, describe_false_alarms
from diptych.recognition.confidence.decision import DecisionRule
from diptych.report import Report
from diptych.report.markdown import replace_section
from diptych.report.text import display_name

MAX_NAMES = 60  # classes listed by name
CONFIDENCE_HEADING = "## What its confidence means"


def model_card(facts: Mapping[str, Any], report: Report) -> str:
    """The card, from the facts of ``model.json`` and the report on the validation pictures."""
    classes, training = list(facts["classes"]), facts["training"]
    names = ", ".join(map(for_markdown, classes[:MAX_NAMES])) + (
        f" and {len(classes) - MAX_NAMES} more" if len(classes) > MAX_NAMES else ""
    )
    labels = "A picture may have several labels." if facts["multi_label"] else "A picture has one label."
    scores = "\n".join(
        f"| {for_markdown(display_name(name))} | {score.value:.3f} | {score.low:.3f} to {score.high:.3f} | {score.n} |"
        for name, score in report.scores.items()
    )
    findings = "\n".join(f"- {for_markdown(finding)}" for finding in report.findings) or "- Nothing to note."
    card = f"""# Recognizer of {len(classes)} classes

Network `{facts["network"]}` at {facts["size"]} px, trained with Diptych on {training["pictures"]} pictures. {labels}
{_backbone(facts)}{_verdict(report)}
Classes: {names}.

## Scores on {training["validation_pictures"]} pictures that were not trained on

| score | value | 95 % interval | pictures |
|---|---|---|---|
{scores}

These pictures come from the same source as the training pictures. Expect lower scores on pictures from elsewhere, and
measure them with `diptych evaluate`.

{confidence_section(facts)}
{_privacy(facts)}## Findings

{findings}

## Limits

- It knows only the classes above, and predicts one of them for any picture. The flag `unknown` is a hint.
- Pictures are squashed to {facts["size"]} × {facts["size"]} px: smaller details are lost.
- It reproduces the gaps and biases of its training pictures. Evaluate it for each group of people or things that
  matters before decisions rest on it.

## How to load it

```python
import diptych

recognizer = diptych.load("FOLDER")
print(recognizer.predict(diptych.Images.open("new/")).names)
```

Or on the command line: `diptych predict FOLDER new/*.jpg`. `report.html` shows the training curves, the confusion
matrix and the worst errors; `data.json` lists the held-out pictures.
"""
    return with_extensions(card, facts.get("extensions", ()))


def _privacy(facts: Mapping[str, Any]) -> str:
    """The section on the promise of a private model; empty for any other."""
    return f"## {budget.HEADING}\n\n{budget.describe(facts['privacy'])}\n\n" if "privacy" in facts else ""


def _verdict(report: Report) -> str:
    """The verdict, in bold, with its reason; empty if the report has none."""
    if report.verdict is None:
        return ""
    return f"\n**{for_markdown(report.verdict.sentence)}** {for_markdown(report.verdict.reason)}\n"


def _backbone(facts: Mapping[str, Any]) -> str:
    """Whose weights the network started from; empty if it was trained from scratch."""
    source, origin = facts.get("backbone", {}).get("source"), facts.get("started_from")
    pretrained = f"It started from pretrained weights: {for_markdown(str(source))}.\n" if source else ""
    if origin is None:
        return pretrained
    return f"{pretrained}It started from a recognizer of {origin['classes']} classes (weights {origin['weights']}).\n"


def confidence_section(facts: Mapping[str, Any]) -> str:
    """The section on confidence, label sets and the flag "unknown", with their measured values."""
    rule = DecisionRule.from_json(tuple(facts["classes"]), facts["multi_label"], facts["calibration"])
    return f"""{CONFIDENCE_HEADING}

All three were calibrated on {rule.pictures} pictures that were not trained on.

- `confidence` is the probability that the prediction is correct: of predictions with 0.8, about 80 % are (the
  calibration error is the mean gap). The logits are divided by a temperature of {rule.temperature:.3g}.
- `set` lists the labels with a probability of {rule.cutoff or 0.0:.3f} or more, and the predicted one.
  {describe_coverage(rule)}
- `unknown` flags pictures that are less familiar than known ones, {_familiarity(rule)}.
  Of known pictures it flags {describe_false_alarms(rule)};
  how many unknown ones it misses depends on what they show: `diptych evaluate --unknown` measures it.
{_thresholds(rule)}"""


def updated_card(text: str, facts: Mapping[str, Any]) -> str:
    """The card of a recognizer that was calibrated again, or trained further without becoming better.

    Only its sections on confidence and on extensions change.
    """
    heading, _, section = confidence_section(facts).partition("\n")
    card = replace_section(text, heading.removeprefix("## "), section)
    return with_extensions(card, facts.get("extensions", ()))


def _familiarity(rule: DecisionRule) -> str:
    """By what a picture is familiar; a private model keeps no training picture to compare with."""
    if rule.scale is None:
        return "by the largest logit"
    return "by the largest logit, the nearness to the\n  nearest training picture and the fineness of detail"


def _thresholds(rule: DecisionRule) -> str:
    if not rule.label_thresholds:
        return ""
    pairs = list(zip(rule.classes, rule.label_thresholds, strict=True))
    more = f" and {len(pairs) - MAX_NAMES} more" if len(pairs) > MAX_NAMES else ""
    thresholds = ", ".join(f"{for_markdown(name)} {value:.2f}" for name, value in pairs[:MAX_NAMES])
    return f"- Each label is predicted from its own threshold on: {thresholds}{more}.\n"
