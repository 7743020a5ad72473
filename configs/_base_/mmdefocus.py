# What the package adds to any OpenMMLab runtime. It goes beside a base of mmdet or mmpretrain that
# brings its own runtime; `default_runtime.py` has both.
_base_ = './imports.py'

# EpochSeedHook makes the random numbers of an epoch depend on the epoch alone. A training that is
# resumed equals an unbroken one without it, too.
custom_hooks = [dict(type='NonFiniteLossHook'), dict(type='EpochSeedHook')]

randomness = dict(seed=0)
