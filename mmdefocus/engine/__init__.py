"""What trains and tests a model: hooks, optimizer wrappers and the runner of the tools."""

from . import hooks, optimizers

__all__ = ['hooks', 'optimizers']
