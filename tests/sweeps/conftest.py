"""A Ray cluster with a GPU, on machines with and without one."""

from collections.abc import Iterator

import pytest
import ray
from ray._private import ray_constants
from ray._raylet import Config

from sweeps.machines import access


@pytest.fixture(scope="module")
def ray_with_a_gpu() -> Iterator[None]:
    """A local Ray with two cores, 8 GiB and one GPU: it takes our word, and PyTorch sees what there really is."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in access.closed().items():
            patch.setenv(name, value)
        # What a process reads when it imports Ray, which has happened here.
        patch.setattr(ray_constants, "ENABLE_RAY_CLUSTER", False)
        Config.initialize("")
        machine = {"num_cpus": 2, "num_gpus": 1, "_memory": 8 * 2**30}
        ray.init(address="local", include_dashboard=False, log_to_driver=False, **machine)
        yield
        ray.shutdown()
