"""``python -m diptych``: the same as the console script."""

from diptych.cli import main

if __name__ == "__main__":
    main()
