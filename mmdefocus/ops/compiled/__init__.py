"""Compiled operators: how the library is built, how it is called, and how it sees tensors."""
