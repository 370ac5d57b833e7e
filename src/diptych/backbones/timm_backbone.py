"""Backbones of timm by their names, and built with pretrained weights as they are.

``lite0`` (and with an extra ``lite1`` and ``lite2``) has built-in weights; ``timm:NAME@FILE`` and ``timm:NAME@FOLDER``
read them from a path; all of these work offline. ``timm:NAME`` takes those that timm names, from the hub's cache or
else from the hub. How the pictures of the pretraining were prepared (mean, standard deviation, size and so on) is part
of a backbone's facts.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from diptych.backbones import weights as backbone_weights
from diptych.backbones.builtin import BUILTIN, builtin_weights, check_installed
from diptych.backbones.light_timm import import_timm
from diptych.backbones.timm_arguments import PRETRAINING_FIELDS, check_backbone
from diptych.backbones.weights import PREFIX, Weights
from diptych.errors import UsageError
from diptych.opening import NotAFileError, checked

PREPROCESSING = ("mean", "std", "interpolation", "crop_pct")  # fields of timm's PretrainedCfg
INITIAL_SEED = 0x5EED_1DEA  # of new weights: a tensor that still equals them has not been loaded


def is_pretrained(network: str) -> bool:
    """Whether a network's name is that of a pretrained backbone: "lite0", "lite1", "lite2" or "timm:…"."""
    return network in BUILTIN or network.startswith(PREFIX)


def _parse(network: str) -> tuple[str, Path | None]:
    """Timm's name of a backbone, and the file or folder of its weights (``None``: built in, or from the hub)."""
    if network in BUILTIN:
        return BUILTIN[network].architecture, None
    name, _, path = network.removeprefix(PREFIX).partition("@")
    return name, Path(path) if path else None


def timm_name(network: str) -> str:
    """Timm's name of a backbone."""
    return _parse(network)[0]


def check(network: str) -> None:
    """Raise UsageError unless timm has the backbone, and the path (if any) holds its weights."""
    if network in BUILTIN:
        check_installed(network)
        return
    name, path = _parse(network)
    if not backbone_weights.is_known(name):
        import difflib

        close = difflib.get_close_matches(name, import_timm().list_models(), n=3)
        suggestion = f" Did you mean {', '.join(PREFIX + n for n in close)}?" if close else ""
        raise UsageError(f"timm has no backbone {name!r}.{suggestion} List them with: timm.list_models()")
    if path is not None:
        backbone_weights.locate_weights(name, path)


def find_weights(network: str) -> Weights:
    """The weights of a pretrained network: built in, from its path, from the hub's cache, or fetched from the hub.

    Raises
    ------
    UsageError
        They are not to be had; says why and what to do.
    """
    name, path = _parse(network)
    if network in BUILTIN:
        return builtin_weights(network)
    return backbone_weights.fetch_weights(name) if path is None else backbone_weights.locate_weights(name, path)


def default_size(network: str) -> int:
    """The picture size, in px, that the backbone was pretrained at."""
    name, path = _parse(network)
    weights = backbone_weights.cached_weights(name) if path is None else backbone_weights.locate_weights(name, path)
    return int(_pretraining_config(name, weights.config if weights else {})["input_size"][-1])


def build(
    name: str, size: int, weights: Weights | None = None, facts: Mapping[str, Any] | None = None
) -> tuple[Any, dict[str, Any]]:
    """A backbone without a head, (B, 3, H, W) to (B, its width), and its facts.

    Parameters
    ----------
    name
        timm's name of the backbone, with or without the tag of its weights ("resnet18.a1_in1k").
    size
        Side of the pictures, in px.
    weights
        Where its weights are; ``None`` leaves them to be loaded, as from a saved model.
    facts
        Of a saved model; ``None``: those that timm knows.

    Returns
    -------
    nn.Module
        The backbone.
    dict
        Name, arguments, pretraining size, preprocessing and origin, as JSON can hold them.

    Raises
    ------
    UsageError
        timm cannot make it at this size, or the weights are not its own.
    ArtefactError
        The facts, or those beside the weights, ask timm for something else than a backbone.
    """
    timm_cfg = _pretraining_config(name, weights.config if weights else {})
    facts = dict(facts) if facts else _backbone_facts(name, weights, timm_cfg, size)
    check_backbone(facts)
    backbone = _build_backbone(facts, timm_cfg)
    return (backbone if weights is None else _load_weights(backbone, weights.file, facts, timm_cfg)), facts


