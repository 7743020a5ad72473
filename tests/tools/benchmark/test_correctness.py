import torch

from mmdefocus.ops.operator import operators

SMALL = ('--shape', '1,9,64,4', '--runs', '2', '--dtype', 'float32', 'bfloat16')


def test_every_backend_is_compared_in_outputs_and_gradients(measure, tmp_path):
    rows = measure('correctness', tmp_path, *SMALL).rows
    expected = {
        (name, backend)
        for name, operator in operators().items()
        for backend, entry in operator.backends.items()
        if entry.why_not(torch.device('cpu')) is None
    }
    assert {(row['op'], row['backend']) for row in rows} == expected
    of = {row['of'] for row in rows if row['op'] == 'causal_conv1d'}
    assert of == {'output 1', 'gradient of x', 'gradient of weight', 'gradient of bias'}
    for row in rows:
        assert float(row['error']) < float(row['bound'])
        assert row['other_bits'] == '0'


def test_error_above_its_bound_ends_the_tool(workshop, monkeypatch):
    operator = operators()['causal_conv1d']
    wrong = operator.backends['cpu']
    monkeypatch.setitem(operator.backends, 'cpu', type(wrong)(lambda x, *rest: 1.01 * x))
    message = workshop.error('benchmark/correctness', '--op', 'causal_conv1d', *SMALL)
    assert 'above their bound' in message
