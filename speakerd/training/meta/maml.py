"""MAML (Finn et al. 2017, arXiv 1703.03400), second order: the inner loop adapts the head and the space, and the outer
loop differentiates through all of its steps."""

from torch import Tensor

from speakerd.training.meta.inner import Params, Task, descend, moved, open_set_loss
from speakerd.training.meta.start import prototypes


def learn(params: Params, task: Task, second_order: bool = True) -> list[Params]:
    """Head and metric at the start and after each step, of a task whose vectors are of the first space."""
    first = prototypes(params, moved(task, params["metric"], params))

    def loss(adapted: Params) -> Tensor:
        head = {part: adapted[part] for part in ("w", "b")}
        return open_set_loss(params, moved(task, adapted["metric"], params), first)(head)

    return descend(loss, first | {"metric": params["metric"]}, params, second_order)
