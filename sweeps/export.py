"""Export a sweep's best model as a Hugging Face folder: python sweeps/export.py runs/NAME --out models/best."""

import json
import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

import torch
import yaml

if __name__ == "__main__":
    # wandb[sweeps] comes with a package of this name; Ray's workers would find it even where this file does not.
    found = PathFinder.find_spec("sweeps", sys.path[1:])
    if found and found.origin and not Path(found.origin).parent.samefile(Path(__file__).parent):
        print(f"error: {found.origin} is another package named sweeps, found before this one", file=sys.stderr)
        sys.exit(2)

from sweeps.machines import signals
from sweeps.record.folder import RunFolder
from sweeps.record.tables import MEASURED, Result, ranked, read_results
from tinystories import checkpoint, storage, terminal
from tinystories import options as types
from tinystories.checkpoint import Checkpoint
from tinystories.data.dataset import TOKENIZER, Dataset, open_dataset
from tinystories.data.tokenizer import END_OF_TEXT
from tinystories.evaluate import evaluate
from tinystories.models.model import GPTNeo, from_transformers, to_transformers
from tinystories.options import Parser
from tinystories.staging import locked, staged

FILES = {
    *("README.md", "config.json", "generation_config.json", "model.safetensors"),
    *("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja"),
}
"""What an exported folder may hold; anything else is somebody's, and is not replaced."""
TOLERANCE = 1e-3
"""Largest difference between the loss that a sweep reported and the loss of the exported files. [nat/token]

Float32 on another device, or another number of threads, moves the loss by some 1e-6; bfloat16 training, whose
evaluation rounds to 8 bits, by some 1e-4 (measured here on two cores).
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    options = _parser().parse_args(arguments)
    with signals.watched(f"To repeat: {shlex.join(['python', *sys.argv])}") as watch:
        try:
            loss, result = export(options.run, options.out, trial=options.trial, data=options.data)
        except (ValueError, OSError) as error:
            return terminal.refuse(error)
        except KeyboardInterrupt:
            print("Stopped; nothing was exported.", file=sys.stderr)
            return watch.status
    console = terminal.console()
    console.print(f"{options.out}: {result.shape}, measured again: {loss:.4f} nat/token", soft_wrap=True)
    console.print("Let it write:")
    out = shlex.quote(str(options.out))
    console.print(f'python -m tinystories.predict_model {out} --prompt "Once upon a time"', soft_wrap=True)
    return 0


def _parser() -> Parser:
    parser = Parser(prog="sweeps/export.py", description=__doc__)
    parser.add_argument("run", type=types.path, help="run folder of the sweep, runs/NAME")
    parser.add_argument("--out", type=types.path, required=True, help="folder to write, such as models/best")
    parser.add_argument("--trial", help="trial to export (default: the best)")
    parser.add_argument("--data", type=types.location, help="where the sweep's data are now (default: where they were)")
    return parser


def export(run: Path, out: Path, *, trial: str | None = None, data: str | None = None) -> tuple[float, Result]:
    """Write model, tokenizer, generation config and model card, and evaluate what was written.

    Args:
        run: run folder of a sweep, finished or not.
        out: folder to write; an earlier export there is replaced.
        trial: name of the trial; None: the best whose checkpoint was kept.
        data: folder or URI of the data that the sweep trained on; None: where they were then.

    Returns:
        The loss of the files [nat/token], and the trial's row.

    Raises:
        ValueError: no usable checkpoint, other data, or a loss that is not the one that the sweep reported.
    """
    folder = RunFolder(run)
    result = _choose(folder, trial)
    saved = checkpoint.load(_location(folder, result))
    known = json.loads(folder.origin.read_text(encoding="utf-8"))
    dataset = open_dataset(data or known["location"])
    if dataset.fingerprint != saved.data_fingerprint:
        raise ValueError(f"{dataset.folder} holds other data than trial {result.trial_id} was trained on; see --data")
    _require_replaceable(out)
    with locked(out), staged(out) as aside:
        _write_model(saved, dataset, aside)
        loss, bpb = _measure(aside, dataset)
        if abs(loss - result.best_val_loss) > TOLERANCE:
            raise ValueError(
                f"trial {result.trial_id}: the exported files have a loss of {loss:.4f}, but the sweep reported "
                f"{result.best_val_loss:.4f}; nothing was exported"
            )
        card = model_card(
            result,
            saved,
            spec=yaml.safe_load(folder.spec.read_text(encoding="utf-8")),
            loss=loss,
            bpb=bpb,
            name=str(out),
        )
        (aside / "README.md").write_text(card, encoding="utf-8")
    return loss, result


def _choose(folder: RunFolder, trial: str | None) -> Result:
    if not folder.spec.exists():
        raise ValueError(f"{folder.root} is not the run folder of a sweep; give runs/NAME")
    kept = (_as_kept(folder, result) for result in read_results(folder.results))
    usable = [result for result in ranked(kept) if result.checkpoint]
    if not usable:
        raise ValueError(f"{folder.root} has no usable checkpoint: no trial has ended with a loss yet")
    if trial is None:
        return usable[0]
    for result in usable:
        if result.trial_id == trial:
            return result
    names = ", ".join(result.trial_id for result in usable)
    raise ValueError(f"trial {trial!r} has no usable checkpoint; trials that have one: {names}")


def _as_kept(folder: RunFolder, result: Result) -> Result:
    """A trial as its best checkpoint has it, and without one if that is gone.

    That is as its row says, but for a finalist that was cut short: its row can be of an earlier evaluation.
    """
    location = _location(folder, result)
    if not result.checkpoint or storage.exists(location):
        return result
    later = checkpoint.best(location.rpartition("/")[0])
    if later is None:
        return replace(result, checkpoint="")
    metrics = checkpoint.load(later).metrics
    changed = {name: getattr(metrics, name) for name in MEASURED}
    return replace(result, checkpoint=later, **changed)


def _location(folder: RunFolder, result: Result) -> str:
    if storage.is_uri(result.checkpoint) or os.path.isabs(result.checkpoint):
        return result.checkpoint
    return str(folder.root.absolute() / result.checkpoint)


def _require_replaceable(out: Path) -> None:
    """Replace an earlier export, and nothing else."""
    if out.is_file() or (out.is_dir() and not {path.name for path in out.iterdir()} <= FILES):
        raise ValueError(f"{out} holds something else than an exported model; give another --out")


def _write_model(saved: Checkpoint, dataset: Dataset, folder: Path) -> None:
    """Safetensors, config, generation config and tokenizer, as `transformers` reads them."""
    import transformers

    transformers.utils.logging.disable_progress_bar()
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_file=str(dataset.folder / TOKENIZER),
        eos_token=END_OF_TEXT,
        bos_token=END_OF_TEXT,
        model_max_length=saved.model_config.context,
        clean_up_tokenization_spaces=False,
    )
    model = GPTNeo(saved.model_config)
    model.load_state_dict(saved.model)
    converted = to_transformers(model, end_of_text=tokenizer.eos_token_id)
    converted.generation_config = transformers.GenerationConfig(
        do_sample=True,
        temperature=0.8,
        top_k=40,
        max_new_tokens=saved.model_config.context // 2,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.eos_token_id,
    )
    converted.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _measure(folder: Path, dataset: Dataset) -> tuple[float, float]:
    """Validation loss of the exported files, read back from disk. [nat/token], [bit/byte]"""
    import transformers

    model = from_transformers(transformers.AutoModelForCausalLM.from_pretrained(folder))
    return evaluate(model.to("cuda" if torch.cuda.is_available() else "cpu"), dataset, batch_size=16)


def model_card(result: Result, saved: Checkpoint, *, spec: dict[str, Any], loss: float, bpb: float, name: str) -> str:
    """The README of an exported model: shape, data, metrics, how it was made and how to use it."""
    recipe = "\n".join(f"| {key} | {value} |" for key, value in asdict(saved.config).items())
    return f"""---
