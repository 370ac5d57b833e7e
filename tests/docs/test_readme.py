"""What the README says to type works, one after the other, in both languages."""

from pathlib import Path

import pytest

from tests.docs.walk import blocks, persons_folder, walk, working_in

PAGES = ("README.md", "README.zh-CN.md")


def code_without_comments(page: str, language: str) -> list[str]:
    return [line.split("#")[0].rstrip() for block in blocks(page, language) for line in block.splitlines()]


@pytest.mark.parametrize("language", ["bash", "python"])
def test_both_languages_have_the_same_code(language: str) -> None:
    assert code_without_comments(PAGES[0], language) == code_without_comments(PAGES[1], language)


def test_its_commands_and_its_program_run(tmp_path: Path) -> None:
    persons_folder(tmp_path)
    codes = walk(PAGES[0], tmp_path)
    assert len(codes) == 4
    assert set(codes.values()) == {0}, codes
    assert len(list((tmp_path / "out").glob("0*.png"))) == 4
    for folder in ("models", "out"):
        (tmp_path / folder).rename(tmp_path / f"{folder}-by-commands")
    (program,) = blocks(PAGES[0], "python")
    with working_in(tmp_path):
        exec(compile(program, PAGES[0], "exec"), {})
    assert (tmp_path / "models" / "pets-flow" / "report.html").exists()
