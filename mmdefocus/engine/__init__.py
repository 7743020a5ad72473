"""What trains and tests a model: hooks, optimizer wrappers and the runner of the tools."""

from ..checkpoints import mmengine_loader
from . import hooks, optimizers

__all__ = ['hooks', 'optimizers']

mmengine_loader.register()
