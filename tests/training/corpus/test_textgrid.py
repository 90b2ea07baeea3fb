from pathlib import Path

import numpy as np
import pytest
from praatio import textgrid

from training.corpus.manifest import Word
from training.corpus.textgrid import TextGridError, read_textgrid

SHORT = """File type = "ooTextFile short"
"TextGrid"

0
1.5
<exists>
2
"IntervalTier"
"Words"
0
1.5
4
0
0.25
"<eps>"
0.25
0.75
"kalman"
0.75
1.25
"filter"
1.25
1.5
"sil"
"IntervalTier"
"phones"
0
1.5
1
0
1.5
"K"
"""
LONG = """File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0
xmax = 1.5
tiers? <exists>
size = 1
item []:
    item [1]:
        class = "IntervalTier"
        name = "words"
        xmin = 0
        xmax = 1.5
        intervals: size = 4
        intervals [1]:
            xmin = 0
            xmax = 0.25
            text = ""
        intervals [2]:
            xmin = 0.25
            xmax = 0.75
            text = "kalman"
        intervals [3]:
            xmin = 0.75
            xmax = 1.25
            text = "filter"
        intervals [4]:
            xmin = 1.25
            xmax = 1.5
            text = "sp"
"""
EXPECTED = (Word("kalman", 4_000, 12_000), Word("filter", 12_000, 20_000))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le-bom", "utf-16-be-bom"])
@pytest.mark.parametrize("content", [SHORT, LONG], ids=["short", "long"])
def test_every_format_and_encoding_gives_the_words(tmp_path: Path, content: str, encoding: str) -> None:
    """Short and long files in every encoding that Praat writes give the same words, without the silence."""
    path = tmp_path / "a.TextGrid"
    if encoding.endswith("-bom"):
        path.write_bytes(("\ufeff" + content).encode(encoding.removesuffix("-bom")))
    else:
        path.write_text(content, encoding)
    assert read_textgrid(path) == EXPECTED


@pytest.mark.parametrize("form", ["short_textgrid", "long_textgrid"])
def test_what_the_library_writes_is_read(tmp_path: Path, form: str) -> None:
    """Random tiers that praatio writes come back: labels with quotes and accents, times to the sample."""
    rng = np.random.default_rng(3)
    bounds = np.cumsum(rng.integers(100, 20_000, 60)) / 16_000
    labels = [("kalman", 'say "it"', "café", "", "<eps>", "SIL")[i] for i in rng.integers(0, 6, 59)]
    grid = textgrid.Textgrid()
    entries = list(zip(bounds[:-1].tolist(), bounds[1:].tolist(), labels, strict=True))
    grid.addTier(textgrid.IntervalTier("words", entries, 0, float(bounds[-1])))
    path = tmp_path / "a.TextGrid"
    grid.save(str(path), form, includeBlankSpaces=True)  # type: ignore[arg-type,unused-ignore]
    expected = [
        Word(label, round(a * 16_000), round(b * 16_000))
        for a, b, label in entries
        if label.lower() not in {"", "<eps>", "sil"}
    ]
    assert list(read_textgrid(path)) == expected


def test_another_tier_can_be_named(tmp_path: Path) -> None:
    """A tier is found by its name in letters of either case; tags are no words, what nobody understood is one."""
    path = tmp_path / "a.TextGrid"
    path.write_text(SHORT.replace('"phones"', '"Spoken"').replace('"K"', '"<unk>"').replace("kalman", "<COMMA>"))
    assert [w.text for w in read_textgrid(path)] == ["filter"]
    assert [w.text for w in read_textgrid(path, "spoken")] == ["<unk>"]


@pytest.mark.parametrize("content", [SHORT, LONG], ids=["short", "long"])
def test_a_file_cut_anywhere_is_refused(tmp_path: Path, content: str) -> None:
    """Whatever line a file breaks off after, it is an error, never fewer words."""
    path = tmp_path / "cut.TextGrid"
    lines = content.splitlines(keepends=True)
    whole = next(i for i, line in enumerate(lines) if '"sil"' in line or '"sp"' in line)
    for kept in range(whole):
        path.write_text("".join(lines[:kept]))
        with pytest.raises(TextGridError, match=r"cut\.TextGrid.*(again|name)"):
            read_textgrid(path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (SHORT.replace("Words", "phrases"), r"no tier 'words'; it has 'phrases', 'phones'"),
        (SHORT.replace("0.75\n1.25", "1.25\n0.75"), "no sound TextGrid"),
        (SHORT.replace("0.25\n0.75", "x\ny"), "no sound TextGrid"),
        ("no grid at all", "no sound TextGrid"),
        (LONG.replace("IntervalTier", "TextTier").replace("intervals", "points"), "no sound TextGrid|points"),
    ],
)
def test_damaged_files_name_themselves(tmp_path: Path, content: str, said: str) -> None:
    """A missing tier, times that run backwards, and other content are errors that name the file."""
    path = tmp_path / "bad.TextGrid"
    path.write_text(content)
    with pytest.raises(TextGridError, match=said) as raised:
        read_textgrid(path)
    assert "bad.TextGrid" in str(raised.value)


def test_points_and_missing_files_are_refused(tmp_path: Path) -> None:
    """A tier of points has no words, and a file that is not there is named with the cure."""
    grid = textgrid.Textgrid()
    grid.addTier(textgrid.PointTier("words", [(0.5, "x")], 0, 1))
    grid.save(str(tmp_path / "points.TextGrid"), "short_textgrid", includeBlankSpaces=True)
    with pytest.raises(TextGridError, match="holds points"):
        read_textgrid(tmp_path / "points.TextGrid")
    with pytest.raises(TextGridError, match=r"absent\.TextGrid: No such file.*align"):
        read_textgrid(tmp_path / "absent.TextGrid")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "holds nothing"),
        (bytes(500), "holds nothing"),
        (b"\xef\xbb\xbf \n", "holds nothing"),
        (SHORT.encode("utf-16-be"), "UTF-16 without a byte order mark; save it as UTF-8"),
    ],
)
def test_empty_files_and_unknown_encodings_are_told(tmp_path: Path, content: bytes, said: str) -> None:
    """What the aligner left unwritten, and an encoding that the file does not name."""
    (tmp_path / "a.TextGrid").write_bytes(content)
    with pytest.raises(TextGridError, match=rf"a\.TextGrid .*{said}"):
        read_textgrid(tmp_path / "a.TextGrid")
