"""How a model is run here: context, slots and GPU layers by its own figures and the memory that there is.

What llama.cpp takes is estimated from above, so that what is held for it is there when it grows.
"""

from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from agenthost.core.errors import Unavailable
from agenthost.core.machines import Gpu, Need
from agenthost.models.llamacpp.gguf import Header, in_words
from agenthost.models.settings import LocalSettings

CONTEXT = 32_768
"""Tokens for a request where nothing is set and the model was trained with as many: more costs memory that few tasks use."""
SLOTS = 4
"""Requests at once where nothing is set and memory is there."""
LEAST = 2_048
"""Tokens below which the context isn't cut: an agent's instructions and tools alone take as many."""

_SHARE = 0.5  # of the machine's memory that one model takes at most, unless it can't be run with less
_MOST = 0.9  # of the machine's memory: the host and its sandboxes need some
_PROCESS = 64 * 1024**2  # a child without a model: measured 30 to 45 MB
_BATCH = 512  # tokens that are computed together
_KV_BYTES = 2  # F16 for every number that is kept of a token
_CACHE = 512 * 1024**2  # bytes at most for prompts that lost their slot, so that they needn't be read again


class Plan(Struct, frozen=True):
    """`context` is in tokens for each slot. `gpu_layers`: None leaves them to llama.cpp. `cache`: bytes for prompts without a slot.
    `trained`: tokens of context that the model was made for."""

    context: int
    slots: int
    need: Need
    gpu_layers: int | None = 0
    cache: int = 0
    trained: int = 0
    embeddings: bool = False

    @property
    def batch(self) -> int:
        """Tokens that are computed together; a text to embed must fit into it."""
        return max(_BATCH, min(self.context, 8_192)) if self.embeddings else _BATCH

    @property
    def cut(self) -> str:
        """In words, where the context is smaller than the model's own; else empty."""
        if not self.trained or self.context >= self.trained:
            return ""
        return f"the context is {self.context} of the model's {self.trained} tokens"


def make_plan(
    header: Header,
    settings: LocalSettings,
    memory: int,
    gpus: Sequence[Gpu] = (),
    projector: int = 0,
) -> Plan:
    """Choose what isn't set. `memory` is the machine's, in bytes (0: unknown); `projector` is that file's size. Raises Unavailable
    where the model can't be run in it, with the figures."""
    embeddings = header.embeds if settings.embeddings is None else settings.embeddings
    trained = header.context
    context = settings.context or min(trained or CONTEXT, CONTEXT)
    wanted = Plan(context, settings.slots or SLOTS, Need(), trained=trained, embeddings=embeddings)
    least = Plan(
        settings.context or min(LEAST, context), settings.slots or 1, Need(), trained=trained, embeddings=embeddings
    )
    share = int(memory * _SHARE)

    def taken(plan: Plan) -> int:
        """Bytes of the machine's own memory: those of the GPUs are no part of it."""
        return _bytes(plan, header, projector) - _offload(header, plan, settings, gpus)[1]

    chosen = wanted
    while memory and taken(chosen) > share and (chosen.slots, chosen.context) != (least.slots, least.context):
        if chosen.slots > least.slots:
            chosen = replace(chosen, slots=max(least.slots, chosen.slots // 2))
        else:
            chosen = replace(chosen, context=max(least.context, chosen.context // 2))
    own = taken(chosen)
    if memory and own > memory * _MOST:
        raise Unavailable(_too_large(header, chosen, own, memory, settings))
    kept = min(_CACHE, chosen.slots * _kv(header, chosen.context), max(0, share - own)) if memory else 0
    # What is kept without a slot is worth it only where at least one prompt fits.
    cache = 0 if kept < _kv(header, chosen.context) else kept
    layers, on_gpu = _offload(header, chosen, settings, gpus)
    need = Need(memory=max(_PROCESS, own) + cache, gpu_memory=on_gpu)
    return replace(chosen, need=need, gpu_layers=layers, cache=cache)


def _shared(gpus: Sequence[Gpu]) -> bool:
    """Whether a GPU has no memory of its own, or nobody knows how much."""
    return any(gpu.kind == "metal" or not gpu.memory for gpu in gpus)


def _too_large(header: Header, plan: Plan, taken: int, memory: int, settings: LocalSettings) -> str:
    what = f"{plan.slots} slots of {plan.context} tokens" if plan.slots > 1 else f"one slot of {plan.context} tokens"
    fewer = " or a smaller context or fewer slots" if settings.context or settings.slots else ""
    return (
        f"the model {header.name or header.architecture} needs {in_words(taken)} of memory with {what}, and this machine has "
        f"{in_words(memory)}; take a smaller model or quantisation{fewer}"
    )


def _kv(header: Header, tokens: int) -> int:
    """Bytes that a slot of so many tokens keeps."""
    return _KV_BYTES * sum(header.kv_widths) * tokens


def _compute(header: Header, plan: Plan) -> int:
    """Bytes for computing one batch: its activations, its scores over the vocabulary, and what may attend to what."""
    activations = plan.batch * (8 * header.width + 3 * header.inner) * 4
    scores = (plan.batch if plan.embeddings else _BATCH) * header.vocabulary * 4
    mask = plan.batch * plan.context * plan.slots * 4
    return activations + scores + mask


def _bytes(plan: Plan, header: Header, projector: int) -> int:
    """All that a child takes; of a projector the encoder's work is as large again as its weights."""
    return header.size + plan.slots * _kv(header, plan.context) + _compute(header, plan) + 2 * projector + _PROCESS


def _offload(header: Header, plan: Plan, settings: LocalSettings, gpus: Sequence[Gpu]) -> tuple[int | None, int]:
    """Layers on the GPUs, and the bytes that they take there."""
    if not gpus or settings.gpu_layers == 0:
        return 0, 0
    if _shared(gpus):
        # A memory that is shared with the processors, or of unknown size: llama.cpp finds out what fits.
        return settings.gpu_layers, 0
    layers = header.blocks + 1
    each = (header.size + plan.slots * _kv(header, plan.context)) // layers
    room = int(sum(gpu.memory for gpu in gpus) * _MOST) - _compute(header, plan)
    # People write 99 for all of them.
    fitting = min(layers, max(0, room) // max(1, each) if settings.gpu_layers is None else settings.gpu_layers)
    return fitting, fitting * each + (_compute(header, plan) if fitting else 0)
