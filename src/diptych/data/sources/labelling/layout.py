"""What the folders above pictures mean: wrappers, parts of a split, classes. Names only; nothing is read here."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from diptych.data.messages import counted, join_names, printable
from diptych.data.sources.labelling.label_choice import AUTO, LabelChoice

#: Common names of the parts of a split, and what ``groups["split"]`` calls them.
SPLIT_NAMES = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}
_FILLERS = re.compile("set|images?|imgs?|pictures|photos|data|seg|labels?|annotations|meta")
_ANY_PICTURES = re.compile("(jpeg|png)?[-_ ]?(images?|imgs?|pictures|photos|data)", re.IGNORECASE)
_MIN_FOLDERS = 2
_NEARLY_ALL = 0.9


@dataclass(frozen=True)
class Layout:
    """Which pictures of a folder belong to the set, and what their folders say.

    Attributes
    ----------
    pictures
        Names relative to the folder.
    folders
        The class folder of each; ``None`` where it lies in none.
    splits
        The part of each, if the folder has parts.
    left_out
        What does not belong, with the reason.
    doubt
        Why the folders cannot decide; "" if they can.
    parents
        The folders that class folders lie in.
    """

    pictures: list[str]
    folders: list[str | None]
    splits: list[str] | None = None
    left_out: dict[str, str] = field(default_factory=dict)
    doubt: str = ""
    parents: frozenset[str] = frozenset()

    def empty_classes(self, folders: Sequence[str]) -> set[str]:
        """Of all folders, the names of those that lie beside class folders and hold no picture."""
        beside = {folder.rpartition("/")[2] for folder in folders if folder.rpartition("/")[0] in self.parents}
        return beside - set(self.folders)


def split_of(name: str) -> str | None:
    """The part of a split that a folder or table is named for: "train", "Training_Set", "test1"; else ``None``."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)  # trainLabels
    words = [word for word in re.split(r"[^a-z]+", spaced.lower()) if word and not _FILLERS.fullmatch(word)]
    return SPLIT_NAMES.get(words[0]) if len(words) == 1 else None


def read_layout(pictures: Sequence[str], choice: LabelChoice = AUTO) -> Layout:
    """Find the parts and the class folders of pictures by their names, below any folder that wraps them all."""
    level = _wrappers([name.split("/") for name in pictures])
    tops: dict[str, list[str]] = {}
    loose: list[str] = []
    for name in pictures:
        path = name.split("/")
        if len(path) > level + 1:
            tops.setdefault(path[level], []).append(name)
        else:
            loose.append(name)
    parts = {top: part for top in tops if (part := split_of(top))}
    others = {top: names for top, names in tops.items() if top not in parts}
    if not parts:
        doubt = _doubt_of_pieces(tops, level) if choice.word == "auto" else ""
        return replace(_classes(pictures, level, loose if tops else []), doubt=doubt)
    if not others:
        return _parts([name for top in parts for name in tops[top]], level, parts, loose=loose)
    nested = any(name.count("/") > level + 1 for top in parts for name in tops[top])
    several = len(set(parts.values())) >= _MIN_FOLDERS
    doubt = "" if choice.word != "auto" else _doubt(tops, parts, nested)
    if several and (nested or choice.word != "folders"):
        layout = _parts([name for top in parts for name in tops[top]], level, parts, loose=loose, others=others)
        return replace(layout, doubt="" if nested else doubt)
    vehicles = not nested and all(top.lower() == "train" for top in parts)  # a class among others, such as bus
    return replace(_classes(pictures, level, loose), doubt="" if vehicles else doubt)


def are_any_pictures(folders: Sequence[str | None]) -> bool:
    """Whether all pictures lie in folders of one name that says no more than that, such as images or JPEGImages."""
    names = set(folders) - {None}
    return len(names) == 1 and _ANY_PICTURES.fullmatch(str(min(names, key=str))) is not None


def are_numbered(folders: Sequence[str | None]) -> bool:
    """Whether folders are pieces of one, such as images_part_1 and images_part_2."""
    stems = {re.sub(r"[\W_]*\d+$", "", name or "") for name in folders}
    return len(stems) == 1 and bool(stems - {""})


def _wrappers(paths: Sequence[Sequence[str]]) -> int:
    """How many folders lie around those that tell pictures apart; 0 if there are none such."""
    level = 0
    while paths and len({path[level] for path in paths}) == 1:
        inner = [path for path in paths if len(path) > level + 2]
        if len(inner) < _NEARLY_ALL * len(paths):
            break
        level += 1
        if len(inner) < len(paths):  # a loose picture beside the class folders
            break
    tops = {path[level] for path in paths if len(path) > level + 1}
    return level if len(tops) >= _MIN_FOLDERS or any(split_of(top) for top in tops) else 0


