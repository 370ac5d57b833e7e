"""A task small enough to read: two players, one of them with batch norm, one with noise."""

import torch
from torch import nn

from diptych.data.images import Images


class Tiny:
    """A classifier ("reader") and a second player ("painter") whose loss goes through the reader after its step."""

    def __init__(self, noisy: bool = True) -> None:
        torch.manual_seed(0)
        self.noisy = noisy
        norm = nn.BatchNorm2d(6) if noisy else nn.Identity()
        self.reader = nn.Sequential(nn.Conv2d(3, 6, 3), norm, nn.ReLU(), nn.Flatten(), nn.Linear(216, 3))
        self.painter = nn.Linear(4, 192)
        self.progress_values: list[float] = []

    def modules(self):
        return {"reader": self.reader, "painter": self.painter}

    def players(self):
        return {"reader": list(self.reader.parameters()), "painter": list(self.painter.parameters())}

    def optimizers(self):
        return {
            "reader": [torch.optim.AdamW(self.reader.parameters(), lr=3e-3)],
            "painter": [torch.optim.SGD(self.painter.parameters(), lr=1e-2, momentum=0.9)],
        }

    def losses(self, images, labels):
        yield "reader", nn.functional.cross_entropy(self.reader(images), labels)
        noise = torch.randn(len(images), 4) if self.noisy else torch.ones(len(images), 4)
        painted = self.painter(noise).view(-1, 3, 8, 8)
        yield "painter", nn.functional.cross_entropy(self.reader(painted), labels)

    def compilable(self):
        return []

    def before_step(self, progress):
        self.progress_values.append(progress)


def images(n: int = 96) -> Images:
    """Three classes that differ by which colour channel is bright."""
    generator = torch.Generator().manual_seed(1)
    labels = torch.arange(n) % 3
    pixels = torch.randint(0, 120, (n, 8, 8, 3), generator=generator)
    pixels[torch.arange(n), :, :, labels] += 120
    return Images.from_arrays(pixels.byte().numpy(), labels.numpy(), classes=("red", "green", "blue"))


def weights(task: Tiny) -> dict[str, torch.Tensor]:
    """All weights and buffers of a task, copied."""
    return {
        f"{name}.{key}": tensor.clone()
        for name, module in task.modules().items()
        for key, tensor in module.state_dict().items()
    }
