"""Runs lists of ``diptych`` commands, each list in a process of its own, which starts at once: a fork of this one.

A request is a line of standard input, a JSON object: the commands, the working directory and the environment. The
answer is a line for each command (exit code, standard output, standard error) and one with the exit status of the
process. What starts threads when it is imported (lancedb) is left to the processes.
"""

import contextlib
import io
import json
import os
import signal
import sys
from typing import Any

import matplotlib.figure  # noqa: F401 - imported here so that no process pays for it
import scipy.stats  # noqa: F401
import torchvision  # noqa: F401

import diptych.cli.app
import diptych.engine.machine
import diptych.recognition.recognizer
import diptych.synthesis.flow
import diptych.synthesis.gan
import diptych.synthesis.vae

MAX_SECONDS = 300  # then the alarm's signal ends the process
diptych.engine.machine.MAX_TRIAL_SECONDS, diptych.engine.machine.MIN_TRIAL_STEPS = 0.02, 1  # as in tests/conftest.py


def run_all(request: dict[str, Any]) -> None:
    signal.alarm(MAX_SECONDS)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for arguments in request["commands"]:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = diptych.cli.app.run(arguments)
        print(json.dumps([code, out.getvalue(), err.getvalue()]), flush=True)


for line in sys.stdin:
    pid = os.fork()
    if pid == 0:
        run_all(json.loads(line))
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    print(os.waitstatus_to_exitcode(status), flush=True)
