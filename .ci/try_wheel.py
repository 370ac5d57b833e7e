"""Install the wheel of a folder into an environment of its own, and use it outside the checkout.

The environment borrows the packages that Diptych needs from the one that runs this script, so that nothing is
downloaded; Diptych itself comes from the wheel alone, which is checked.

    .venv/bin/python .ci/try_wheel.py dist
"""

import os
import subprocess
import sys
import sysconfig
import tempfile
import venv
from pathlib import Path

PROGRAM = """
import sys
from pathlib import Path

import diptych

assert Path(sys.prefix) in Path(diptych.__file__).parents, f"diptych is not the wheel's: {diptych.__file__}"
digits = diptych.Images.open("digits")
print(f"{len(digits):,} pictures, {len(digits.classes)} classes")
"""


def install(wheel: Path, folder: Path) -> Path:
    """Make an environment in ``folder`` that holds the wheel and borrows its dependencies; returns its programs."""
    venv.create(folder, with_pip=False)
    home = {"base": str(folder), "platbase": str(folder)}
    packages = Path(sysconfig.get_path("purelib", "venv", home))
    # A line of a .pth file is appended to sys.path: packages of the environment itself come first, and the .pth files
    # of the borrowed folder, such as that of an editable installation, are not followed.
    (packages / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    programs = Path(sysconfig.get_path("scripts", "venv", home))
    pip = [sys.executable, "-m", "pip", "--python", str(programs / "python")]
    subprocess.run(
        [*pip, "install", "--quiet", "--no-deps", "--no-index", "--force-reinstall", "--ignore-installed", str(wheel)],
        check=True,
    )
    return programs


def main(dist: Path) -> None:
    """Try the one wheel in ``dist``: its help, its version, and the built-in digits."""
    (wheel,) = dist.resolve().glob("*.whl")
    with tempfile.TemporaryDirectory() as place:
        programs = install(wheel, Path(place) / "environment")
        clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        for command in (["diptych", "--help"], ["diptych", "--version"], ["python", "-c", PROGRAM]):
            command[0] = str(programs / command[0])
            shown = subprocess.run(command, cwd=place, env=clean, check=True, stdout=subprocess.PIPE, text=True).stdout
            assert shown.strip(), command
        print(f"{wheel.name}: {shown.strip()}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
