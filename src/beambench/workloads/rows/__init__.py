"""Rows of numbers: scikit-learn and ONNX Runtime."""
