"""True labels: which class an element belongs to, by a file or by the folder that it lies in."""
