import pytest
import torch

SMALL = ('--shape', '1,9,64,4', '--repeats', '1')


def test_mixers_are_measured_in_every_phase(measure, tmp_path):
    rows = measure('mixers', tmp_path, *SMALL).rows
    phases = ('forward', 'backward', 'both')
    expected = [(name, phase) for name in ('ours', 'released order') for phase in phases]
    assert [(row['mixer'], row['phase']) for row in rows] == expected
    for row in rows:
        assert float(row['median_ms']) > 0 and float(row['first_s']) > 0


def test_backend_that_cannot_run_is_skipped_with_a_word(measure, tmp_path):
    result = measure('mixers', tmp_path, *SMALL, '--backend', 'mamba_ssm')
    assert {row['mixer'] for row in result.rows} == {'ours'}
    assert 'released order is skipped' in result.printed
    assert 'is for CUDA devices' in result.printed


@pytest.mark.parametrize('tool', ['ops', 'mixers', 'throughput', 'correctness'])
def test_without_a_gpu_the_error_names_the_option(workshop, monkeypatch, tool):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    message = workshop.error(f'benchmark/{tool}', '--device', 'cuda')
    assert '--device' in message and 'no CUDA device' in message
