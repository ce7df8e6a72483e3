"""Each sweep runs in a process of its own: W&B reads settings and environment once per process."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from sweeps.record.tracking import Tracker

from .wandb_driver import sweep, written
from .wandb_server import KEY, WandbServer


@pytest.fixture
def server() -> Iterator[WandbServer]:
    server = WandbServer()
    yield server
    server.close()


def test_every_trial_becomes_one_run_with_its_config_rows_tag_and_exit_code(tmp_path: Path) -> None:
    told = sweep(
        tmp_path,
        """
        tracker = open_tracker()
        for status in ("completed", "stopped", "failed", "diverged"):
            tracker.start(status, {"depth": 2, "width": 64}, False)
            for evaluation in (1, 2, 2):
                tracker.log(status, metrics(evaluation))
            if status == "diverged":
                tracker.log(status, metrics(3, val_loss=float("nan")))
            tracker.end(status, status, {"parameters": 7, "best_val_loss": float("inf")})
        tracker.start("half", {"depth": 4}, False)
        tracker.log("half", metrics(1))
        tracker.close()
        tracker.log("half", metrics(2))
        service = os.environ.get("WANDB_SERVICE")
        print(json.dumps([tracker.mode, tracker.problem, tracker.sync_command, service]))
        """,
        WANDB_SWEEP_ID="stray",
        WANDB_RUN_ID="stray",
        WANDB_SERVICE="3-1-unix-/nowhere",
    )

    runs = written(tmp_path)

    assert told == ["offline", None, "wandb sync runs/demo/wandb", None]
    assert [run["tags"] for run in runs] == [
        ["completed"],
        ["stopped"],
        ["failed"],
        ["diverged"],
        ["interrupted"],
    ]
    assert [run["exit_code"] for run in runs] == [[0], [0], [1], [1], [1]]
    assert [run["config"] for run in runs] == [{"depth": 2, "width": 64}] * 4 + [{"depth": 4}]
    assert [[row["evaluation"] for row in run["rows"]] for run in runs] == [[1, 2]] * 3 + [[1, 2, 3], [1]]
    assert all(run["summary"]["trial/status"] == run["tags"][0] for run in runs)
    assert runs[0]["summary"]["parameters"] == 7
    diverged_row = runs[3]["rows"][-1]
    assert diverged_row["diverged"]
    assert "val_loss" not in diverged_row


def test_a_resumed_trial_continues_its_run_after_the_driver_was_killed(tmp_path: Path) -> None:
    sweep(
        tmp_path,
        """
        tracker = open_tracker("offline")
        tracker.start("t1", {"depth": 2}, False)
        tracker.log("t1", metrics(1))
        while not any(b"val_bpb" in file.read_bytes() for file in Path("runs").rglob("*.wandb")):
            time.sleep(0.05)
        os.kill(os.getpid(), 9)
        """,
        status=-9,
    )
    sweep(
        tmp_path,
        """
        tracker = open_tracker("offline")
        run_trial(tracker, "t1", [2, 3], known=[1])
        tracker.close()
        """,
    )

    killed, resumed = written(tmp_path)

    assert killed["run_id"] == resumed["run_id"]
    assert [row["evaluation"] for row in killed["rows"]] == [1]
    assert [row["evaluation"] for row in resumed["rows"]] == [1, 2, 3], "anew, as the killed one may lack its last rows"
    assert resumed["tags"] == ["completed"]


def test_online_each_trial_is_one_run_and_a_resumed_one_keeps_its_rows(tmp_path: Path, server: WandbServer) -> None:
    online = {"WANDB_BASE_URL": server.url, "WANDB_API_KEY": KEY}
    first = """
        tracker = open_tracker()
        run_trial(tracker, "t1", [1, 2])
        tracker.start("t2", {"depth": 4}, False)
        tracker.log("t2", metrics(1))
        tracker.close()
        print(json.dumps([tracker.mode, tracker.problem, tracker.sync_command, tracker.url]))
        """
    second = """
        tracker = open_tracker()
        run_trial(tracker, "t2", [2, 3], known=[1, 2])
        tracker.close()
        """

    told = sweep(tmp_path, first, **online)
    interrupted = [(run.tags, run.exit_code) for run in server.runs.values()]
    sweep(tmp_path, second, **online)
    ended = [(run.tags, run.exit_code) for run in server.runs.values()]

    assert told == ["online", None, None, f"{server.url}/tester/tinystories"]
    assert interrupted == [(["completed"], 0), (["interrupted"], 1)]
    assert ended == [(["completed"], 0), (["completed"], 0)]
    assert [run.evaluations for run in server.runs.values()] == [[1, 2], [1, 2, 3]]
    assert [run.config["depth"]["value"] for run in server.runs.values()] == [2, 4]
    assert {run.upserts[0]["groupName"] for run in server.runs.values()} == {"demo"}


def test_what_was_written_offline_arrives_with_the_sync_command(tmp_path: Path, server: WandbServer) -> None:
    offline = """
        tracker = open_tracker("offline")
        run_trial(tracker, "t1", [1, 2])
        tracker.close()
        print(json.dumps(tracker.sync_command))
        """
    command = sweep(tmp_path, offline)
    program = f"""
        import subprocess
        tool = Path(sys.executable).with_name("wandb")
        subprocess.run([tool, *{command.split()[1:]!r}], check=True, stdout=sys.stderr)
        """

    sweep(tmp_path, program, WANDB_BASE_URL=server.url, WANDB_API_KEY=KEY)

    (run,) = server.runs.values()
    assert (run.evaluations, run.tags, run.exit_code) == ([1, 2], ["completed"], 0)


@pytest.mark.parametrize("answers", ["nobody", "never"])
def test_a_dead_server_delays_nothing_and_the_rows_are_on_disk(tmp_path: Path, answers: str) -> None:
    with socket.socket() as dead:
        dead.bind(("127.0.0.1", 0))
        if answers == "never":
            dead.listen()
        took, closing, mode, problem, command = sweep(
            tmp_path,
            """
            tracker = open_tracker()
            began = time.perf_counter()
            run_trial(tracker, "t1", [1, 2])
            took = time.perf_counter() - began
            tracker.close()
            closing = time.perf_counter() - began - took
            print(json.dumps([took, closing, tracker.mode, tracker.problem, tracker.sync_command]))
            """,
            WANDB_BASE_URL=f"http://127.0.0.1:{dead.getsockname()[1]}",
            WANDB_API_KEY=KEY,
            WANDB_HTTP_TIMEOUT="1",
            WANDB__GRAPHQL_RETRY_MAX="0",
        )

    (run,) = written(tmp_path)

    assert took < 0.1
    assert closing < 30
    assert mode == "offline"
    assert "out of reach" in problem
    assert command.startswith("wandb sync")
    assert [row["evaluation"] for row in run["rows"]] == [1, 2]


def test_a_server_that_falls_silent_costs_a_bounded_time_at_the_end(tmp_path: Path, server: WandbServer) -> None:
    server.silence_after = 2
    closing, problem = sweep(
        tmp_path,
        """
        tracker = open_tracker()
        tracker.start("t1", {"depth": 2}, False)
        tracker.log("t1", metrics(1))
        began = time.perf_counter()
        tracker.close(timeout=2)
        print(json.dumps([time.perf_counter() - began, tracker.problem]), flush=True)
        os._exit(0)
        """,
        WANDB_BASE_URL=server.url,
        WANDB_API_KEY=KEY,
    )

    (run,) = written(tmp_path, "run-*")

    assert closing < 4
    assert "did not finish within 2 s" in problem
    assert [row["evaluation"] for row in run["rows"]] == [1]


def test_without_a_key_online_is_refused_in_one_line_and_runs_go_to_disk(tmp_path: Path) -> None:
    mode, problem = sweep(
        tmp_path,
        """
        tracker = open_tracker("online")
        run_trial(tracker, "t1", [1])
        tracker.close()
        print(json.dumps([tracker.mode, tracker.problem]))
        """,
    )

    assert mode == "offline"
    assert "no key found; set WANDB_API_KEY" in problem
    assert len(written(tmp_path)) == 1


def test_a_key_in_netrc_means_online(tmp_path: Path, server: WandbServer) -> None:
    netrc = tmp_path / ".netrc"
    netrc.write_text(f"machine {server.url.removeprefix('http://')} login user password {KEY}\n", encoding="utf-8")
    netrc.chmod(0o600)

    mode = sweep(
        tmp_path,
        """
        tracker = open_tracker()
        tracker.close()
        print(json.dumps(tracker.mode))
        """,
        WANDB_BASE_URL=server.url,
    )

    assert mode == "online"


def test_mistakes_of_the_caller_are_told_and_do_not_raise(tmp_path: Path) -> None:
    problem = sweep(
        tmp_path,
        """
        tracker = open_tracker("offline")
        tracker.log("nobody", metrics(1))
        run_trial(tracker, "t/1?", [1])
        tracker.close()
        tracker.close()
        print(json.dumps(tracker.problem))
        """,
    )

    assert "trial nobody has no open run" in problem
    assert written(tmp_path)[0]["run_id"] == "demo-abc123-t-1-"


def test_a_lost_folder_is_noticed_before_another_is_made(tmp_path: Path) -> None:
    code = """
        tracker = open_tracker("offline")
        print(json.dumps(tracker.has_lost_runs))
        run_trial(tracker, "t1", [1])
        tracker.close()
        """

    assert [sweep(tmp_path, code) for _ in range(2)] == [True, False]
    assert not Tracker.open("disabled", sweep="demo", folder=tmp_path, project="p", token="abc").has_lost_runs


def test_online_nothing_is_restored_as_the_server_has_it(tmp_path: Path, server: WandbServer) -> None:
    sweep(
        tmp_path,
        """
        tracker = open_tracker()
        tracker.restore("t1", {"depth": 2}, [metrics(1)], "completed", {})
        tracker.close()
        """,
        WANDB_BASE_URL=server.url,
        WANDB_API_KEY=KEY,
    )

    assert not server.runs


@pytest.mark.parametrize("variables", [{}, {"WANDB_MODE": "disabled"}])
def test_disabled_never_imports_wandb(tmp_path: Path, variables: dict[str, str]) -> None:
    mode = "auto" if variables else "disabled"
    imported = sweep(
        tmp_path,
        f"""
        tracker = open_tracker("{mode}")
        run_trial(tracker, "t1", [1])
        tracker.close()
        print(json.dumps("wandb" in sys.modules))
        """,
        **variables,
    )

    assert not imported
    assert not (tmp_path / "runs").exists()


def test_an_unknown_mode_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="wandb 'on' is not one of auto, online, offline, disabled"):
        Tracker.open("on", sweep="demo", folder=tmp_path, project="p", token="abc123")  # type: ignore[arg-type]

    monkeypatch.setenv("WANDB_MODE", "maybe")
    with pytest.raises(ValueError, match="WANDB_MODE 'maybe' is not one of"):
        Tracker.open(sweep="demo", folder=tmp_path, project="p", token="abc123")


def test_nobody_else_changes_the_mode(tmp_path: Path) -> None:
    """The login on the tracker's own thread would change it back."""
    tracker = Tracker.open("disabled", sweep="demo", folder=tmp_path, project="p", token="abc123")

    with pytest.raises(AttributeError):
        tracker.mode = "online"  # type: ignore[misc]
