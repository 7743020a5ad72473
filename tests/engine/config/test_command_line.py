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
