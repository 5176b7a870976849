"""What is measured: read, preprocess, model handler, postprocess."""
