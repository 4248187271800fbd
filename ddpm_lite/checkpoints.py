"""Checkpoints: weights as safetensors with the model card in the same file's header, and a copy of the card beside it.

One file holds all that is needed to use a model: its architecture, its schedule, its weights. Nothing is unpickled,
files are replaced in one move, and a card says how the model was made: data, seed, steps, loss, time, machine,
command, metrics.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import tempfile
from collections.abc import Callable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ._validate import check_choice
from .diffusion import GaussianDiffusion
from .mlp import MLPDenoiser
from .unet import UNet

FORMAT = "ddpm_lite/1"
RUN = "training state"  # the kind on the card of a run's state
ARCHITECTURES: dict[str, type[UNet] | type[MLPDenoiser]] = {"UNet": UNet, "MLPDenoiser": MLPDenoiser}
PRETRAINED = ("mnist",)


class CheckpointError(ValueError):
    """A file is no checkpoint of ours, is damaged, or does not fit; the message says which and what to do."""


def save_checkpoint(
    path: str | Path, model: nn.Module, diffusion: GaussianDiffusion, card: dict[str, Any] | None = None
) -> Path:
    """Write ``model`` and ``diffusion`` to PATH.safetensors, and its card to PATH.json; return the first path.

    model: a ``UNet`` or ``MLPDenoiser``; card: what else to note, a dict that fits into JSON. Its architecture, T,
    format and sha256 are those of what is written, whatever it says.
    Raises: TypeError for another kind of model or of card. A failure leaves what was there before.
    """
    kind = type(model).__name__
    if not isinstance(model, UNet | MLPDenoiser):
        raise TypeError(f"model must be one of {', '.join(ARCHITECTURES)}, got {kind}")
    tensors = {f"model.{k}": v for k, v in model.state_dict().items()}
    tensors["beta"] = diffusion.schedule
    known = {"architecture": {"name": kind, **model.config}, "T": diffusion.T}
    return _write(_with_suffix(path), tensors, known | _checked(card) | known)  # first, and as they are


def average_checkpoints(paths: Sequence[str | Path], out: str | Path, card: dict[str, Any] | None = None) -> Path:
    """Write the mean of the weights of several models of one run to ``out``; return its path.

    A moving average keeps what its models were wrong about lately; the mean of models that lie thousands of updates
    apart keeps less. paths: two or more checkpoints, in the order of training. The card is the last one's, with the
    sha256 of each part under "averaged", and what ``card`` adds.
    Raises: ValueError for fewer than two paths, or if architecture, schedule or data differ; as ``load_checkpoint``.
    Source: Izmailov et al. 2018 (arXiv 1803.05407), stochastic weight averaging.
    """
    if len(paths) < 2:
        raise ValueError(f"paths must name two checkpoints at least, got {len(paths)}")
    parts = [_read_model(_with_suffix(path)) for path in paths]
    tensors, last = dict(parts[-1][0]), parts[-1][1]
    for path, (theirs, their_card) in zip(paths, parts, strict=True):
        for name in ("architecture", "schedule", "data"):
            if their_card.get(name) != last.get(name):
                raise ValueError(f"paths must be of one run, but {name} of {path} is not that of {paths[-1]}")
        if theirs.keys() != tensors.keys() or not torch.equal(theirs["beta"], tensors["beta"]):
            raise ValueError(f"paths must be of one run, but the tensors of {path} are not those of {paths[-1]}")
    for name in tensors:
        if name != "beta":
            tensors[name] = torch.stack([theirs[name].double() for theirs, _ in parts]).mean(0).to(tensors[name].dtype)
    known: dict[str, Any] = {name: last[name] for name in ("architecture", "T") if name in last}
    known["averaged"] = [{"file": Path(p).name, "sha256": c["sha256"]} for p, (_, c) in zip(paths, parts, strict=True)]
    return _write(_with_suffix(out), tensors, last | _checked(card) | known)


def add_to_card(path: str | Path, metrics: dict[str, Any]) -> None:
    """Add ``metrics`` to the card of a checkpoint, a shipped one by its name. Raises: as ``load_checkpoint``."""
    path = _pretrained_path(str(path)) if path in PRETRAINED else _with_suffix(path)
    tensors, card = _read_model(path)
    _write(path, tensors, {**card, "metrics": {**card.get("metrics", {}), **metrics}})


def _checked(card: Any) -> dict[str, Any]:
    if not isinstance(card, dict | None):
        raise TypeError(f"card must be a dict, got {type(card).__name__}")
    return card or {}


def _write(path: Path, tensors: dict[str, Tensor], card: dict[str, Any]) -> Path:
    write_tensors(path, tensors, card)
    write_file(path.with_suffix(".json"), lambda f: Path(f).write_text(_dumps(read_card(path)) + "\n", "utf-8"))
    return path


def load_checkpoint(
    path: str | Path, *, device: str | torch.device = "cpu"
) -> tuple[UNet | MLPDenoiser, GaussianDiffusion]:
    """Read a model, in evaluation mode, and its diffusion from a file that ``save_checkpoint`` wrote.

    Raises: FileNotFoundError; CheckpointError if the file is damaged, foreign, a run's state, or of a later format.
    """
    tensors, card = _read_model(_with_suffix(path))
    try:
        for name, tensor in tensors.items():
            if name != "beta" and not name.startswith("model."):
                raise ValueError(f"nothing is known of a tensor {name}")
            if not tensor.is_floating_point() or not bool(tensor.isfinite().all()):
                raise ValueError(f"{name} must hold finite floating-point numbers")
        config = dict(card["architecture"])
        model = ARCHITECTURES[check_choice("architecture", config.pop("name"), ARCHITECTURES)](**config)
        model.load_state_dict({k[6:]: v for k, v in tensors.items() if k.startswith("model.")})
        diffusion = GaussianDiffusion(tensors["beta"])
        if card.get("T", diffusion.T) != diffusion.T:
            raise ValueError(f"T is {card['T']} on the card, but there are {diffusion.T} betas")
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())[:300]
        raise CheckpointError(f"{path} does not fit this version of ddpm_lite: {reason}") from error
    return model.to(device).eval(), diffusion.to(device)


def _read_model(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    tensors, card = read_tensors(path)
    if card.get("kind") == RUN:
        raise CheckpointError(f"{path} is the state of a training run, not a model; use model.safetensors beside it")
    return tensors, card


def load_pretrained(name: str = "mnist", *, device: str | torch.device = "cpu") -> tuple[UNet, GaussianDiffusion]:
    """Return a model that ships with the package, in evaluation mode, and its diffusion. Needs no network.

    name: "mnist", 28x28 digits in [-1, 1], T = 1000; ``pretrained_card(name)`` tells how it was made and how good it
    is. Raises: ValueError for an unknown name.
    """
    model, diffusion = load_checkpoint(_pretrained_path(name), device=device)
    return model, diffusion  # type: ignore[return-value]


def pretrained_card(name: str = "mnist") -> dict[str, Any]:
    """Return the card of a shipped model: architecture, data, seed, steps, loss, wall time, machine, command,
    metrics."""
    return read_card(_pretrained_path(name))


def read_card(path: str | Path) -> dict[str, Any]:
    """Return the card in a checkpoint's header, without reading the weights. Raises: as ``load_checkpoint``."""
    return _open(_with_suffix(path), lambda f: _card(path, f.metadata()))


