"""Reports of scores with intervals, findings, tables, figures and cards, as text, as JSON and as one HTML page."""

from diptych.report.report import Caption, Card, Gallery, Report, Score, Table
from diptych.report.verdict import Verdict

__all__ = ["Caption", "Card", "Gallery", "Report", "Score", "Table", "Verdict"]
