"""The version, which pyproject.toml and `mmdefocus.__version__` read."""

__version__ = '0.1.0'
