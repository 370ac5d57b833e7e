"""The model card: what a recognizer is, how good, and where it ends, as Markdown."""

from collections.abc import Mapping
from typing import Any

from diptych.report import Report

NAMED = 60  # classes listed by name


def card(facts: Mapping[str, Any], report: Report) -> str:
    """Write the card from the artefact's facts and the report on the validation pictures."""
    classes = list(facts["classes"])
    listed = ", ".join(classes[:NAMED]) + (f" and {len(classes) - NAMED} more" if len(classes) > NAMED else "")
    several = "A picture may have several of them." if facts["multi_label"] else "A picture has one of them."
    told = facts["training"]
    scores = "\n".join(
        f"| {name.replace('_', ' ')} | {score.value:.3f} | {score.low:.3f} to {score.high:.3f} | {score.n} |"
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

These pictures also set the confidence (temperature {facts["calibration"]["temperature"]:.3g}), and they come from the
same source as the training pictures: on pictures from elsewhere expect less, and measure it with `diptych evaluate`.

## What to know

{findings}

## Limits

- It knows only the classes above, and names one of them whatever it is shown. The mark `unknown` (low energy) is a
  hint: about 1 % of ordinary pictures get it, and many strange ones do not.
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
