"""Reports: scores with intervals, findings, tables, figures; as text, as JSON and as one HTML file."""

from diptych.report.report import Report, Score, Table

__all__ = ["Report", "Score", "Table"]
