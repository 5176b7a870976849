"""The charts as files: for documents, reports and talks, made without a browser."""
