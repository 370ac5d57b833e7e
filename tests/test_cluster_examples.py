"""The examples for clusters parse, and the commands in them are ones that ``diptych fit`` takes."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml
from torch.distributed.run import parse_args

from diptych.cli.app import run

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "examples" / "cluster"


def launches(text: str) -> list[list[str]]:
    """The commands of torchrun in a text of the shell."""
    lines = text.replace("\\\n", " ").splitlines()
    return [shlex.split(line)[shlex.split(line).index("torchrun") :] for line in lines if "torchrun --" in line]


def kubernetes() -> list[list[str]]:
    documents = list(yaml.safe_load_all((FOLDER / "kubernetes.yaml").read_text()))
    service, job = documents
    assert (service["kind"], job["kind"], job["spec"]["completionMode"]) == ("Service", "Job", "Indexed")
    template = job["spec"]["template"]["spec"]
    assert template["subdomain"] == service["metadata"]["name"]
    return [container["command"] for container in template["containers"]]


def page() -> list[list[str]]:
    blocks = re.findall(r"```bash\n(.*?)```", (ROOT / "docs" / "distributed.md").read_text(), re.DOTALL)
    return [command for block in blocks for command in launches(block)]


def test_the_script_for_slurm_is_one_that_bash_reads():
    subprocess.run(["bash", "-n", str(FOLDER / "slurm.sh")], check=True)


@pytest.mark.parametrize(
    "commands", [launches((FOLDER / "slurm.sh").read_text()), kubernetes(), page()], ids=["slurm", "kubernetes", "page"]
)
def test_fit_takes_the_commands(commands, tmp_path, capsys):
    assert commands
    for program, *words in commands:
        assert program == "torchrun"
        arguments = parse_args([word.replace("$SLURM_JOB_NUM_NODES", "2") for word in words])
        assert arguments.module
        assert arguments.training_script == "diptych"
        options = list(arguments.training_script_args)
        options[2] = str(tmp_path / "none")
        assert run(options) != 0
        assert "none" in capsys.readouterr().err  # all that is wrong with it are the pictures
