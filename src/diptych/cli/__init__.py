"""The command line: one file per group of verbs.

Results go to stdout, everything else to stderr. torch is imported only by the verbs that need it, when they run.
"""

import sys


def main() -> None:
    """Run the command that ``sys.argv`` spells; the console script."""
    try:
        from diptych.cli.app import run

        code = run(sys.argv[1:])
    except KeyboardInterrupt:  # while the program was loading
        code = 130
    sys.exit(code)
