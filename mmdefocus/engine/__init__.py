"""What trains and tests a model: hooks, optimizer wrappers and the runner of the tools."""

from ..checkpoints import mmengine_files, mmengine_formats, mmengine_loader
from . import hooks, optimizers, sharding

__all__ = ['hooks', 'optimizers', 'sharding']

mmengine_files.register()
mmengine_formats.register()
mmengine_loader.register()
