"""One thread for torch: on a busy machine two wait for each other more than they work."""

import torch

torch.set_num_threads(1)
