"""Models on the Hugging Face hub, by their address: ``hf://user/name``, or ``hf://user/name@revision``.

A model that is fetched lies in the cache folder, one folder for each commit, so that it never mixes with another
version; a file beside it says which commit an address stood for, written when all of it is there. Nothing that is
fetched is executed: only the files of a model, JSON, safetensors, Markdown, HTML and pictures, are taken.
"""

import logging
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from diptych import artefact, files
from diptych.backbones.hub import is_reachable
from diptych.errors import DataError, DiptychError, UsageError

T = TypeVar("T")
log = logging.getLogger("diptych")
SCHEME = "hf://"
MODEL_FILES = ("*.json", "*.jsonl", "*.safetensors", "*.md", "*.html", "*.sig", "samples/*.png")
_ONLY_HERE = ("checkpoint/*", "extension/*", "replacement/*", ".*", "*/.*")  # of a run, or hidden
_ADDRESS = re.compile(r"hf://?(?P<name>[\w-][\w.-]*/[\w-][\w.-]*)(@(?P<revision>[\w.-]+))?/?")


@dataclass(frozen=True)
class Address:
    """A model on the hub.

    Attributes
    ----------
    name
        "user/name".
    revision
        A branch, a tag or a commit.
    """

    name: str
    revision: str = "main"

    @classmethod
    def read(cls, text: str) -> "Address":
        """An address as people write it.

        Raises
        ------
        UsageError
            It is none.
        """
        match = _ADDRESS.fullmatch(text)
        if match is None:
            raise UsageError(f"{text!r} is not the address of a model on the hub. One is like hf://user/name.")
        return cls(match["name"], match["revision"] or "main")

    def __str__(self) -> str:
        return f"{SCHEME}{self.name}" + ("" if self.revision == "main" else f"@{self.revision}")


def is_address(path: str | Path) -> bool:
    """Whether this names a model on the hub; a ``Path`` has lost the second of the two slashes."""
    return str(path).startswith("hf:/")


def local_folder(model: str | Path) -> Path:
    """The folder of a model that is named by its folder or by its address, from where it is fetched."""
    return fetch(str(model)) if is_address(model) else Path(model)


def push(folder: str | Path, address: str, *, public: bool = False) -> str:
    """Send the model in ``folder`` to the hub, as a new commit; returns the address of its page.

    The repository is made if it is not there, and only you can see it unless it is to be ``public``. All files of the
    model are sent, so ``report.html`` with pictures that it was trained on and ``data.json`` with their names as well;
    checkpoints are not.

    Raises
    ------
    ArtefactError
        There is no model in the folder, or it is damaged.
    UsageError
        Its run has not finished, the address is none, everyone may see what is there and ``public`` is not set, or
        the hub refuses or cannot be reached.
    """
    where, path = Address.read(address), Path(folder)
    artefact.read(path)  # a damaged model is not sent
    if not artefact.is_finished(path):
        raise UsageError(f"{folder} comes from a run that has not finished. Finish it first, then send it.")
    artefact.complete(path)

    def send() -> str:
        from huggingface_hub import HfApi

        api = HfApi(library_name="diptych")
        repository = api.create_repo(where.name, private=not public, exist_ok=True)
        if not public and not api.model_info(where.name).private:
            raise UsageError(
                f"{where} is there already, and everyone may see it. Send the model there with --public (public=True), "
                "or to another name."
            )
        api.upload_folder(
            repo_id=where.name, folder_path=path, revision=where.revision, commit_message="Model saved with Diptych",
            allow_patterns=list(MODEL_FILES), ignore_patterns=list(_ONLY_HERE),
        )  # fmt: skip
        return str(repository)

    return _asked(where, send)


def fetch(address: str) -> Path:
    """The folder with a model of the hub, downloaded unless the same version is on this machine already.

    Where the hub cannot be reached, the version that was fetched last.

    Raises
    ------
    DataError
        There is no such model on the hub.
    UsageError
        The address is none, or the hub cannot be reached and the model was never fetched.
    """
    where = Address.read(address)
    home = files.cache_folder() / "hub" / where.name.replace("/", "--")
    reference = home / "refs" / where.revision
    fetched = home / reference.read_text(encoding="ascii") if reference.exists() else None
    if fetched is not None and not is_reachable():
        log.warning("The hub cannot be reached; %s is as it was fetched last.", where)
        return fetched

    def receive() -> Path:
        from huggingface_hub import HfApi

        api = HfApi(library_name="diptych")
        commit = str(api.model_info(where.name, revision=where.revision).sha)
        folder = home / commit
        if fetched != folder or not artefact.exists(folder):
            api.snapshot_download(
                where.name, revision=commit, local_dir=folder, allow_patterns=list(MODEL_FILES),
                ignore_patterns=list(_ONLY_HERE),
            )  # fmt: skip
            shutil.rmtree(folder / ".cache", ignore_errors=True)  # the client's own notes, which are no part of it
            files.write_text(reference, commit)
        return folder

    return _asked(where, receive)


def _asked(where: Address, ask: Callable[[], T]) -> T:
    """The answer to what is asked of the hub, its refusals as sentences."""
    if not is_reachable():
        raise UsageError(
            f"{where}: the hub cannot be reached, so nothing was sent or fetched. Check the network, or HF_ENDPOINT."
        )
    from huggingface_hub.errors import (
        HfHubHTTPError,
        HFValidationError,
        LocalTokenNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        return ask()
    except (RepositoryNotFoundError, RevisionNotFoundError):
        raise DataError(
            f"{where} is not on the hub, or only its owner may see it. Check the address, or log in: hf auth login"
        ) from None
    except HFValidationError as error:
        reason = str(error).strip().splitlines()[0].rstrip(".")
        raise UsageError(f"{where} cannot be the name of a model on the hub: {reason}. Choose another name.") from None
    except LocalTokenNotFoundError:
        raise UsageError(f"{where}: the hub does not know who you are. Log in: hf auth login") from None
    except HfHubHTTPError as error:
        status: Any = error.response.status_code if error.response is not None else None
        if status in (401, 403):
            raise UsageError(f"{where}: the hub does not let you do that. Log in: hf auth login") from None
        reason = (error.server_message or str(error)).strip().splitlines()[0]
        raise UsageError(f"{where}: the hub refuses: {reason}") from None
    except DiptychError:
        raise
    except Exception as error:  # the hub's client raises what its HTTP library does
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UsageError(f"{where}: the hub did not answer to the end: {reason.rstrip('.')}. Try again.") from error
