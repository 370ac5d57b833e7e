"""Joins a Ray cluster, or starts one on this machine."""

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from diptych.cluster.ray_jobs import RayJobs
from diptych.cluster.worker import versions
from diptych.engine.row_jobs import run_on
from diptych.errors import Interrupted, UsageError

log = logging.getLogger("diptych")
THIS_MACHINE = "ray"
CONNECT_SECONDS = 10
OBJECT_STORE_BYTES = 500_000_000  # of a cluster that is started here: models and lists of pictures, not pictures


@contextmanager
def connected(address: str = THIS_MACHINE) -> Iterator[None]:
    """Within the block, embedding, predicting, enrolling and sampling are computed by a Ray cluster.

    The machines of it need the same versions of Python and Diptych, and the pictures under the same paths: on a shared
    disk, or behind URLs. Models are sent to them. Where the cluster has GPUs, each job takes one. What an earlier run
    of the same work has computed is taken from the cache of this machine.

    Parameters
    ----------
    address
        "ray://HOST:PORT" or "HOST:PORT"; "ray": the cluster of ``RAY_ADDRESS``, or one that is started on this machine
        and ends with the block.

    Raises
    ------
    UsageError
        Ray is not installed, nothing answers at the address, or the cluster has other versions.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray
    except ImportError:
        raise UsageError("Work on a cluster needs Ray. Install it: pip install 'diptych[ray]'") from None
    if address == THIS_MACHINE:
        address = os.environ.get("RAY_ADDRESS", "local")
    options: dict[str, Any] = {"logging_level": logging.CRITICAL, "log_to_driver": False}
    if address == "local":
        options |= {"include_dashboard": False, "object_store_memory": OBJECT_STORE_BYTES}
        log.info("Starting Ray on this machine, which takes some seconds.")
    else:
        _require_listening(address)
        log.info("Joining the Ray cluster at %s.", address)
    try:
        ray.init(address=address, **options)
    except (ConnectionError, RuntimeError, ValueError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UsageError(f"The Ray cluster at {address} cannot be joined: {reason}") from None
    try:
        _check_versions(ray)
        jobs = RayJobs(ray)
        with run_on(jobs):
            yield
        jobs.remove_results()
    except (KeyboardInterrupt, Interrupted):
        log.warning("The jobs that are done are kept: the same command again continues.")
        raise
    finally:
        ray.shutdown()


def _require_listening(address: str) -> None:
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65_535:
        raise UsageError(f'"{address}" is not the address of a cluster. Give ray, ray://HOST:PORT or HOST:PORT.')
    try:
        socket.create_connection((host, int(port)), CONNECT_SECONDS).close()
    except OSError as error:
        raise UsageError(
            f"No Ray cluster answers at {address} ({error.strerror or error}). Start it there: ray start --head"
        ) from None


def _check_versions(ray: Any) -> None:
    here = versions()
    try:
        there = ray.get(ray.remote(num_cpus=0)(versions).remote())
    except ray.exceptions.RayError:  # such as a module that is not found
        raise UsageError("The machines of the cluster cannot import diptych. Install it on each of them.") from None
    if there != here:
        raise UsageError(
            f"The cluster has {' and '.join(there)}, this machine {' and '.join(here)}. Install the same everywhere."
        )
