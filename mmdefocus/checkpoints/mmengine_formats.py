"""Lets MMEngine read annotations and other files as data, wherever it reads one by itself.

Each file that a dataset, a metric or a transform of MMEngine, mmdet or mmpretrain loads with
MMEngine goes through a handler, which its suffix chooses. Writing is left as it is.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

import yaml
from mmengine.fileio import JsonHandler, PickleHandler, YamlHandler, register_handler

from ..utils.errors import InputError, one_line
from .predictions import read_predictions


class NoPickleHandler(PickleHandler):
    """MMEngine's handler of pickle files, which only writes them."""

    def load_from_fileobj(self, file: IO, **settings: Any) -> Any:
        """Refuses to read.

        Raises:
            InputError: Always.
        """
        raise InputError('a pickle file would be executed while it is read; convert it to JSON')


class PredictionsHandler(PickleHandler):
    """MMEngine's handler of pickle files, which reads tensors and plain containers alone."""

    def load_from_fileobj(self, file: IO, **settings: Any) -> Any:
        """Reads a file of predictions.

        Raises:
            InputError: See `read_predictions`.
        """
        return read_predictions(file)


class PlainYamlHandler(YamlHandler):
    """MMEngine's handler of YAML files, which makes plain containers and texts alone."""

    def load_from_fileobj(self, file: IO, **settings: Any) -> Any:
        """Reads a file, whatever loader it is to be read with.

        Raises:
            InputError: If the file asks for an object, for which MMEngine would run code.
        """
        try:
            return yaml.safe_load(file)
        except yaml.YAMLError as error:
            raise InputError(f'expected YAML of plain data: {one_line(error)}') from error


class StrictJsonHandler(JsonHandler):
    """MMEngine's handler of JSON files, whose errors are those of an input."""

    def load_from_fileobj(self, file: IO) -> Any:
        """Reads a file.

        Raises:
            InputError: If it is no JSON.
        """
        try:
            return super().load_from_fileobj(file)
        except ValueError as error:
            raise InputError(f'expected JSON: {one_line(error)}') from error


def register() -> None:
    """Makes these the handlers of their formats."""
    register_handler(['pickle', 'pkl'])(NoPickleHandler)
    register_handler(['yaml', 'yml'])(PlainYamlHandler)
    register_handler('json')(StrictJsonHandler)


@contextmanager
def predictions_readable() -> Iterator[None]:
    """Within it MMEngine reads pickled predictions, as its tools of analysis do."""
    register_handler(['pickle', 'pkl'])(PredictionsHandler)
    try:
        yield
    finally:
        register_handler(['pickle', 'pkl'])(NoPickleHandler)