library_name: transformers
pipeline_tag: text-generation
tags: [gpt_neo, tinystories]
---
# A GPT-Neo of {result.shape}

Trial {result.trial_id} ({result.status}) of the sweep `{spec["name"]}`.

| | |
|---|---|
| parameters | {result.parameters:,} ({result.non_embedding_parameters:,} without embeddings) |
| vocabulary | {saved.model_config.vocab_size:,} ({saved.tokenizer}) |
| context | {saved.model_config.context} tokens; local layers see {saved.model_config.window} |
| validation loss | {loss:.4f} nat/token, measured on these files |
| bits per byte | {bpb:.4f} |
| trained on | {result.tokens:,} tokens, {result.flops:.2e} FLOPs, {result.seconds:.0f} s |
| data | fingerprint `{saved.data_fingerprint}` |

## Use
```python
from transformers import AutoModelForCausalLM, AutoTokenizer

model = AutoModelForCausalLM.from_pretrained("{name}")
tokenizer = AutoTokenizer.from_pretrained("{name}")
prompt = tokenizer("Once upon a time", return_tensors="pt")
print(tokenizer.decode(model.generate(**prompt)[0]))
```

## Training
| setting | value |
|---|---|
{recipe}

The learning rate is the one at width 256; hidden matrices use it times 256 / width unless scaling is off.

## The sweep
```yaml
{yaml.safe_dump(spec, sort_keys=False).strip()}
```
"""


if __name__ == "__main__":
    sys.exit(terminal.run(main))
