"""What a user gets who installs the package without its repository."""

import subprocess
import sys
from email.parser import HeaderParser
from pathlib import Path

import pytest
import yaml

from mmdefocus import __version__

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope='module')
def package(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp('build')
    command = [sys.executable, 'setup.py', '-q', 'egg_info', '--egg-base', folder]
    subprocess.run([*command, 'build_py', '--build-lib', folder], cwd=ROOT, check=True)
    return folder / 'mmdefocus'


def test_sources_of_the_kernels_are_there(package):
    sources = {path.relative_to(ROOT / 'mmdefocus') for path in ROOT.glob('mmdefocus/ops/**/*.cpp')}
    assert sources and all((package / path).is_file() for path in sources)


def test_type_checkers_are_told_that_the_package_is_typed(package):
    assert (package / 'py.typed').is_file()


def test_metadata_names_version_license_and_requirements(package):
    header = HeaderParser().parsestr((package.parent / 'mmdefocus.egg-info/PKG-INFO').read_text())
    assert (header['Name'], header['Version']) == ('mmdefocus', __version__)
    assert header['License-Expression'] == 'Apache-2.0'
    assert header['Requires-Python'] == '>=3.10'
    needed = {line for line in header.get_all('Requires-Dist') if 'extra ==' not in line}
    assert 'torchvision; extra == "mmcv"' in header.get_all('Requires-Dist')  # no fork asks for it
    assert needed == {'torch>=2.5.1', 'onedl-mmengine>=0.10.12', 'numpy', 'rich', 'safetensors'}
    assert set(header.get_all('Provides-Extra')) == {
        'cam',
        'clip',
        'docs',
        'mmcv',
        'onnx',
        'demo',
        'stream',
        'tests',
    }


def test_a_backbone_needs_torch_and_mmengine_alone():
    absent = ('cv2', 'mmcv', 'mmdet', 'mmpretrain', 'onnx', 'scipy', 'sklearn', 'torchvision')
    code = (
        f'import sys; sys.modules.update(dict.fromkeys({absent}))\n'
        'import torch; from mmdefocus.models.backbones import DefocusMamba\n'
        "print(*DefocusMamba('tiny', img_size=32)(torch.ones(1, 3, 32, 32))[0].shape)"
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.split() == ['1', '192'], done.stderr


def test_mim_finds_every_config_of_the_model_index(package):
    index = yaml.safe_load((package / '.mim/model-index.yml').read_text())
    for metafile in index['Import']:
        models = yaml.safe_load((package / '.mim' / metafile).read_text())['Models']
        assert models and all((package / '.mim' / model['Config']).is_file() for model in models)


def test_the_citation_names_this_version():
    assert yaml.safe_load((ROOT / 'CITATION.cff').read_text())['version'] == __version__
