"""What a run folder says of the program and the machine."""

import json
import platform
from importlib import metadata

from sweeps.record import software


def test_a_result_names_its_program_and_its_machine() -> None:
    said = json.loads(json.dumps(software.describe()))

    assert said["version"] == metadata.version("tinystories-sweeps")
    assert said["python"] == platform.python_version()
    assert said["host"] == platform.node()
    assert len(said["packages"]) == 16
    assert software.describe()["packages"] == said["packages"]
