"""What is checked before the server starts: the folder, the packages, the port."""

import errno
import importlib.util
import ipaddress
import socket
from collections.abc import Iterable
from pathlib import Path

from diptych import artefact
from diptych.errors import UsageError

PACKAGES = ("fastapi", "uvicorn", "prometheus_client", "bokeh")
BACKLOG = 2048  # connections that wait to be accepted
PORTS_TRIED = 100


def check_home(folder: Path) -> None:
    """Refuse a folder that models cannot be served from.

    Raises
    ------
    UsageError
        There is no such folder, it is a model itself, or a package is missing.
    """
    if not all(importlib.util.find_spec(name) for name in PACKAGES):
        raise UsageError("Serving needs further packages. Install them with: pip install 'diptych[serve]'")
    if not folder.is_dir():
        raise UsageError(f"There is no folder {folder}. Name the folder that holds your models, such as models/.")
    if artefact.exists(folder):
        raise UsageError(f"{folder} is a model itself. Name the folder that it lies in: {folder.resolve().parent}")


def check_data(folders: Iterable[Path]) -> None:
    """Refuse what is no folder of pictures.

    Raises
    ------
    UsageError
        Names it.
    """
    for folder in folders:
        if not folder.is_dir():
            raise UsageError(f"There is no folder {folder}. Name a folder of pictures with --data.")


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a server that listens on this address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens on this address.

    Raises
    ------
    UsageError
        The port is taken, which names the next free one; or there is no such address.
    """
    try:
        return _listening(host, port)
    except PermissionError:
        raise UsageError(f"Port {port} needs the rights of an administrator. Choose one from 1024 on.") from None
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise UsageError(f"The server cannot listen on {host}: {error.strerror}. Choose another --host.") from None
        free = _next_free(host, port)
        advice = "Choose another --port." if free is None else f"The next free one: --port {free}"
        raise UsageError(f"Port {port} is in use. {advice}") from None


def _listening(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def _next_free(host: str, port: int) -> int | None:
    for other in range(port + 1, min(port + PORTS_TRIED, 65535) + 1):
        try:
            _listening(host, other).close()
        except OSError:
            continue
        return other
    return None
