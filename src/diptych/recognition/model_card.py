"""The model card: what a recognizer is, how good, and where it ends, as Markdown."""

import re
from collections.abc import Mapping
from typing import Any

from diptych.recognition.confidence.calibrate import coverage_sentence, false_alarm_rate
from diptych.recognition.confidence.decision import DecisionRule
from diptych.report import Report
from diptych.report.text import words

NAMED = 60  # classes listed by name
CONFIDENCE = "## What its confidence means"


def model_card(facts: Mapping[str, Any], report: Report) -> str:
    """Write the card from the artefact's facts and the report on the validation pictures."""
    classes = list(facts["classes"])
    listed = ", ".join(classes[:NAMED]) + (f" and {len(classes) - NAMED} more" if len(classes) > NAMED else "")
    several = "A picture may have several of them." if facts["multi_label"] else "A picture has one of them."
    told = facts["training"]
    scores = "\n".join(
        f"| {words(name)} | {score.value:.3f} | {score.low:.3f} to {score.high:.3f} | {score.n} |"
        for name, score in report.scores.items()
    )
    findings = "\n".join(f"- {finding}" for finding in report.findings) or "- Nothing to note."
    return f"""# Recognizer of {len(classes)} classes

Network `{facts["network"]}` at {facts["size"]} px, trained with Diptych on {told["pictures"]} pictures. {several}

Classes: {listed}.

## Scores on {told["validation_pictures"]} pictures that were not trained on

| score | value | 95 % interval | pictures |
|---|---|---|---|
{scores}

They come from the same source as the training pictures: on pictures from elsewhere expect less, and measure it with
`diptych evaluate`.

{confidence(facts)}
## What to know

{findings}

## Limits

- It knows only the classes above, and names one of them whatever it is shown. The mark `unknown` is a hint.
- Pictures are seen whole, squashed to {facts["size"]} × {facts["size"]} px: details smaller than that are lost.
- It repeats what its training pictures show, their gaps and habits included. Check each group of people or
  things that matters before decisions rest on it.

## How to load it

```python
import diptych

recognizer = diptych.load("FOLDER")
print(recognizer.predict(diptych.Images.open("new/")).names)
```

Or on the command line: `diptych predict FOLDER new/*.jpg`. `report.html` shows the curves, the confusions and the
worst errors; `data.json` lists the pictures that were held out.
"""


def confidence(facts: Mapping[str, Any]) -> str:
    """The section on confidence, sets and the unknown, with their measured values."""
    told = facts["calibration"]
    reading = DecisionRule.restored(tuple(facts["classes"]), facts["multi_label"], told)
    return f"""{CONFIDENCE}

All three rest on {reading.pictures} pictures that were not trained on.

- `confidence` is the probability that the answer is right: of the answers of 0.8, about 80 % are (the calibration
  error is the mean gap). The logits are divided by a temperature of {reading.temperature:.3g}.
- `set` names the labels that the picture may show, those from a probability of {reading.cutoff or 0.0:.3f} on and the
  one told. {coverage_sentence(reading)}
- `unknown` marks pictures less familiar than known ones are, by the energy of the answer, the nearness to training
  pictures and the fineness of detail. Of known pictures it marks {false_alarm_rate(reading)}; how many
  strange ones, `diptych evaluate --unknown` measures.
{_thresholds(reading)}"""


def updated_card(text: str, facts: Mapping[str, Any]) -> str:
    """A card whose recognizer was calibrated again."""
    section = confidence(facts)
    return re.sub(rf"^{CONFIDENCE}\n.*?(?=^## |\Z)", lambda _: section + "\n", text, flags=re.M | re.S)


def _thresholds(reading: DecisionRule) -> str:
    if not reading.label_thresholds:
        return ""
    pairs = list(zip(reading.classes, reading.label_thresholds, strict=True))
    more = f" and {len(pairs) - NAMED} more" if len(pairs) > NAMED else ""
    named = ", ".join(f"{name} {value:.2f}" for name, value in pairs[:NAMED])
    return f"- Each label is told from a probability of its own on: {named}{more}.\n"
