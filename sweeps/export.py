"""Export a sweep's best model as a Hugging Face folder: python sweeps/export.py runs/NAME --out models/best."""

import json
import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from tinystories import terminal

if __name__ == "__main__":
    # wandb[sweeps] comes with a package of this name; Ray's workers would find it even where this file does not.
    terminal.require_own_package(Path(__file__).parent)

from sweeps.machines import signals
from sweeps.record.claim import require_journal
from sweeps.record.folder import RunFolder
from sweeps.record.record import read_trials
from sweeps.record.rows import Rows
from sweeps.record.tables import MEASURED, Result, ranked
from sweeps.report.card import model_card, predict_command
from sweeps.spec import document, load
from tinystories import checkpoint, exported, storage
from tinystories import options as types
from tinystories.checkpoint import Checkpoint
from tinystories.data.dataset import TOKENIZER, Dataset, describe, open_dataset
from tinystories.evaluate import Evaluation, evaluate, sample
from tinystories.models import size
from tinystories.models.model import GPTNeo
from tinystories.options import Parser
from tinystories.staging import locked, staged

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
    console.print(predict_command(str(options.out)), soft_wrap=True)
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
        OSError: the data or the checkpoint cannot be read, or the folder cannot be written.
    """
    folder = RunFolder(run)
    result = _choose(folder, trial)
    saved = checkpoint.load(_location(folder, result))
    result = _sized(result, saved)
    dataset = _open_data(folder, data)
    if dataset.fingerprint != saved.data_fingerprint:
        raise ValueError(f"{dataset.folder} holds other data than trial {result.trial_id} was trained on; see --data")
    _require_replaceable(out)
    spec = document.read(folder.spec)
    with locked(out), staged(out) as aside:
        with _one_kind_of_error(f"trial {result.trial_id} cannot be exported to {out}"):
            exported.write(_model(saved), dataset.folder / TOKENIZER, aside)
            model = exported.read(aside).to("cuda" if torch.cuda.is_available() else "cpu")
        found = evaluate(model, dataset, batch_size=16)
        _require_reported(found if saved.is_last else _sampled(model, saved, dataset), result)
        card = model_card(
            result,
            saved.config,
            spec=spec,
            data=describe(dataset.folder),
            precision=saved.precision,
            loss=(found.loss, found.se),
            bpb=found.bpb,
            out=str(out),
        )
        (aside / exported.CARD).write_text(card, encoding="utf-8")
        exported.open_to_others(aside)
    return found.loss, result


@contextmanager
def _one_kind_of_error(doing: str) -> Iterator[None]:
    """Make an OSError of what safetensors, tokenizers and torch raise, each a kind of its own, when a disk is full."""
    try:
        yield
    except (ValueError, OSError, MemoryError):
        raise
    except Exception as error:
        raise OSError(f"{doing}: {error}") from error


def _open_data(folder: RunFolder, data: str | None) -> Dataset:
    """The data from where they are said to be, or were when the sweep ran."""
    if data is not None:
        return open_dataset(data)
    try:
        location = json.loads(folder.origin.read_text(encoding="utf-8"))["location"]
    except (ValueError, LookupError, TypeError):
        raise ValueError(f"{folder.origin} is damaged; say where the sweep's data are: --data FOLDER") from None
    try:
        return open_dataset(location)
    except (ValueError, OSError) as error:
        raise OSError(f"{error}; if the sweep's data have moved, say where they are: --data FOLDER") from None


def _choose(folder: RunFolder, trial: str | None) -> Result:
    kept = (_as_kept(folder, result) for result in _results(folder))
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


def _results(folder: RunFolder) -> list[Result]:
    """The rows of a sweep as its journal has them; their sizes follow from the checkpoint."""
    if not folder.spec.exists():
        raise ValueError(f"{folder.root} is not the run folder of a sweep; give runs/NAME")
    require_journal(folder)
    spec = load.parse(document.read(folder.spec))
    return Rows(spec, vocab_size=1, root=str(folder.root)).table(read_trials(folder))


def _sized(result: Result, saved: Checkpoint) -> Result:
    """A row with the sizes of its model."""
    model = saved.model_config
    return replace(
        result,
        parameters=size.parameters(model),
        non_embedding_parameters=size.non_embedding_parameters(model),
    )


def _as_kept(folder: RunFolder, result: Result) -> Result:
    """A trial as its best checkpoint has it, and without one if that is gone.

    That is as its row says, but for a finalist that was cut short: its row can be of an earlier evaluation, or say that
    it is not completed, though its last checkpoint was saved; it ranks among those whose losses are of the same text.
    """
    location = _location(folder, result)
    if not result.checkpoint or storage.exists(location):
        return result
    later = checkpoint.best(location.rpartition("/")[0])
    if later is None:
        return replace(result, checkpoint="")
    saved = checkpoint.load(later)
    changed: dict[str, Any] = {name: getattr(saved.metrics, name) for name in MEASURED}
    if result.usable:
        changed["status"] = "completed" if saved.is_last else "stopped"
    return replace(result, checkpoint=later, **changed)


def _location(folder: RunFolder, result: Result) -> str:
    if storage.is_uri(result.checkpoint) or os.path.isabs(result.checkpoint):
        return result.checkpoint
    return str(folder.root.absolute() / result.checkpoint)


def _require_replaceable(out: Path) -> None:
    """Replace an earlier export, and nothing else."""
    if out.is_file() or (out.is_dir() and not {path.name for path in out.iterdir()} <= exported.FILES):
        raise ValueError(f"{out} holds something else than an exported model; give another --out")


def _model(saved: Checkpoint) -> GPTNeo:
    model = GPTNeo(saved.model_config)
    model.load_state_dict(saved.model)
    return model


def _sampled(model: GPTNeo, saved: Checkpoint, dataset: Dataset) -> Evaluation:
    """What the model makes of the stories that every evaluation of its trial has read."""
    text_N = sample(dataset, size.evaluation_tokens(saved.config, dataset.vocab_size))
    return evaluate(model, dataset, batch_size=16, text_N=text_N)


def _require_reported(found: Evaluation, result: Result) -> None:
    """Refuse files whose loss is not the one that the sweep reported, or no number."""
    if not abs(found.loss - result.best_val_loss) <= TOLERANCE:
        raise ValueError(
            f"trial {result.trial_id}: the exported files have a loss of {found.loss:.4f}, but the sweep reported "
            f"{result.best_val_loss:.4f}; nothing was exported"
        )


if __name__ == "__main__":
    sys.exit(terminal.run(main))