def _pretraining_config(name: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """The ``PretrainedCfg`` of a backbone, where ``config.json`` takes precedence over timm's own."""
    cfg_class = import_timm().models.PretrainedCfg
    architecture = backbone_weights.architecture(name)
    default = backbone_weights.pretrained_cfg(name) or backbone_weights.pretrained_cfg(architecture) or cfg_class()
    values: dict[str, Any] = default.to_dict(remove_source=True)
    stored = config.get("pretrained_cfg")
    return {**values, **{k: stored[k] for k in PRETRAINING_FIELDS if isinstance(stored, Mapping) and k in stored}}


def _backbone_facts(name: str, weights: Weights | None, timm_cfg: Mapping[str, Any], size: int) -> dict[str, Any]:
    """Name, arguments, pretraining size, preprocessing and origin of a backbone, as JSON can hold them."""
    config = weights.config if weights else {}
    stored = config.get("model_args", {})
    arguments = {k: v for k, v in stored.items() if k not in ("num_classes", "img_size")}
    # Transformers have a table of positions, which is built for the picture size.
    if timm_cfg.get("fixed_input_size") or "img_size" in stored:
        arguments["img_size"] = size
    preprocessing = {field: timm_cfg[field] for field in PREPROCESSING}
    return {
        "name": name,
        "source": weights.provenance if weights else "",
        "arguments": arguments,
        "size": int(timm_cfg["input_size"][-1]),
        **preprocessing,
    }


def _build_backbone(facts: Mapping[str, Any], timm_cfg: Mapping[str, Any], file: Path | None = None) -> Any:
    """The backbone with initial weights, or with those that timm loads, and converts if need be, from ``file``."""
    # Weights that fit exactly are loaded by `_load_weights`; timm's own loading converts others.
    source = {"file": str(file), "custom_load": False} if file else {}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(INITIAL_SEED)
        try:
            return import_timm().create_model(
                backbone_weights.architecture(facts["name"]),
                pretrained=file is not None,
                pretrained_cfg={**timm_cfg, **source},
                num_classes=0,
                **facts["arguments"],
            )
        except Exception as error:  # timm raises whatever its architectures raise
            if file is not None:
                raise _wrong_weights(file, facts["name"], _first_line(error)) from error
            size = facts["arguments"].get("img_size")
            at = f" at {size} px" if size else ""
            raise UsageError(
                f"timm cannot make {facts['name']!r}{at}: {_first_line(error)}. Try another size."
            ) from error


def _load_weights(backbone: nn.Module, path: Path, facts: Mapping[str, Any], timm_cfg: Mapping[str, Any]) -> Any:
    """The backbone with the weights of a file, which may also hold a classifier's head."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tensors = load_file(checked(path))
    except NotAFileError:
        raise
    except (SafetensorError, OSError) as error:
        raise UsageError(f"{path} cannot be read as safetensors: {_first_line(error)}") from error
    required = backbone.state_dict()
    if all(name in tensors and tensors[name].shape == tensor.shape for name, tensor in required.items()):
        backbone.load_state_dict({name: tensors[name] for name in required})
        return backbone
    return _load_converted(backbone, path, facts, timm_cfg)


def _load_converted(initial: nn.Module, path: Path, facts: Mapping[str, Any], timm_cfg: Mapping[str, Any]) -> Any:
    """The backbone with weights that timm converts: tables of positions resized, parameters renamed."""
    loaded = _build_backbone(facts, timm_cfg, path)
    before = dict(initial.named_parameters())
    missing = [k for k, p in loaded.named_parameters() if p.ndim > 1 and torch.equal(p, before[k]) and p.std() > 0]
    if missing:
        reason = f"{len(missing)} of {len(before)} are missing, the first {missing[0]}"
        raise _wrong_weights(path, facts["name"], reason)
    return loaded


def _wrong_weights(path: Path, name: str, reason: str) -> UsageError:
    return UsageError(f"{path} does not hold the weights of {name} ({reason}). Name the file of this backbone.")


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
