"""Text through encoders: masked words, sentiment, embeddings, Hugging Face pipelines."""
