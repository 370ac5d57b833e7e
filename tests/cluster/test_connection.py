import socket
import sys

import pytest

from diptych.cluster import connected
from diptych.errors import UsageError


@pytest.mark.parametrize("address", ["", "ray://", "ray://host", "somewhere", "host:name", "host:99999", "host:²"])
def test_what_is_no_address_is_refused(address):
    with pytest.raises(UsageError, match="not the address of a cluster"), connected(address):
        pass


def test_an_address_at_which_nothing_answers_is_refused():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(UsageError, match=f"No Ray cluster answers at {address}"), connected(address):
            pass


def test_without_ray_a_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)  # as where it is not installed
    with pytest.raises(UsageError, match=r"needs Ray\. Install it: pip install 'diptych\[ray\]'"), connected():
        pass
