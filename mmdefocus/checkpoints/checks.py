"""Refuses checkpoints that MMEngine would load in part, without a word."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from torch import nn

from ..utils.checkpoint_meta import classes_of, meta_of
from ..utils.errors import InputError
from .files import read_checkpoint
from .weights import check_numbers, is_number, tensors_in, unlike_kinds, weights_of

Tolerance = Literal['nothing', 'extra', 'partial']
RESUME_KEYS = ('meta', 'optimizer', 'message_hub')
BACKBONE = 'backbone.'
# Of `meta`, what says where weights come from and which classes they know. The config is not among
# it: it has the paths of the training, and whatever else its user wrote there.
ORIGIN = ('epoch', 'iter', 'seed', 'time', 'mmengine_version', 'kind', 'backbone', 'released')
CLASSES = ('classes', 'palette')


def check_file(path: str, prefix: str | None = None, resume: bool = False) -> None:
    """Checks that a checkpoint can be read and holds whole, finite weights.

    Args:
        path: The file, or an address, which is fetched.
        prefix: Beginning of the names of the wanted weights, such as 'backbone.'.
        resume: Whether a training is to be resumed from it.

    Raises:
        InputError: If the file does not exist, is damaged, or holds something else.
    """
    checkpoint = read_checkpoint(path)
    weights = weights_of(checkpoint, path)
    check_numbers(weights, path)
    if prefix and not any(name.startswith(prefix) for name in weights):
        heads = sorted({name.partition('.')[0] for name in weights})
        raise InputError(
            f'checkpoint {path}: holds no weight under prefix {prefix!r}; its names begin with '
            f'{_some(heads)}'
        )
    if resume:
        _check_resumable(checkpoint, path)


def _check_resumable(checkpoint: Mapping[str, Any], path: str) -> None:
    absent = [key for key in RESUME_KEYS if not isinstance(checkpoint.get(key), Mapping)]
    if absent:
        raise InputError(
            f'checkpoint {path}: cannot be resumed, it lacks {", ".join(absent)}; to start from '
            'its weights alone, use --cfg-options load_from=…'
        )
    check_numbers(checkpoint.get('ema_state_dict') or {}, path)
    if not all(map(is_number, tensors_in(checkpoint['optimizer']))):
        raise InputError(
            f'checkpoint {path}: cannot be resumed, the state of its optimizer is NaN; use an '
            'earlier checkpoint'
        )


@contextmanager
def checked_load(module: nn.Module, source: str, tolerate: Tolerance) -> Iterator[None]:
    """Within it, an incomplete load of the module's weights is an error.

    The verdict comes from PyTorch's own bookkeeping, after all conversions that modules do.

    Args:
        module: Where the weights go.
        source: The checkpoint, for the message.
        tolerate: 'nothing'; 'extra' weights of parts that the module does not have; or a 'partial'
            load, of which at least one weight fits, and of a backbone all weights or none: patch
            embedding or CLS token of another backbone may fit by chance.

    Raises:
        InputError: Names the first weights that do not fit, and how many there are.
    """
    given: list[str] = []
    misfits: list[str] = []
    unlike: list[str] = []

    def before(
        module: nn.Module,
        state_dict: Mapping[str, Any],
        prefix: str,
        metadata: Mapping[str, Any],
        strict: bool,
        missing: list[str],
        unexpected: list[str],
        messages: list[str],
    ) -> None:
        nonlocal given, misfits, unlike
        given, misfits = list(state_dict), messages
        unlike = unlike_kinds(module, state_dict)

    def after(module: nn.Module, keys: Any) -> None:
        # `num_batches_tracked` is absent from old checkpoints, MMEngine overlooks it too.
        missing = [key for key in keys.missing_keys if not key.endswith('num_batches_tracked')]
        misshapen = [_weight_name(message) for message in misfits]
        unexpected, fits = keys.unexpected_keys, len(given) - len(misfits)
        if tolerate == 'extra':
            unexpected = _inside(module, unexpected)
        elif tolerate == 'partial' and fits > len(unexpected):
            backbone = getattr(module, 'backbone', nn.Module())
            unexpected = _inside(backbone, unexpected, BACKBONE)
            misshapen = [key for key in misshapen if key.startswith(BACKBONE)]
            has_backbone = any(key.startswith(BACKBONE) for key in given)
            missing = [key for key in missing if has_backbone and key.startswith(BACKBONE)]
        problems = [
            f'{len(names)} {what} ({_some(names)})'
            for what, names in (
                ('missing', missing),
                ('unexpected', unexpected),
                ('of another shape', misshapen),
                ('integers for floats or the reverse', unlike),
            )
            if names
        ]
        if problems:
            raise InputError(
                f'checkpoint {source} does not fit {type(module).__name__}: '
                f'{", ".join(problems)}; use the checkpoint of this config'
            )

    handles = (
        module.register_load_state_dict_pre_hook(before),
        module.register_load_state_dict_post_hook(after),
    )
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def inference_checkpoint(path: str | Path, auxiliary: bool = False) -> dict:
    """Reads what inference needs of a checkpoint: weights, and of their meta what may be published.

    Optimizer, schedules and logs are left out, and so are the weights of the last step where the
    checkpoint has averaged ones, which MMEngine keeps under `state_dict`. Of `meta`, the names and
    colours of the classes stay, and the keys of `ORIGIN`; the config of the training does not.

    Args:
        path: The file, or an address, which is fetched.
        auxiliary: Whether to keep the auxiliary classifier, with which fine-tuning goes on.

    Raises:
        InputError: If the file cannot be read, holds no finite weights, or its meta has another
            form.
    """
    checkpoint = read_checkpoint(path)
    weights = weights_of(checkpoint, path)
    check_numbers(weights, path)
    if not auxiliary:
        weights = {name: w for name, w in weights.items() if 'aux_fc.' not in name}
    classes_of(checkpoint, path)
    return {'meta': _public(meta_of(checkpoint, path)), 'state_dict': dict(weights)}


def _public(meta: Mapping[str, Any]) -> dict[str, Any]:
    public = {key: meta[key] for key in ORIGIN if key in meta}
    if dataset := meta.get('dataset_meta'):
        public['dataset_meta'] = {key: dataset[key] for key in CLASSES if key in dataset}
    return public


def pretrained_files(module: nn.Module) -> Iterator[tuple[nn.Module, str]]:
    """Yields each submodule that starts from a checkpoint by its `init_cfg`, with the path."""
    for child in module.modules():
        for rule in _rules(child):
            override = rule.get('override')
            if is_pretrained(rule):
                yield child, rule['checkpoint']
            for inner in override if isinstance(override, list) else [override or {}]:
                if is_pretrained(inner):
                    yield getattr(child, inner['name']), inner['checkpoint']


def resolve_aliases(module: nn.Module) -> None:
    """Gives each `init_cfg` of pre-trained weights the type that MMEngine looks for.

    Under another name of the same type, MMEngine would load the weights first and then initialise
    the parts of the module over them.
    """
    for child in module.modules():
        for rule in _rules(child):
            if is_pretrained(rule):
                rule['type'] = 'Pretrained'


def is_pretrained(rule: Mapping[str, Any]) -> bool:
    """Tells whether a rule of `init_cfg` loads a checkpoint, under whatever name."""
    from mmengine.model import PretrainedInit
    from mmengine.registry import WEIGHT_INITIALIZERS

    kind = rule.get('type')
    if isinstance(kind, str) and 'checkpoint' in rule:
        kind = WEIGHT_INITIALIZERS.get(kind)
    return isinstance(kind, type) and issubclass(kind, PretrainedInit)


def _rules(module: nn.Module) -> list[dict]:
    rules = getattr(module, 'init_cfg', None) or []
    return rules if isinstance(rules, list) else [rules]


def _inside(module: nn.Module, names: Iterable[str], prefix: str = '') -> list[str]:
    """Returns the names under a prefix that begin with the name of a child of the module.

    Under a prefix, names of one word count too: those of parameters of the module itself.
    """
    children = dict(module.named_children())
    found = []
    for name in names:
        part, dot, _ = name.removeprefix(prefix).partition('.')
        if name.startswith(prefix) and (part in children or (prefix and not dot)):
            found.append(name)
    return found


def _weight_name(message: str) -> str:
    """Returns the name in PyTorch's 'size mismatch for NAME: copying a param …'."""
    return message.removeprefix('size mismatch for ').partition(':')[0]


def _some(names: list[str], count: int = 3) -> str:
    return ', '.join(names[:count]) + (', …' if len(names) > count else '')
