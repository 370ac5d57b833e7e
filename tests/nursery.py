"""Runs ``diptych`` commands in processes that start at once: imports everything, then forks a child for each command.

A command is a JSON list on standard input; the output is the child's process number and, after it has ended, its exit
status. Killing a child at any moment does not affect the next. An argument is the least time between two checkpoints.
"""

import importlib
import json
import os
import sys

import timm  # noqa: F401
import torch.distributed.run  # noqa: F401 - imported here so that no child pays for it
import torchvision  # noqa: F401
from PIL import Image

import diptych.cli.app
import diptych.engine.loop
import diptych.engine.machine
import diptych.recognition.recognizer
import diptych.synthesis.flow
import diptych.synthesis.gan
import diptych.synthesis.vae

LAZY = (  # what fit imports where it needs it: half of the seconds of a short one
    "c2pa", "cryptography.x509", "diptych.cli.fit_run", "diptych.cli.tensorboard", "fontTools.agl",
    "matplotlib.backends.backend_svg", "matplotlib.figure", "pydantic", "typer.main",
)  # fmt: skip
for name in LAZY:
    importlib.import_module(name)
Image.init()
diptych.engine.machine.MAX_TRIAL_SECONDS, diptych.engine.machine.MIN_TRIAL_STEPS = 0.02, 1  # as in conftest.py
if len(sys.argv) > 1:
    diptych.engine.loop.MIN_CHECKPOINT_SECONDS, diptych.engine.loop.MAX_CHECKPOINT_SHARE = float(sys.argv[1]), 1.0

for line in sys.stdin:
    pid = os.fork()
    if pid == 0:
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        os._exit(diptych.cli.app.run(json.loads(line)))
    print(pid, flush=True)
    _, status = os.waitpid(pid, 0)
    print(os.waitstatus_to_exitcode(status), flush=True)
