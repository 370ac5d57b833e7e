"""Labels in columns of Arrow tables: which column holds them, what they are called, and their classes."""

from collections.abc import Sequence
from typing import Any

from diptych import json_reader
from diptych.data.labels import Labels, labels_from_name_lists, labels_from_names
from diptych.data.messages import printable
from diptych.data.sources.labelling.columns import is_likely_label
from diptych.data.sources.labelling.label_choice import LabelChoice
from diptych.errors import DataError, UsageError

EXPLICIT_NAMES = ("label", "labels")


def label_column(tables: Sequence[Any], choice: LabelChoice, where: str) -> str | None:
    """The column of labels; ``None`` if no column looks like one.

    Raises
    ------
    DataError
        There is no column of the chosen name, or several may be meant.
    UsageError
        The choice is not of a column.
    """
    schema = tables[0].schema
    if choice.word in ("folders", "names") or choice.table:
        raise UsageError(f"{where} has its labels in a column; choose one with --labels COLUMN.")
    if choice.column:
        if choice.column not in schema.names:
            raise DataError(f"{where} has no column {choice.column}. It has {', '.join(schema.names)}.")
        return choice.column
    explicit = [name for name in EXPLICIT_NAMES if name in schema.names]
    described = [name for name in schema.names if class_names(schema, name)]
    likely = [name for name in schema.names if is_likely_label(name)]
    candidates = explicit[:1] or described or likely
    if len(candidates) > 1:
        counts = {name: len(labels_of_columns(tables, name)[1]) for name in candidates}
        raise DataError(
            f"{where}: labels can be read from {' or '.join(f'{name} ({n} classes)' for name, n in counts.items())}. "
            f"Choose with {' or '.join(f'--labels {name}' for name in candidates)}, or --labels none for no labels "
            f'(in Python: labels="{candidates[0]}").'
        )
    return candidates[0] if candidates else None


def class_names(schema: Any, column: str) -> list[str]:
    """Read the class names of a column from the description that Hugging Face keeps beside the schema; [] if none."""
    try:
        feature = json_reader.parse((schema.metadata or {})[b"huggingface"], foreign=True)["info"]["features"][column]
    except (KeyError, TypeError, ValueError):
        return []
    while isinstance(feature, (list, dict)) and "names" not in feature:  # a sequence of class labels is wrapped
        feature = feature.get("feature") if isinstance(feature, dict) else next(iter(feature), None)
    names = feature["names"] if isinstance(feature, dict) else None
    return [str(name) for name in names] if isinstance(names, list) else []


def labels_of_columns(tables: Sequence[Any], column: str | None) -> tuple[Labels, tuple[str, ...]]:
    """The labels in this column of all tables, and the classes; ``None``: there is no such column."""
    if column is None:
        return labels_from_names([None] * sum(len(table) for table in tables))
    _check_label_type(tables[0].schema.field(column).type, column)
    classes: dict[str, None] = {}
    values: list[Any] = []
    for table in tables:
        names = class_names(table.schema, column)
        classes.update(dict.fromkeys(names))
        values += [_to_names(value, names) for value in values_of(table, column)]
    if any(isinstance(value, list) for value in values):
        return labels_from_name_lists([value or [] for value in values], tuple(classes))
    return labels_from_names(values, tuple(classes))


def _check_label_type(kind: Any, column: str) -> None:
    """Raise DataError where a column holds neither labels nor lists of labels."""
    import pyarrow.types as pt

    lists = pt.is_list(kind) or pt.is_large_list(kind) or pt.is_fixed_size_list(kind)
    label = kind.value_type if lists else kind
    if pt.is_nested(label) or is_binary(label):
        raise DataError(
            f"The column {printable(column)} holds {kind}, which are no labels. Choose another with --labels COLUMN, "
            'or none with --labels none (in Python: labels="none").'
        )


def _to_names(value: Any, names: Sequence[str]) -> Any:
    """A label as Parquet holds it to a name, a list of names, or None."""
    if isinstance(value, list):
        return [name for name in (_to_names(item, names) for item in value) if name is not None]
    if value is None or (isinstance(value, int) and value < 0):
        return None
    return names[value] if isinstance(value, int) and value < len(names) else str(value)


def values_of(table: Any, name: str) -> list[Any]:
    """The values of a column; moments that Python has no date for, such as the year 30,000, as text."""
    import pyarrow as pa

    try:
        values: list[Any] = table[name].to_pylist()
    except (ValueError, OverflowError):
        try:
            values = table[name].cast(pa.string()).to_pylist()
        except (pa.ArrowException, ValueError) as error:
            raise DataError(
                f"The column {printable(name)} cannot be read: {error}. Write the file without it."
            ) from None
    return values


def is_binary(kind: Any) -> bool:
    """Whether a column of this type holds bytes."""
    import pyarrow.types as pt

    return bool(pt.is_binary(kind) or pt.is_large_binary(kind))
