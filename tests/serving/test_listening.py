"""What is checked before the server starts."""

import socket

import pytest

from diptych.errors import UsageError
from diptych.serving.listening import check_home, listen


def test_a_taken_port_is_named_with_the_next_free_one():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=rf"Port {port} is in use. The next free one: --port \d+"):
            listen("127.0.0.1", port)


def test_an_address_of_another_machine_is_refused():
    with pytest.raises(UsageError, match=r"cannot listen on 203.0.113.1"):
        listen("203.0.113.1", 8000)


def test_a_name_that_there_is_not_is_refused():
    with pytest.raises(UsageError, match=r"cannot listen on no-such-host.invalid"):
        listen("no-such-host.invalid", 8000)


def test_a_folder_that_is_not_there_or_is_a_model_itself_is_refused(home, tmp_path):
    with pytest.raises(UsageError, match="There is no folder"):
        check_home(tmp_path / "nothing")
    with pytest.raises(UsageError, match=rf"is a model itself. Name the folder that it lies in: {home}"):
        check_home(home / "colours")
    check_home(home)