def machine() -> str:
    """Return one line on this machine for a card: system, processor, threads, torch."""
    accelerator = torch.cuda.get_device_name() if torch.cuda.is_available() else platform.machine()
    return f"{platform.system()}, {accelerator}, {torch.get_num_threads()} threads, torch {torch.__version__}"


def _pretrained_path(name: str) -> Path:
    return Path(str(files("ddpm_lite") / "assets" / f"{check_choice('name', name, PRETRAINED)}.safetensors"))


# ---- files of named tensors: also what a training run keeps its state in ------------------------------------------


def write_tensors(path: Path, tensors: dict[str, Tensor], card: dict[str, Any]) -> None:
    """Write named tensors and a JSON card to one safetensors file, in one move."""
    from safetensors.torch import save_file

    tensors = {k: v.detach().cpu().contiguous() for k, v in tensors.items()}
    card = {**card, "format": FORMAT, "sha256": _digest(tensors)}
    text = _dumps(card)
    write_file(path, lambda f: save_file(tensors, f, {"format": "pt", "card": text}))


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what ``write_tensors`` wrote, and check that not a bit has changed. Raises: as ``load_checkpoint``."""
    card = _open(path, lambda f: _card(path, f.metadata()))
    tensors = _open(path, lambda f: {k: f.get_tensor(k) for k in f.keys()})
    if card.get("sha256") != _digest(tensors):
        raise CheckpointError(f"{path} is damaged: its checksum differs from the one on its card; fetch it again")
    return tensors, card


def write_file(path: Path, write: Callable[[str], Any]) -> None:
    """Call ``write(name)`` on a name beside ``path``, then move that file to ``path``: all of it or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    try:
        write(name)
        with open(name, "rb+") as file:
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(name, 0o666 & ~umask)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _with_suffix(path: str | Path) -> Path:
    path = Path(path)
    if path.name in ("", ".."):
        raise ValueError(f"path must name a file, got {str(path)!r}")
    return path if path.suffix == ".safetensors" else path.with_name(path.name + ".safetensors")


def _open(path: str | Path, read: Callable[[Any], Any]) -> Any:
    from safetensors import SafetensorError, safe_open

    if not Path(path).is_file():
        raise FileNotFoundError(f"there is no checkpoint at {path}")
    try:
        with safe_open(str(path), framework="pt") as file:
            return read(file)
    except (SafetensorError, OSError, UnicodeDecodeError) as error:
        raise CheckpointError(
            f"{path} is damaged or is no safetensors file ({error}); checkpoints of other formats (.pt, .ckpt) are "
            "never read, since unpickling can run foreign code"
        ) from error


def _card(path: str | Path, metadata: dict[str, str] | None) -> dict[str, Any]:
    try:
        card = json.loads((metadata or {})["card"])
        found = str(card["format"])
    except (KeyError, TypeError, ValueError):
        raise CheckpointError(f"{path} is a safetensors file, but not one that ddpm_lite wrote: no card") from None
    if found != FORMAT:
        raise CheckpointError(f"{path} has format {found!r}, this version reads {FORMAT!r}; install a newer ddpm_lite")
    return card


def _digest(tensors: dict[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.flatten().view(torch.uint8).numpy().tobytes() if tensor.numel() else b"")
    return digest.hexdigest()


def _dumps(card: dict[str, Any]) -> str:
    try:
        return json.dumps(card, indent=2, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise TypeError(f"card must hold only what JSON can hold: {error}") from None
