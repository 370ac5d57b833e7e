import pytest
import torch
from torch import nn

from diptych.engine.warm_start.weights import DifferentNetworkError, common_rows, copy_weights, weights_digest


def network(classes: int, width: int = 4) -> nn.Sequential:
    return nn.Sequential(nn.Linear(3, width), nn.Linear(width, classes))


HEAD = {"1.weight", "1.bias"}


def test_equal_layers_are_taken_whole_and_rows_of_classes_by_name():
    source, module = network(3), network(2)
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    rows = common_rows(["newt", "dog"], ["cat", "dog", "newts"])
    assert rows == [(1, 1)]
    copy_weights(module, source.state_dict(), class_tensors=HEAD, rows=rows)
    assert torch.equal(module[0].weight, source[0].weight)
    assert torch.equal(module[1].weight[1], source[1].weight[1])
    assert torch.equal(module[1].weight[0], before["1.weight"][0])
    assert torch.equal(module[1].bias[1], source[1].bias[1])


def test_no_class_in_common_leaves_the_head_as_it_was():
    module = network(2)
    before = module[1].weight.clone()
    copy_weights(module, network(2).state_dict(), class_tensors=HEAD, rows=[])
    assert torch.equal(module[1].weight, before)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (network(2, width=5), "0.bias is 5 there and 4 here|0.weight is 5 × 3 there and 4 × 3 here"),
        (nn.Sequential(*network(2), nn.Linear(2, 2)), "only one of them has 2.bias"),
    ],
)
def test_another_network_is_refused_and_nothing_is_changed(source, message):
    module = network(2)
    before = weights_digest(module.state_dict())
    with pytest.raises(DifferentNetworkError, match=message):
        copy_weights(module, source.state_dict(), class_tensors=HEAD, rows=[])
    assert weights_digest(module.state_dict()) == before


def test_a_layer_that_is_optional_may_be_missing():
    module, source = network(2), network(2).state_dict()
    bias = module[0].bias.clone()
    del source["0.bias"]
    copy_weights(module, source, class_tensors=HEAD, rows=[], optional=["0.bias"])
    assert torch.equal(module[0].bias, bias)
