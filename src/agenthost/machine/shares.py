"""How much of the machine the host may hand out: `[machine]` in agenthost.toml applied to what is there."""

import re

from msgspec import Struct

from agenthost.core.errors import BadInput
from agenthost.core.machines import MachineFacts, Need
from agenthost.machine.facts import Look

_SIZES = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}
_LEAST_SHARE = 0.25
"""Of all memory: handed out also where others use more just now, since that may end."""


class MachineSettings(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, rename="kebab"):
    """What runs and local models may take together, `[machine]`: a share (`80%`) of what is there, or an amount.

    `memory` and `gpu_memory` are sizes (`8Gi`), `cpu` cores. Processors may be given out several times over, because
    most runs wait more than they compute.
    """

    memory: int | str = "80%"
    cpu: int | float | str = "400%"
    gpu_memory: int | str = "90%"


def capacity(settings: MachineSettings, look: Look) -> Need:
    """What may be handed out at once. Raises BadInput, naming the setting."""
    facts = look.facts
    memory = _size("memory", settings.memory, facts.memory)
    if _is_share(settings.memory):
        memory = min(memory, max(look.available, int(facts.memory * _LEAST_SHARE)))
    return Need(memory, _cores(settings.cpu, facts), _size("gpu-memory", settings.gpu_memory, _gpu(facts)))


def _gpu(facts: MachineFacts) -> int:
    return sum(gpu.memory for gpu in facts.gpus)


def _is_share(value: float | str) -> bool:
    return isinstance(value, str) and value.strip().endswith("%")


def _share(setting: str, value: str) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*%", value.strip())
    if match is None or float(match[1]) <= 0:
        raise BadInput(f'[machine] {setting} is "{value}"; give a share such as "80%"')
    return float(match[1]) / 100


def _size(setting: str, value: int | str, whole: int) -> int:
    if isinstance(value, str) and _is_share(value):
        share = _share(setting, value)
        if share > 1:
            raise BadInput(f'[machine] {setting} is "{value}"; memory can\'t be given out twice: at most "100%"')
        return int(whole * share)
    if isinstance(value, str):
        match = re.fullmatch(r"(\d+(?:\.\d+)?)(k|M|G|Ki|Mi|Gi)?", value.strip())
        if match is None:
            raise BadInput(f'[machine] {setting} is "{value}"; give a size such as "8Gi", or a share such as "80%"')
        value = int(float(match[1]) * _SIZES[match[2] or ""])
    if value < 0 or (value == 0 and setting == "memory"):
        raise BadInput(f'[machine] {setting} is {value}; give a size such as "8Gi", or a share such as "80%"')
    return value


def _cores(value: float | str, facts: MachineFacts) -> float:
    if isinstance(value, str):
        if _is_share(value):
            return facts.cores * _share("cpu", value)
        if not re.fullmatch(r"\d+(\.\d+)?", value.strip()):
            raise BadInput(f'[machine] cpu is "{value}"; give cores such as 6, or a share such as "400%"')
        value = float(value)
    if not 0 < value < 1_000_000:
        raise BadInput(f'[machine] cpu is {value}; give cores such as 6, or a share such as "400%"')
    return float(value)
