"""What a folder of somebody else's may pass on to timm: a backbone of its list, and arguments of a list of our own.

``timm.create_model`` takes far more than an architecture: ``checkpoint_path`` reads any file, ``hf-hub:NAME`` as the
name fetches from the network, a number of layers takes all memory. A model's ``model.json`` and the ``config.json``
beside weights come from strangers, so nothing that is not listed here reaches it.
"""

from collections.abc import Callable, Mapping
from typing import Any

from diptych.backbones.weights import is_known
from diptych.errors import ArtefactError

MAX_SIDE, MAX_REGISTERS = 4096, 64
#: Of ``config.json``: how pictures are prepared, and which of the file's weights are the head's. None names a file.
PRETRAINING_FIELDS = (
    "mean", "std", "interpolation", "crop_pct", "input_size", "fixed_input_size", "pool_size", "num_classes",
    "label_offset", "first_conv", "classifier",
)  # fmt: skip
_POOLING = ("avg", "avgmax", "catavgmax", "fast", "map", "max", "token")


def _is_bool(value: object) -> bool:
    return isinstance(value, bool)


def _is_share(value: object) -> bool:
    return type(value) in (int, float) and 0 <= value <= 1  # type: ignore[operator]


def _whole(low: int, high: int) -> Callable[[object], bool]:
    return lambda value: type(value) is int and low <= value <= high


#: The arguments, each with what its value must be.
ARGUMENTS: Mapping[str, Callable[[object], bool]] = {
    "img_size": _whole(1, MAX_SIDE),
    "in_chans": _whole(3, 3),
    "global_pool": lambda value: value in _POOLING,
    "reg_tokens": _whole(0, MAX_REGISTERS),
    "init_values": lambda value: value is None or _is_share(value),
    **dict.fromkeys(("drop_rate", "drop_path_rate", "attn_drop_rate", "pos_drop_rate", "proj_drop_rate"), _is_share),
    **dict.fromkeys(
        ("class_token", "no_embed_class", "qkv_bias", "qk_norm", "pre_norm", "final_norm", "pool_include_prefix",
         "dynamic_img_size", "dynamic_img_pad"),
        _is_bool,
    ),
    "fc_norm": lambda value: value is None or _is_bool(value),
}  # fmt: skip


def check_backbone(facts: Mapping[str, Any]) -> None:
    """Check the name and the arguments of a backbone before timm sees them.

    Parameters
    ----------
    facts
        ``{"name", "arguments", …}``, as a model's ``model.json`` has them, or ``config.json`` beside weights.

    Raises
    ------
    ArtefactError
        timm has no such backbone, or an argument or its value is not one of :data:`ARGUMENTS`.
    """
    name, arguments = facts["name"], facts["arguments"]
    if not isinstance(name, str) or not is_known(name):
        raise ArtefactError(f"timm has no backbone {name!r}. {_CURE}")
    if not isinstance(arguments, Mapping):
        raise ArtefactError(f"The arguments of the backbone {name} are {arguments!r}, not a JSON object. {_CURE}")
    for argument, value in arguments.items():
        if argument not in ARGUMENTS:
            raise ArtefactError(
                f"The backbone {name} comes with the argument {argument!r}, which is not passed on to timm; "
                f"these are: {', '.join(ARGUMENTS)}. {_CURE}"
            )
        if not ARGUMENTS[argument](value):
            raise ArtefactError(f"The backbone {name} comes with {argument} = {value!r}, which cannot be. {_CURE}")


_CURE = "Get the model or the weights again from where you have them, or use another backbone."
