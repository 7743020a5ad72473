"""What the system refuses to write ends every tool in one line, and leaves nothing half-written."""

import resource
from contextlib import contextmanager
from pathlib import Path

import pytest

UNWRITABLE = Path('/sys')  # to root, too
SMALL = 30_000  # bytes: more than what is printed, which goes to a file, too


@pytest.fixture
def commands(workshop, trained, detector):
    """`commands(out)`: the arguments of each tool that writes to a path, by its name."""
    rows = workshop.path / 'rows.txt'
    rows.write_text('1\n0\n')
    classifier = ['--kind', 'classifier']
    quick = ['--repeats', '1', '--shape', '1,8,64,4']
    of_models = ['--models', 'defocus_mamba_tiny', '--resolutions', '32', '--repeats', '1']
    small = ['--size', '64', '64', '--batch-size', '1', '--repeats', '1']
    one_layer = ['--layers', '1', '--device', 'cpu']
    image = workshop.data / 'dark' / '0.png'
    config = workshop.config("train_cfg['max_epochs'] = 1\n")

    def of(out: Path) -> dict[str, list]:
        return {
            'train': [config, '--work-dir', out],
            'test': [config, trained, '--work-dir', out],
            'infer': [image, config, trained, '--out', out, '--device', 'cpu'],
            'publish_model': [trained, out / 'tiny.pth'],
            'model_converters/from_official': [trained, out / 'x.pth', *classifier, '--reverse'],
            'model_converters/select_classes': [trained, out / 'x.pth', '--class-map', rows],
            'dataset_converters/digits': ['--out', out, '--num-train', '8', '--num-val', '2'],
            'dataset_converters/captioned_digits': ['--out', out, '--num-train', 2, '--num-val', 2],
            'dataset_converters/captioned_emoji': ['--out', out, '--num-train', 1],
            'benchmark/ops': [*quick, '--op', 'rms_norm', '--out', out],
            'benchmark/correctness': ['--op', 'rms_norm', '--shape', '1,8,64,4', '--out', out],
            'benchmark/throughput': [*of_models, '--out', out],
            'benchmark/detector': [detector.config, *small, '--out', out],
            'deployment/export_onnx': [config, trained, out / 'x.onnx', '--shape', 16, 16],
            'analysis/over_focus': [config, trained, '--images', image, '--out', out, *one_layer],
            'stream': [image, config, trained, '--out', out, '--device', 'cpu'],
        }

    return of


TOOLS = (
    'train',
    'test',
    'infer',
    'publish_model',
    'model_converters/from_official',
    'model_converters/select_classes',
    'dataset_converters/digits',
    'dataset_converters/captioned_digits',
    'dataset_converters/captioned_emoji',
    'benchmark/ops',
    'benchmark/correctness',
    'benchmark/throughput',
    'benchmark/detector',
    'deployment/export_onnx',
    'analysis/over_focus',
    'stream',
)


@contextmanager
def full_disk():
    """Within it, files can have few bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (SMALL, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize('tool', TOOLS)
def test_an_output_below_a_file(workshop, commands, tool):
    file = workshop.path / 'file'
    file.write_text('kept')
    assert 'file' in workshop.error(tool, *commands(file / 'out')[tool])
    assert file.read_text() == 'kept'


@pytest.mark.skipif(not UNWRITABLE.is_dir(), reason='no folder that is read-only')
@pytest.mark.parametrize('tool', TOOLS)
def test_a_folder_that_is_read_only(workshop, commands, tool):
    assert str(UNWRITABLE) in workshop.error(tool, *commands(UNWRITABLE / 'out')[tool])


@pytest.mark.parametrize('tool', TOOLS[:1] + TOOLS[2:4] + TOOLS[5:6])
def test_a_full_disk(workshop, commands, tool):
    out = workshop.path / 'out'
    with full_disk():
        workshop.error(tool, *commands(out)[tool])
    if tool != 'train':  # whose checkpoints are tested with the hook that writes them
        assert not list(out.rglob('*.pth'))
    assert not [path for path in out.rglob('.*') if path.is_dir()]


def test_an_output_that_is_a_folder(workshop, trained):
    (workshop.path / 'out').mkdir()
    workshop.error('test', workshop.config(), trained, '--out', 'out')
    assert not list((workshop.path / 'out').iterdir())


def test_a_page_that_cannot_be_written(workshop, load_tool, monkeypatch, capfd):
    tool = load_tool('analysis/model_zoo')
    monkeypatch.setattr(tool, 'ZOO', workshop.path / 'file' / 'zoo.md')
    (workshop.path / 'file').touch()
    with pytest.raises(SystemExit) as stop:
        tool.main([])
    assert stop.value.code == 1
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith('error: ') and 'file' in line
