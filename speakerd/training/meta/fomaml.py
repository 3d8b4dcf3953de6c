"""First-order MAML (Finn et al. 2017, arXiv 1703.03400): the outer loop takes the slopes of the inner one for
constants, which saves the second derivatives and their memory."""

from speakerd.training.meta import maml
from speakerd.training.meta.inner import Params, Task


def learn(params: Params, task: Task) -> list[Params]:
    """As ``maml.learn``."""
    return maml.learn(params, task, second_order=False)
