"""Whether the Hugging Face hub answers."""

import threading

# Until a hub that does not answer counts as unreachable; its own client tries for half a minute.
TIMEOUT_SECONDS = 3.0


def is_reachable() -> bool:
    """Whether the hub answers within the timeout; the name lookup may hang as well, so a thread does it."""
    import urllib.error
    import urllib.request

    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return False
    answered = threading.Event()

    def request_hub() -> None:
        try:
            request = urllib.request.Request(constants.ENDPOINT, method="HEAD")
            with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS):  # the hub's own address  # nosec B310
                answered.set()
        except urllib.error.HTTPError:
            answered.set()  # an error is an answer too
        except (OSError, ValueError):  # the latter of an address that is none, in HF_ENDPOINT
            return

    thread = threading.Thread(target=request_hub, daemon=True)
    thread.start()
    thread.join(TIMEOUT_SECONDS)
    return answered.is_set()
