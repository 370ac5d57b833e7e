"""Runs commands in processes forked from this one, which has imported what they need, with faults at their points.

It is started with the library of points.c loaded. A request is a JSON object on standard input: the command, a list of
words of ``diptych`` or the name of a function of actions.py, the folder whose points count, the journal, the fault and
its point, and the file that takes the output; the answer is the exit status. With the argument "everything" all that
any command imports is imported first, which takes a while and makes each command faster.
"""

import ctypes
import importlib
import json
import os
import pkgutil
import signal
import sys
import traceback
import warnings

import actions
from PIL import Image

import diptych
import diptych.cli.app
import diptych.engine.loop
import diptych.engine.machine

MAX_SECONDS = 300  # of a command, which has come to a standstill then
importlib.import_module("matplotlib.figure")
importlib.import_module("matplotlib.backends.backend_svg")
Image.init()
LAZY = (  # what commands import where they need it, here so that no child pays for it
    "c2pa", "cryptography.x509", "fontTools.agl", "lancedb",
    "onnx", "onnxruntime", "pyarrow.parquet", "pydantic", "scipy.ndimage", "scipy.stats", "sklearn.datasets",
    "sklearn.linear_model", "timm", "torchvision", "typer.main",
)  # fmt: skip
if "everything" in sys.argv:
    for name in (*(module.name for module in pkgutil.walk_packages(diptych.__path__, "diptych.")), *LAZY):
        if not name.endswith("__main__"):
            importlib.import_module(name)
diptych.engine.machine.MAX_TRIAL_SECONDS, diptych.engine.machine.MIN_TRIAL_STEPS = 0.02, 1  # as in conftest.py
diptych.engine.loop.MIN_CHECKPOINT_SECONDS, diptych.engine.loop.MAX_CHECKPOINT_SHARE = 0.0, 1e9  # after each step
points = ctypes.CDLL(os.environ["LD_PRELOAD"])


def run(command: list[str] | str) -> int:
    if isinstance(command, list):
        return diptych.cli.app.run(command)
    try:
        getattr(actions, command)()
    except Exception as error:
        return diptych.cli.app._print_failure(error)
    return 0


def child(request: dict) -> None:
    out = os.open(request["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.dup2(out, 1)
    os.dup2(out, 2)
    signal.alarm(MAX_SECONDS)
    os.chdir(request["below"])
    points.faults_arm(
        os.fsencode(request["below"]), os.fsencode(request["journal"]), request["fault"], ctypes.c_long(request["at"])
    )
    code = 1
    try:
        code = run(request["command"])
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    os._exit(code)


warnings.filterwarnings("ignore", "lancedb fork support")  # each child uses it for the first time
for line in sys.stdin:
    pid = os.fork()
    if pid == 0:
        child(json.loads(line))
    _, status = os.waitpid(pid, 0)
    print(os.waitstatus_to_exitcode(status), flush=True)
