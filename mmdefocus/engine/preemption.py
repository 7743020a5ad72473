"""Stops a training on a signal, after the step that is on, with all that is needed to go on."""

import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType

STOPPED = 75  # "try again", EX_TEMPFAIL of sysexits.h: the status of a training that was saved
SIGNALS = ('SIGTERM', 'SIGUSR1', 'SIGINT')


class Preempted(SystemExit):
    """Ends the program with the status `STOPPED`: the training has been saved."""

    def __init__(self) -> None:
        super().__init__(STOPPED)


class StopSignals:
    """Notes SIGTERM, SIGUSR1 and SIGINT while it is entered, in place of ending the program.

    A second Ctrl-C interrupts at once. In a thread other than the main one nothing is noted, since
    Python delivers no signals there.

    Attributes:
        received: The name of the first signal, None before it.
    """

    def __init__(self) -> None:
        self.received: str | None = None
        self._before: dict[signal.Signals, Callable | int | None] = {}

    def __enter__(self) -> 'StopSignals':
        if threading.current_thread() is threading.main_thread():
            for name in SIGNALS:
                number = getattr(signal, name, None)  # Windows has no SIGUSR1
                if number is not None:
                    self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.received and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.received = self.received or signal.Signals(number).name
