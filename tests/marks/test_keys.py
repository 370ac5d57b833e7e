import stat
import subprocess
import sys

import pytest

from diptych.errors import UsageError
from diptych.marks.keys import IDENTITY_FILE, fingerprint, keys_folder, signing_identity, trusted_roots


@pytest.fixture
def keys(tmp_path, monkeypatch):
    monkeypatch.setenv("DIPTYCH_KEYS", str(tmp_path / "keys"))
    return tmp_path / "keys"


def test_a_key_is_made_on_first_use_and_used_from_then_on(keys):
    assert trusted_roots() == []
    identity = signing_identity()
    assert signing_identity() == identity
    assert identity.fingerprint == fingerprint((keys / "root.pem").read_bytes())
    assert len(identity.fingerprint) == 64
    assert trusted_roots() == [identity.root_pem]


def test_nobody_else_can_read_the_key(keys):
    signing_identity()
    assert stat.S_IMODE(keys.stat().st_mode) == 0o700
    assert stat.S_IMODE((keys / IDENTITY_FILE).stat().st_mode) == 0o600
    assert "PRIVATE" not in repr(signing_identity())


def test_a_key_that_others_can_read_is_closed_to_them_again(keys):
    script = "from diptych.marks.keys import signing_identity; print(signing_identity().fingerprint)"
    first = subprocess.check_output([sys.executable, "-c", script])
    (keys / IDENTITY_FILE).chmod(0o644)
    assert subprocess.check_output([sys.executable, "-c", script]) == first
    assert stat.S_IMODE((keys / IDENTITY_FILE).stat().st_mode) == 0o600


def test_processes_that_start_at_once_share_one_key(keys):
    script = "from diptych.marks.keys import signing_identity; print(signing_identity().fingerprint)"
    running = [subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) for _ in range(4)]
    assert len({process.communicate()[0] for process in running}) == 1
    assert not any(process.returncode for process in running)
    assert not list(keys.glob("*.draft"))


def test_the_roots_of_others_are_trusted_once_they_are_in_the_folder(keys, tmp_path, monkeypatch):
    ours = signing_identity()
    monkeypatch.setenv("DIPTYCH_KEYS", str(tmp_path / "others"))
    theirs = signing_identity()
    monkeypatch.setenv("DIPTYCH_KEYS", str(keys))
    (keys / "trusted").mkdir()
    (keys / "trusted" / "them.pem").write_bytes(theirs.root_pem)
    assert trusted_roots() == [ours.root_pem, theirs.root_pem]


def test_the_folder_is_in_the_persons_configuration(monkeypatch, tmp_path):
    monkeypatch.delenv("DIPTYCH_KEYS")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert keys_folder() == tmp_path / "diptych" / "keys"


def test_a_file_that_holds_no_key_is_named(keys):
    keys.mkdir()
    (keys / IDENTITY_FILE).write_text("nothing")
    with pytest.raises(UsageError, match=r"identity\.pem does not hold a key"):
        signing_identity()


def test_a_folder_that_cannot_be_made_is_an_error_of_the_system(keys):
    keys.write_text("a file in its place")
    with pytest.raises(OSError, match="keys"):
        signing_identity()
