"""The settings of the server."""

from diptych.settings import Settings, declared, setting

MAX_PORT = 65535
DAY_SECONDS = 86_400.0


@declared
class ServerSettings(Settings):
    """What the server listens on, what it takes, and how long anything may take."""

    host: str = setting("Address to listen on; any but a loopback one asks for a token.", default="127.0.0.1")
    port: int = setting("Port to listen on.", default=8000, minimum=1, maximum=MAX_PORT)
    token: str | None = setting("Bearer token to ask for.", default=None, automatic="a random one, unless loopback")
    threads: int | None = setting("Threads that compute.", default=None, minimum=1, automatic="one for each core")
    idle_s: float = setting(
        "Seconds without use after which the process with torch ends.", default=300.0, minimum=0.1, maximum=DAY_SECONDS
    )
    models: int = setting("Models kept in memory at a time.", default=4, minimum=1)
    queue: int = setting("Pictures that may wait; beyond, requests are refused.", default=256, minimum=1)
    batch: int = setting("Pictures computed together.", default=32, minimum=1)
    wait_ms: float = setting("How long an idle worker waits for a batch to fill.", default=2.0, minimum=0, maximum=1000)
    slow_queue: int = setting("Requests to sample, edit or explain that may wait.", default=16, minimum=1)
    timeout_s: float = setting(
        "Seconds after which a prediction is given up.", default=30.0, minimum=0.1, maximum=DAY_SECONDS
    )
    slow_timeout_s: float = setting(
        "Seconds after which sampling, editing and explaining are given up.",
        default=300.0,
        minimum=0.1,
        maximum=DAY_SECONDS,
    )
    header_deadline_s: float = setting(
        "Seconds in which a request's headers must arrive.", default=10.0, minimum=0.1, maximum=DAY_SECONDS
    )
    body_deadline_s: float = setting(
        "Seconds in which a request's body must arrive.", default=30.0, minimum=0.1, maximum=DAY_SECONDS
    )
    client_requests: int = setting("Requests of one client at a time.", default=512, minimum=1)
    client_connections: int = setting("Open connections of one client.", default=1024, minimum=1)
    max_upload_mb: float = setting("Size of a request's body.", default=50.0, minimum=0.001)
    bodies_mb: float = setting("Size of all bodies in memory at a time.", default=256.0, minimum=0.001)
    quota_gb: float = setting("Size of all uploaded pictures.", default=10.0, minimum=0.001)
