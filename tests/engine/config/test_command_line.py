import argparse
import os

import pytest

from mmdefocus.engine.config.command_line import (
    add_config,
    add_run_options,
    config_of,
    read_config,
)
from mmdefocus.utils.errors import InputError


class Toy:
    """What the config names."""

    def __init__(self, width):
        """Has no depth."""


@pytest.fixture
def config(tmp_path):
    """The path of a config with a model."""
    path = tmp_path / 'small.py'
    path.write_text("model = dict(type='Toy', depth=2)")
    return str(path)


def parse(*argv, run=False):
    parser = argparse.ArgumentParser()
    add_config(parser)
    if run:
        add_run_options(parser)
    return parser.parse_args([*argv])


def test_options_change_the_config(config):
    with config_of(parse(config, '--cfg-options', 'model.depth=3'), 'model') as cfg:
        assert cfg.model.depth == 3


def test_missing_key_is_refused(config):
    with (
        pytest.raises(InputError, match="the config has no 'train_cfg'"),
        config_of(parse(config), 'model', 'train_cfg'),
    ):
        pass


def test_error_within_names_the_argument_of_the_config(config):
    with (
        pytest.raises(InputError, match=r"Toy has no argument 'depth'.*it takes width"),
        config_of(parse(config)) as cfg,
    ):
        Toy(depth=cfg.model.depth)


@pytest.mark.parametrize(
    'text', ['model = dict(', '_base_ = "nowhere.py"', "custom_imports = dict(imports=['nowhere'])"]
)
def test_config_that_cannot_be_read_is_named(tmp_path, text):
    path = tmp_path / 'broken.py'
    path.write_text(text)
    with pytest.raises(InputError, match=r'config .*broken\.py: '):
        read_config(str(path), {})


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('a = 1\nmodel = [][1]', r'broken.py, line 2: IndexError: list index out of range'),
        ('model = dict().depth', "line 1: AttributeError: 'dict' object has no attribute 'depth'"),
        ('model = 1 / 0', 'line 1: ZeroDivisionError: division by zero'),
        ('assert 1 > 2', 'line 1: AssertionError: assert 1 > 2'),
        ('model = small', "line 1: name 'small' is not defined"),
        ("_base_ = 'mmdett::dino/dino.py'", 'does not support to load mmdett config'),
        ("custom_imports = dict(imports=['no'])", "No module named 'no'"),
        ('custom_imports = 5', 'must be a mapping, not int'),
        ('model = dict(type={{_base_.kind}})', 'kind'),
    ],
)
def test_a_mistake_in_a_config_is_one_line(tmp_path, text, message):
    path = tmp_path / 'broken.py'
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_config(str(path), {})


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('from nowhere import Model', "nowhere in .*new.py, line 1 for No module named 'nowhere'"),
        ('from json import Model', r'Model'),
    ],
)
def test_a_mistake_in_an_import_of_a_new_style_config_is_one_line(tmp_path, text, message):
    path = tmp_path / 'new.py'
    path.write_text(f'{text}\nmodel = dict(type=Model)')
    with (
        pytest.raises(InputError, match=message),
        config_of(parse(str(path)), 'model') as cfg,
    ):
        assert cfg.model.type


def test_work_dir_is_that_of_the_command_then_of_the_config_then_the_default(config, tmp_path):
    with config_of(parse(config, '--work-dir', 'here', run=True)) as cfg:
        assert cfg.work_dir == 'here'
    with config_of(parse(config, run=True)) as cfg:
        assert cfg.work_dir == './work_dirs/small'
    (tmp_path / 'small.py').write_text("work_dir = 'there'")
    with config_of(parse(config, run=True)) as cfg:
        assert cfg.work_dir == 'there'


def test_launcher_is_set_and_the_rank_of_the_environment_precedes(config, monkeypatch):
    monkeypatch.setenv('LOCAL_RANK', '5')
    arguments = (config, '--launcher', 'slurm', '--local-rank', '1')
    with config_of(parse(*arguments, run=True)) as cfg:
        assert cfg.launcher == 'slurm'
    assert os.environ['LOCAL_RANK'] == '5'
