"""Random calls of the operators: odd sizes, layouts, dtypes and values, and calls that are wrong.

A number is a call, so a failure is repeated by its number.
"""

import random
from dataclasses import dataclass

import torch
from torch import Tensor

from mmdefocus.ops import available_backends, operators
from mmdefocus.ops.operator import Shape

LENGTHS = (0, 1, 2, 3, 7, 16, 33, 64, 65, 127, 129, 140)
CHANNELS = (1, 2, 3, 15, 64, 65, 128, 130)
STATES = (1, 2, 5, 16, 17)
DTYPES = (torch.float64, torch.float32, torch.bfloat16, torch.float16)
# The largest relative error of rounding to a dtype.
ROUNDING = {
    torch.float64: 2**-53,
    torch.float32: 2**-24,
    torch.bfloat16: 2**-8,
    torch.float16: 2**-11,
}
# what the exponent of a weight may rise by from one end of the tokens to the other
LARGEST_RISE = 50
# tensors along the tokens, with the dimension of the tokens
ALONG = {
    'apply_rotary': {'x': 2},
    'bi_wkv': {'k': 1, 'v': 1},
    'causal_conv1d': {'x': 1},
    'decayed_attention': {'q': 2, 'k': 2, 'v': 2},
    'gated_group_rms_norm': {'y': 1, 'u': 1, 'z': 1},
    'gated_selective_scan': {'u': 1, 'delta': 1, 'B': 1, 'C': 1, 'z': 1},
    'retention': {'q': 2, 'k': 2, 'v': 2},
    'ms_deform_attn': {'sampling_locations': 1, 'attention_weights': 1},
    'rms_norm': {'x': 1},
    'selective_scan': {'u': 2, 'delta': 2, 'B': 2, 'C': 2},
}


@dataclass
class Call:
    """An operator and its arguments by name."""

    name: str
    arguments: dict[str, object]

    @property
    def along(self) -> dict[str, int]:
        """The tensors along the tokens, with the dimension of the tokens."""
        of_tokens = getattr(self.arguments.get('log_decay'), 'ndim', 1) == 3
        return ALONG[self.name] | ({'log_decay': 2} if of_tokens else {})

    @property
    def tensors(self) -> dict[str, Tensor]:
        """Those of real numbers."""
        tensors = {k: x for k, x in self.arguments.items() if isinstance(x, Tensor)}
        return {k: x for k, x in tensors.items() if x.is_floating_point()}

    @property
    def backends(self) -> list[str]:
        states = available_backends('cpu')[self.name]
        return [b for b, state in states.items() if state == 'available']

    def changed(self, change) -> 'Call':
        changed = {k: change(x) for k, x in self.tensors.items()}
        return Call(self.name, self.arguments | changed)

    def run(self, backend: str) -> Tensor:
        return operators()[self.name].function(**self.arguments, backend=backend)

    def differentiate(self, backend: str, number: int) -> tuple[Tensor, ...]:
        """Returns the output and the gradients of all tensors."""
        leaves = self.changed(as_leaf)
        y = leaves.run(backend)
        options = {'allow_unused': True, 'materialize_grads': True}  # where there are no tokens
        inputs = list(leaves.tensors.values())
        return y.detach(), *torch.autograd.grad(y, inputs, gradient(number, y), **options)


def as_leaf(x: Tensor) -> Tensor:
    """Returns a leaf of the same memory, whatever its layout."""
    return x.detach().requires_grad_()


def random_call(number: int) -> Call:
    """Returns a call that is right."""
    rng = random.Random(number)
    torch.manual_seed(number)
    name = rng.choice(sorted(ALONG))
    shape = Shape(rng.choice((0, 1, 1, 2, 3)), *map(rng.choice, (LENGTHS, CHANNELS, STATES)))
    call = Call(name, operators()[name].example(shape, torch.float32))
    _vary(rng, call)
    dtype = rng.choice(DTYPES)
    for key, x in call.tensors.items():
        odd = rng.choice(DTYPES) if rng.random() < 0.1 else dtype
        x = scaled(rng, x)
        if (name, key) == ('bi_wkv', 'w'):  # below, its gradient loses digits: docs/reliability.md
            x = x.clamp(min=-LARGEST_RISE / max(1, shape.length))
        call.arguments[key] = laid_out(rng, x.to(odd))
    return call


