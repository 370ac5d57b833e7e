"""What the README says to type works, one after the other; test_translations.py: the Chinese one says the same."""

from pathlib import Path

from tests.docs.walk import blocks, persons_folder, walk, working_in

PAGE = "README.md"


def test_its_commands_and_its_program_run(tmp_path: Path) -> None:
    persons_folder(tmp_path)
    codes = walk(PAGE, tmp_path)
    assert len(codes) == 4
    assert set(codes.values()) == {0}, codes
    assert len(list((tmp_path / "out").glob("0*.png"))) == 4
    (program,) = blocks(PAGE, "python")
    with working_in(tmp_path):
        exec(compile(program, PAGE, "exec"), {})
    assert (tmp_path / "models" / "cats-dogs-flow" / "report.html").exists()