def _classes(pictures: Sequence[str], level: int, loose: Sequence[str]) -> Layout:
    """Every folder is a class; loose pictures beside folders belong to none."""
    outside = set(loose)
    inside = [name for name in pictures if name not in outside]
    folders = [path[level] if len(path := name.split("/")) > level + 1 else None for name in inside]
    left_out = dict.fromkeys(loose, "a loose picture beside class folders")
    return Layout(inside, folders, None, left_out, parents=_parents(inside, [level] * len(inside)))


def _parents(pictures: Sequence[str], levels: Sequence[int]) -> frozenset[str]:
    """The folders that class folders lie in, which are at these levels of the pictures' paths."""
    paths = zip(levels, (name.split("/") for name in pictures), strict=True)
    return frozenset("/".join(path[:level]) for level, path in paths if len(path) > level + 1)


def _parts(
    pictures: Sequence[str],
    level: int,
    parts: Mapping[str, str],
    loose: Sequence[str],
    others: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> Layout:
    """The folders at this level are parts, those below them classes; what lies beside the parts is left out."""
    paths = [name.split("/") for name in pictures]
    levels = {}
    for top, part in parts.items():
        inner = [path[level + 1 :] for path in paths if path[level] == top]
        depth = _wrappers(inner)
        below = {path[depth] if len(path) > depth + 1 else "" for path in inner}
        again = len(below) == 1 and split_of(min(below)) == part  # train/train/…, as archives are unpacked
        levels[top] = level + 1 + depth + again
    class_levels = [levels[path[level]] for path in paths]
    folders = [path[n] if len(path) > n + 1 else None for n, path in zip(class_levels, paths, strict=True)]
    splits = [parts[path[level]] for path in paths]
    beside = f"beside {join_names(sorted(parts))}"
    left_out = dict.fromkeys(loose, f"a loose picture {beside}")
    for names in others.values():
        folder = "/".join(names[0].split("/")[: level + 1])
        left_out[folder] = f"a folder of {counted(len(names), 'picture')} {beside}"
    return Layout(list(pictures), folders, splits, left_out, parents=_parents(pictures, class_levels))


def _doubt(tops: Mapping[str, Sequence[str]], parts: Mapping[str, str], nested: bool) -> str:
    names = join_names(sorted(printable(name) for name in parts), 4)
    rest = join_names(sorted(printable(name) for name in tops if name not in parts), 4)
    counts = join_names([f"{printable(name)} {len(tops[name]):,}" for name in sorted(tops)], 8)
    inner = " with folders inside" if nested else ""
    return (
        f"{names}{inner} can be read as part of a split, or as a class beside {rest}. If every folder is a class "
        f"({counts}), choose --labels folders; else open the folder that you mean by itself, such as "
        f"{printable(max(parts))}, or choose --labels none for no labels"
    )


def _doubt_of_pieces(tops: Mapping[str, Sequence[str]], level: int) -> str:
    """Why fold1/cat, fold1/dog, fold2/cat and fold2/dog cannot decide, nor photos-1/photos/cat and photos-2/photos/dog.

    "" where the inner folders differ; but the latter are the parts into which a web drive packs a folder.
    """
    inner = {top: [name.split("/")[level + 1 :] for name in names] for top, names in tops.items()}
    depth = _shared_folders([path for paths in inner.values() for path in paths])
    classes = [{path[depth] for path in paths if len(path) > depth + 1} for paths in inner.values()]
    every = set().union(*classes)
    if len(tops) < _MIN_FOLDERS or len(every) < _MIN_FOLDERS:
        return ""
    if any(names != every for names in classes) and not (depth and are_numbered(list(tops))):
        return ""
    outer, within = (join_names(sorted(map(printable, names)), 4) for names in (tops, every))
    return (
        f"{outer} can be read as the classes, or as pieces of one set with the classes {within}. If they are the "
        f"classes, choose --labels folders; else put the pictures of a class into one folder, or open one by itself, "
        f"such as {printable(min(tops))}"
    )


def _shared_folders(paths: Sequence[Sequence[str]]) -> int:
    """How many folders of one name lie around the innermost folders of all these pictures."""
    depth = 0
    while paths and all(len(path) > depth + 2 and path[depth] == paths[0][depth] for path in paths):
        depth += 1
    return depth
