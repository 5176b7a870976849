"""Text generation by a vLLM server."""
