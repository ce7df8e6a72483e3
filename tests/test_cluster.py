import copy
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config

ROOT = Path(__file__).parents[1]


@pytest.fixture
def cluster() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "cluster.yaml").read_text(encoding="utf-8"))


def accepted(cluster: dict[str, Any]) -> dict[str, Any]:
    """The config as `ray up` completes and checks it, before it asks AWS."""
    prepared = prepare_config(copy.deepcopy(cluster))
    validate_config(prepared)
    return prepared


def node_type(cluster: dict[str, Any], name: str) -> dict[str, Any]:
    return cluster["available_node_types"][name]


def test_ray_accepts_it(cluster: dict[str, Any]) -> None:
    prepared = accepted(cluster)

    assert prepared["head_node_type"] == "head"
    assert prepared["max_workers"] == node_type(prepared, "worker")["max_workers"]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda cluster: cluster.update(idle_timeout=5),
        lambda cluster: cluster.update(head_node_type="driver"),
        lambda cluster: cluster.update(setup_commands="make setup"),
        lambda cluster: node_type(cluster, "worker").update(spot=True),
        lambda cluster: node_type(cluster, "worker").update(resources={"GPU": "one"}),
        lambda cluster: cluster.pop("provider"),
    ],
)
def test_ray_would_notice_a_mistake(cluster: dict[str, Any], spoil: Callable[[dict[str, Any]], Any]) -> None:
    """The check that the test above relies on does reject wrong files."""
    spoil(cluster)

    with pytest.raises(Exception):  # noqa: B017, PT011 - Ray raises half a dozen types
        accepted(cluster)


def test_the_head_takes_no_trial_and_a_worker_takes_one(cluster: dict[str, Any]) -> None:
    prepared = accepted(cluster)

    assert node_type(prepared, "head")["resources"] == {"CPU": 0}
    assert node_type(prepared, "worker")["resources"]["GPU"] == 1


def test_workers_are_spot_machines_that_come_and_go(cluster: dict[str, Any]) -> None:
    worker = node_type(accepted(cluster), "worker")

    assert worker["node_config"]["InstanceMarketOptions"] == {"MarketType": "spot"}
    assert "InstanceMarketOptions" not in node_type(cluster, "head")["node_config"]
    assert worker["min_workers"] == 0
    assert 0 < cluster["idle_timeout_minutes"] <= 10


def test_head_and_workers_are_the_same_machine_image_and_may_use_the_bucket(cluster: dict[str, Any]) -> None:
    head, worker = (node_type(cluster, name)["node_config"] for name in ("head", "worker"))

    assert head["ImageId"] == worker["ImageId"]
    assert head["IamInstanceProfile"] == worker["IamInstanceProfile"]


def test_nodes_are_set_up_as_the_readme_says(cluster: dict[str, Any]) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    recipe = makefile[makefile.index("setup:") :]

    assert "cd ~/tinystories-sweeps && make setup" in cluster["setup_commands"]
    assert "make setup" in (ROOT / "README.md").read_text(encoding="utf-8")
    assert re.search(r"pip install .*-r requirements\.txt\n.*pip install .*--no-deps -e \.\n", recipe)


def test_what_the_install_needs_travels_and_nothing_that_is_made_on_a_machine(cluster: dict[str, Any]) -> None:
    mounts = {Path(target): Path(source) for target, source in cluster["file_mounts"].items()}
    needed = {"tinystories", "sweeps", "pyproject.toml", "requirements.txt", "Makefile", "README.md", "LICENSE"}

    assert {str(source) for source in mounts.values()} == needed
    assert all((ROOT / source).exists() for source in mounts.values())
    assert all(target == Path("/home/ubuntu/tinystories-sweeps") / source for target, source in mounts.items())


def test_authentication_is_the_same_for_nodes_and_driver(cluster: dict[str, Any]) -> None:
    (profile,) = (command for command in cluster["setup_commands"] if ".bashrc" in command)

    assert "RAY_AUTH_MODE=disabled" in profile


def test_no_secret_stands_in_the_file() -> None:
    text = (ROOT / "cluster.yaml").read_text(encoding="utf-8")

    assert not re.search(r"WANDB_API_KEY\s*[:=]|AKIA[0-9A-Z]{16}|[0-9a-f]{40}", text)
