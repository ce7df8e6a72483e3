"""Tells stories: `python -m tinystories.predict_model models/one --prompt "Once upon a time"`.

Shapes: L tokens in a sequence, V vocabulary.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from tinystories import checkpoint, terminal
from tinystories.config import require_seed
from tinystories.data.tokenizer import Tokenizer, load_tokenizer
from tinystories.models.conversion import from_transformers
from tinystories.models.model import GPTNeo
from tinystories.options import Parser, location

UNFINISHED = "\N{REPLACEMENT CHARACTER}"
"""What a byte-level tokenizer decodes to where the bytes of a character are not all there."""


def generate(
    model: GPTNeo,
    tokenizer: Tokenizer,
    prompt: str,
    *,
    max_tokens: int = 300,
    temperature: float = 0.8,
    top_k: int | None = None,
    seed: int = 0,
) -> Iterator[str]:
    """Continue a story that begins with the prompt, in pieces of whole characters; the same for the same seed.

    Ends with the story, or at `max_tokens`. Beyond its context the model sees the last tokens only.

    Args:
        prompt: beginning of the story; may be empty.
        max_tokens: longest continuation. [token]
        temperature: divides the logits; 0 always takes the likeliest token.
        top_k: choose among this many likeliest tokens; None: among all.

    Raises:
        ValueError: an option out of its range.
    """
    if max_tokens < 1:
        raise ValueError(f"max_tokens {max_tokens} must be above 0")
    if not 0 <= temperature < float("inf"):
        raise ValueError(f"temperature {temperature} must be a number of 0 or above")
    if top_k is not None and top_k < 1:
        raise ValueError(f"top_k {top_k} must be above 0")
    require_seed(seed)
    if any("\ud800" <= character <= "\udfff" for character in prompt):
        raise ValueError(f"prompt {prompt!r} is not valid UTF-8")
    # The data put this token before every story, so it is how a story begins.
    tokens = [tokenizer.end_of_text, *tokenizer.encode(prompt)]
    sampled = _sample(model, tokens, temperature, top_k, torch.Generator().manual_seed(seed))
    return _pieces(sampled, tokenizer, max_tokens)


def load_model(folder: str) -> tuple[GPTNeo, Tokenizer]:
    """The best model of a training folder, or the one of an exported Hugging Face folder, with its tokenizer.

    Raises:
        FileNotFoundError: neither is there, or the tokenizer is missing.
        ValueError: a file is damaged, the model is no GPT-Neo, or the tokenizer is another model's.
    """
    best = checkpoint.best(folder)
    model = _load_trained(best) if best else _load_exported(folder)
    tokenizer = load_tokenizer(folder)
    if tokenizer.vocab_size > model.config.vocab_size:
        raise ValueError(
            f"{folder}: the tokenizer has {tokenizer.vocab_size} tokens, the model knows {model.config.vocab_size}"
        )
    return model, tokenizer


def main(arguments: Sequence[str] | None = None) -> int:
    """Print stories as they are made; returns the exit status."""
    options = _parser().parse_args(arguments)
    try:
        _tell(options)
    except (ValueError, OSError) as error:
        return terminal.refuse(error)
    except KeyboardInterrupt:
        print()
        return 130
    return 0


def _parser() -> Parser:
    parser = Parser(prog="python -m tinystories.predict_model", description=__doc__)
    parser.add_argument("model", type=location, help="folder of train_model, or an exported Hugging Face folder")
    parser.add_argument("--prompt", default="", help="beginning of the story (default: none)")
    parser.add_argument("--stories", type=int, default=1, help="number of stories (default: 1)")
    parser.add_argument("--max-tokens", type=int, default=300, help="longest continuation (default: 300)")
    parser.add_argument("--temperature", type=float, default=0.8, help="0: always the likeliest token (default: 0.8)")
    parser.add_argument("--top-k", type=int, help="choose among this many likeliest tokens (default: all)")
    parser.add_argument("--seed", type=int, default=0, help="the same seed tells the same story (default: 0)")
    return parser


def _tell(options: argparse.Namespace) -> None:
    if options.stories < 1:
        raise ValueError(f"stories {options.stories} must be above 0")
    model, tokenizer = load_model(options.model)
    model.to("cuda" if torch.cuda.is_available() else "cpu")
    for story in range(options.stories):
        pieces = generate(
            model,
            tokenizer,
            options.prompt,
            max_tokens=options.max_tokens,
            temperature=options.temperature,
            top_k=options.top_k,
            seed=options.seed + story,
        )
        print("\n" * (story > 0) + options.prompt, end="", flush=True)
        for piece in pieces:
            print(piece, end="", flush=True)
        print()


def _load_trained(location: str) -> GPTNeo:
    trained = checkpoint.load(location)
    model = GPTNeo(trained.model_config)
    try:
        model.load_state_dict(trained.model)
    except RuntimeError:
        raise ValueError(f"{location} is damaged: its weights are not those of its shape") from None
    return model


def _load_exported(folder: str) -> GPTNeo:
    try:
        kind = json.loads(Path(folder, "config.json").read_text(encoding="utf-8"))["model_type"]
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(
            f"no model in {folder}; allowed: a folder of train_model, or one with config.json and model.safetensors"
        ) from None
    except (ValueError, LookupError, TypeError):
        raise ValueError(f"{folder}/config.json is damaged") from None
    if kind != "gpt_neo":
        raise ValueError(f"{folder} holds a model of type {kind!r}; allowed: 'gpt_neo'")
    # Imported here: it takes seconds, and models in training folders do not need it.
    from transformers import GPTNeoForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity(logging.CRITICAL)  # it would print a report of what is told below
    try:
        model, loaded = GPTNeoForCausalLM.from_pretrained(
            folder, local_files_only=True, output_loading_info=True, ignore_mismatched_sizes=True
        )
        if faulty := loaded["missing_keys"] | {name for name, *_ in loaded["mismatched_keys"]}:
            raise ValueError(f"{min(faulty)} is missing or has another shape")
        return from_transformers(model)
    except MemoryError:
        raise
    except Exception as error:  # of transformers, safetensors or torch, each has its own
        reason = str(error).strip().partition("\n")[0]
        raise ValueError(f"{folder} holds no readable GPT-Neo: {reason}") from None


def _sample(
    model: GPTNeo, tokens: list[int], temperature: float, top_k: int | None, random: torch.Generator
) -> Iterator[int]:
    """Endless tokens, each drawn after the ones before it."""
    tokens = list(tokens)
    device = model.wte.weight.device
    while True:
        window_1L = torch.tensor([tokens[-model.config.context :]], device=device)
        with torch.inference_mode():
            # Drawn on the CPU: generators of other devices give other stories for the same seed.
            logits_V = model(window_1L)[0, -1].float().cpu()
        tokens.append(_choose(logits_V, temperature, top_k, random))
        yield tokens[-1]


def _choose(logits_V: torch.Tensor, temperature: float, top_k: int | None, random: torch.Generator) -> int:
    if temperature == 0:
        return int(logits_V.argmax())
    if top_k is not None and top_k < len(logits_V):
        lowest = logits_V.topk(top_k).values[-1]
        logits_V = logits_V.masked_fill(logits_V < lowest, -torch.inf)
    probabilities_V = ((logits_V - logits_V.max()) / temperature).softmax(-1)
    return int(torch.multinomial(probabilities_V, 1, generator=random))


def _pieces(sampled: Iterator[int], tokenizer: Tokenizer, max_tokens: int) -> Iterator[str]:
    """Text of the tokens up to the end of the story; tokens that end inside a character wait for the next."""
    waiting: list[int] = []
    for _, token in zip(range(max_tokens), sampled, strict=False):
        if token == tokenizer.end_of_text:
            break
        waiting.append(token)
        text = tokenizer.decode(waiting)
        if not text.endswith(UNFINISHED):
            yield text
            waiting.clear()
    yield tokenizer.decode(waiting).rstrip(UNFINISHED)


if __name__ == "__main__":
    sys.exit(terminal.run(main, needs_reader=True))
