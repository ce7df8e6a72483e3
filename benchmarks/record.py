"""Writes the curves of a sweep as a table for search.py: `python benchmarks/record.py runs/NAME OUT.csv.gz`.

One row an evaluation of every trial that ran to its end or diverged; there the loss is nan. The
run folder must be of this version of the project.
"""

import csv
import gzip
import io
import sys
from pathlib import Path

from sweeps.record.folder import RunFolder
from sweeps.record.tables import read_curves, read_results
from tinystories import storage

COLUMNS = ("config", "depth", "width", "heads", "learning_rate", "tokens", "val_loss")


def main() -> None:
    """Read the run folder, write the table whole."""
    folder, out = RunFolder(Path(sys.argv[1])), Path(sys.argv[2])
    curves = read_curves(folder.curves)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for trial in read_results(folder.results):
        if trial.status not in ("completed", "diverged"):
            continue
        for at in curves.get(trial.trial_id, []):
            loss = f"{at.val_loss:.4f}" if at.usable else "nan"
            shape = (trial.trial_id, trial.depth, trial.width, trial.heads, f"{trial.learning_rate:.6g}")
            writer.writerow((*shape, at.tokens, loss))
    storage.write(str(out), gzip.compress(text.getvalue().encode(), mtime=0))


if __name__ == "__main__":
    main()
