"""Context and slots are chosen by what there is; what can't fit is refused with the figures."""

import pytest
from msgspec.structs import replace

from agenthost.core.errors import Unavailable
from agenthost.core.machines import Gpu
from agenthost.models.llamacpp.gguf import Header
from agenthost.models.llamacpp.plan import CONTEXT, LEAST, SLOTS, make_plan
from agenthost.models.settings import LocalSettings

GIB = 1024**3
EIGHT = Header("llama", "Eight", 5 * GIB, "Q4_K_M", 131_072, 4096, 14336, 32, 32, 128_256, kv_widths=(2048,) * 32)
"""As a model of 8 billion parameters is: 128 KiB of cache a token."""


def test_with_room_it_has_the_usual_context_and_slots() -> None:
    plan = make_plan(EIGHT, LocalSettings(), 256 * GIB)
    assert (plan.context, plan.slots) == (CONTEXT, SLOTS)
    assert plan.need.memory > EIGHT.size + SLOTS * CONTEXT * 128 * 1024
    assert plan.cut == f"the context is {CONTEXT} of the model's 131072 tokens"


def test_slots_go_before_context_and_context_goes_to_the_least() -> None:
    seen = [make_plan(EIGHT, LocalSettings(), size * GIB) for size in (64, 32, 24, 16, 12)]
    assert [plan.slots for plan in seen] == sorted((plan.slots for plan in seen), reverse=True)
    assert [plan.context for plan in seen] == sorted((plan.context for plan in seen), reverse=True)
    assert seen[1].slots < SLOTS
    assert seen[1].context == CONTEXT
    assert seen[-1].slots == 1
    assert LEAST <= seen[-1].context < CONTEXT


def test_what_is_set_stands() -> None:
    plan = make_plan(EIGHT, LocalSettings(context=4096, slots=3), 32 * GIB)
    assert (plan.context, plan.slots) == (4096, 3)


def test_what_can_never_fit_is_refused_with_the_figures() -> None:
    with pytest.raises(Unavailable, match=r"Eight needs \d+\.\d GB of memory with one slot of 2048 tokens, .* 4\.3 GB"):
        make_plan(EIGHT, LocalSettings(), 4 * GIB)


def test_a_model_with_little_training_has_no_more_context_than_that() -> None:
    plan = make_plan(replace(EIGHT, context=512), LocalSettings(), 64 * GIB)
    assert plan.context == 512
    assert plan.cut == ""


def test_layers_go_to_a_gpu_as_far_as_they_fit() -> None:
    big, small = Gpu("big", "cuda", 80 * GIB), Gpu("small", "cuda", 4 * GIB)
    whole = make_plan(EIGHT, LocalSettings(context=4096), 64 * GIB, (big,))
    assert whole.gpu_layers == EIGHT.blocks + 1
    assert whole.need.gpu_memory > EIGHT.size
    assert whole.need.memory < EIGHT.size
    part = make_plan(EIGHT, LocalSettings(context=4096), 64 * GIB, (small,))
    assert part.gpu_layers is not None
    assert 0 < part.gpu_layers < EIGHT.blocks
    assert part.need.gpu_memory <= 4 * GIB
    assert make_plan(EIGHT, LocalSettings(gpu_layers=0), 64 * GIB, (big,)).need.gpu_memory == 0


def test_with_a_gpu_the_context_isnt_cut_for_the_machines_memory() -> None:
    plan = make_plan(EIGHT, LocalSettings(), 8 * GIB, (Gpu("big", "cuda", 80 * GIB),))
    assert (plan.context, plan.slots) == (CONTEXT, SLOTS)
    assert plan.need.memory < 4 * GIB


def test_more_layers_than_there_are_are_all_of_them() -> None:
    big = (Gpu("big", "cuda", 80 * GIB),)
    everything = make_plan(EIGHT, LocalSettings(context=4096, gpu_layers=99), 64 * GIB, big)
    assert everything.need == make_plan(EIGHT, LocalSettings(context=4096), 64 * GIB, big).need
    assert everything.gpu_layers == EIGHT.blocks + 1


def test_a_small_gpu_makes_no_model_fit_that_is_too_large_for_both() -> None:
    with pytest.raises(Unavailable, match="Eight needs"):
        make_plan(EIGHT, LocalSettings(), 2 * GIB, (Gpu("small", "cuda", 2 * GIB),))


def test_where_memory_is_shared_with_the_gpu_llama_cpp_chooses() -> None:
    plan = make_plan(EIGHT, LocalSettings(context=4096), 64 * GIB, (Gpu("Apple", "metal", 48 * GIB),))
    assert plan.gpu_layers is None
    assert plan.need.gpu_memory == 0
    assert plan.need.memory > EIGHT.size
