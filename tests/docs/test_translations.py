"""The Chinese pages say the same as the English ones, and show the same code.

The code of the English pages is run: by test_readme.py and test_guide_python.py, and, command after command, by
tests/soak/test_guide.py. That takes minutes. To run the translations too would take them again for the very same lines,
since only the comments of code are translated. So each line is compared here, and one run covers both languages.
"""

import re
from collections import Counter
from pathlib import Path

import pytest

from tests.docs.page_parts import anchors, code_without_comments, links, sections_without_code

ROOT = Path(__file__).parents[2]
LANGUAGE = ".zh-CN"
CHINESE = [*ROOT.glob(f"*{LANGUAGE}.md"), *ROOT.glob(f"docs/**/*{LANGUAGE}.md")]
PAGES = [(page.with_name(page.name.replace(LANGUAGE, "")), page) for page in CHINESE]
SAME_IN_BOTH = (r"^#+(?= )", r"`[^`]+`", r"\d[\d.,]* %", r"\]\([^)#]+", r"\|")
both_languages = pytest.mark.parametrize(("english", "chinese"), PAGES, ids=lambda page: page.name)


def untranslated(section: str) -> Counter[str]:
    """What a translation leaves as it is: the level, names in code, percentages, targets of links, cells of tables."""
    found = re.findall("|".join(SAME_IN_BOTH), section, flags=re.MULTILINE)
    return Counter(re.sub(r"\s+", " ", part).replace(LANGUAGE, "") for part in found)


def test_the_readme_and_the_guide_are_translated() -> None:
    assert {page.name for page in CHINESE} >= {"README.zh-CN.md", "guide.zh-CN.md"}


@both_languages
def test_the_code_is_the_same_but_for_comments(english: Path, chinese: Path) -> None:
    assert code_without_comments(chinese) == code_without_comments(english)


@both_languages
def test_each_section_has_the_same_names_figures_links_and_tables(english: Path, chinese: Path) -> None:
    originals, translations = sections_without_code(english), sections_without_code(chinese)
    assert len(translations) == len(originals)
    for original, translation in zip(originals, translations, strict=True):
        assert untranslated(translation) == untranslated(original), translation.partition("\n")[0]


@both_languages
def test_links_within_the_page_lead_to_the_same_section(english: Path, chinese: Path) -> None:
    places, expected = (
        [anchors(page).index(target[1:]) for _, target in links(page) if target.startswith("#")]
        for page in (chinese, english)
    )
    assert places == expected


@both_languages
def test_the_pages_link_to_each_other_and_else_to_pages_in_their_language(english: Path, chinese: Path) -> None:
    assert ("简体中文", chinese.name) in links(english)
    assert ("English", english.name) in links(chinese)
    for words, target in links(chinese):
        page = chinese.parent / target.partition("#")[0]
        assert words == "English" or not page.with_name(f"{page.stem}{LANGUAGE}.md").exists(), target


def test_a_level_a_name_a_figure_and_a_table_that_differ_are_detected() -> None:
    original = untranslated("## Score\n\n| `--minutes` | 5 % |\n")
    assert untranslated("## 评判\n\n| `--minutes` | 5 % |\n") == original
    assert untranslated("### 评判\n\n| `--minutes` | 5 % |\n") != original
    assert untranslated("## 评判\n\n| `--minute` | 5 % |\n") != original
    assert untranslated("## 评判\n\n| `--minutes` | 50 % |\n") != original
    assert untranslated("## 评判\n\n`--minutes` 5 %\n") != original
