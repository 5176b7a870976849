"""Image classification: decoding pictures, and what a classifier does not see of them."""
