"""The former place of `mmdefocus.utils.memory`, kept for scripts that import it."""

from .utils.memory import VARIABLE, keep_freed_memory, keeps_freed_memory

__all__ = ['VARIABLE', 'keep_freed_memory', 'keeps_freed_memory']
