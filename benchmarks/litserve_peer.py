"""A recognizer of Diptych behind LitServe: the peer of serving.py, started by it in the peer's own environment.

    python benchmarks/litserve_peer.py MODEL PORT BATCH WAIT-SECONDS

A picture comes in base64, since LitServe parses bodies as JSON.
"""

import sys
from base64 import b64decode
from typing import Any

import litserve
from fastapi import Request

import diptych
from diptych import progress


class PredictAPI(litserve.LitAPI):
    """Decodes nothing itself: the recognizer takes the files' bytes."""

    def setup(self, device: str) -> None:
        """Load the model, in the process that computes."""
        progress.hide_bars()
        self.recognizer = diptych.load(sys.argv[1])

    def decode_request(self, request: Request) -> bytes:
        """The bytes of the picture's file; LitServe gives the parsed JSON of what is annotated as a request."""
        return b64decode(request["image"])

    def batch(self, inputs: list[bytes]) -> list[bytes]:
        """A batch as the recognizer takes it."""
        return list(inputs)

    def predict(self, inputs: list[bytes]) -> list[dict[str, Any]]:
        """The rows of a batch."""
        rows: list[dict[str, Any]] = self.recognizer.predict(inputs).json_rows()
        return rows

    def unbatch(self, output: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """A row for each request."""
        return output

    def encode_response(self, output: dict[str, Any]) -> dict[str, Any]:
        """The answer, as Diptych's server gives it."""
        return output


if __name__ == "__main__":
    api = PredictAPI(max_batch_size=int(sys.argv[3]), batch_timeout=float(sys.argv[4]))
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=1, timeout=60)
    server.run(host="127.0.0.1", port=int(sys.argv[2]), generate_client_file=False, log_level="warning")
