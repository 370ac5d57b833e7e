import subprocess
import sys

import diptych


def test_the_public_names_are_these() -> None:
    assert diptych.__all__ == [
        "GAN", "VAE", "Flow", "Gallery", "Images", "Prediction", "Predictions", "Recognizer", "Report",
        "audit", "errors", "export", "find_label_errors", "interplay", "load", "manifest",
        "push", "sign", "verify",
    ]  # fmt: skip
    for name in diptych.__all__:
        assert getattr(diptych, name) is not None
    assert set(diptych.__all__) <= set(dir(diptych))


def test_a_name_that_is_not_there() -> None:
    assert not hasattr(diptych, "Generator")


def test_importing_loads_nothing_heavy() -> None:
    code = "import sys, diptych; print(sorted({'torch', 'numpy', 'rich', 'PIL'} & set(sys.modules)))"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert printed.stdout.strip() == "[]"
