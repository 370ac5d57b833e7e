"""Every command that the README and the guide show is one that exists, with options that exist."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from diptych.cli.app import app

ROOT = Path(__file__).parents[2]
PAGES = ("README.md", "README.zh-CN.md", "CONTRIBUTING.md", "docs/guide.md")


def commands(page: str) -> Iterator[list[str]]:
    """The lines of the bash blocks as words, comments and continuations dealt with."""
    text = (ROOT / page).read_text(encoding="utf-8")
    for block in re.findall(r"```bash\n(.*?)```", text, flags=re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words:
                yield words


SHOWN = [(page, words) for page in PAGES for words in commands(page)]
OURS = [(page, words[words.index("diptych") + 1 :]) for page, words in SHOWN if "diptych" in words]


def parsed(words: list[str]) -> None:
    """Let the program's own parser read the words, running nothing and asking for no file."""
    command, rest = typer.main.get_command(app), words
    while hasattr(command, "commands"):
        assert rest, "a verb is missing"
        assert rest[0] in command.commands, f"there is no verb {rest[0]}"
        command, rest = command.commands[rest[0]], rest[1:]
    command.make_parser(typer.Context(command)).parse_args(list(rest))


@pytest.mark.parametrize(
    ("page", "words"), OURS, ids=lambda value: value if isinstance(value, str) else " ".join(value)
)
def test_the_command_exists(page: str, words: list[str]) -> None:
    parsed(words)


def test_the_guide_shows_every_verb() -> None:
    shown = {words[0] for page, words in OURS if page == "docs/guide.md"}
    assert shown == set(typer.main.get_command(app).commands)


def test_other_commands_name_what_is_there() -> None:
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
    for page, words in SHOWN:
        if words[0] == "make":
            assert words[1] in targets, page
        for word in words:
            if word.endswith((".py", "pytest")) and "/" in word and not word.startswith(".venv"):
                assert (ROOT / word).exists(), page


def test_both_readmes_show_the_same_commands() -> None:
    ours, chinese = ([words for page, words in SHOWN if page == name] for name in PAGES[:2])
    assert ours == chinese


@pytest.mark.parametrize("words", [["nope"], ["fit", "recognizer", "x", "--nope", "3"], ["sample", "m", "--label"]])
def test_a_wrong_command_would_be_noticed(words: list[str]) -> None:
    with pytest.raises(Exception, match=r"no verb nope|[Nn]o such option|requires an argument"):
        parsed(words)
