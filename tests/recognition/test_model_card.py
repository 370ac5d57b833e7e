from diptych.recognition.model_card import model_card, updated_card
from diptych.report import Report, Score

FACTS = {
    "network": "convnet",
    "size": 32,
    "classes": ["cat", "dog"],
    "multi_label": False,
    "calibration": {"temperature": 1.5, "threshold": 0.0, "pictures": 16, "set_cutoff": 0.25},
    "training": {"pictures": 90, "validation_pictures": 16},
}


def test_the_card_tells_scores_with_intervals_and_findings():
    report = Report("r", scores={"macro_f1": Score(0.8, 0.7, 0.9, 16)}, findings=["cat is taken for dog."])
    told = model_card(FACTS, report)
    assert "| macro F1 | 0.800 | 0.700 to 0.900 | 16 |" in told
    assert "- cat is taken for dog." in told
    assert "Classes: cat, dog." in told
    assert "32 × 32 px" in told


def test_many_classes_are_not_all_named():
    facts = {**FACTS, "classes": [f"c{i}" for i in range(100)]}
    told = model_card(facts, Report("r", scores={}))
    assert "c59 and 40 more" in told
    assert "- Nothing to note." in told


def test_the_card_tells_what_confidence_means_with_its_values():
    told = model_card(FACTS, Report("r"))
    assert "temperature of 1.5" in told
    assert "a probability of 0.250 on" in told
    assert "given their count of 16, of 79.4% to 99.8%" in told
    assert "Of known pictures it marks 2%, as far as 16 pictures can tell" in told


def test_the_card_of_several_labels_names_their_thresholds():
    calibration = {**FACTS["calibration"], "label_thresholds": [0.41, 0.5], "pictures": 199}
    told = model_card({**FACTS, "multi_label": True, "calibration": calibration}, Report("r"))
    assert "cat 0.41, dog 0.50" in told
    assert "it marks 2.0% (0.6% to 4.3%)" in told
    assert "90% or more of a picture's labels" in told


def test_a_card_follows_a_new_calibration_and_keeps_the_rest():
    old = model_card(FACTS, Report("r"))
    new = {**FACTS, "calibration": {**FACTS["calibration"], "temperature": 2.25}}
    assert updated_card(old, FACTS) == old
    assert updated_card(old, new) == model_card(new, Report("r"))
    assert updated_card("# Mine\n", new) == "# Mine\n"
