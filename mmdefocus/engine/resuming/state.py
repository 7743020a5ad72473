"""What a checkpoint holds beside weights and optimizer, so that a resumed training is exact."""

from collections.abc import Mapping

from mmengine.dist import all_gather_object
from mmengine.runner import Runner
from torch import nn

from ...utils.errors import InputError
from ...utils.wrappers import unwrapped
from .generators import generator_states, seed_generators

KEY = 'training_state'


def training_state(
    runner: Runner, epoch: int, iteration: int, states: Mapping | None, validated: bool
) -> dict[str, object]:
    """Returns the state of a training, of all processes, as tensors and plain containers.

    Each process calls it. Gradients are there if steps have been accumulated and not applied.

    Args:
        runner: The runner of the training.
        epoch: The epoch to start from, from 0 on.
        iteration: The iteration to start from, from 0 on.
        states: The states of the generators of this process, by default the present ones.
        validated: Whether the model has been validated after the last step.
    """
    loop = runner.train_loop
    wrapper = runner.optim_wrapper
    parameters = bare_model(runner).named_parameters()
    mine = dict(
        generators=generator_states() if states is None else dict(states),
        gradients={n: p.grad.detach().cpu() for n, p in parameters if p.grad is not None},
    )
    return dict(
        epoch=epoch,
        iteration=iteration,
        by_epoch=not loop.endless,
        batches=loop.batches_at(epoch, iteration),
        batches_per_epoch=len(loop.dataloader),
        batch_size=loop.dataloader.batch_length,
        world_size=runner.world_size,
        accumulative_counts=getattr(wrapper, '_accumulative_counts', 1),
        sampler_seed=getattr(loop.dataloader.sampler, 'seed', None),
        validated=validated,
        processes=all_gather_object(mine),
    )


def restore(runner: Runner, state: Mapping, name: str) -> None:
    """Sets loop, generators and gradients to a state; the runner has loaded all the rest.

    A changed batch size or number of processes is followed: the loop goes on with the first
    sample that has not been seen.

    Raises:
        InputError: If the config asks for what cannot follow from the state.
    """
    loop = runner.train_loop
    total = loop.dataloader.batch_length * runner.world_size
    saved_total = state['batch_size'] * state['world_size']
    if state['by_epoch'] == loop.endless:
        kinds = ('epoch', 'iteration') if state['by_epoch'] else ('iteration', 'epoch')
        raise InputError(
            f'checkpoint {name}: cannot be resumed, it is of an {kinds[0]}-based training and the '
            f'config asks for an {kinds[1]}-based one; keep train_cfg.by_epoch, or start from '
            'the weights alone: load_from without resume'
        )
    # `meta` of MMEngine's FlexibleRunner is one step ahead after a validation.
    loop._epoch, loop._iter = state['epoch'], state['iteration']
    loop.batches_done = _batches(state, total, len(loop.dataloader), name)
    if not loop.endless:
        loop._iter = loop.epoch * len(loop.dataloader) + loop.batches_done
    loop.first_iter = loop.iter
    counts = getattr(runner.optim_wrapper, '_accumulative_counts', 1)
    if counts > 1:  # of iterations that `meta` counts, too
        runner.optim_wrapper.initialize_count_status(bare_model(runner), loop.iter, loop.max_iters)
    loop.owes_validation = not state['validated'] and (
        loop.iter > 0 if loop.endless else loop.epoch > 0 and loop.batches_done == 0
    )
    if hasattr(loop.dataloader.sampler, 'seed') and state['sampler_seed'] is not None:
        loop.dataloader.sampler.seed = state['sampler_seed']

    same = state['world_size'] == runner.world_size
    unchanged = same and saved_total == total and state['accumulative_counts'] == counts
    accumulated = any(process['gradients'] for process in state['processes'])
    if accumulated and not unchanged:
        raise InputError(
            f'checkpoint {name}: cannot be resumed, it holds gradients of an unfinished '
            f'accumulation ({state["accumulative_counts"]} steps of {state["batch_size"]} samples '
            f'on {state["world_size"]} processes); resume with the same accumulative_counts, '
            'batch size and number of processes, or from a checkpoint between two updates'
        )
    if same:
        mine = state['processes'][runner.rank]
        loop.states = mine['generators']
        for parameter_name, parameter in bare_model(runner).named_parameters():
            if parameter_name in mine['gradients']:
                parameter.grad = mine['gradients'][parameter_name].to(parameter, copy=True)
    else:
        runner.logger.warning(
            f'{state["world_size"]} processes have become {runner.world_size}: the samples stay '
            'in their order, and dropout and drop path draw other numbers'
        )
        seed_generators(runner.seed, loop.epoch, loop.iter, runner.rank)
        loop.states = generator_states()


def bare_model(runner: Runner) -> nn.Module:
    """Returns the model without its wrapper for many processes."""
    return unwrapped(runner.model)


def _batches(state: Mapping, total: int, batches_per_epoch: int, name: str) -> int:
    """Returns how many batches of a new total size hold the samples of those that were seen."""
    saved_total = state['batch_size'] * state['world_size']
    batches = state['batches']
    if total == saved_total:
        return batches
    if state['by_epoch'] and batches == state['batches_per_epoch']:
        return batches_per_epoch
    samples = batches * saved_total
    if samples % total:
        raise InputError(
            f'checkpoint {name}: cannot be resumed with {total} samples a step, it stopped after '
            f'{samples} samples with {saved_total} a step; resume with a total batch size that '
            f'divides {samples}, or from the end of an epoch'
        )
    return samples // total
