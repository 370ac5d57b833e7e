"""What every test shares: a cache folder of its own, and one thread a process (two processes run side by side)."""

import os
import tempfile

os.environ["OMP_NUM_THREADS"] = "1"  # read by torch when it is imported, here and in the processes that tests start
os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp(prefix="diptych-tests-")
os.environ["NO_COLOR"] = "1"
