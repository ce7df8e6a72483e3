"""The README of an exported model, in the form of a Hugging Face model card."""

import shlex
from dataclasses import asdict
from typing import Any

import yaml

from sweeps.record.tables import Result
from tinystories.config import TrialConfig

FRONT_MATTER = """---
library_name: transformers
pipeline_tag: text-generation
tags: [gpt_neo, tinystories]
---
"""
"""What the Hugging Face hub reads of a card."""


def predict_command(out: str) -> str:
    """What lets an exported model write, for the shell."""
    return f'python -m tinystories.predict_model {shlex.quote(out)} --prompt "Once upon a time"'


def model_card(
    result: Result,
    trial: TrialConfig,
    *,
    spec: dict[str, Any],
    data: dict[str, Any],
    precision: str,
    loss: tuple[float, float],
    bpb: float,
    out: str,
) -> str:
    """The README of an exported model: shape, data, metrics, how it was made and how to use it.

    Args:
        spec: the sweep's file.
        data: what dataset.json says.
        precision: of the matrix products in training, which `trial.dtype` may have left open.
        loss: what the exported files make of the validation text, and its standard error. [nat/token]
        bpb: the same per byte. [bit/byte]
        out: folder of the model.
    """
    sections = (
        _summary(result, trial, spec=spec, data=data, loss=loss, bpb=bpb),
        _usage(out),
        _training(trial, precision),
        f"## The sweep\n```yaml\n{yaml.safe_dump(spec, sort_keys=False, allow_unicode=True).strip()}\n```\n",
        *([f"## Citation of the data\n```\n{data['citation'].strip()}\n```\n"] if data.get("citation") else ()),
    )
    return FRONT_MATTER + "\n".join(sections)


def _summary(
    result: Result,
    trial: TrialConfig,
    *,
    spec: dict[str, Any],
    data: dict[str, Any],
    loss: tuple[float, float],
    bpb: float,
) -> str:
    """What the model is, how good it is, and what it was trained on."""
    licence = f"| licence of the data | {data['license']} |\n" if data.get("license") else ""
    return f"""# A GPT-Neo of {result.shape}

Trial {result.trial_id} ({result.status}) of the sweep `{spec["name"]}`.

| | |
|---|---|
| parameters | {result.parameters:,} ({result.non_embedding_parameters:,} without embeddings) |
| vocabulary | {data["vocab_size"]:,} ({data["tokenizer"]}) |
| context | {trial.context} tokens; local layers see {trial.window} |
| validation loss | {loss[0]:.4f} nat/token, standard error {loss[1]:.4f}, measured on these files |
| bits per byte | {bpb:.4f} |
| trained on | {result.tokens:,} tokens, {result.flops:.2e} FLOPs, {result.seconds:.0f} s |
| data | fingerprint `{data["fingerprint"]}` |
{licence}"""


def _usage(out: str) -> str:
    """How the model is used from a shell and from Python."""
    return f"""## Use
```console
{predict_command(out)}
```

```python
from transformers import AutoModelForCausalLM, AutoTokenizer

model = AutoModelForCausalLM.from_pretrained({out!r})
tokenizer = AutoTokenizer.from_pretrained({out!r})
prompt = tokenizer("Once upon a time", return_tensors="pt")
print(tokenizer.decode(model.generate(**prompt)[0]))
```
"""


def _training(trial: TrialConfig, precision: str) -> str:
    """All settings of the trial."""
    used = {"dtype": precision if trial.dtype == precision else f"{precision} (asked for: {trial.dtype})"}
    recipe = "\n".join(f"| {key} | {value} |" for key, value in (asdict(trial) | used).items())
    return f"""## Training
| setting | value |
|---|---|
{recipe}

The learning rate is the one at width 256; hidden matrices use it times 256 / width unless scaling is off.
"""
