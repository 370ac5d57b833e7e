"""Reports: scores with intervals, findings, tables, figures, cards; as text, as JSON and as one HTML file."""

from diptych.report.report import Card, Report, Score, Table

__all__ = ["Card", "Report", "Score", "Table"]
