"""A slot: one long-lived Ray Train worker that serves trial after trial.

Starting a Ray Train run costs 12 to 15 seconds, so each slot does it once. The slot is a Tune Trainable with
reused actors; its Train worker pulls jobs from a mailbox and answers with one report an evaluation. ASHA's stop
frees the worker at the next message. A bad configuration is an answer, not an exception, and costs nothing; a
dead or hung worker fails the slot, and Tune starts the trial in a new one, where it resumes from its checkpoint.
"""

import threading
import time
from typing import Any

import ray
from ray import train, tune

# Not its subclass TorchTrainer: that would import torch in three more processes of every slot and form a process
# group of one, which together take half as long again as the rest of the start.
from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer
from ray.util.placement_group import remove_placement_group
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from sweeps.machines.worker import GO, QUIT, STOP, Job, Mailbox, Ready, Report, SlotConfig, serve

HEAD = "node:__internal_head__"
"""Resource of the head node, which no spot market takes back. A slot takes a tiny part of it: Tune refuses trials that
take nothing."""
POLL_SECONDS = 1.0
"""How often a waiting slot checks that its Train worker is still alive."""


class Slot(tune.Trainable):
    """One place where trials run, one after the other. Config: `slot` (SlotConfig) and `job` (Job)."""

    def setup(self, config: dict[str, Any]) -> None:
        """Take the first job; the Train worker starts with the first step.

        Not before: Tune takes away a slot that it turns out not to need while it starts, and then nothing would free
        what its Train worker had just reserved.
        """
        self._slot: SlotConfig = config["slot"]
        self._job: Job = config["job"]
        self._idle = True
        self._ready: Ready | None = None
        self._failure: BaseException | None = None
        self._fit: threading.Thread | None = None

    def _start(self) -> None:
        """Start the Train worker; it answers when it is ready."""
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        self._mailbox = ray.remote(num_cpus=0, scheduling_strategy=here)(Mailbox).remote()
        self._fit = threading.Thread(target=self._run_trainer, args=(self._trainer(),), daemon=True)
        self._fit.start()

    def _trainer(self) -> DataParallelTrainer:
        resources = {"CPU": self._slot.cpus} | ({"GPU": self._slot.gpus} if self._slot.gpus else {})
        return DataParallelTrainer(
            serve,
            train_loop_config={"mailbox": self._mailbox, "config": self._slot},
            scaling_config=train.ScalingConfig(
                num_workers=1, use_gpu=self._slot.gpus > 0, resources_per_worker=resources
            ),
            run_config=train.RunConfig(
                name=f"slot-{ray.get_runtime_context().get_actor_id()}",
                storage_path=self._slot.storage,
                # The worker trains in a thread of its own, whose large tensors glibc would hand back to the kernel.
                worker_runtime_env={"env_vars": {"MALLOC_ARENA_MAX": "1"}},
                failure_config=train.FailureConfig(max_failures=0, controller_failure_limit=0),
            ),
        )

    def _run_trainer(self, trainer: DataParallelTrainer) -> None:
        try:
            trainer.fit()
        except BaseException as error:
            self._failure = error

    def step(self) -> dict[str, Any]:
        """Let the trial run to its next evaluation.

        Raises:
            RuntimeError: the Train worker died, or did not report in time.
        """
        if self._fit is None:
            self._start()
        if not self._ready:
            answer = self._receive(patience=None)
            if not isinstance(answer, Ready):
                return {"report": answer, "done": True}
            self._ready = answer
        self._put(self._job if self._idle else GO)
        report: Report = self._receive(patience=self._slot.patience)
        self._idle = report.ends(self._job)
        return {"report": report, "done": self._idle}

    def _put(self, message: Any) -> None:
        ray.get(self._mailbox.put.remote("to_worker", message))

    def _receive(self, patience: float | None) -> Any:
        deadline = None if patience is None else time.monotonic() + patience
        while True:
            message = ray.get(self._mailbox.get.remote("to_slot", POLL_SECONDS))
            if message is not None:
                return message
            if self._fit is None or not self._fit.is_alive():
                self._give_back()
                raise RuntimeError(f"the Train worker died: {self._failure}")
            if deadline is not None and time.monotonic() > deadline:
                self._give_back()
                raise RuntimeError(f"no evaluation within {patience:g} s; the Train worker is taken for hung")

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take the next trial in the same worker."""
        if not self._idle:
            self._put(STOP)
            self._idle = True
        self._job = new_config["job"]
        return True

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Nothing: a trial's checkpoints belong to its worker, and are found by the trial's name."""

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Nothing; see `save_checkpoint`."""

    def cleanup(self) -> None:
        """Let the worker go."""
        if self._fit is not None and self._fit.is_alive():
            if not self._idle:
                self._put(STOP)
            self._put(QUIT)
            self._fit.join(timeout=10)
        self._give_back()

    def _give_back(self) -> None:
        """Free what Ray has reserved for the Train worker, and end it if it is still there.

        Ray Train does so itself, but not when Tune takes its controller away with the slot in the middle of that. Then
        no new slot would ever start.
        """
        if self._ready:
            remove_placement_group(self._ready.placement_group)
