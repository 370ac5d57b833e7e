import subprocess
import sys

SCRIPT = """
import sys
from diptych.recognition.networks import build
build("timm:resnet10t", classes=2, size=32, download=False)
assert "torch._dynamo" not in sys.modules, "the compiler is imported"
import torch
from torchvision.ops import roi_align
maps, boxes = torch.arange(16.0).view(1, 1, 4, 4), torch.tensor([[0, 0.0, 0.0, 4.0, 4.0]])
assert roi_align(maps, boxes, 2, aligned=True).shape == (1, 1, 2, 2)
double = torch.compile(lambda x: 2 * x, backend="eager")
assert double(torch.ones(2)).tolist() == [2, 2]
assert sys.modules["torch._dynamo"].__file__, "a stand-in is left"
"""


def test_a_backbone_is_built_without_the_compiler_which_works_later() -> None:
    subprocess.run([sys.executable, "-c", SCRIPT], check=True, timeout=120)
