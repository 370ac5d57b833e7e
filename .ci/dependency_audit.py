"""Whether a pinned package has a known vulnerability, as pip-audit learns from the package index.

    python .ci/dependency_audit.py .venv-audit/bin/pip-audit constraints.txt

Ends with 0 where all pins were audited and none is known to be vulnerable; with 1 where one is, or where one was not
audited, since silence about it would read as health; and with 4 where no network answers.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

# Each pin as it is, without asking pip what else it would install.
OPTIONS = ("--no-deps", "--disable-pip", "--format", "json", "--progress-spinner", "off", "--timeout", "15")
UNREACHABLE = ("ConnectionError", "ConnectTimeout", "ProxyError", "ReadTimeout", "SSLError", "Max retries exceeded",
               "Failed to connect", "Connection refused", "Name or service not known", "timed out")  # fmt: skip


def audit(program: Path, pins: Path) -> tuple[list[dict[str, Any]] | None, str]:
    """What pip-audit says of each package, and what it printed besides; ``None``: it came to no end."""
    ended = subprocess.run(
        [str(program), *OPTIONS, "--requirement", str(pins)], capture_output=True, text=True, check=False
    )
    try:
        return json.loads(ended.stdout)["dependencies"], ended.stderr
    except (ValueError, KeyError, TypeError):
        return None, ended.stderr.strip()


def pinned_names(pins: Path) -> set[str]:
    """The packages of a file of pins, as an index spells them."""
    return {_normal(line.split("==")[0]) for line in pins.read_text(encoding="utf-8").split()}


def main(program: Path, pins: Path) -> int:
    """Print what is wrong, a line each; returns the exit code."""
    packages, printed = audit(program, pins)
    if packages is None:
        if any(sign in printed for sign in UNREACHABLE):
            print("The package index does not answer, so nothing was audited. Run it again with a network.")
            return 4
        print(f"pip-audit failed: {printed or 'it printed nothing'}")
        return 1
    answered = {_normal(package["name"]) for package in packages}
    skipped = {package["name"]: package["skip_reason"] for package in packages if "skip_reason" in package}
    skipped |= dict.fromkeys(sorted(pinned_names(pins) - answered), "pip-audit does not mention it")
    vulnerable = [(package, found) for package in packages for found in package.get("vulns", ())]
    for name, reason in skipped.items():
        print(f"{name} was not audited: {reason}")
    for package, found in vulnerable:
        cure = f"fixed in {', '.join(found['fix_versions'])}" if found.get("fix_versions") else "no fixed version yet"
        print(f"{package['name']} {package['version']} is vulnerable: {found['id']}, {cure}")
    if not skipped and not vulnerable:
        print(f"{len(packages)} packages were audited; none is known to be vulnerable.")
    return 1 if skipped or vulnerable else 0


def _normal(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
