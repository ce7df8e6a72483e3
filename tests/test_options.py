"""Options are checked when the command line is read."""

from pathlib import Path

import pytest

from tinystories.options import Parser, location, path


@pytest.fixture
def parser() -> Parser:
    parser = Parser()
    parser.add_argument("--out", type=path)
    parser.add_argument("--data", type=location)
    return parser


def test_tilde_is_the_home_folder_wherever_it_is_written(parser: Parser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/tom")

    for words in (["--out=~/a", "--data=~/b"], ["--out", "~/a", "--data", "~/b"]):
        options = parser.parse_args(words)
        assert (options.out, options.data) == (Path("/home/tom/a"), "/home/tom/b")


@pytest.mark.parametrize("text", ["s3://bucket/data?region=eu-north-1", "file:///a%20b", "a ~ b", "./~", "a\nb", "b//"])
def test_other_locations_are_left_as_they_are(parser: Parser, text: str) -> None:
    assert parser.parse_args(["--data", text]).data == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "argument --out: is empty; allowed: a path"),
        ("~nobody-here/a", "argument --out: '~nobody-here/a': no such user; a name that begins with ~ is written ./~"),
    ],
)
def test_what_is_no_path_is_refused_in_one_line(
    parser: Parser, capsys: pytest.CaptureFixture[str], text: str, message: str
) -> None:
    with pytest.raises(SystemExit) as stopped:
        parser.parse_args(["--out", text])

    assert stopped.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {message}")


def test_error_of_a_value_with_line_ends_is_one_line(parser: Parser, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parser.parse_args(["a\nb"])

    assert capsys.readouterr().err == "error: unrecognized arguments: a b\n"
