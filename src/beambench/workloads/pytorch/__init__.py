"""What the workloads that run on PyTorch share: models, handlers, choices of precision."""
