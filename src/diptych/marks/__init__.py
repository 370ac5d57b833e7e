"""Marks on generated pictures: signed credentials (C2PA), XMP fields, text; and how they are read again."""

from diptych.marks.facts import Generated, Kind
from diptych.marks.reading import Mark, carries_mark, marked_kind, read_mark, told_by
from diptych.marks.writing import mark, mark_if

__all__ = ["Generated", "Kind", "Mark", "carries_mark", "mark", "mark_if", "marked_kind", "read_mark", "told_by"]
