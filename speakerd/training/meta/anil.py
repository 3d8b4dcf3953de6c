"""ANIL (Raghu et al. 2020, arXiv 1909.09157): the inner loop adapts the head alone; the space is the outer loop's.

This is what ships: the head after each command costs nothing, while an adapted space would move every other command.
"""

from speakerd.training.meta.inner import Params, Task, descend, moved, open_set_loss
from speakerd.training.meta.start import prototypes


def adapt(params: Params, task: Task, second_order: bool = True) -> list[Params]:
    """Heads from the first to the last, of a task whose vectors are of the learned space."""
    first = prototypes(params, task)
    return descend(open_set_loss(params, task, first), first, params, second_order)


def learn(params: Params, task: Task) -> list[Params]:
    """The same of a task in the first space, as ``learn`` of the other methods: each head with its ``metric``."""
    heads = adapt(params, moved(task, params["metric"], params))
    return [head | {"metric": params["metric"]} for head in heads]
