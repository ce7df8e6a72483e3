"""The validation loss of an exported model, by transformers and numpy alone: nothing of this project is imported.

    python benchmarks/check_export.py models/best data/processed

Windows of the model's context, one after the other; every token of valid.bin but the first is predicted once.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
import transformers


def main() -> None:
    """Print the mean loss. [nat/token]"""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="exported model")
    parser.add_argument("data", type=Path, help="data folder that it was trained on")
    options = parser.parse_args()
    model = transformers.AutoModelForCausalLM.from_pretrained(options.model)
    tokenizer = transformers.AutoTokenizer.from_pretrained(options.model)
    tokens = torch.from_numpy(np.fromfile(options.data / "valid.bin", dtype=np.uint16).astype(np.int64))
    context = model.config.max_position_embeddings
    total = 0.0
    for start in range(0, len(tokens) - 1, context):
        window = tokens[start : start + context + 1]
        with torch.no_grad():
            logits = model(window[None, :-1]).logits[0]
        total += torch.nn.functional.cross_entropy(logits, window[1:], reduction="sum").item()
    print(f"{total / (len(tokens) - 1):.4f} nat/token over {len(tokens):,} tokens, vocabulary {len(tokenizer):,}")


if __name__ == "__main__":
    main()
