"""Trains one model: `python -m tinystories.train_model --depth 4 --width 128 --heads 4 --tokens 2M`."""

import argparse
import shlex
import sys
import weakref
from collections.abc import Sequence
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Any, get_args

import torch
from rich.console import Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.text import Text

from tinystories import checkpoint, storage, terminal
from tinystories.config import AXES, TrialConfig, parse_number, value_type
from tinystories.data.dataset import TOKENIZER, Dataset, open_dataset
from tinystories.data.make_dataset import make_stories
from tinystories.device import is_out_of_memory
from tinystories.metrics import Metrics
from tinystories.models.size import parameters
from tinystories.options import Parser, location
from tinystories.trainer import Trainer

DATA = "data/processed"
INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells give it: 128 + SIGINT."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Train, or resume training, the model that the command line describes; returns the exit status."""
    options = _parser().parse_args(arguments)
    try:
        trainer = _prepare(options)
        metrics = _train(trainer, options.out)
    except (ValueError, OSError) as error:
        return terminal.refuse(error)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        print("error: out of memory; lower --width, --depth, --batch-size or --context", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped; the same command resumes from the last evaluation", file=sys.stderr)
        return INTERRUPTED
    if metrics.diverged:
        print(f"diverged at step {metrics.step}; try a lower --learning-rate", file=sys.stderr)
        return 1
    print(
        f"val_loss {metrics.val_loss:.4f} nat/token, val_bpb {metrics.val_bpb:.4f} bit/byte; make a story: "
        f'python -m tinystories.predict_model {shlex.quote(options.out)} --prompt "Once upon a time"'
    )
    return 0


def _parser() -> Parser:
    parser = Parser(
        prog="python -m tinystories.train_model",
        description=__doc__,
        epilog="The fields of TrialConfig are described in tinystories/config.py.",
    )
    parser.add_argument("--data", type=location, default=DATA, help=f"dataset, folder or URI (default: {DATA})")
    parser.add_argument("--out", type=location, default="models/one", help="folder of the model (default: models/one)")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda (default: auto)")
    parser.add_argument("--threads", type=int, help="CPU threads (default: one a core)")
    budget = parser.add_mutually_exclusive_group(required=True)
    for axis in AXES:
        budget.add_argument(f"--{axis}", type=_number, help=f"length of the training in {axis}, such as 2M")
    for field in fields(TrialConfig):
        if field.name not in ("axis", "budget"):
            parser.add_argument("--" + field.name.replace("_", "-"), **_flag(field))
    return parser


def _number(text: str) -> float:
    try:
        return parse_number(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _flag(field: Field[Any]) -> dict[str, Any]:
    """What argparse needs to know of a field of TrialConfig."""
    if field.default is MISSING:
        return {"type": field.type, "required": True, "help": "see TrialConfig"}
    options = {"default": field.default, "help": f"see TrialConfig (default: {field.default})"}
    if field.type is bool:
        return {"action": argparse.BooleanOptionalAction, **options}
    kind = value_type(field.type)
    if choices := get_args(kind):
        return {"choices": choices, **options}
    return {"type": kind, **options}


def _prepare(options: argparse.Namespace) -> Trainer:
    """A trainer at its start, or at the latest checkpoint of its folder.

    Raises:
        ValueError: an option out of range, damaged data, or a folder that holds another trial or other files.
        OSError: the data cannot be read, or the folder cannot be written.
    """
    config = _config(options)
    if options.threads is not None:
        if options.threads < 1:
            raise ValueError(f"threads {options.threads} must be above 0")
        torch.set_num_threads(options.threads)
    if not checkpoint.latest(options.out) and (files := storage.names(options.out)):
        raise ValueError(f"{options.out} holds other files ({', '.join(files)}); name another folder")
    dataset = _open(options.data)
    resume = checkpoint.resume(options.out)
    try:
        return Trainer(config, dataset, resume=resume, device=options.device)
    except ValueError as error:
        raise ValueError(f"{checkpoint.latest(options.out)}: {error}" if resume else error) from None


def _config(options: argparse.Namespace) -> TrialConfig:
    axis = next(axis for axis in AXES if getattr(options, axis) is not None)
    recipe = {
        field.name: getattr(options, field.name)
        for field in fields(TrialConfig)
        if field.name not in ("axis", "budget")
    }
    return TrialConfig(axis=axis, budget=getattr(options, axis), **recipe)


def _open(data: str) -> Dataset:
    """The dataset; one of built-in stories is made where the default folder is missing or empty."""
    folder = Path(data)
    if data == DATA and not (folder.exists() and any(folder.iterdir())):
        print(f"no dataset in {data}: making one of built-in stories", file=sys.stderr)
        make_stories(data)
    return open_dataset(data, verify=True)


def _train(trainer: Trainer, out: str) -> Metrics:
    """Train to the end with a progress bar, a line and a checkpoint at every evaluation; the last record."""
    console = terminal.console(stderr=True)
    count = parameters(trainer.model.config)
    console.print(f"{count:,} parameters on {trainer.device.type}, {trainer.precision}", soft_wrap=True)
    if trainer.metrics:
        console.print(f"{out} was trained up to here:\n{_line(trainer, trainer.metrics)}", soft_wrap=True)
        _keep_tokenizer(trainer, out)  # a kill between checkpoint and tokenizer leaves it out
    # Live's thread may outlive Live. If it were the last to let a trainer go while Python ends, PyTorch would abort.
    watched = weakref.proxy(trainer)
    with Live(get_renderable=lambda: _status(watched), console=console, transient=True):
        for metrics in trainer.run():
            console.print(_line(trainer, metrics), soft_wrap=True)
            if not metrics.diverged:
                _save(trainer, out)
    assert trainer.metrics
    return trainer.metrics


def _save(trainer: Trainer, out: str) -> None:
    """Everything that it takes to resume training, or to tell stories."""
    checkpoint.save(trainer.checkpoint(), out)
    _keep_tokenizer(trainer, out)


def _keep_tokenizer(trainer: Trainer, out: str) -> None:
    """Put the tokenizer beside the checkpoints, unless it is there."""
    if TOKENIZER not in storage.names(out):
        storage.write(storage.join(out, TOKENIZER), (trainer.dataset.folder / TOKENIZER).read_bytes())


def _status(trainer: Trainer) -> Group:
    """The progress bar. The screen asks for it, so that training need not know of a screen."""
    text = Text(f"step {trainer.step:,}  loss {trainer.seen_loss:.3f}  {min(1, trainer.progress):.0%}")
    return Group(ProgressBar(total=1, completed=trainer.progress, width=60), text)


def _line(trainer: Trainer, metrics: Metrics) -> str:
    return (
        f"evaluation {metrics.evaluation}/{trainer.config.evaluations}  tokens {metrics.tokens:,}  "
        f"train_loss {metrics.train_loss:.4f}  val_loss {metrics.val_loss:.4f} (se {metrics.val_loss_se:.4f})  "
        f"val_bpb {metrics.val_bpb:.4f}  {metrics.tokens_per_second:,.0f} tokens/s"
    )


if __name__ == "__main__":
    sys.exit(terminal.run(main))
