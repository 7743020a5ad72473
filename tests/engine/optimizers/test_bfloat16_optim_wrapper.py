import torch
from torch import nn

from mmdefocus.engine.optimizers import BFloat16OptimWrapper


def test_computes_in_bfloat16_and_updates_float32_weights():
    model = nn.Linear(4, 4)
    before = model.weight.detach().clone()
    wrapper = BFloat16OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1))
    with wrapper.optim_context(model):
        output = model(torch.ones(2, 4))
    assert output.dtype == torch.bfloat16
    wrapper.update_params(output.float().sum())
    assert model.weight.dtype == torch.float32
    assert not torch.equal(model.weight, before)
