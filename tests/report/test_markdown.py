from diptych.report import Report, Table
from diptych.report.html import with_table
from diptych.report.markdown import replace_section, with_section

CARD = "# Pets\n\n## Use\n\nLoad it.\n\n## Limits\n\n- Few.\n"


def test_a_section_is_added_at_the_end_and_replaced_where_it_is():
    card = with_section(CARD, "Extensions", "1. One.")
    assert card == CARD + "\n## Extensions\n\n1. One.\n"
    assert with_section(card, "Extensions", "1. One.\n2. Two.").endswith("## Extensions\n\n1. One.\n2. Two.\n\n")
    assert with_section(CARD, "Use", "Do not.") == CARD.replace("Load it.", "Do not.")


def test_a_section_that_is_not_there_is_not_replaced():
    assert replace_section(CARD, "Extensions", "1. One.") == CARD
    assert replace_section(CARD, "Limits", "\\1 none") == CARD.replace("- Few.", "\\1 none") + "\n"


def test_a_page_gets_a_table_or_another_one_in_its_place():
    report = Report("Pets", tables={"Classes": Table(["class"], [["cat"]])})
    one, two = Table(["n"], [[1]]), Table(["n"], [[1], [2]])
    page = with_table(report.html(), "Extensions", one)
    assert page.index("<caption>Classes") < page.index("<caption>Extensions</caption>") < page.index("</main>")
    longer = with_table(page, "Extensions", two)
    assert longer.count("<caption>Extensions</caption>") == 1
    assert longer.count("<tr>") == page.count("<tr>") + 1
    assert with_table(longer, "Extensions", two) == longer
    assert with_table(longer, "Extensions", one) == page
