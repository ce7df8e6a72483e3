"""An exported model: a folder that `transformers` reads, version 4 as well as 5."""

import json
from pathlib import Path

from tinystories.data.tokenizer import END_OF_TEXT
from tinystories.models.conversion import from_transformers, to_transformers
from tinystories.models.model import GPTNeo

CARD = "README.md"
FILES = {
    *(CARD, "config.json", "generation_config.json", "model.safetensors"),
    *("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja"),
}
"""What an exported folder may hold; anything else is somebody's, and is not replaced."""
TOKENIZER_CLASS = "PreTrainedTokenizerFast"
"""What tokenizer_config.json names: transformers 5 knows it as well as 4, which cannot read the name that 5 writes."""


def write(model: GPTNeo, tokenizer_file: Path, folder: Path) -> None:
    """Write safetensors, config, generation config and tokenizer.

    Raises:
        OSError: the folder cannot be written.
        Exception: the same, of kinds that safetensors and tokenizers have of their own.
    """
    # Imported here: it takes seconds.
    import transformers

    transformers.utils.logging.disable_progress_bar()
    context = model.config.context
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_file=str(tokenizer_file),
        eos_token=END_OF_TEXT,
        bos_token=END_OF_TEXT,
        model_max_length=context,
        clean_up_tokenization_spaces=False,
    )
    converted = to_transformers(model, end_of_text=tokenizer.eos_token_id)
    converted.generation_config = transformers.GenerationConfig(
        do_sample=True,
        temperature=0.8,
        top_k=40,
        max_new_tokens=context // 2,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.eos_token_id,
    )
    converted.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    settings = folder / "tokenizer_config.json"
    named = json.loads(settings.read_text(encoding="utf-8")) | {"tokenizer_class": TOKENIZER_CLASS}
    settings.write_text(json.dumps(named, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def read(folder: Path) -> GPTNeo:
    """The model of such a folder."""
    import transformers

    return from_transformers(transformers.AutoModelForCausalLM.from_pretrained(folder))


def open_to_others(folder: Path) -> None:
    """Give all files the permissions that the umask leaves; libraries make some for their owner alone."""
    for path in folder.iterdir():
        path.chmod(folder.stat().st_mode & 0o666)
