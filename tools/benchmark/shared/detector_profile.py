"""Where the time of a step goes: the parts of a detector, and the kinds of work in them.

Ranges of `torch.profiler.record_function` surround the operators and the methods of the parts. The
self times of all events in a step add up to the step. An event of the forward counts for the
innermost range around it. An event of the backward counts for the range of its forward operation:
autograd gives the two the same sequence number.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import wraps
from operator import attrgetter
from typing import NamedTuple

from mmcv.ops import multi_scale_deform_attn
from mmengine.optim import OptimWrapper
from torch import nn
from torch.autograd.profiler_util import FunctionEvent
from torch.profiler import ProfilerActivity, profile, record_function

from mmdefocus.ops.operator import operators, replaced

from .report import Row

STEP, PART, KIND = 'step', 'part: ', 'kind: '

# the methods of DINO; what another detector does elsewhere is 'other'
PARTS = {
    'data_preprocessor.forward': 'preprocessing',
    'backbone.forward': 'backbone',
    'neck.forward': 'neck',
    'pre_transformer': 'encoder',
    'encoder.forward': 'encoder',
    'pre_decoder': 'query selection',
    'decoder.forward': 'decoder',
    'bbox_head.loss': 'head and losses',
    'bbox_head.predict': 'head and losses',
    'bbox_head.assigner.assign': 'matching',
}

OTHER = 'other'
KINDS = {
    **dict.fromkeys(('mm', 'addmm', 'bmm', 'baddbmm'), 'matrix products'),
    **dict.fromkeys(('convolution', 'convolution_backward'), 'convolutions'),
    'scaled_dot_product_attention': 'attention',
}
BACKWARD = 'autograd::engine::evaluate_function: '


class Label(NamedTuple):
    """What an event is counted as."""

    part: str = OTHER
    kind: str = OTHER
    phase: str = 'forward'


def profile_step(step: Callable[[], object]) -> Counter[Label]:
    """Runs a step once; returns its seconds by what they went to, profiling included.

    Call it inside `ranges`.
    """
    cpu = [ProfilerActivity.CPU]
    with profile(activities=cpu, acc_events=True) as profiler, record_function(STEP):
        step()
    (root,) = (event for event in profiler.events() if event.name == STEP)
    return _self_seconds(root)


def to_rows(seconds: Counter[Label]) -> list[Row]:
    """Returns a row for each kind of work, the longest part first and in it the longest kind."""
    parts, work = Counter[str](), Counter[tuple[str, str]]()
    for (part, kind, _), spent in seconds.items():
        parts[part] += spent
        work[part, kind] += spent
    return [
        {
            'part': part,
            'kind': kind,
            'ms': 1e3 * spent,
            'backward_ms': 1e3 * seconds[Label(part, kind, 'backward')],
            'share': spent / seconds.total(),
            'part_share': in_part / seconds.total(),
        }
        for part, in_part in parts.most_common()
        for (of_part, kind), spent in work.most_common()
        if of_part == part
    ]


@contextmanager
def ranges(model: nn.Module, optim_wrapper: OptimWrapper) -> Iterator[None]:
    """Within it, the profiler sees the parts of a detector, its optimizer and the operators."""
    with ExitStack() as stack:
        for path, part in PARTS.items():
            owner, _, method = path.rpartition('.')
            _mark(stack, _find(model, owner), method, PART + part)
        _mark(stack, optim_wrapper, 'step', PART + 'optimizer')
        name = 'multi_scale_deformable_attn_pytorch'
        _mark(stack, multi_scale_deform_attn, name, KIND + 'deformable attention')
        watched = {
            name: _ranged(operator.run, KIND + name) for name, operator in operators().items()
        }
        stack.enter_context(replaced(watched))
        yield


def _find(model: nn.Module, path: str) -> object | None:
    try:
        return attrgetter(path)(model) if path else model
    except AttributeError:
        return None


def _mark(stack: ExitStack, owner: object | None, method: str, name: str) -> None:
    """Puts a range around a method until the stack is left, if there is such a method."""
    if (function := getattr(owner, method, None)) is not None:
        stack.enter_context(_attribute(owner, method, _ranged(function, name)))


@contextmanager
def _attribute(owner: object, name: str, value: object) -> Iterator[None]:
    """Gives an object an attribute of its own for a while."""
    before = dict(vars(owner))
    setattr(owner, name, value)
    try:
        yield
    finally:
        if name in before:
            setattr(owner, name, before[name])
        else:
            delattr(owner, name)


def _ranged(function: Callable, name: str) -> Callable:
    @wraps(function)
    def run(*args: object, **kwargs: object) -> object:
        with record_function(name):
            return function(*args, **kwargs)

    return run


def _self_seconds(root: FunctionEvent) -> Counter[Label]:
    """Walks the events in the order of time, so that the forward is known to the backward."""
    seconds: Counter[Label] = Counter()
    forward: dict[int, Label] = {}
    backward = Label(phase='backward')
    waiting = [(root, Label())]
    while waiting:
        event, around = waiting.pop()
        label = _label(event.name, around)
        if event.name.startswith(BACKWARD):
            # what only accumulates a gradient has no forward and follows the node that made it
            backward = forward.get(event.sequence_nr, backward)._replace(phase='backward')
            label = backward
        elif event.sequence_nr >= 0 and label.phase == 'forward':
            forward[event.sequence_nr] = label  # the last of a number is the one that is recorded
        seconds[label] += event.self_cpu_time_total / 1e6
        children = sorted(event.cpu_children, key=lambda child: child.time_range.start)
        waiting += ((child, label) for child in reversed(children))
    return seconds


def _label(name: str, around: Label) -> Label:
    if name.startswith(PART):
        return around._replace(part=name.removeprefix(PART), kind=OTHER)
    if name.startswith(KIND):
        return around._replace(kind=name.removeprefix(KIND))
    kind = KINDS.get(name.removeprefix('aten::'), OTHER)
    return around._replace(kind=kind) if around.kind == OTHER else around
