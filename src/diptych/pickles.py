"""Files of other tools that can run code when they are opened: named, never opened."""

from pathlib import Path

SUFFIXES = (".bin", ".ckpt", ".joblib", ".pickle", ".pkl", ".pt", ".pth")
CURE = (
    "A model is a folder of JSON and safetensors that diptych fit wrote. For a backbone's weights, convert the file by "
    "safetensors.torch.save_file where you trust it, and name the result: --network timm:NAME@FILE.safetensors. A "
    "network of your own is trained in Python: diptych.Recognizer(MyNetwork)."
)


def why_refused(path: Path) -> str:
    """Why a path is no model, as sentences, if it is such a file or a folder with one; else ""."""
    if not path.is_dir():
        refused = path.suffix.lower() in SUFFIXES
        return f"{path} is not opened: a {path.suffix} file can run code. {CURE}" if refused else ""
    names = sorted(entry.name for entry in path.iterdir() if entry.suffix.lower() in SUFFIXES)
    return f"{path} holds no model but {names[0]}, which can run code if it is opened. {CURE}" if names else ""
