"""Every command in the README and the guide exists, with its options, in both languages."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from diptych.cli.app import app

ROOT = Path(__file__).parents[2]
GUIDES = ("docs/guide.md", "docs/guide.zh-CN.md")
PAGES = ("README.md", "README.zh-CN.md", "CONTRIBUTING.md", *GUIDES)


def commands(page: str) -> Iterator[list[str]]:
    """The commands of the bash blocks as words, without comments and with continued lines joined."""
    text = (ROOT / page).read_text(encoding="utf-8")
    for block in re.findall(r"```bash\n(.*?)```", text, flags=re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words:
                yield words


COMMANDS = [(page, words) for page in PAGES for words in commands(page)]
DIPTYCH_COMMANDS = [(page, words[words.index("diptych") + 1 :]) for page, words in COMMANDS if "diptych" in words]


def parse(words: list[str]) -> None:
    """Parse the words with the program's own parser, without running anything or reading any file."""
    command, rest = typer.main.get_command(app), words
    while hasattr(command, "commands"):
        assert rest, "a verb is missing"
        assert rest[0] in command.commands, f"there is no verb {rest[0]}"
        command, rest = command.commands[rest[0]], rest[1:]
    command.make_parser(typer.Context(command)).parse_args(list(rest))


@pytest.mark.parametrize(
    ("page", "words"), DIPTYCH_COMMANDS, ids=lambda value: value if isinstance(value, str) else " ".join(value)
)
def test_the_command_exists(page: str, words: list[str]) -> None:
    parse(words)


@pytest.mark.parametrize("guide", GUIDES)
def test_the_guide_shows_every_verb(guide: str) -> None:
    shown = {words[0] for page, words in DIPTYCH_COMMANDS if page == guide}
    assert shown == set(typer.main.get_command(app).commands)


def test_make_targets_and_scripts_exist() -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
    for page, words in COMMANDS:
        if words[0] == "make":
            assert words[1] in targets, page
        for word in words:
            if word.endswith((".py", "pytest")) and "/" in word and not word.startswith(".venv"):
                assert (ROOT / word).exists(), page


@pytest.mark.parametrize("words", [["nope"], ["fit", "recognizer", "x", "--nope", "3"], ["sample", "m", "--label"]])
def test_a_wrong_command_is_detected(words: list[str]) -> None:
    with pytest.raises(Exception, match=r"no verb nope|[Nn]o such option|requires an argument"):
        parse(words)
