from diptych.recognition.model_card import model_card, updated_card
from diptych.report import Report, Score

FACTS = {
    "network": "convnet",
    "size": 32,
    "classes": ["cat", "dog"],
    "multi_label": False,
    "calibration": {"temperature": 1.5, "response_threshold": 0.0, "pictures": 16, "set_cutoff": 0.25},
    "training": {"pictures": 90, "validation_pictures": 16},
}


def test_the_card_has_scores_with_intervals_and_findings():
    report = Report("r", scores={"macro_f1": Score(0.8, 0.7, 0.9, 16)}, findings=["cat is mistaken for dog."])
    card = model_card(FACTS, report)
    assert "| macro F1 | 0.800 | 0.700 to 0.900 | 16 |" in card
    assert "- cat is mistaken for dog." in card
    assert "Classes: cat, dog." in card
    assert "32 × 32 px" in card


def test_of_many_classes_the_first_are_named():
    facts = {**FACTS, "classes": [f"c{i}" for i in range(100)]}
    card = model_card(facts, Report("r", scores={}))
    assert "c59 and 40 more" in card
    assert "- Nothing to note." in card


def test_the_card_explains_confidence_with_its_values():
    card = model_card(FACTS, Report("r"))
    assert "temperature of 1.5" in card
    assert "a probability of 0.250 or more" in card
    assert "given their count of 16, for 79.4% to 99.8%" in card
    assert "Of known pictures it flags 5%, as far as 16 pictures can tell" in card


def test_the_card_of_several_labels_lists_their_thresholds():
    calibration = {**FACTS["calibration"], "label_thresholds": [0.41, 0.5], "pictures": 199}
    card = model_card({**FACTS, "multi_label": True, "calibration": calibration}, Report("r"))
    assert "cat 0.41, dog 0.50" in card
    assert "it flags 5.0% (2.4% to 8.4%)" in card
    assert "90% or more of a picture's labels" in card


def test_a_new_calibration_updates_the_card_and_keeps_the_rest():
    card = model_card(FACTS, Report("r"))
    recalibrated = {**FACTS, "calibration": {**FACTS["calibration"], "temperature": 2.25}}
    assert updated_card(card, FACTS) == card
    assert updated_card(card, recalibrated) == model_card(recalibrated, Report("r"))
    assert updated_card("# Mine\n", recalibrated) == "# Mine\n"
