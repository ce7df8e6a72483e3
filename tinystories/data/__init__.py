"""Text to tokens: the built-in stories, cleaning, tokenizers, batches."""
