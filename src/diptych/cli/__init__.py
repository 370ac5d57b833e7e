"""The command line: one file per group of verbs.

Results go to stdout, everything else to stderr. torch is imported only by the verbs that need it, when they run.
"""

import gc
import signal
import sys

from diptych.errors import Interrupted


def main() -> None:
    """Run the command that ``sys.argv`` spells; the console script."""
    code: int | None = None
    while True:
        try:
            if code is None:
                from diptych.cli.app import run

                code = run(sys.argv[1:])
            for number in (signal.SIGINT, signal.SIGTERM):  # what comes now must not break into the interpreter's exit
                signal.signal(number, signal.SIG_IGN)
            break
        except (KeyboardInterrupt, Interrupted):  # while the program was loading, or once more while it ended
            if code is None:
                print("Error: Stopped.", file=sys.stderr)
                code = 130
    if "triton" not in sys.modules:  # which complains of what is not freed
        gc.freeze()  # or the exit would visit every object of torch, which takes most of a second
    sys.exit(code)
