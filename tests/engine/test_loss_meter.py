import pytest
import torch

from diptych.engine.distributed import ProcessGroup
from diptych.engine.loss_meter import LossMeter, check_finite
from diptych.errors import TrainingError


def test_losses_are_averaged_over_the_steps_since_the_last_reset():
    meter = LossMeter(ProcessGroup(torch.device("cpu")))
    for generator, critic in ((1.0, 4.0), (3.0, 2.0)):
        meter.add("generator", torch.tensor(generator))
        meter.add("critic", torch.tensor(critic))
        meter.steps += 1
    assert meter.means() == {"generator": 2.0, "critic": 3.0}
    meter.reset()
    assert meter.means() == {}


@pytest.mark.parametrize("loss", [float("nan"), float("inf"), -float("inf")])
def test_a_loss_that_is_not_finite_is_refused_and_the_checkpoint_is_named(loss, tmp_path):
    check_finite({"critic": -1e9}, 100, tmp_path)
    with pytest.raises(TrainingError, match=f"critic loss is not finite.*after 100 pictures.*{tmp_path.name}"):
        check_finite({"generator": 1.0, "critic": loss}, 100, tmp_path)
