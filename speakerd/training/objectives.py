"""What the encoder is asked for: words apart (AM-softmax), and the teacher's view of frames and of words."""

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn


class AmSoftmax(nn.Module):
    """Additive-margin softmax over classes (arXiv 1801.05599). With many classes a step sees its own and a sample."""

    def __init__(self, size: int, classes: int, margin: float, scale: float = 24.0, sample: int = 4000) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(classes, size) * 0.1)
        self.margin, self.scale, self.sample = margin, scale, sample

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """Unit embeddings (words, size) and their classes (words,), which are on the CPU wherever the rest is."""
        weight: Tensor = self.weight
        if len(weight) > self.sample:
            kept = torch.zeros(len(weight), dtype=torch.bool)
            kept[torch.randperm(len(weight))[: self.sample]] = True
            kept[labels] = True
            labels = (torch.cumsum(kept, 0) - 1)[labels]
            weight = weight[kept.nonzero().squeeze(1).to(weight.device)]
        labels = labels.to(weight.device)
        cosine = embeddings @ F.normalize(weight, dim=1).T
        cosine = cosine - self.margin * F.one_hot(labels, len(weight))
        return F.cross_entropy(self.scale * cosine, labels)


def frame_distillation(predicted: Tensor, target: Tensor) -> Tensor:
    """1 - cosine, plus a tenth of the squared error, over (batch, frames, 96)."""
    return 1 - F.cosine_similarity(predicted, target, dim=2).mean() + 0.1 * F.mse_loss(predicted, target)


def contrast(predicted: Tensor, target: Tensor, scale: float = 20.0) -> Tensor:
    """Tell each word's target from those of the other words in the batch (InfoNCE, arXiv 1807.03748): what 1 - cosine
    leaves to chance is which mistakes matter. Targets that are nearly the same (cosine over 0.8) are not told apart."""
    alike = target @ target.T > 0.8
    alike.fill_diagonal_(False)
    cosine = F.normalize(predicted, dim=1) @ target.T
    return F.cross_entropy((scale * cosine).masked_fill(alike, -1e4), torch.arange(len(target), device=target.device))


def word_distillation(predicted: Tensor, target: Tensor) -> Tensor:
    """1 - cosine over (words, size)."""
    return 1 - F.cosine_similarity(predicted, target, dim=1).mean()
