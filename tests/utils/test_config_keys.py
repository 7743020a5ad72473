"""Keys that a config lacks."""

import pytest
from mmengine.config import Config

from mmdefocus.utils.config_keys import check_keys
from mmdefocus.utils.errors import InputError


def test_missing_key_is_named_with_the_nearest():
    cfg = Config(dict(optim_wraper={}))
    with pytest.raises(InputError, match=r"^the config has no 'optim_wrapper'; nearest: optim_wr"):
        check_keys(cfg, ['optim_wrapper'])


def test_missing_key_is_named_with_the_file():
    cfg = Config(dict(model={}), cfg_text='model = {}', filename='some.py')
    with pytest.raises(InputError, match=r"^some\.py: the config has no 'train_cfg'$"):
        check_keys(cfg, ['model', 'train_cfg'])
