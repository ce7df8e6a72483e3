"""Every format of stories is read alike."""

import csv
import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from tinystories.data import readers
from tinystories.data.text import DEFAULT_LAYOUT, LONGEST_RECORD, Layout, unix_line_ends

STORIES = ["Tom ran.\nHe fell.", "Ana sang “la”.", "A third one."]


def read(path: Path, layout: Layout = DEFAULT_LAYOUT) -> list[str]:
    return [story.strip() for story in readers.read(path, layout, lambda amount: None)]


def write_lines(path: Path, key: str) -> Path:
    path.write_text("".join(json.dumps({key: story, "more": 1}) + "\n" for story in STORIES), encoding="utf-8")
    return path


def test_text_is_split_at_the_end_of_text_token(tmp_path: Path) -> None:
    path = tmp_path / "stories.txt"
    for separator in ("\n<|endoftext|>\n", "<|endoftext|>", "\r\n<|endoftext|>\r\n"):
        for end in (separator, "", "\n"):
            path.write_bytes((separator.join(STORIES) + end).encode())
            assert read(path) == STORIES
    path.write_bytes("\ufeffTom ran.".encode())
    assert read(path) == ["Tom ran."]


@pytest.mark.parametrize("key", ["text", "story"])
def test_json_lines_and_parquet_hold_stories_under_text_or_story(tmp_path: Path, key: str) -> None:
    assert read(write_lines(tmp_path / "stories.jsonl", key)) == STORIES
    parquet.write_table(pa.table({"n": [1, 2, 3], key: STORIES}), tmp_path / "stories.parquet")
    assert read(tmp_path / "stories.parquet") == STORIES


def test_end_of_text_token_inside_a_record_ends_a_story(tmp_path: Path) -> None:
    path = tmp_path / "stories.jsonl"
    path.write_text('{"text": "One.<|endoftext|>Two.<|endoftext|>"}\n\n{"text": ""}\n', encoding="utf-8")
    assert read(path) == ["One.", "Two.", ""]
    parquet.write_table(pa.table({"text": ["One.<|endoftext|>Two.", None]}), tmp_path / "stories.parquet")
    assert read(tmp_path / "stories.parquet") == ["One.", "Two.", ""]


def test_reading_reports_its_progress(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tinystories.data.text.CHUNK", 1)
    for path in (write_lines(tmp_path / "stories.jsonl", "text"), tmp_path / "stories.parquet"):
        if path.suffix == ".parquet":
            parquet.write_table(pa.table({"text": STORIES}), path)
        amounts: list[int] = []
        list(readers.read(path, DEFAULT_LAYOUT, amounts.append))
        assert sum(amounts) == path.stat().st_size


def test_bad_text_is_named_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "stories.txt"
    path.write_bytes(b"Tom ran.\nAn\xff.\n")
    with pytest.raises(ValueError, match=r"stories.txt, line 2, byte 11: not UTF-8 text"):
        read(path)
    path.write_text("words without an end\n" * 60_000, encoding="utf-8")
    with pytest.raises(ValueError, match=r"line \d+: no <\|endoftext\|> in 1000000 characters"):
        read(path)


@pytest.mark.parametrize("line", ["{", "3", '"text"', "null", '{"other": "x"}', '{"text": 5}', '["text"]'])
def test_bad_json_line_is_named(tmp_path: Path, line: str) -> None:
    path = write_lines(tmp_path / "stories.jsonl", "text")
    path.write_text(path.read_text(encoding="utf-8") + line + "\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"stories.jsonl, line 4: no"):
        read(path)


def test_bad_parquet_is_named(tmp_path: Path) -> None:
    path = tmp_path / "stories.parquet"
    parquet.write_table(pa.table({"title": STORIES}), path)
    with pytest.raises(ValueError, match=r"stories.parquet: no column text or story"):
        read(path)
    parquet.write_table(pa.table({"text": [1, 2]}), path)
    with pytest.raises(ValueError, match=r"stories.parquet: no readable parquet"):
        read(path)
    parquet.write_table(pa.table({"text": STORIES * 100}), path)
    content = path.read_bytes()
    for damaged in (content[:-20], b"PAR1" + bytes(200) + content[204:], b"no parquet"):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"stories.parquet: no readable parquet"):
            read(path)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\r\r\n"])
@pytest.mark.parametrize("chunk", [1, 2, 3, 1 << 20])
def test_line_ends_of_every_system_are_line_feeds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str, chunk: int
) -> None:
    monkeypatch.setattr("tinystories.data.text.CHUNK", chunk)
    text = "\n<|endoftext|>\n".join(STORIES).replace("\n", end)
    (tmp_path / "stories.txt").write_bytes(text.encode())
    (tmp_path / "stories.jsonl").write_bytes(end.join(json.dumps({"text": story}) for story in STORIES).encode())

    assert read(tmp_path / "stories.txt") == STORIES
    assert read(tmp_path / "stories.jsonl") == STORIES


def test_two_lone_carriage_returns_are_a_blank_line() -> None:
    assert unix_line_ends("One.\r\rTwo.\r") == "One.\n\nTwo.\n"
    assert unix_line_ends("One.\r\r\nTwo.\r\n") == "One.\nTwo.\n"


