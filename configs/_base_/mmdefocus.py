# What the package adds to any OpenMMLab runtime. It goes beside a base of mmdet or mmpretrain that
# brings its own runtime; `default_runtime.py` has both.
custom_imports = dict(
    imports=['mmdefocus.models', 'mmdefocus.engine', 'mmdefocus.datasets', 'mmdefocus.evaluation'],
    allow_failed_imports=False,
)

# EpochSeedHook makes a resumed run equal to an unbroken one. It needs new workers in every epoch:
# a training dataloader with workers sets `persistent_workers=False`.
custom_hooks = [dict(type='NonFiniteLossHook'), dict(type='EpochSeedHook')]

randomness = dict(seed=0)
