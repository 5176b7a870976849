"""The model. Put yours here, or import it in the workload from where it is."""

from __future__ import annotations

import torch
from torch import nn


class MyBenchmarkModel(nn.Module):
    """Two convolutions and a linear layer: [batch, 3, height, width] -> [batch, classes]."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 16, kernel_size=3, stride=2),
            nn.ReLU(),
            nn.Conv2d(16, 32, kernel_size=3, stride=2),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(4),
            nn.Flatten(),
            nn.Linear(32 * 4 * 4, classes),
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.layers(images)
        return scores