def in_csv(delimiter: str) -> str:
    file = io.StringIO()
    rows = csv.writer(file, delimiter=delimiter, lineterminator="\r\n")
    rows.writerows([("title", "story"), *(("A, title; or two", story) for story in STORIES)])
    return file.getvalue()


FORMATS = {
    "stories.txt": "\n<|endoftext|>\n".join(STORIES),
    "stories.json": json.dumps([{"story": story, "more": {"a": [1, "]"]}} for story in STORIES], indent=1),
    "strings.json": json.dumps(STORIES),
    "lines.json": "\n".join(json.dumps({"text": story}) for story in STORIES),
    "stories.jsonl": "\n".join(json.dumps({"text": story}) for story in STORIES),
    "commas.csv": in_csv(","),
    "semicolons.csv": in_csv(";"),
    "tabs.csv": in_csv("\t"),
}


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("chunk", [1, 7, 1 << 20])
def test_every_format_is_read_packed_or_not_and_whatever_the_case_of_its_suffix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, chunk: int
) -> None:
    monkeypatch.setattr("tinystories.data.text.CHUNK", chunk)
    for mark in ("", "\ufeff"):
        content = (mark + FORMATS[name]).encode()
        for path, packed in ((tmp_path / name, False), (tmp_path / f"{name}.gz".upper(), True)):
            path.write_bytes(gzip.compress(content) if packed else content)
            assert read(path) == STORIES


def test_packed_file_without_another_suffix_is_plain_text(tmp_path: Path) -> None:
    (tmp_path / "stories.gz").write_bytes(gzip.compress(FORMATS["stories.txt"].encode()))
    assert read(tmp_path / "stories.gz") == STORIES
    assert readers.is_plain(tmp_path / "stories.gz")


@pytest.mark.parametrize(
    ("separator", "text"),
    [
        ("blank-line", "Tom ran.\nHe fell.\n\nAna sang “la”.\n \t\n\n\nA third one.\n\n"),
        ("\n\n", "Tom ran.\nHe fell.\n\nAna sang “la”.\n\nA third one."),
        ("###", "Tom ran.\nHe fell.###Ana sang “la”.###A third one."),
        ("* * *", "Tom ran.\nHe fell.\n* * *\nAna sang “la”.\n* * *\nA third one.\n"),
        ("blank-line", "Tom ran.\nHe fell.<|endoftext|>Ana sang “la”.\r\n\r\nA third one."),
    ],
)
@pytest.mark.parametrize("chunk", [1, 2, 1 << 20])
def test_other_separators_can_be_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, separator: str, text: str, chunk: int
) -> None:
    monkeypatch.setattr("tinystories.data.text.CHUNK", chunk)
    (tmp_path / "stories.txt").write_bytes(text.encode())
    assert read(tmp_path / "stories.txt", Layout(separator=separator)) == STORIES


def test_empty_separator_is_refused() -> None:
    with pytest.raises(ValueError, match="separator '' is empty; allowed: blank-line"):
        Layout(separator="")


def test_column_can_be_named(tmp_path: Path) -> None:
    (tmp_path / "stories.csv").write_text("title,text\nA.,B.\n", encoding="utf-8")
    assert read(tmp_path / "stories.csv", Layout(column="title")) == ["A."]
    with pytest.raises(ValueError, match=r"stories.csv, line 1: no column body; there are: title, text"):
        read(tmp_path / "stories.csv", Layout(column="body"))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("stories.csv", 'text\n"A story.\n', r"stories.csv, line 2: unexpected end of data"),
        ("stories.csv", "title,text\na,b\nc\n", r"stories.csv, line 3: 1 columns, but 2 names of columns"),
        ("stories.csv", "\n", r"stories.csv, line 1: no column text or story; there are: none"),
        ("stories.json", '[{"text": "A."}, {"text": "B."', r"stories.json, record 2: not JSON"),
        ("stories.json", '[{"text": "A."}, {"title": "B."}]', r"stories.json, record 2: no column text or story"),
        ("stories.json", '[{"text": "A."}, 3]', r"stories.json, record 2: not"),
        ("stories.json", '{"data": [1]}', r"stories.json, line 1: no column text or story; there are: data"),
        ("stories.parquet.gz", "x", r"suffix '.gz' is not one of"),
        ("stories.txt.gz", "x", r"stories.txt.gz: no readable gzip file"),
    ],
)
def test_damaged_file_is_named_with_its_place(tmp_path: Path, name: str, content: str, message: str) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        read(tmp_path / name)


@pytest.mark.parametrize("spoil", [lambda content: content[:-9], lambda content: content[:20] + b"x" + content[21:]])
def test_damaged_gzip_file_is_named(tmp_path: Path, spoil: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "stories.txt.gz"
    path.write_bytes(spoil(gzip.compress(FORMATS["stories.txt"].encode())))
    with pytest.raises(ValueError, match=r"stories.txt.gz: no readable gzip file"):
        read(path)


def test_line_without_an_end_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "stories.jsonl"
    path.write_text('{"text": "' + "a " * (LONGEST_RECORD // 2 + 1), encoding="utf-8")
    with pytest.raises(ValueError, match=r"stories.jsonl, line 1: more than 16000000 characters"):
        read(path)
