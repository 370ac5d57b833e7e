from diptych.recognition.card import card
from diptych.report import Report, Score

FACTS = {
    "network": "convnet",
    "size": 32,
    "classes": ["cat", "dog"],
    "multi_label": False,
    "calibration": {"temperature": 1.5},
    "training": {"pictures": 90, "validation_pictures": 16},
}


def test_the_card_tells_scores_with_intervals_and_findings():
    report = Report("r", scores={"macro_f1": Score(0.8, 0.7, 0.9, 16)}, findings=["cat is taken for dog."])
    told = card(FACTS, report)
    assert "| macro f1 | 0.800 | 0.700 to 0.900 | 16 |" in told
    assert "- cat is taken for dog." in told
    assert "Classes: cat, dog." in told
    assert "32 × 32 px" in told


def test_many_classes_are_not_all_named():
    facts = {**FACTS, "classes": [f"c{i}" for i in range(100)]}
    told = card(facts, Report("r", scores={}))
    assert "c59 and 40 more" in told
    assert "- Nothing to note." in told