def _vary(rng: random.Random, call: Call) -> None:
    """Gives what the examples do not vary other values."""
    x = call.arguments
    if call.name == 'apply_rotary' and rng.random() < 0.5:  # the heads share frequencies
        x['freqs'] = x['freqs'][0]
    if call.name == 'causal_conv1d':
        x['weight'] = torch.randn(len(x['weight']), rng.randint(1, 7))
    if call.name in ('retention', 'decayed_attention'):
        *sizes, _ = x['v'].shape
        x['v'] = torch.randn(*sizes, rng.randint(1, 40))
        x['log_decay'] = x['log_decay'] * rng.choice((0, 1, 1, 10, 1e4))
    if call.name == 'retention' and rng.random() < 0.3:  # the heads share queries and keys
        x['q'], x['k'] = x['q'][:, :1], x['k'][:, :1]
    if call.name == 'retention' and rng.random() < 0.5:
        some_forget_all = torch.rand(sizes).clamp(min=1e-4)
        x['log_decay'] = x['log_decay'][:, None] / some_forget_all
    if call.name == 'decayed_attention':
        x['causal'] = rng.random() < 0.7
    if call.name == 'ms_deform_attn':
        _vary_levels(rng, x)
    if 'group_size' in x:
        channels = x['u'].shape[-1]
        x['group_size'] = rng.choice([g for g in range(1, channels + 1) if channels % g == 0])
        x['eps'] = rng.choice((1, 1e-6, 1e-3))
    if call.name == 'gated_selective_scan' and rng.random() < 0.5:
        x['delta_softplus'] = False
        x['delta'], x['delta_bias'] = x['delta'].sigmoid(), None


def _vary_levels(rng: random.Random, x: dict[str, object]) -> None:
    """Gives deformable attention other levels, points and places, inside and outside."""
    batch, queries, heads = x['attention_weights'].shape[:3]
    levels = [[rng.randint(1, 9), rng.randint(1, 9)] for _ in range(rng.randint(1, 3))]
    points = (batch, queries, heads, len(levels), rng.randint(1, 5))
    x['spatial_shapes'] = torch.tensor(levels)
    pixels = sum(height * width for height, width in levels)
    x['value'] = torch.randn(batch, pixels, heads, x['value'].shape[-1])
    x['sampling_locations'] = 1.4 * torch.rand(*points, 2) - 0.2
    x['attention_weights'] = torch.randn(points)


def scaled(rng: random.Random, x: Tensor) -> Tensor:
    """Returns numbers that are large, small or denormal, or as they were."""
    return x * rng.choice((1,) * 12 + (0, 1e-3, 30, 1e-40))


def laid_out(rng: random.Random, x: Tensor) -> Tensor:
    """Returns equal numbers in another layout of memory."""
    match rng.choice(('as it is', 'contiguous', 'reversed', 'every third', 'negated', 'repeated')):
        case 'contiguous':
            return x.contiguous()
        case 'reversed':  # dimensions from the last to the first
            order = range(x.ndim - 1, -1, -1)
            return x.permute(*order).contiguous().permute(*order)
        case 'every third':  # and not from the beginning of its memory
            wide = x.new_full((*x.shape[:-1], 3 * x.shape[-1] + 1), float('nan'))
            wide[..., 1::3] = x
            return wide[..., 1::3]
        case 'negated':  # what torch negates only when it is read
            return torch._neg_view(-x)
        case 'repeated' if x.shape[0]:  # all of the first dimension are one
            return x[:1].expand(x.shape)
    return x


def gradient(number: int, y: Tensor) -> Tensor:
    """Returns a gradient for an output, in some layout."""
    rng = random.Random(number)
    generator = torch.Generator().manual_seed(number)
    dy = torch.randn(y.shape, generator=generator, dtype=torch.bfloat16)  # exact in any dtype
    return laid_out(rng, dy.to(y.dtype))


def mistaken(number: int, call: Call) -> Call:
    """Returns the call with one mistake."""
    rng = random.Random(number)
    key = rng.choice(sorted(call.tensors))
    x = call.arguments[key]
    mistakes = [
        x.to(rng.choice((torch.int64, torch.int8, torch.bool, torch.complex64))),
        torch.zeros_like(x, dtype=torch.uint8).view(torch.float8_e4m3fn),
        x.to('meta'),
        x.to_sparse(),
        x.tolist(),
        None if key != 'delta_bias' else 1.0,
    ]
    if key != 'freqs':  # which broadcast
        mistakes.append(x.unsqueeze(rng.randint(0, x.ndim)))
    if key not in call.along:
        mistakes.append(x[..., :0])
    if len(call.tensors) > 1 and key not in ('x', 'weight'):  # of a size that others have, too
        mistakes.append(x.new_zeros(len(x) + 1, *x.shape[1:]))
    options = {
        'group_size': (0, -1, 1.0, True, 10**9, '1', None),
        'eps': (-1e-6, float('nan'), float('inf'), '1', None),
        'causal': (1, None, 'no'),
        'delta_softplus': (1, None),
    }
    if 'spatial_shapes' in call.arguments:
        levels = call.arguments['spatial_shapes']
        options['spatial_shapes'] = (
            *(levels + 1, -levels, levels[:0], levels[:, :1], levels[0]),
            *(levels.float(), levels.int(), levels.to('meta'), levels.tolist(), None),
        )
    found = sorted(call.arguments.keys() & options.keys())
    if found and rng.random() < 0.3:
        key = rng.choice(found)
        return Call(call.name, call.arguments | {key: rng.choice(options[key])})
    return Call(call.name, call.arguments | {key: rng.choice(mistakes)})
