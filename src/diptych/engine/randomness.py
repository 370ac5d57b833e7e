"""The randomness of a step: a function of (seed, pictures seen) alone, so that no generator state is kept."""

import hashlib

import torch


def step_seed(seed: int, seen_pictures: int) -> int:
    """A hash of both, the same on every process: consecutive seeds would give related random streams."""
    # The 0 was once the number of the process: runs that began then go on with the numbers of process 0.
    digest = hashlib.blake2b(f"{seed} {seen_pictures} 0".encode(), digest_size=7).digest()
    return int.from_bytes(digest, "big")


def seed_generators(seed: int, device: torch.device) -> None:
    """Seed torch's generators of the CPU and of ``device``."""
    # torch.manual_seed checks every kind of device, which takes over a millisecond a step.
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)
    elif device.type == "mps":
        torch.mps.manual_seed(seed)


def rng_devices(device: torch.device) -> list[int]:
    """The CUDA devices whose generators ``torch.random.fork_rng`` has to save, besides the CPU's."""
    return [device.index] if device.type == "cuda" else []
