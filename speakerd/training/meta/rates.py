"""Step sizes of the inner loop: one for all, one for each step and part (MAML++, Antoniou et al. 2019, arXiv
1810.09502), or one for each step and number of the head (Meta-SGD, Li et al. 2017, arXiv 1707.09835). All are learned
as logarithms, so that no step goes uphill."""

from torch import Tensor

from speakerd.training.meta.inner import Params

STEP = "step_"


def one_for_all(params: Params) -> set[str]:
    """The names that stay as they are, where step sizes are not learned."""
    return {name for name in params if name.startswith(STEP)}


def per_element(params: Params, dimension: int) -> Params:
    """``params`` with a step size for each number of a command's weights: ``step_w`` (steps, dimension)."""
    steps: Tensor = params[f"{STEP}w"]
    return params | {f"{STEP}w": steps[:, None].repeat(1, dimension)}
