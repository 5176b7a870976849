"""The classifier that is trained here on scikit-learn's digits: a pickle, and an ONNX file."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

from beambench.errors import RunError

HIDDEN = 64
TRAINING_STEPS = 60


def trained_digits(seed: int, cache: Path) -> Path:
    """Return a pickled network trained on scikit-learn's digits, made once for seed and version.

    One hidden layer of 64: 64 grey values (0 to 16) to the digit 0 to 9.
    """
    import sklearn

    path = cache / f"digits-seed{seed}-sklearn{_version_tag(sklearn.__version__)}.pickle"
    return path if path.is_file() else write(path, lambda: pickle.dumps(_train(seed)))


def _train(seed: int) -> Any:
    import warnings

    from sklearn.datasets import load_digits
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier

    rows, digits = load_digits(return_X_y=True)
    network = MLPClassifier((HIDDEN,), max_iter=TRAINING_STEPS, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # it is good enough before
        return network.fit(rows.astype("float32"), digits)


def converted_digits(trained: Path) -> Path:
    """Return the trained network as an ONNX file beside its pickle, with the scores as output."""
    versions = " ".join(importlib.metadata.version(name) for name in ("skl2onnx", "onnx"))
    path = trained.with_suffix(f".{_version_tag(versions)}.onnx")
    return path if path.is_file() else write(path, lambda: _convert(trained))


def _convert(trained: Path) -> bytes:
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import FloatTensorType
    from skl2onnx.helpers.onnx_helper import select_model_inputs_outputs

    network = pickle.loads(trained.read_bytes())  # noqa: S301 - made by us a moment ago
    whole = convert_sklearn(
        network,
        initial_types=[("row", FloatTensorType([None, network.n_features_in_]))],
        options={"zipmap": False},
    )
    return bytes(select_model_inputs_outputs(whole, ["probabilities"]).SerializeToString())


def _version_tag(versions: str) -> str:
    return hashlib.sha256(versions.encode()).hexdigest()[:8]


def write(path: Path, make: Callable[[], bytes]) -> Path:
    """Write a file whole or not at all, so that all repeats load the same."""
    content = make()
    partial = path.with_suffix(f".{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(content)
        partial.replace(path)
    except OSError as error:
        raise RunError(
            f"{path.parent}: cannot write weights there: {error.strerror or error}"
        ) from None
    finally:
        with contextlib.suppress(OSError):  # the folder itself may not be there
            partial.unlink()
    return path
